import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from helpers import answers, fit_from_worths

import bayespref as bp
from bayespref import choices, diagnostics, losses, models, populations, rewards
from bayespref.checks.design import design_of
from bayespref.checks.rows import groups_of, rows_of, totals_of
from bayespref.comparisons import Annotators, Comparisons, Items
from bayespref.diagnostics import fisher
from bayespref.diagnostics.free import EPS, spectrum
from bayespref.diagnostics.lacking import most_classes
from bayespref.diagnostics.ladder import cells_of, reach, untestable
from bayespref.inference.program import sites_of

KEY = jax.random.key(0)


def every_pair(items, *, annotators=None):
    """All pairs of items once, or once by each annotator."""
    pairs = np.array(list(itertools.combinations(range(items), 2)))
    who = None if annotators is None else np.repeat(np.arange(annotators), len(pairs))
    return Comparisons.from_arrays(np.tile(pairs, (annotators or 1, 1)), items=items, annotator=who)


# ---- local identifiability of a declared model -------------------------------------------------------


def pooled_classes(comparisons, *, classes):
    """A class for every answer, no ids; one worth of each class is zero."""
    items = comparisons.items.size
    free = numpyro.sample("worth", dist.Normal(0, 1.5).expand((classes, items - 1)).to_event(2))
    weight = numpyro.sample("weight", dist.Dirichlet(jnp.full(classes, 2.0)))
    worth = jnp.concatenate([jnp.zeros((classes, 1)), free], 1)
    each = [choices.logit(one[comparisons.shown]) for one in worth]
    bp.observe(comparisons, populations.mixture(each, jnp.log(weight)))


@pytest.mark.parametrize(
    ("classes", "items", "rank"), [(2, 3, 3), (2, 4, 6), (2, 5, 9), (2, 6, 11), (3, 6, 15), (3, 7, 20)]
)
def test_pooled_answers_identify_classes_of_enough_items(classes, items, rank):
    """Known answers C1."""
    model = functools.partial(pooled_classes, classes=classes)
    found = diagnostics.local_identifiability(KEY, model, every_pair(items))
    parameters = classes * items - 1
    assert (found.rank, found.parameters, found.exact) == (rank, parameters, True)
    assert found.uninformed == (() if rank == parameters else ("worth", "weight"))
    assert ("NOT IDENTIFIED: worth, weight" in str(found)) == (rank < parameters)
    if rank < parameters:
        assert (found.sites["weight"].tied, found.sites["worth"].tied) == (("worth",), ("weight",))


@pytest.mark.parametrize(("classes", "items", "rank"), [(2, 3, 5), (3, 3, 6), (3, 4, 11)])
def test_panels_identify_classes_of_fewer_items(classes, items, rank):
    """Known answers C2: annotators who answer every pair once."""
    model = functools.partial(models.latent_class_bradley_terry, classes=classes, scale=1.5)
    found = diagnostics.local_identifiability(KEY, model, every_pair(items, annotators=5))
    parameters = classes * items - 1
    assert (found.rank, found.parameters, found.exact) == (rank, parameters, True)
    assert bool(found.uninformed) == (rank < parameters)


@pytest.mark.parametrize(("times", "rank"), [(2, 2), (3, 3)])
def test_two_binomials_are_told_apart_by_three_trials(times, rank):
    """Teicher (1963): K binomials of n trials are identifiable if n >= 2 K - 1."""
    model = functools.partial(models.latent_class_bradley_terry, classes=2, scale=1.5)
    data = Comparisons.from_arrays([[0, 1]] * 2, annotator=[0, 1], count=[times] * 2)
    found = diagnostics.local_identifiability(KEY, model, data)
    assert (found.rank, found.parameters) == (rank, 3)
    assert most_classes(data, cells_of(data), 1, pooled=False) == rank - 1


def test_standard_errors_are_those_of_the_inverse_information():
    """By hand, from the derivatives of w s(d_1) + (1 - w) s(d_2)."""
    n, weight = 5, np.array([0.4, 0.6])
    worth = np.random.default_rng(0).normal(0, 1.5, (2, n))
    worth -= worth[:, :1]
    data = every_pair(n)
    first, second = np.asarray(data.shown).T
    wins = 1 / (1 + np.exp(worth[:, second] - worth[:, first]))
    slopes = np.zeros((len(first), 2 * n + 1))
    for h, share in enumerate(weight):
        steep = share * wins[h] * (1 - wins[h])
        slopes[np.arange(len(first)), h * n + first] = steep
        slopes[np.arange(len(first)), h * n + second] = -steep
    slopes[:, -1] = wins[0] - wins[1]
    slopes = np.delete(slopes, [0, n], 1)
    pooled = weight @ wins
    information = (slopes.T / (pooled * (1 - pooled))) @ slopes
    error = np.sqrt(np.diag(np.linalg.inv(information)))

    at = {"worth": worth[:, 1:], "weight": weight}
    model = functools.partial(pooled_classes, classes=2)
    found = diagnostics.local_identifiability(KEY, model, data, at=at)
    rounding = EPS * len(error) * np.linalg.cond(information)
    assert np.isclose(found.sites["weight"].standard_error, error[-1], rtol=rounding)
    assert np.isclose(found.sites["worth"].standard_error, error[:-1].max(), rtol=rounding)
    assert "at the values given" in str(found) and found.ranks == (9,)


def test_groups_never_compared_leave_a_direction_each():
    """Known answers D2: contrasts between components are the prior's."""
    data = Comparisons.from_arrays([[0, 1], [1, 2], [3, 4], [5, 6]])
    found = diagnostics.local_identifiability(KEY, models.bradley_terry, data)
    worths, scale = found.sites["log_density"], found.sites["log_density_scale"]
    assert (worths.directions, worths.free, worths.tied, worths.through) == (6, 2, (), ())
    assert found.uninformed == ("log_density",) and worths.standard_error is None
    assert "NOT INFORMED in 2 of 6 directions: its own prior speaks" in str(found)
    # The scale is in no answer, and yet known from the worths that it is the prior of.
    assert (scale.free, scale.through, scale.settled) == (1, ("_log_density",), True)
    assert (found.rank, found.parameters, found.silent) == (4, 7, 0)


def guesses(comparisons):
    log_density = rewards.item_table(comparisons, scale=1.5)
    lapse = numpyro.sample("lapse", dist.Beta(1, 9))
    bp.observe(comparisons, choices.lapse(choices.logit(log_density[comparisons.shown]), lapse))


@pytest.mark.parametrize(("pairs", "rank"), [([[0, 1], [1, 2], [2, 3]], 3), ([[0, 1], [1, 2], [0, 2]], 3)])
def test_guesses_are_told_from_worths_by_a_circuit(pairs, rank):
    """Worths fit any probabilities along a chain; around three pairs, two worths and a rate do."""
    data = Comparisons.from_arrays(pairs)
    found = diagnostics.local_identifiability(KEY, guesses, data)
    chain = data.items.size == 4
    assert (found.rank, found.parameters) == (rank, data.items.size)
    assert found.uninformed == (("log_density", "lapse") if chain else ())
    before = diagnostics.identifiability(data)
    assert ("lapse" in before.untestable) == chain and ("lapse" in before.testable) != chain
    assert any("intransitive: cycles" in what for what, _ in before.uninformed) == chain


def test_rationality_and_worths_share_their_scale():
    """Known answers C7: (b u) is one number; the prior of annotators' effects tells them apart."""
    data = answers(rows=40)
    found = diagnostics.local_identifiability(KEY, models.rationality_by_annotator, data)
    assert found.uninformed == ()
    for name, directions in (("log_density", 4), ("log_rationality", 4), ("log_rationality_sd", 1)):
        site = found.sites[name]
        assert (site.directions, site.free, site.given) == (directions, 1, 0)
    assert found.parameters - found.rank == 3
    assert "known only through the prior of annotators' effects in 1 of 4 directions" in str(found)
    assert "two answers or more, 4 of 4 here" in found.notes[0]


def test_rotations_change_nothing_documented():
    """One dimension of cycles has two vectors: any map of determinant one leaves their wedge alone."""
    found = diagnostics.local_identifiability(KEY, models.intransitive, every_pair(5), draws=2)
    assert found.uninformed == () and found.silent == 3
    # A skew matrix of rank two whose rows sum to zero, among 5 items: 2 x 4 - 3 directions.
    assert found.sites["cycles"].directions == 5 and found.sites["cycles"].free == 0


def test_what_is_not_enumerated_is_said(monkeypatch):
    model = functools.partial(models.latent_class_bradley_terry, classes=3, scale=1.5)
    monkeypatch.setattr(fisher, "PATTERNS", 1)  # one answer of each annotator stands for all
    found = diagnostics.local_identifiability(KEY, model, every_pair(3, annotators=2), draws=2)
    assert not found.exact and found.rank < 6 <= found.at_most
    assert "CANNOT BE SAID" in str(found) and "at most" in found.sites["weight"].text(exact=False)
    assert any("could be enumerated" in note for note in found.notes)


def test_a_part_of_the_answers_may_do(monkeypatch):
    model = functools.partial(models.latent_class_bradley_terry, classes=2, scale=1.5)
    monkeypatch.setattr(fisher, "PATTERNS", 8 * 4)  # three answers of each of four annotators
    found = diagnostics.local_identifiability(KEY, model, every_pair(4, annotators=4), draws=2)
    assert found.exact and found.rank == found.parameters == 7


def test_at_a_fit():
    data = answers(annotators=False, rows=20)
    model = functools.partial(models.bradley_terry, scale=1.0)
    fit = fit_from_worths(model, data, np.random.default_rng(0).normal(size=(3, 5)))
    found = diagnostics.local_identifiability(KEY, model, data, at=fit, draws=2)
    assert (found.rank, found.ranks, found.uninformed) == (4, (4, 4), ())
    assert "at 2 draws of the fit" in found._repr_html_()


def test_parameters_of_any_size_count():
    """Scaled to unit diagonal: units do not matter, what is exactly nothing does."""
    unit = np.array([1.0, 1e-7, 1e7, 0.0])
    assert spectrum(np.outer(unit, unit) * np.eye(4), 10).rank == 2  # 1e-28 of the largest is rounding
    assert spectrum(np.outer(unit, unit)[:2, :2] * [[1, 0.5], [0.5, 1]], 10).rank == 2
    assert spectrum(np.zeros((2, 2)), 10).rank == 0
    assert np.isclose(spectrum(np.array([[1.0, 0.6], [0.6, 1.0]]), 10).condition, 2.0, rtol=4 * EPS)


def loss(comparisons):
    log_density = rewards.item_table(comparisons, scale=1.5)
    bp.observe(comparisons, losses.ipo(log_density[comparisons.shown], tau=1.0))


@pytest.mark.parametrize(
    ("model", "options", "most", "message"),
    [
        (models.bradley_terry, {"draws": 0}, 9, "one point or more; got draws=0"),
        (models.bradley_terry, {}, 4, "at most 4 parameters; got 5: nothing can be said"),
        (models.bradley_terry, {"at": {"worth": 1.0}}, 9, r"'_log_density': \(5,\).*; got {'worth': \(\)}"),
        (loss, {}, 9, "need a likelihood, and ipo is not"),
        (models.bradley_terry_covariates, {}, 9, "needs covariates of what was shown"),
    ],
)
def test_refusals(model, options, most, message, monkeypatch):
    monkeypatch.setattr(fisher, "MOST", most)
    with pytest.raises(ValueError, match=message):
        diagnostics.local_identifiability(KEY, model, answers(annotators=False), **options)


# ---- what a table can say, before any model ----------------------------------------------------------

TABLE = Comparisons.from_arrays(
    [[0, 1], [1, 2], [2, 1], [1, 2], [3, 4]],
    [0, 0, 0, 0, 1],
    items=list("abcdef"),
    count=[2, 1, 1, 1, 1],
    **{"annotator": [0, 0, 0, 1, 2], "annotators": list("uvwx")},
)
"""a beats b twice, b and c beat each other, e beats d; f is never shown; u sees b and c twice."""


def test_by_hand():
    found = diagnostics.identifiability(TABLE)
    assert found.groups == (("a", "b", "c"), ("d", "e")) and found.never_shown == ("f",)
    assert (found.only_win, found.only_lose) == (("a", "e"), ("d",))
    assert found.strong_groups == 4  # {a}, {b, c}, {d}, {e}
    r = found.reach
    assert (r.pairs, r.answers_per_pair, r.repeated, r.typical) == (3, (1.0, 2.0, 3.0), 2, 2.5)
    assert (r.annotators, r.several, r.shared, r.again) == (4, 1, 1, 2)
    assert r.rungs == ("L0", "L1", "L3", "L4", "L5")
    text = str(found)
    assert "NOT COMPARABLE: 2 groups of items: a, b, c (3); d, e (2)" in text
    assert "maximum likelihood is infinite (Ford, 1957)" in text and "only win: a, e; only lose: d" in text
    assert "1 of 4 annotators have two answers or more" in text
    assert any(what.startswith("differences of worths between groups") for what, _ in found.uninformed)


@pytest.mark.parametrize(
    ("arguments", "rungs"),
    [
        ({"shown": [[0, 1], [1, 2]], "presentation": "lost"}, "L0"),
        ({"shown": [[0, 1], [1, 0]], "presentation": "lost"}, "L0 L1"),
        ({"shown": [[0, 1], [1, 2]] * 2, "annotator": [0, 0, 1, 1]}, "L0 L1 L2 L3 L5"),
        ({"shown": [[0, 1], [1, 2], [2, 3], [0, 3]], "annotator": [0, 0, 1, 1]}, "L0 L2 L5"),
        ({"shown": [[0, 1, 2], [2, 1, 0]], "annotator": [0, 0]}, "L0 L1 L4 L5"),
        ({"shown": [[0, 1], [1, 2]], "presentation": "lost", "row_columns": {"time": [1, 2]}}, "L0 L5"),
    ],
)
def test_rungs(arguments, rungs):
    data = Comparisons.from_arrays(**arguments)
    assert " ".join(reach(data).rungs) == rungs
    assert dict(data.summary().lines())["data ladder"].startswith(f"{rungs}; not testable: ")


def test_sets_of_many_things_have_codes_of_their_own():
    """2,001^10 sets of ten do not fit in 64 bits."""
    rng = np.random.default_rng(0)
    shown = np.stack([rng.choice(2000, 10, replace=False) for _ in range(200)])
    shown = np.concatenate([shown, shown[:50, ::-1], np.where(np.arange(10) < 9, shown[:50], -1)])
    data = Comparisons.from_arrays(shown, items=2000, annotator=np.arange(300))
    found = reach(data)
    assert found.pairs == len({frozenset(row) for row in shown.tolist()}) == 250
    assert (found.shared, found.again) == (50, 0)


def pairs_of(rows, **options):
    """Random pairs of 5 items."""
    rng = np.random.default_rng(1)
    shown = np.stack([rng.permutation(5)[:2] for _ in range(rows)])
    return Comparisons.from_arrays(shown, rng.integers(2, size=rows), **options)


LENGTHS = Items({"length": np.arange(5.0)}, 5, labels=np.array(list("abcde"), object))
POINTS = np.random.default_rng(0).normal(size=(40, 2, 5))
DESIGNS = {
    "by annotators": answers(),
    "no ids": answers(annotators=False),
    "few rows": answers(rows=4),
    "one answer each": answers(rows=60, annotator=np.arange(60), annotators=60),
    "order lost": answers(presentation="lost"),
    "ties": answers(ties=True),
    "one annotator": answers(annotator=np.zeros(60, int), annotators=["w"]),
    "one who answered twice": answers(annotator=np.maximum(np.arange(60) - 40, 0), annotators=20),
    "two items": Comparisons.from_arrays([[0, 1]] * 60),
    "many columns": pairs_of(60, shown_columns={f"c{j}": np.eye(60, 2) for j in range(21)}),
    "covariates": pairs_of(60, shown_columns={"length": np.arange(120.0).reshape(60, 2)}),
    "times": answers(row_columns={"time": np.arange(60.0)}),
    "one time": answers(row_columns={"time": np.zeros(60)}),
    "three shown": answers(k=3),
    "many repeats": answers(rows=600),
    "features": answers(features="items"),
    "features of what was shown": answers(features="shown", k=3),
    "a column of the items": pairs_of(60, items=LENGTHS),
    "points": Comparisons.from_points(POINTS[..., 0], [0, 1] * 20),
    "points of many dimensions": Comparisons.from_points(POINTS, [0, 1] * 20),
    "no outcomes": every_pair(4, annotators=3),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_the_summary_says_what_checks_say(name):
    """What the summary counts in one pass, and what the design of the checks decides from their arrays."""
    data = DESIGNS[name]
    rows, row = rows_of(data)
    every = groups_of(np.arange(len(rows)), len(rows))
    total = totals_of(data, row, len(rows))
    missing = dict(design_of(data, rows, total, rows, every, None)[1].missing)
    told = {one for one in missing if not one.endswith("_by_annotator")}
    assert set(untestable(data, reach(data))) == set(data.summary().untestable) == told
    found = diagnostics.identifiability(data)
    assert missing.items() <= found.untestable.items()
    assert not set(found.testable) & set(found.untestable)
    assert all(one.replace("_", " ") in str(data.summary()) for one in told)


ALONE = "two annotators or more with two answers each"


@pytest.mark.parametrize(
    ("name", "check", "need"),
    [
        ("no ids", "rationality", "annotator ids, with two answers or more by the same annotator"),
        ("one annotator", "rationality", ALONE),
        ("one annotator", "self_consistency", "two annotators or more who saw a pair twice"),
        ("one who answered twice", "shared_tastes", ALONE),
        ("many columns", "covariate", "at most 20 columns; these have 21"),
        ("three shown", "cycles", "answers to two things at a time"),
        ("three shown", "self_consistency", "answers to two things at a time"),
        ("two items", "pairs", "three items or more"),
    ],
)
def test_what_is_needed_is_not_there_already(name, check, need):
    assert diagnostics.identifiability(DESIGNS[name]).untestable[check] == need


def test_position_is_recorded_or_lost():
    kept, lost = (diagnostics.identifiability(DESIGNS[name]) for name in ("by annotators", "order lost"))
    assert "position" in kept.testable and "order recorded" in str(kept)
    assert "position" in lost.untestable and "order lost" in str(lost)
    model = "bradley_terry_position: position"
    assert [model in dict(found.uninformed) for found in (kept, lost)] == [False, True]
    winners = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 0], count=[10, 10])
    assert any("look like winners" in note for note in diagnostics.identifiability(winners).notes)


def test_rankings_are_not_checked():
    data = Comparisons.from_arrays([[0, 1, 2], [2, 1, 0]], [[0, 1, 2], [0, 1, 2]], response="ranking")
    found = diagnostics.identifiability(data)
    assert found.testable == () and "position" in found.untestable and "link" in found.untestable
    assert "nothing about annotators is testable" in str(data.summary())
    assert found.strong_groups == 1  # 0 > 1 > 2 and 2 > 1 > 0


@pytest.mark.parametrize(
    ("items", "pooled", "panel"), [(3, 1, 2), (4, 1, 16), (5, 2, 204), (6, 2, 5461), (7, 3, 299593)]
)
def test_classes_by_counting(items, pooled, panel):
    """Known answers C1: K n - 1 <= n (n - 1) / 2; by annotator, K n - 1 <= 2^(n (n - 1) / 2) - 1."""
    data = every_pair(items, annotators=7)
    cells = cells_of(data)
    assert most_classes(data, cells, 1, pooled=True) == pooled
    assert most_classes(data, cells, 1, pooled=False) == panel
    told = [what for what, _ in diagnostics.identifiability(data).uninformed if "mixture" in what]
    assert [f"{pooled + 1} classes" in what for what in told] == [True] * (pooled < 3)


def test_classes_are_counted_of_what_was_shown_by_group():
    """Items never shown, and what groups are worth next to each other, are no numbers to be told."""
    few, many = (Comparisons.from_arrays(every_pair(5).shown, items=size) for size in (5, 30))
    told = [diagnostics.identifiability(data).uninformed for data in (few, many)]
    assert told[0] == told[1] and any("3 classes are 14 numbers" in why for _, why in told[0])
    # Three questions with two answers each: two classes are 2 * 3 + 1 <= 2^3 - 1 numbers.
    apart = Comparisons.from_arrays([[0, 1], [2, 3], [4, 5]] * 4, annotator=np.repeat(np.arange(4), 3))
    assert most_classes(apart, cells_of(apart), 3, pooled=False) == 2


def test_annotators_who_answer_alike_count_once():
    same = Comparisons.from_arrays([[0, 1], [2, 3]] * 100, annotator=np.repeat(np.arange(100), 2))
    assert most_classes(same, cells_of(same), 2, pooled=False) == 1  # 2^2 - 1 < 2 * 2 + 1
    single = every_pair(4).replace(annotator=jnp.arange(6), annotators=Annotators({}, 6))
    assert most_classes(single, cells_of(single), 1, pooled=False) == 1  # as good as no ids


def gallery(found):
    """(model, parameter) pairs told."""
    for what, _ in found.uninformed:
        for part in what.replace(", and their sd", "").split("; "):
            names, _, parameters = part.partition(": ")
            if names.split(", ")[0] in models.__all__ and "classes" not in parameters:
                yield from itertools.product(names.split(", "), parameters.split(", "))


def test_what_is_said_of_the_gallery_is_there():
    """Every parameter named is a site of the model named."""
    people = Annotators({"age": jnp.full(60, 3.0)}, 60)
    single = answers(annotator=np.arange(60), annotators=people)
    lost = answers(presentation="lost", annotators=False)
    told = {one for data in (single, lost, answers()) for one in gallery(diagnostics.identifiability(data))}
    assert len({model for model, _ in told}) >= 12
    features = answers(features="items", annotator=np.arange(60), annotators=people)
    options = {"bradley_terry_position": {"spread": 0.3}}
    for name, parameter in told:
        data = features if name in ("bayesian_reward", "mixed_logit", "latent_class_logit") else single
        model = functools.partial(getattr(models, name), **options.get(name, {}))
        sites = [site.strip("_") for site in sites_of(model, data.replace(outcome=None))]
        assert any(site.startswith(parameter.partition(" of ")[0]) for site in sites), (name, parameter)


def test_answers_nobody_gave():
    graded = Comparisons.from_arrays([[0, 1], [1, 2]], [1, 2], response="graded", levels=5)
    why = "nobody used levels 0, 4: bounded on one side alone"
    assert ("graded: steps", why) in diagnostics.identifiability(graded).uninformed
    told = dict(diagnostics.identifiability(DESIGNS["ties"]).uninformed)
    assert "both_bad: log_bar" in told and not any("log_tie" in what for what in told)
    assert not any("log_bar" in what for what, _ in diagnostics.identifiability(every_pair(4)).uninformed)


def test_features_join_items_and_designs_have_no_wins():
    found = diagnostics.identifiability(DESIGNS["points"])
    assert found.joined and not any("worths" in what for what, _ in found.uninformed)
    assert "joined by their features" in str(found)
    before = diagnostics.identifiability(every_pair(3))
    assert before.strong_groups is None and "not known before there are answers" in str(before)


def test_html_escapes_labels():
    data = Comparisons.from_arrays([[0, 1], [2, 3]], [0, 0], items=["<b>", "c", "d", "e"])
    shown = diagnostics.identifiability(data)._repr_html_()
    assert "&lt;b&gt;" in shown and "<b>" not in shown and shown.startswith("<table>")
