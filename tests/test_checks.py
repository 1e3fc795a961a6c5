"""Checks of a fit: statistics against hand formulas, calibrated p-values, verdicts on known populations."""

import functools
import re
import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayespref as bp
from bayespref import choices, models, plots, populations
from bayespref.checks import battery, design, family, judging, rows
from bayespref.checks.assumptions import ASSUMPTIONS, assumption
from bayespref.checks.cures import cures_of, spelled
from bayespref.checks.explained import explained
from bayespref.checks.nudges import Point, nudged
from bayespref.checks.orthogonal import Fit
from bayespref.checks.paragraph import Finding, effect, remedies
from bayespref.checks.residuals import guess_rate
from bayespref.checks.statistics import clustered

ITEMS, PEOPLE, EACH = 6, 40, 12


def refuses(*parts):
    """A refusal that holds all the parts, in order."""
    return pytest.raises(ValueError, match=".*".join(re.escape(part) for part in parts))


def sigma(x):
    return 1 / (1 + np.exp(-x))


@functools.cache
def shown():
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(ITEMS)[:2] for _ in range(PEOPLE * EACH)])


WHO = np.repeat(np.arange(PEOPLE), EACH)
TIME = np.tile(np.arange(float(EACH)), PEOPLE)


def answers(first, *, ids=True, **options):
    """A table whose first shown is chosen with probability `first` (n,)."""
    rng = np.random.default_rng(1)
    who = {"annotator": WHO, "annotators": PEOPLE} if ids else {}
    return bp.Comparisons.from_arrays(
        shown(),
        (rng.random(len(WHO)) > first).astype(int),
        items=[f"item {index}" for index in range(ITEMS)],
        row_columns={"time": TIME},
        merge=False,
        **who,
        **options,
    )


def gap(worths):
    """Worth of the first less that of the second, worths (m,) or (a, m)."""
    worths = np.broadcast_to(worths, (PEOPLE, ITEMS))
    return worths[WHO, shown()[:, 0]] - worths[WHO, shown()[:, 1]]


WORTHS = np.linspace(-1.2, 1.2, ITEMS)


def fitted(model, data, **options):
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        return bp.laplace(jax.random.key(0), model, data, **{"draws": 400, "proposals": 800} | options)


def judged(model, data, **options):
    return bp.check(jax.random.key(1), model, fitted(model, data), **options)


# ---- parts -----------------------------------------------------------------------------------------------

S = jnp.array([[0.4, -0.3], [-1.0, 0.8]])
CHOICES = {
    "logit": choices.logit(S),
    "probit": choices.probit(S),
    "davidson": choices.davidson(S, -0.3),
    "rao_kupper": choices.rao_kupper(S, 0.5),
    "graded": choices.graded(S, jnp.array([0.7, 0.9]), middle=True),
    "lapse": choices.lapse(choices.logit(S), 0.2),
    "or_none": choices.or_none(choices.davidson(S, 0.1), S, 0.3),
    "mixture": populations.mixture([choices.logit(S), choices.logit(-S)], jnp.log(jnp.array([0.7, 0.3]))),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_nudge_is_a_change_of_scores(name):
    """Raising scores by hand and by `nudged` are the same, through lapses, mixtures and "none of them"."""
    by = jnp.array([[0.5, -0.2], [0.1, 0.3]])
    build = {
        "logit": lambda s: choices.logit(s),
        "probit": lambda s: choices.probit(s),
        "davidson": lambda s: choices.davidson(s, -0.3),
        "rao_kupper": lambda s: choices.rao_kupper(s, 0.5),
        "graded": lambda s: choices.graded(s, jnp.array([0.7, 0.9]), middle=True),
        "lapse": lambda s: choices.lapse(choices.logit(s), 0.2),
        "or_none": lambda s: choices.or_none(choices.davidson(s, 0.1), s, 0.3),
    }
    got = nudged(CHOICES[name], by).log_probs()
    if name == "mixture":
        parts = [choices.logit(S + by).log_probs(), choices.logit(-S + by).log_probs()]
        want = jnp.log(0.7 * jnp.exp(parts[0]) + 0.3 * jnp.exp(parts[1]))
    else:
        want = build[name](S + by).log_probs()
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_surprise_ranks_exactly():
    """Under the model observed and replicates are exchangeable: ranks of surprises are uniform."""
    rng, sets, replicates = np.random.default_rng(0), 4000, 19
    skewed = rng.gamma(1.0, size=(sets, replicates + 1, 3)) * [1.0, 10.0, 100.0]
    outs = [family.surprise(one[0], one[1:], np.array([True, False, False])) for one in skewed]
    single = np.mean([family.p_values(out) <= 0.05 for out in outs], axis=0)
    together = np.mean([family.family_wise(out).min() <= 0.05 for out in outs])
    error = np.sqrt(0.05 * 0.95 / sets)
    assert (np.abs(single - 0.05) < 4 * error).all()
    assert abs(together - 0.05) < 4 * error


def test_every_assumption_speaks():
    for name in ASSUMPTIONS:
        one = assumption(f"{name}:length" if "covariate" in name else name)
        assert one.effect(0.3) and one.effect(-0.3) and "{" not in one.holds + one.fails
        for spec in one.cures:
            assert spec[0] in models.__all__ and spelled(spec).startswith(spec[0])


def test_the_gallery_is_not_said_to_cure_what_it_cannot():
    """Three cases: a model of it that takes the data, one that does not, none."""

    def says(model, cures, names=()):
        found = SimpleNamespace(names=names)
        return " ".join(remedies(Finding(found, model, "fails", "rationality", [], 0, cures, None), culprit))

    culprit = "rationality"
    assert says("bradley_terry", (("rationality_by_annotator", {}),)) == "Try next: rationality_by_annotator."
    said = says("davidson", (("rao_kupper", {}),), ("ties",))
    assert "rationality_by_annotator) do not take these data: declare one; for a first look, leave" in said
    assert said.endswith("Try next for the rest: rao_kupper.")
    culprit = "drift"
    assert says("bradley_terry", ()) == "The gallery has no model of it: declare one."


def test_a_model_is_cured_by_an_option_of_its_own():
    def cures(check, name, **options):
        return cures_of([check], (name, options), "items", lambda *_: True)[:1]

    position = (("bradley_terry_position", {"scale": 2.0, "spread": 0.5}),)
    assert cures("position_by_annotator", "bradley_terry_position", scale=2.0) == position
    assert cures("position_by_annotator", *position[0][:1], **position[0][1]) == ()
    assert cures("self_consistency", "crowd_tastes", dimensions=3) == (("crowd_tastes", {"dimensions": 4}),)


def test_worths_of_each_item_are_not_tried_on_few_answers():
    """Items never shown do not count, and a model that has worths itself may be cured by another."""
    few = bp.Comparisons.from_points(np.random.default_rng(0).uniform(-9, 9, (90, 2)), np.zeros(90, int))
    assert not judging.takes(models.density_gp_1d, few)("bradley_terry_position", {})
    assert judging.takes(models.bradley_terry, few)("bradley_terry_position", {})
    some = bp.Comparisons.from_arrays(np.tile([[0, 1]], (30, 1)), np.zeros(30, int), items=200)
    assert not judging.takes(models.bradley_terry, some)("rationality_by_annotator", {})  # no ids


def test_standard_deviations_are_of_answers_not_of_rows():
    rng = np.random.default_rng(0)
    table, total = rng.normal(size=(7, 3, 2)), rng.integers(1, 5, 7)
    there = np.array([[True, True, True]] * 6 + [[True, True, False]])[..., None]
    table[6, 2] = np.nan  # nothing was shown there
    scaled = design._standard(table, there, total)
    again = design._standard(np.repeat(table, total, 0), np.repeat(there, total, 0), np.ones(total.sum()))
    np.testing.assert_allclose(np.repeat(scaled, total, 0), again, atol=1e-12)
    square = (np.square(scaled) * total[:, None, None]).sum((0, 1)) / (total[:, None, None] * there).sum()
    np.testing.assert_allclose(square, 1.0)
    # A column that never varies within a row is none, whatever rounding makes of its mean.
    assert not design._standard(np.full((7, 3, 2), 0.1), there, total).any()


def test_sizes_are_in_the_unit_of_the_scores():
    """A probit's advantage of .5 is no log-odds; of three equals one in three is chosen."""
    found = SimpleNamespace(logit=True, k=2, unit="in log-odds", plan=SimpleNamespace(kind="items"))
    assert effect("position", 0.5, found).endswith(
        "gains +0.50 in log-odds: 62% where equals should have 50%"
    )
    found.k = 3
    assert effect("position", 0.5, found).endswith(": 45% where equals should have 33%")
    found.logit, found.unit = False, "in the model's scores"
    assert effect("position", 0.5, found).endswith("gains +0.50 in the model's scores")
    assert effect("cycles", 0.5, found) == "scores of pairs miss by about 0.50"


# ---- statistics against hand formulas --------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain():
    """Battery of a homogeneous crowd, and its maximum-likelihood fit in double precision, by hand."""
    data = answers(sigma(gap(WORTHS)))
    model = functools.partial(models.bradley_terry, scale=1000.0)
    found = battery.battery(jax.random.key(2), model, fitted(model, data), replicates=39, time=None)
    x = np.eye(ITEMS)[shown()[:, 0]] - np.eye(ITEMS)[shown()[:, 1]]
    won, u = 1.0 - np.asarray(data.outcome), np.zeros(ITEMS)
    for _ in range(30):
        p = sigma(x @ u)
        u = u + np.linalg.pinv((x * (p * (1 - p))[:, None]).T @ x) @ (x.T @ (won - p))
    p = sigma(x @ u)
    return found, x, won - p, p * (1 - p), u


def value(found, name):
    return found.observed[found.names.index(name)]


def guesses(p):
    """Slope in the rate of guesses at .02 of the answer "first" less that of "second"."""
    first, second = ((0.5 - q) / (0.98 * q + 0.01) for q in (p, 1 - p))
    return first - second


def test_scores_are_raos(plain):
    """z = S / sqrt(I - I_x A^-1 I_x): of position with variance by annotator, else with Fisher's."""
    found, x, r, w, u = plain
    inverse = np.linalg.pinv((x * w[:, None]).T @ x)
    delta = x @ u
    time = (TIME - TIME.mean()) / TIME.std()
    nudges = {"position": np.ones(len(r)), "fatigue": time * delta, "lapse": guesses(sigma(delta))}
    for name, z in nudges.items():
        clean = z - x @ inverse @ (x.T @ (w * z))
        score = (r * clean).sum()
        by_annotator = np.bincount(WHO, r * clean)
        variance = (by_annotator**2).sum() if name == "position" else (w * clean**2).sum()
        np.testing.assert_allclose(value(found, name), score / np.sqrt(variance), rtol=2e-3, atol=2e-3)
        if name != "lapse":
            effect = found.effect[found.names.index(name)]
            np.testing.assert_allclose(effect, score / (w * clean**2).sum(), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("ridge", [0.0, 3.0], ids=["plain", "with a prior of effects"])
def test_nudges_are_orthogonal_at_a_replicate_too(ridge):
    """Weights up to a third off those of the fit: X'W (z - X b) - R b after a few steps."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(300, 4)), rng.normal(size=(2, 300))
    w = rng.uniform(0.1, 0.25, 300)
    z, here = z + x[:, :2].T, w * rng.uniform(0.75, 1.33, 300)
    prior = ridge * np.eye(4)
    inverse = np.linalg.inv((x * w[:, None]).T @ x + prior)
    part = (z * w) @ x @ inverse
    arrays = part, inverse, prior if ridge else np.zeros((0, 0))
    fit = Fit(*(value.astype(np.float32) for value in arrays))
    counts = rng.random((1, len(x), 1)).astype(np.float32)

    def fisher(steps, more):
        moved = (steps @ x.T)[..., None].astype(np.float32)
        return moved, (here[:, None] * moved + more)[..., 0] @ x.astype(np.float32)

    found, slope = explained(fisher, fit, counts, (z * here)[None, :, :, None])
    np.testing.assert_allclose(slope[0], counts[0, :, 0] @ x, rtol=1e-4)
    exact = np.linalg.solve((x * here[:, None]).T @ x + prior, x.T @ (z * here).T).T @ x.T
    before = np.abs(part @ x.T - exact).max()
    assert before > 0.01 and np.abs(found[0, ..., 0] - exact).max() < 0.002 * before


def test_an_effect_shared_by_a_few_annotators_is_not_held_against_itself():
    """Sums squared bound z by the root of their number: 6 who push the same way would give 2.4 at most."""

    def variance(scores, known, who, people):
        return clustered(*(np.bincount(who, each, people) for each in (scores, known)))

    rng = np.random.default_rng(0)
    for people in (40, 6, 3):
        who, scores, known = np.arange(400) % people, rng.normal(size=400), rng.uniform(0.1, 1, 400)
        sums, each = np.bincount(who, scores), np.bincount(who, known)
        about_mean = people / (people - 1) * ((sums - each * scores.sum() / known.sum()) ** 2).sum()
        expected = (sums**2).sum() if people == 40 else about_mean if people == 6 else known.sum()
        np.testing.assert_allclose(variance(scores, known, who, people + 2), expected, rtol=1e-4)
    pushed = np.full(60, 0.5) + 0.3 * rng.normal(size=60)
    found = variance(pushed, np.full(60, 0.25), np.arange(60) % 6, 6)
    assert pushed.sum() / np.sqrt(float(found)) > 2 * np.sqrt(6)


def test_guesses_are_counted_by_likelihood():
    """Where nobody attentive answers so, 10 in 100 such answers are half of the guesses: 20 %."""
    sure = Point(np.array([[1.0], [0.0]]), np.zeros((2, 2, 1)), np.zeros((2, 1)), np.full((2, 1), 0.5))
    np.testing.assert_allclose(guess_rate(sure, np.array([[90.0], [10.0]])), 0.2, atol=2e-6)
    assert guess_rate(sure, np.array([[100.0], [0.0]])) < 2e-6


def test_variances_by_annotator_are_cross_products(plain):
    """Q = sum_a g_a^2 - sum_n r^2 z^2, g centred: of rationality (z = difference), of position (z = 1)."""
    found, x, r, w, u = plain
    for name, z in {"rationality": x @ u, "position_by_annotator": np.ones(len(r))}.items():
        g, b = np.bincount(WHO, r * z), np.bincount(WHO, w * z**2)
        g = g - b * g.sum() / b.sum()
        want = (g**2).sum() - (r**2 * z**2).sum()
        np.testing.assert_allclose(value(found, name), want, rtol=2e-3, atol=0.02 * np.sqrt(2 * (b**2).sum()))


def test_tastes_are_the_residual_matrix(plain):
    """M = G'G - sum r^2 xx' without the direction of the worths; its trace and largest root against A."""
    found, x, r, w, u = plain
    g = np.zeros((PEOPLE, ITEMS))
    np.add.at(g, WHO, r[:, None] * x)
    a = (x * w[:, None]).T @ x
    m = g.T @ g - (x * (r**2)[:, None]).T @ x
    across = np.eye(ITEMS) - np.outer(a @ u, u) / (u @ a @ u)
    m = across @ m @ across.T
    values, vectors = np.linalg.eigh(a)
    root = vectors[:, 1:] / np.sqrt(values[1:])
    # The prior of sd 1000 and float32 leave a thousandth.
    scale = np.sqrt((m**2).sum())
    np.testing.assert_allclose(value(found, "personal_tastes"), np.trace(m), atol=5e-3 * scale)
    want = np.linalg.eigvalsh(root.T @ m @ root)[-1]
    np.testing.assert_allclose(value(found, "shared_tastes"), want, rtol=5e-3)


def test_pairs_and_cycles_are_the_residuals_of_pairs(plain):
    found, x, r, w, u = plain
    low, high = shown().min(1), shown().max(1)
    sign = np.where(shown()[:, 0] == low, 1.0, -1.0)
    total, variance = np.zeros((ITEMS, ITEMS)), np.zeros((ITEMS, ITEMS))
    np.add.at(total, (low, high), sign * r)
    np.add.at(variance, (low, high), w)
    scaled = np.where(variance > 0, total / np.sqrt(np.maximum(variance, 1e-9)), 0.0)
    np.testing.assert_allclose(value(found, "pairs"), (scaled**2).sum(), rtol=5e-3)
    # What a better curve explains is no cycle: residuals less their regression on lapse and link.
    delta = x @ u
    z = np.stack([guesses(sigma(delta)), delta**3], 1)
    clean = z - x @ np.linalg.pinv((x * w[:, None]).T @ x) @ (x.T @ (w[:, None] * z))
    clean = clean / np.sqrt((w[:, None] * clean**2).sum(0))
    size = np.linalg.pinv((clean * w[:, None]).T @ clean, rtol=1e-3) @ (clean.T @ r)
    bent = np.zeros((ITEMS, ITEMS))
    np.add.at(bent, (low, high), sign * w * (clean @ size))
    scaled = scaled - np.where(variance > 0, bent / np.sqrt(np.maximum(variance, 1e-9)), 0.0)
    want = np.linalg.norm(scaled - scaled.T, 2)
    np.testing.assert_allclose(value(found, "cycles"), want, rtol=5e-3)


@pytest.mark.parametrize("ids", [False, True], ids=["pooled", "by annotator"])
def test_counted_rows_say_what_single_answers_say(monkeypatch, ids):
    """Grouped by question, or by annotator and question, statistics are those of the answers one by one."""
    data = answers(sigma(gap(WORTHS)), ids=ids).replace(row_columns={})
    if ids:
        data = data.replace(annotator=data.annotator // 10, annotators=bp.Annotators({}, 4))
    fit = fitted(models.bradley_terry, data := data.counted())
    found = []
    for size in (10**9, 0):
        monkeypatch.setattr(rows, "SINGLE_ROWS", size)
        found.append(battery.battery(jax.random.key(2), models.bradley_terry, fit, replicates=39, time=None))
    one, two = found
    assert one.names == two.names and ("self_consistency" in one.names) == ids
    np.testing.assert_allclose(two.observed, one.observed, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(two.effect, one.effect, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(two.against, one.against, rtol=1e-4, atol=1e-4)


# ---- verdicts --------------------------------------------------------------------------------------------


def test_a_sound_model_passes():
    found = judged(models.bradley_terry, answers(sigma(gap(WORTHS))))
    assert found.verdict == "passes" and found.culprit is None and found.try_next == ()
    assert "speaks against bradley_terry" in found.paragraph
    assert not found.table.loc["covariate", "testable"]
    assert "columns of what was shown" in found.table.loc["covariate", "needs"]


DEFECTS = {
    "position": (lambda rng: sigma(gap(WORTHS) + 0.8), "bradley_terry_position"),
    "shared_tastes": (
        lambda rng: sigma(
            gap(np.where(rng.random((PEOPLE, 1)) < 0.5, WORTHS, WORTHS[[3, 0, 5, 1, 4, 2]]) * 1.5)
        ),
        "latent_class_bradley_terry",
    ),
    "rationality": (
        lambda rng: sigma(gap(2 * WORTHS) * np.exp(1.2 * rng.normal(size=PEOPLE))[WHO]),
        "rationality_by_annotator",
    ),
    "reversal": (
        lambda rng: sigma(gap(2 * WORTHS) * np.where(rng.random(PEOPLE) < 0.2, -1, 1)[WHO]),
        "crowd_bt",
    ),
    "drift": (lambda rng: sigma(gap(WORTHS) + (TIME - 5.5) / 2 * gap(np.roll(WORTHS, 2))), None),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found_named_and_cured(name):
    """Effects so strong that an oracle's power is one to three digits."""
    first, cure = DEFECTS[name]
    found = judged(models.bradley_terry, answers(first(np.random.default_rng(5))))
    assert found.verdict == "fails" and found.culprit == name
    assert (found.try_next[0][0] if found.try_next else None) == cure
    if cure:
        assert cure in found.paragraph


def kinds(people, each, ids):
    """B2: (.80, .19, .01) and its mirror image, together exactly Bradley-Terry."""
    rng = np.random.default_rng(4)
    worths = np.log([[0.80, 0.19, 0.01], [0.01, 0.19, 0.80]])[rng.integers(0, 2, people)]
    pairs = np.stack([rng.permutation(3)[:2] for _ in range(people * each)])
    who = np.repeat(np.arange(people), each)
    first = sigma(worths[who, pairs[:, 0]] - worths[who, pairs[:, 1]])
    known = {"annotator": who, "annotators": people} if ids else {}
    return bp.Comparisons.from_arrays(
        pairs, (rng.random(len(who)) > first).astype(int), items=list("ABC"), merge=False, **known
    )


def test_silence_without_ids_and_speech_with_two_answers_each():
    """Pooled, these kinds cannot be told from noise; two answers of each annotator tell them."""
    silent = judged(models.bradley_terry, kinds(600, 2, ids=False))
    assert silent.verdict == "not testable" and silent.culprit is None
    assert "needs annotator ids, with two answers or more by the same annotator" in silent.paragraph
    told = judged(models.bradley_terry, kinds(600, 2, ids=True))
    assert told.verdict == "fails" and told.culprit == "shared_tastes"


def test_nothing_is_testable_with_one_pair():
    """Two items by unknown people: one worth says all there is, and that is said."""
    one = bp.Comparisons.from_arrays(
        np.tile([[0, 1]], (60, 1)), np.arange(60) % 3 // 2, items=2, presentation="lost", merge=False
    )
    found = judged(models.bradley_terry, one, replicates=59)
    assert found.verdict == "not testable" and not found.tested() and found.culprit is None
    assert "Nothing that bradley_terry assumes of the annotators can be tested" in found.paragraph
    assert "not testable" in str(found)
    plt.close(plots.checks(found).figure)
    with refuses("panels show the checks that were made"):
        plots.check_panels(found)


def test_what_the_model_lets_vary_is_not_held_against_it():
    data = answers(sigma(gap(WORTHS) + 0.8))
    found = judged(models.bradley_terry_position, data)
    assert found.verdict == "passes"
    row = found.table.loc["position"]
    assert not row["testable"] and row["needs"].startswith("nothing")


# ---- refusals --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit():
    return fitted(models.bradley_terry, answers(sigma(gap(WORTHS))))


def test_refuses_what_it_cannot_judge(fit):
    key = jax.random.key(0)
    with refuses("39 replicates or more"):
        bp.check(key, models.bradley_terry, fit, replicates=9)
    with refuses("no smaller than 1 / (39 + 1)", "Use more replicates"):
        bp.check(key, models.bradley_terry, fit, replicates=39, alpha=0.01)
    with refuses("time is a row column", "'when'"):
        bp.check(key, models.bradley_terry, fit, time="when")
    with refuses("judged by the model that made it"):
        bp.check(key, models.thurstone, fit)


def test_refuses_rankings():
    ranked = bp.Comparisons.from_arrays(
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]], [[0, 1, 2], [0, 1, 2], [1, 0, 2]], items=3, response="ranking"
    )
    with refuses("choices and graded answers", "rankings"):
        bp.check(jax.random.key(0), models.plackett_luce, fitted(models.plackett_luce, ranked))


# ---- operating characteristics, a few (all: benchmarks/operating_characteristics.py) ----------------------


@pytest.mark.slow
def test_size_is_nominal():
    """60 homogeneous data sets: no check rejects more often than chance allows, nor does the family."""
    from scipy.stats import binom

    model, sets = functools.partial(models.bradley_terry, scale=1.0), 60
    rng, blank = np.random.default_rng(8), answers(np.full(len(WHO), 0.5))
    p, fails = [], 0
    for index in range(sets):
        first = sigma(gap(rng.normal(size=ITEMS)))
        outcome = jnp.asarray((rng.random(len(WHO)) > first).astype(int))
        fit = fitted(model, blank.replace(outcome=outcome), draws=100, proposals=400)
        found = bp.check(jax.random.key(index), model, fit, replicates=99)
        p.append(found.table["p_value"].to_numpy(float))
        fails += found.verdict == "fails"
    rejected, made = (np.array(p) <= 0.05).sum(0), np.isfinite(p).sum(0)
    checks = int((made > 0).sum())
    assert (rejected <= binom.isf(0.001 / checks, np.maximum(made, 1), 0.05)).all()
    assert fails <= binom.isf(0.001, sets, 0.05)


@pytest.mark.slow
def test_two_annotators_of_the_toy_are_not_one():
    """The paper's toy is rejected at 2,000 answers, by the field and not by the calibration curve.

    The gap to two viewpoints is that of the population, .1127 nats an answer, within 2 standard errors; one
    annotator with the same marginal density is not rejected.
    """
    from bayespref import toys

    model = functools.partial(models.density_gp_1d, basis=48)
    two = toys.answers(jax.random.key(0), [toys.narrow, toys.wide], answers=2000)
    fit = fitted(model, two)
    found = bp.check(jax.random.key(2), model, fit)
    assert found.verdict == "fails" and found.culprit == "field"
    assert found.try_next[0][0] == "two_viewpoints_1d"

    replicated = bp.posterior_predictive(jax.random.key(3), model, fit, draws=200)
    draws = replicated["posterior_predictive"]["outcome"].values[0]
    observed, mean = replicated["observed_data"]["outcome"].values, draws.mean(0)
    bins = np.digitize(mean, [0.2, 0.4, 0.6, 0.8])

    def curve(outcome):
        return sum((outcome[bins == b].sum() - mean[bins == b].sum()) ** 2 for b in range(5))

    assert np.mean([curve(one) >= curve(observed) for one in draws]) > 0.05

    cure = functools.partial(models.two_viewpoints_1d, basis=48)
    pairs = {"one": (model, fit), "two": (cure, fitted(cure, two))}
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        judged = {
            name: bp.loo(jax.random.key(4), m, f, refit=False, progress=False)
            for name, (m, f) in pairs.items()
        }
    table = bp.compare(judged)
    gain, error = -table["elpd_diff"].iloc[1] / 2000, table["dse"].iloc[1] / 2000
    assert table.index[0] == "two" and abs(gain - 0.1127) < 2 * error

    one = toys.answers(jax.random.key(5), [toys.preference], answers=2000)
    assert bp.check(jax.random.key(6), model, fitted(model, one)).verdict == "not testable"


# ---- what arrays are made of ------------------------------------------------------------------------------


def test_items_told_apart_are_those_of_most_answers():
    """Of 68 items, in one row each, those of the two pairs with the fewest answers are left out."""
    table = bp.Comparisons.from_arrays(np.arange(68).reshape(34, 2), items=68)
    every, total = rows.groups_of(np.arange(34), 34), 1 + np.arange(34)
    made, plan = design.design_of(table, table, total, table, every, None)
    assert (plan.kind, plan.matrix) == ("items", 64)
    kept = np.arange(34) >= 2
    np.testing.assert_array_equal(made.parts.sum((0, 1)), 2 * kept)
    np.testing.assert_array_equal((made.pair_items < 64).all(1), kept)


def test_bins_hold_as_much_of_all_that_was_shown():
    """The third of three things counts, and a place that is empty does not."""
    shown = np.arange(120).reshape(3, 40).T
    shown[0, 2] = -1
    points = bp.Items({"features": np.arange(120.0)[:, None]}, 120)
    table = bp.Comparisons.from_arrays(shown, items=points)
    every, total = rows.groups_of(np.arange(40), 40), np.ones(40, int)
    made, plan = design.design_of(table, table, total, table, every, None)
    sizes = made.parts.sum((0, 2))
    assert plan.kind == "regions" and sizes.sum() == 119 and np.ptp(sizes) == 1


def test_guesses_are_among_what_was_shown():
    """Scores of 1 and -1 have variance 1 for a guess between two, with or without room for a third."""
    score, first = np.tile([[1.0], [-1.0], [0.0]], (1, 3)), np.array([[0, 1, 2]])
    shown = np.array([[0, 1, -1], [2, 1, -1], [0, 1, 2]])
    who = SimpleNamespace(
        annotator=rows.groups_of(np.array([0, 0, 1]), 2), row=rows.groups_of(np.arange(3), 3)
    )
    task = SimpleNamespace(rows=SimpleNamespace(response="choice", k=3, shown=shown), design=who)
    found = battery._against(task, SimpleNamespace(score=score, probs=np.ones((4, 3))), first)
    np.testing.assert_allclose(found, [2 / np.sqrt(2), 1 / np.sqrt(2 / 3)])
