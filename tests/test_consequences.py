"""Rules of aggregation: camps with known answers, annotators worked out again in double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from helpers import ITEMS, answers, fit_by_hand, fit_from_worths
from scipy.special import expit, log_softmax

import bayespref as bp
from bayespref import choices, limits, losses, models, profiles
from bayespref.aggregation import RULES
from bayespref.comparisons import Comparisons
from bayespref.limits import Annotator

KEY = jax.random.key(0)
camps = functools.partial(models.latent_class_bradley_terry, scale=1.0)
OPPOSED = np.log([[0.80, 0.19, 0.01], [0.01, 0.19, 0.80]])


def of_camps(log_density, sizes, draws=4):
    """A fit by hand to camps so sure of themselves that everybody's class is certain; (s, K, m) or (K, m).

    Each annotator says 50 times what their camp says of the two items that camps disagree most about.
    """
    worths = np.broadcast_to(log_density, (draws, *np.shape(log_density)[-2:]))
    worths = worths - worths.mean(-1, keepdims=True)
    classes, m = worths.shape[1:]
    camp = np.repeat(np.arange(classes), sizes)
    each = [np.unravel_index((u[:, None] - u).argmax(), (m, m)) for u in worths[0]]
    shown = np.array([each[own] for own in camp])
    every = np.stack(np.triu_indices(m, 1), 1)  # all items are known
    who = np.concatenate([np.arange(len(camp)), np.zeros(len(every), int)])
    outcome = np.concatenate([np.zeros(len(camp), int), worths[0, 0][every].argmax(1)])
    data = Comparisons.from_arrays(
        np.concatenate([shown, every]),
        outcome,
        items=[f"{chr(65 + index)}" for index in range(m)],
        annotator=who,
        count=np.concatenate([np.full(len(camp), 50), np.ones(len(every), int)]),
    )
    model = functools.partial(camps, classes=classes)
    weight = np.broadcast_to(np.array(sizes) / sum(sizes), (draws, classes))
    return model, fit_by_hand(model, data, _log_density=worths, weight=weight)


# ---- camps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "copeland"), [((5, 5), (0.5, 2.0, 0.5)), ((6, 4), (2.0, 1.0, 0.0))])
def test_the_compromise_wins_and_is_nobodys_favourite(sizes, copeland):
    """Annotators (.80, .19, .01) and (.01, .19, .80): B, but for a majority of six in ten, .505, for A."""
    model, fit = of_camps(OPPOSED, sizes)
    found = bp.consequences(KEY, model, fit)
    share = np.array(sizes) / 10
    population = [Annotator(p, share=w) for p, w in zip(OPPOSED, share, strict=True)]
    expected = {
        "Borda": 1.5 * limits.borda(population) - 0.25,  # which counts the item itself as an opponent
        "mean utility": share @ OPPOSED,
        "max-min": np.log([0.01, 0.19, 0.01]),
        "Copeland": copeland,
        "Bradley-Terry": limits.scores(population),
    }
    for rule, values in expected.items():
        np.testing.assert_allclose(found.score["mean"].sel(rule=rule), values, atol=1e-5, err_msg=rule)
        winner = "ABC"[np.argmax(values)]
        assert found.winner.sel(rule=rule, item=winner) == 1.0 and (winner == "B") == (
            sizes[0] == 5 or rule != "Copeland"
        )
    np.testing.assert_allclose(found.score["lower"], found.score["upper"], atol=1e-5)
    differ = float(sizes == (6, 4))
    assert found.p_differ == differ
    assert (found.differ.sel(rule="Copeland") == [differ, differ, differ, 0.0, differ]).all()
    np.testing.assert_allclose(found.favourite["mean"], [share[0], 0.0, share[1]], atol=1e-6)
    np.testing.assert_array_equal(found.compromise, [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(found.worst_off.sel(item="A"), np.repeat([0.0, 1.0], sizes))
    assert "B wins by Borda as a compromise with probability 1.00: it is the favourite of 0%" in str(found)
    assert "each of the 10 annotators who answered alike (4 posterior draws)" in str(found)
    assert "Worst off" not in str(found)  # with B all are level


def test_winners_are_counted_draw_by_draw():
    """In half of the draws nobody differs, and A is the favourite of all."""
    alike = np.log([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]])
    model, fit = of_camps(np.stack([OPPOSED, alike, OPPOSED, alike]), (5, 5))
    found = bp.consequences(KEY, model, fit)
    np.testing.assert_allclose(found.winner, np.tile([0.5, 0.5, 0.0], (len(RULES), 1)))
    assert found.p_differ == 0.0
    np.testing.assert_allclose(found.favourite["mean"], [0.75, 0.0, 0.25], atol=1e-6)
    np.testing.assert_allclose(found.compromise, [0.0, 0.5, 0.0])
    assert "Worst off with A: 8 of 10 annotators on average, level with each other." in str(found)


def test_a_few_who_care_a_lot():
    """Most annotators like A a little better, few detest it: P(A over B) = .7, mean utility .8725 for B."""
    gaps = np.array([1.2528, -20.0])
    model, fit = of_camps(np.stack([gaps / 2, -gaps / 2], 1), (9, 1))
    found = bp.consequences(KEY, model, fit)
    assert found.score["mean"].sel(rule="Borda", item="A") == pytest.approx(0.7, abs=1e-5)
    mean = found.score["mean"].sel(rule="mean utility").values
    assert mean[0] - mean[1] == pytest.approx(-0.8725, abs=1e-4)
    winners = dict(zip(RULES, "ABBAA", strict=True))
    for rule, item in winners.items():
        assert found.winner.sel(rule=rule, item=item) == 1.0
        for other in RULES:
            assert found.differ.sel(rule=rule, rule_other=other) == (winners[other] != item)
    assert found.p_differ == 1.0 and (found.compromise == 0).all()
    assert found.worst_off.sel(item="A").values.argmax() == 9


def test_a_cycle_is_shared():
    """Condorcet's: every item has as much to be said for it, by every rule."""
    worths = np.array([[20.0, 0.0, -20.0], [-20.0, 20.0, 0.0], [0.0, -20.0, 20.0]])
    model, fit = of_camps(worths, (2, 2, 2))
    found = bp.consequences(KEY, model, fit)
    np.testing.assert_allclose(found.winner, 1 / 3)
    np.testing.assert_allclose(found.score["mean"].sel(rule="Copeland"), 1.0)
    assert found.p_differ == 0.0


def test_what_few_gain_a_lot_from():
    """Siththaranjan et al.: u = a below .8, else 2 a or 0; Borda stops short of .8, mean utility does not."""
    a = (np.arange(20) + 0.5) / 20
    worths = 400 * np.stack([np.where(a < 0.8, a, 2 * a), np.where(a < 0.8, a, 0.0)])
    model, fit = of_camps(worths, (3, 3), draws=2)
    found = bp.consequences(KEY, model, fit)
    below, above = np.arange(16), np.arange(4)
    exact = np.concatenate([below + 0.5 * 4, 0.5 * (16 + above) + 0.5 * 0.5 * 3]) / 19
    np.testing.assert_allclose(found.score["mean"].sel(rule="Borda"), exact, atol=1e-5)
    assert (found.winner.sel(rule="Borda")[15], found.winner.sel(rule="mean utility")[19]) == (1.0, 1.0)
    assert found.differ.sel(rule="Borda", rule_other="mean utility") == 1.0


def test_pairs_as_they_were_asked():
    """The pooled fit of such pairs, not of all alike."""
    model, fit = of_camps(OPPOSED, (6, 4))
    together = np.array([[0, 1, 501], [1, 0, 1], [501, 1, 0]])
    population = [Annotator(p, share=w) for p, w in zip(OPPOSED, (0.6, 0.4), strict=True)]
    found = bp.consequences(KEY, model, fit, pairs="asked")
    exact = limits.scores(population, design=together)
    np.testing.assert_allclose(found.score["mean"].sel(rule="Bradley-Terry"), exact, atol=1e-5)
    assert np.ptp(exact - limits.scores(population)) > 0.01


def test_a_fit_of_two_camps():
    """600 answers of each of two camps to every pair: six standard errors or more between winner and next."""
    rng = np.random.default_rng(0)
    who, pair = np.divmod(np.arange(60 * 3 * 20), 3 * 20)
    shown = np.array([[0, 1], [1, 2], [2, 0]])[pair % 3]
    likes = OPPOSED[who % 2]
    ahead = np.take_along_axis(likes, shown, 1) @ [1.0, -1.0]
    outcome = (rng.random(len(who)) > expit(ahead)).astype(int)
    data = Comparisons.from_arrays(shown, outcome, items=["A", "B", "C"], annotator=who)
    fit = bp.laplace(KEY, models.latent_class_bradley_terry, data, draws=200, proposals=1000)
    found = bp.consequences(KEY, models.latent_class_bradley_terry, fit)
    assert (found.winner.sel(item="B") > 0.99).all() and found.p_differ < 0.01
    np.testing.assert_allclose(found.favourite["mean"], [0.5, 0.0, 0.5], atol=1e-6)
    assert found.compromise.sel(item="B") > 0.99


# ---- effects by annotator ----------------------------------------------------------------------------

DATA = answers()
RNG = np.random.default_rng(5)
DRAWS = 7


def check(found, score, win):
    """Every rule, from scores (s, a, m) and P_i(a over b) (s, a, m, m) of annotators."""
    worth, mean = log_softmax(score, -1), win.mean(1)
    m = score.shape[-1]
    rules = [
        (mean.sum(-1) - 0.5) / (m - 1),
        worth.mean(1),
        worth.min(1),
        (mean > 0.5).sum(-1),
        np.stack([limits.bradley_terry(one) for one in mean]),
    ]
    for rule, values in zip(RULES, rules, strict=True):
        np.testing.assert_allclose(found.score["mean"].sel(rule=rule), values.mean(0), atol=2e-5)
        best = np.eye(m)[values.argmax(-1)].mean(0)
        if rule != "Copeland":  # which may be shared
            np.testing.assert_allclose(found.winner.sel(rule=rule), best, atol=1e-6)
    favourites = np.eye(m)[score.argmax(-1)].mean(1)
    np.testing.assert_allclose(found.favourite["mean"], favourites.mean(0), atol=1e-6)
    few = (favourites <= 0.1) & (rules[0] == rules[0].max(-1, keepdims=True))
    np.testing.assert_allclose(found.compromise, few.mean(0), atol=1e-6)
    lowest = np.stack([np.eye(worth.shape[1])[worth[..., item].argmin(1)] for item in range(m)], 1)
    np.testing.assert_allclose(found.worst_off, lowest.mean(0), atol=1e-6)


def test_tastes():
    model = functools.partial(models.crowd_tastes, scale=1.0, dimensions=2)
    r, v = RNG.normal(size=(DRAWS, ITEMS)), RNG.normal(size=(DRAWS, 2, ITEMS))
    r, v = r - r.mean(-1, keepdims=True), v - v.mean(-1, keepdims=True)
    u, strength = RNG.normal(size=(DRAWS, 4, 2)), RNG.uniform(0.5, 2, size=(DRAWS, 2))
    fit = fit_by_hand(model, DATA, _log_density=r, _taste_items=v, _taste=u, _taste_strength=strength)
    found = bp.consequences(KEY, model, fit)
    score = r[:, None] + np.einsum("sac,sc,scm->sam", u, strength, v)
    check(found, score, expit(score[..., :, None] - score[..., None, :]))
    assert list(found.worst_off["annotator"].values) == list(DATA.annotators.labels)
    assert list(found.winner["item"].values) == list(DATA.items.labels)


READERS = functools.partial(models.hurried_readers, scale=1.0)
R, LAPSE, LOG_B = RNG.normal(size=(DRAWS, ITEMS)), RNG.uniform(0, 0.5, DRAWS), RNG.normal(size=(DRAWS, 4))
R = R - R.mean(1, keepdims=True)
OF_READERS = fit_by_hand(
    READERS,
    DATA,
    _log_density=R,
    lapse=LAPSE,
    log_rationality_sd=np.ones(DRAWS),
    _log_rationality=LOG_B,
)


def of_readers(place=slice(None), who=slice(None)):
    score = np.exp(LOG_B)[:, who, None] * R[:, None, place]
    slip = LAPSE[:, None, None, None]
    return score, (1 - slip) * expit(score[..., :, None] - score[..., None, :]) + slip / 2


def test_rationality_and_slips():
    """Slips are answers, and no worths."""
    found = bp.consequences(KEY, READERS, OF_READERS)
    check(found, *of_readers())
    assert found.worth == "the model's scores"


def test_some_of_the_items():
    found = bp.consequences(KEY, READERS, OF_READERS, items=["item-D", "item-E", "item-A"])
    labels = list(DATA.items.labels)
    check(found, *of_readers([labels.index(label) for label in ("item-D", "item-E", "item-A")]))


def test_many_annotators_are_sampled(monkeypatch):
    monkeypatch.setattr(profiles, "MAX_ROWS", 2 * ITEMS * (ITEMS - 1))
    found = bp.consequences(KEY, READERS, OF_READERS)
    assert found.population == "alike 2 of the 4 annotators who answered, drawn at random"
    labels = list(DATA.annotators.labels)
    check(found, *of_readers(who=[labels.index(label) for label in found.worst_off["annotator"].values]))


def test_draws_are_thinned():
    assert bp.consequences(KEY, READERS, OF_READERS, draws=3).draws == 3


def test_liars_have_worths_by_their_answers():
    """A choice that is no function of scores: log-odds of answers."""
    model = functools.partial(models.crowd_bt, scale=1.0)
    typical, effect = np.full(DRAWS, 0.5), RNG.normal(size=(DRAWS, 4)) * 2
    fit = fit_by_hand(
        model,
        DATA,
        _log_density=R,
        typical_logit_reliability=typical,
        logit_reliability_sd=np.ones(DRAWS),
        _logit_reliability=effect,
    )
    found = bp.consequences(KEY, model, fit)
    eta = fit["posterior"]["reliability"].values[0].astype(float)[..., None, None]
    win = expit(R[:, None, :, None] - R[:, None, None, :])
    win = eta * win + (1 - eta) * (1 - win)
    check(found, np.log(win / (1 - win)).mean(-1), win)
    assert found.worth == "log-odds of answers"


# ---- one annotator -----------------------------------------------------------------------------------

POOLED = answers(annotators=False)
WORTHS = np.random.default_rng(1).normal(size=(50, ITEMS))


def test_without_annotators_all_rules_agree():
    model = functools.partial(models.bradley_terry, scale=1.0)
    fit = fit_from_worths(model, POOLED, WORTHS)
    found = bp.consequences(KEY, model, fit)
    best = np.bincount(WORTHS.argmax(1), minlength=ITEMS) / len(WORTHS)
    np.testing.assert_allclose(found.winner, np.tile(best, (len(RULES), 1)), atol=1e-6)
    assert found.p_differ == 0.0 and found.worst_off.sizes["annotator"] == 1
    np.testing.assert_allclose(found.favourite["mean"], best, atol=1e-6)
    assert "everyone as one annotator" in str(found) and "Worst off" not in str(found)


def test_a_homogeneous_population_agrees():
    """Annotators of different rationality, items far apart: one winner, by every rule, in every draw."""
    model = functools.partial(models.rationality_by_annotator, scale=1.0)
    worths = np.arange(ITEMS) * 4.0 + 0.1 * WORTHS
    fit = fit_from_worths(
        model, DATA, worths, log_rationality_sd=np.full(50, 0.5), _log_rationality=RNG.normal(size=(50, 4))
    )
    found = bp.consequences(KEY, model, fit)
    np.testing.assert_array_equal(found.winner[:, -1], 1.0)
    assert found.p_differ == 0.0 and (found.compromise == 0).all()


@pytest.mark.parametrize(
    ("model", "data", "latent"),
    [
        (models.davidson, POOLED, {"log_tie": np.full(50, 0.4)}),
        (models.bradley_terry_position, POOLED, {"position": np.full(50, 0.7)}),
        (
            models.graded,
            answers(
                annotators=False,
                response="graded",
                levels=5,
                outcomes=np.random.default_rng(4).integers(5, size=60),
            ),
            {"steps": np.full((50, 2), 0.6)},
        ),
    ],
    ids=["ties", "position", "graded"],
)
def test_other_answers(model, data, latent):
    """Both orders count alike, ties are half a win of each: as in `win_probability`."""
    model = functools.partial(model, scale=1.0)
    fit = fit_from_worths(model, data, WORTHS, **latent)
    found = bp.consequences(KEY, model, fit)
    predicted = bp.win_probability(KEY, model, fit)
    wins = predicted["win"] + predicted.get("tie", 0.0) / 2
    np.testing.assert_allclose(found.score["mean"].sel(rule="Borda"), wins.mean("item_other"), atol=1e-5)
    centred = WORTHS - WORTHS.mean(1, keepdims=True)
    expected = log_softmax(centred, 1).mean(0)
    np.testing.assert_allclose(found.score["mean"].sel(rule="mean utility"), expected, atol=1e-5)


# ---- refusals ----------------------------------------------------------------------------------------


def by_time(comparisons):
    drift = numpyro.sample("drift", dist.Normal(0, 1))
    ahead = drift * comparisons.row_columns["time"]
    bp.observe(comparisons, choices.logit(jnp.stack([ahead, -ahead], -1)))


def of_two_kinds(comparisons):
    worths = numpyro.sample("worths", dist.Normal(0, 1).expand((2, ITEMS)).to_event(2))
    kinds = [choices.logit(worth[comparisons.shown]) for worth in worths]
    bp.observe(comparisons, bp.populations.mixture(kinds, jnp.log(jnp.full(2, 0.5))))


def by_ipo(comparisons):
    worths = numpyro.sample("worths", dist.Normal(0, 1).expand((ITEMS,)).to_event(1))
    bp.observe(comparisons, losses.ipo(worths[comparisons.shown], tau=0.5))


def flat(model, data, **latent):
    return model, fit_by_hand(model, data, **latent)


MANY = Comparisons.from_arrays([[0, 1]], [0], items=61)
REFUSED = {
    "another model": (lambda: (models.bradley_terry, OF_READERS), {}, "judged by the model that made it"),
    "one item": (lambda: (READERS, OF_READERS), {"items": ["item-A"]}, "choose from 2 to 60 items; got 1"),
    "no such item": (lambda: (READERS, OF_READERS), {"items": ["item-Z"]}, "unknown items"),
    "pairs": (lambda: (READERS, OF_READERS), {"pairs": "some"}, "'all' or 'asked'"),
    "prob": (lambda: (READERS, OF_READERS), {"prob": 1.0}, "prob and few are shares"),
    "items": (
        lambda: flat(
            models.bradley_terry, MANY, _log_density=np.zeros((2, 61)), log_density_scale=np.ones(2)
        ),
        {},
        r"2 to 60 items; got 61\. Name those in question",
    ),
    "pairs that do not connect": (
        lambda: flat(
            models.bradley_terry, MANY, _log_density=np.zeros((2, 61)), log_density_scale=np.ones(2)
        ),
        {"items": [0, 1, 2], "pairs": "asked"},
        "2 groups that are never compared",
    ),
    "columns of rows": (
        lambda: flat(by_time, answers(row_columns={"time": np.arange(60.0)}), drift=np.zeros(2)),
        {},
        "reads other columns",
    ),
    "columns of what was shown": (
        lambda: flat(
            models.conditional_logit,
            answers(features="shown"),
            _coefficient=np.zeros((2, 2)),
            _constant=np.zeros((2, ITEMS)),
        ),
        {},
        "reads other columns of the comparisons, or of what was shown",
    ),
    "a mixture": (lambda: flat(of_two_kinds, DATA, worths=np.zeros((2, 2, ITEMS))), {}, "who is who"),
    "a loss": (lambda: flat(by_ipo, DATA, worths=np.zeros((2, ITEMS))), {}, "log of a probability"),
}


@pytest.mark.parametrize(("make", "options", "match"), REFUSED.values(), ids=REFUSED)
def test_refused(make, options, match):
    model, fit = make()
    with pytest.raises(ValueError, match=match):
        bp.consequences(KEY, model, fit, **options)
