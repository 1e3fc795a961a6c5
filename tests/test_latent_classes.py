"""Classes of annotators: enumeration, symmetry, recovery."""

import functools
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.special
from helpers import EPS, answers, fit_by_hand
from jax.flatten_util import ravel_pytree

import bayespref as bp
from bayespref import choices, models, populations
from bayespref.comparisons import Comparisons
from bayespref.inference import starting
from bayespref.inference.program import run
from bayespref.inference.refit import last_draws, middle, unconstrained
from bayespref.inference.relabel import _cheapest, numbering

WORTHS = np.random.default_rng(8).normal(size=(3, 5)) * 1.5
KEY = jax.random.key(0)
LOG_WEIGHT = np.log([0.5, 0.3, 0.2])
DATA = answers(rows=200, seed=3)


def classes_of(data, worths=WORTHS, log_weight=LOG_WEIGHT):
    each = [choices.logit(jnp.asarray(w, jnp.float32)[data.shown]) for w in worths]
    return populations.latent_classes(each, jnp.asarray(log_weight, jnp.float32), data)


def log_choice(worth, data):
    """(n,) float64 log-probability of one answer of each row."""
    shown, chosen = np.asarray(data.shown), np.asarray(data.outcome)[:, None]
    score = np.take_along_axis(worth[shown], chosen, 1)[:, 0]
    return score - np.logaddexp.reduce(worth[shown], axis=1)


def enumerated(data, worths=WORTHS, log_weight=LOG_WEIGHT):
    """(a,) by summing over every assignment of classes: log p(answers of a)."""
    who, count = np.asarray(data.annotator), np.asarray(data.count)
    total = []
    for a in range(len(data.annotators)):
        mine = who == a
        each = [
            w + (count * log_choice(u, data))[mine].sum() for w, u in zip(log_weight, worths, strict=True)
        ]
        total.append(np.logaddexp.reduce(each))
    return np.array(total)


def test_the_likelihood_is_the_sum_over_assignments():
    """Of all annotators at once: every one of 3^4 assignments of classes to annotators."""
    assert len(DATA) < DATA.answers
    who, count = np.asarray(DATA.annotator), np.asarray(DATA.count)
    each = np.stack([count * log_choice(u, DATA) for u in WORTHS])
    terms = []
    for assigned in itertools.product(range(3), repeat=4):
        assigned = np.array(assigned)
        terms.append(LOG_WEIGHT[assigned].sum() + each[assigned[who], np.arange(len(who))].sum())
    exact = np.logaddexp.reduce(terms)
    assert exact == pytest.approx(enumerated(DATA).sum(), rel=1e-12)
    joint = classes_of(DATA)
    assert float(joint.log_prob(DATA.outcome)) == pytest.approx(exact, rel=32 * EPS)
    by_annotator = joint.annotator_log_prob(DATA.outcome, DATA.annotator, 4)
    np.testing.assert_allclose(by_annotator, enumerated(DATA), rtol=32 * EPS)


def test_a_class_for_each_annotator_is_not_a_class_for_each_answer():
    per_answer = populations.mixture(
        [choices.logit(jnp.asarray(w, jnp.float32)[DATA.shown]) for w in WORTHS], jnp.asarray(LOG_WEIGHT)
    )
    mixed = (DATA.count * per_answer.log_prob(DATA.outcome)).sum()
    each = np.stack([w + log_choice(u, DATA) for w, u in zip(LOG_WEIGHT, WORTHS, strict=True)])
    exact = (np.asarray(DATA.count) * np.logaddexp.reduce(each)).sum()
    assert float(mixed) == pytest.approx(exact, rel=32 * EPS)
    assert abs(exact - enumerated(DATA).sum()) > 1


def test_one_answer_given_the_others():
    """log p(all) - log p(all but one of the row's identical answers)."""
    joint = classes_of(DATA)
    found = np.asarray(joint.answer_log_prob(DATA.outcome))
    for row in range(0, len(DATA), 17):
        left = DATA.replace(count=DATA.count.at[row].add(-1))
        assert found[row] == pytest.approx(enumerated(DATA).sum() - enumerated(left).sum(), abs=2e-4)


def test_weights_leave_answers_out():
    weight = jnp.where(DATA.annotator == 2, 0.0, 1.0)
    left = float(classes_of(DATA.replace(weight=weight)).log_prob(DATA.outcome))
    assert left == pytest.approx(np.delete(enumerated(DATA), 2).sum(), rel=32 * EPS)


def test_membership_is_bayes_rule():
    who, count = np.asarray(DATA.annotator), np.asarray(DATA.count)
    each = np.stack([np.bincount(who, count * log_choice(u, DATA), 4) for u in WORTHS], 1) + LOG_WEIGHT
    exact = each - np.logaddexp.reduce(each, axis=1, keepdims=True)
    np.testing.assert_allclose(classes_of(DATA).membership(DATA.outcome), exact, atol=1e-3)


def test_an_annotators_answers_hang_together():
    """Two answers of one annotator to a pair agree with probability sum_h w_h (p_h^2 + q_h^2)."""
    worths, share = np.array([[2.0, 0.0], [-2.0, 0.0]]), np.array([0.4, 0.6])
    data = Comparisons.from_arrays([[0, 1]] * 3, annotator=[0, 0, 1], merge=False)
    joint = classes_of(data, worths, np.log(share))
    draws = 20_000
    drawn = np.asarray(joint.sample(jax.random.key(0), (draws,)))
    p = 1 / (1 + np.exp(-2.0))
    alike = p**2 + (1 - p) ** 2
    won = share[0] * p + share[1] * (1 - p)
    expected = {(0, 1): alike, (0, 2): won**2 + (1 - won) ** 2}
    for (i, j), probability in expected.items():
        frequency = (drawn[:, i] == drawn[:, j]).mean()
        assert abs(frequency - probability) < 5 * np.sqrt(probability * (1 - probability) / draws)
    assert abs((drawn[:, 0] == 0).mean() - won) < 5 * np.sqrt(won * (1 - won) / draws)
    known = joint.given(jnp.log(jnp.array([[1.0, 1e-30], [1e-30, 1.0]])))
    np.testing.assert_allclose(np.exp(known.outcome_log_probs())[:, 0], [p, p, 1 - p], rtol=16 * EPS)


def test_draws_are_numbered_alike():
    """Shuffled names are found again, the largest class first, however the draws disagree about some."""
    rng = np.random.default_rng(0)
    sure = rng.dirichlet([0.05, 0.05, 0.05], size=40)
    sure = sure[:, np.argsort(-sure.sum(0))]
    draws = np.stack([0.8 * sure + 0.2 * rng.dirichlet([1, 1, 1], size=40) for _ in range(200)])
    shuffle = np.array([rng.permutation(3) for _ in range(200)])
    named = np.take_along_axis(draws, shuffle[:, None, :], 2)
    again = np.take_along_axis(named, numbering(named)[:, None, :], 2)
    np.testing.assert_array_equal(again, draws)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_numberings_are_the_cheapest_of_all(classes):
    cost = np.random.default_rng(0).normal(size=(50, classes, classes))
    found = _cheapest(cost)
    for one, order in zip(cost, found, strict=True):
        every = itertools.permutations(range(classes))
        least = min(sum(one[row, column] for row, column in enumerate(each)) for each in every)
        np.testing.assert_allclose(one[np.arange(classes), order].sum(), least)


REFUSED = {
    "no ids": (lambda: classes_of(answers(annotators=False)), r"needs to know who answered"),
    "no classes": (lambda: populations.latent_classes([], jnp.zeros(0), DATA), r"at least one distribution"),
    "weights of others": (lambda: classes_of(DATA, log_weight=np.zeros(2)), r"3 latent classes have as many"),
}


@pytest.mark.parametrize(("make", "match"), REFUSED.values(), ids=REFUSED)
def test_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


# ---- fits --------------------------------------------------------------------------------------------


def panel(seed, *, annotators=60, items=12, each=30, share=(0.35, 0.65)):
    """Camps with worths N(0, 1.5^2) of their own: data, camp of each annotator, worths."""
    rng = np.random.default_rng(seed)
    worths = rng.normal(size=(2, items)) * 1.5
    camp = rng.permutation(np.repeat([0, 1], np.round(np.array(share) * annotators).astype(int)))
    who = np.repeat(np.arange(annotators), each)
    shown = np.stack([rng.permutation(items)[:2] for _ in who])
    gap = worths[camp[who], shown[:, 0]] - worths[camp[who], shown[:, 1]]
    outcome = (rng.random(len(who)) > 1 / (1 + np.exp(-gap))).astype(int)
    return Comparisons.from_arrays(shown, outcome, items=items, annotator=who), camp, worths


def three_camps():
    """15 annotators in each of three camps, 20 answers each about pairs of 8 items."""
    rng = np.random.default_rng(3)
    worths, who = rng.normal(size=(3, 8)) * 2, np.repeat(np.arange(45), 20)
    shown = np.stack([rng.permutation(8)[:2] for _ in who])
    gap = worths[who % 3, shown[:, 0]] - worths[who % 3, shown[:, 1]]
    outcome = (rng.random(len(who)) > 1 / (1 + np.exp(-gap))).astype(int)
    return Comparisons.from_arrays(shown, outcome, items=8, annotator=who)


def test_a_fit_numbers_classes_from_the_largest():
    data, camp, worths = panel(0)
    fit = bp.laplace(jax.random.key(0), models.latent_class_bradley_terry, data, draws=500, proposals=1000)
    weight = fit["posterior"]["weight"].values[0]
    assert (weight[:, 0] > 0.5).mean() > 0.95 and abs(weight[:, 0].mean() - 0.65) < 0.2
    # All are told apart, so the weights are Dirichlet(2 + 39, 2 + 21), known from 500 draws.
    exact_sd = np.sqrt(41 * 23 / (64**2 * 65))
    assert abs(weight[:, 0].mean() - 41 / 64) < 5 * exact_sd / np.sqrt(500)
    assert abs(weight[:, 0].std() / exact_sd - 1) < 5 / np.sqrt(2 * 500)
    belongs = bp.memberships(models.latent_class_bradley_terry, fit).mean(("chain", "draw"))
    assert (belongs.argmax("class").values == 1 - camp).mean() >= 0.95
    found = fit["posterior"]["log_density"].mean(("chain", "draw")).values
    for mine, theirs in zip(found, worths[::-1], strict=True):
        assert np.corrcoef(mine, theirs)[0, 1] > 0.9
    draws = fit["posterior"]["log_density"].values[0]
    draws = draws - draws.mean(2, keepdims=True)
    away = (draws.mean(0) - worths[::-1] + worths[::-1].mean(1, keepdims=True)) / draws.std(0)
    assert np.abs(away).max() < 4.5 and 0.3 < (away**2).mean() < 2.5  # 24 of them, within 5 SE of 1
    # Latent sites are renumbered with the rest: computed again from them, everything is the same.
    latent = {name: jnp.asarray(value.values[0, -1]) for name, value in fit["latent"].data_vars.items()}
    trace = run(models.latent_class_bradley_terry, data, latent)
    np.testing.assert_allclose(
        trace["log_density"]["value"], fit["posterior"]["log_density"].values[0, -1], atol=1e-4
    )


def test_chains_start_at_the_mode_that_holds_most():
    """Three camps: some searches end where two are lumped together and one is split."""
    model, data = functools.partial(models.latent_class_bradley_terry, classes=3), three_camps()
    found, mass = starting.modes(np.random.default_rng(1), model, data)
    assert len(found) > 1 and np.sort(mass)[-1] - np.sort(mass)[-2] > 10
    start = starting.chain_starts(np.random.default_rng(1), model, data, 4)
    slope = starting.slope_of(model, ravel_pytree(found[0])[1])
    height = [float(slope(ravel_pytree(one)[0], data)[0]) for one in found]
    for chain in range(4):
        vector = ravel_pytree({name: value[chain] for name, value in start.items()})[0]
        # Searches of one mode under other numberings stop within a tenth of a nat.
        assert abs(float(slope(vector, data)[0]) - height[mass.argmax()]) < 2 * starting.SAME


def test_a_scale_that_runs_to_zero_is_no_mode():
    """Coin flips: worths that hardly differ have no learned scale, and height without bound beside zero."""
    rng = np.random.default_rng(0)
    shown = np.stack([rng.permutation(6)[:2] for _ in range(2000)])
    data = Comparisons.from_arrays(shown, rng.integers(2, size=2000), items=6, annotator=np.arange(2000) % 20)
    found, _ = starting.modes(np.random.default_rng(0), models.latent_class_bradley_terry, data)
    spread = [np.std(np.asarray(one["_log_density"])) for one in found]
    assert all(one > 0.01 for one in spread), spread


@pytest.mark.parametrize("method", ["svi", "one chain"])
def test_other_fits_start_at_that_mode_too(method):
    data, model = three_camps(), functools.partial(models.latent_class_bradley_terry, classes=3)
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):  # they are short
        if method == "svi":
            fit = bp.svi(KEY, model, data, guide="normal", steps=300, draws=50, progress=False)
        else:
            fit = bp.nuts(KEY, model, data, chains=1, warmup=20, draws=20, progress=False)
    belongs = bp.memberships(model, fit).mean(("chain", "draw")).values.argmax(1)
    # Lumped or split camps would put 15 people, or half of that, where they do not belong.
    camps = np.stack([np.bincount(belongs[camp::3], minlength=3) for camp in range(3)])
    assert sorted(camps.argmax(1)) == [0, 1, 2] and camps.max(1).min() >= 13


def guessing(comparisons):
    lapse = numpyro.sample("lapse", dist.Beta(1, 9))
    bp.observe(comparisons, choices.lapse(choices.logit(jnp.zeros(comparisons.shown.shape)), lapse))


def test_refits_start_at_draws_inside_the_support():
    """A lapse that rounding put at zero has no place in unconstrained space; other draws have."""
    fit = fit_by_hand(guessing, DATA, lapse=np.array([0.2, 0.0, 0.2]))
    assert unconstrained(guessing, fit, DATA, np.arange(3))["lapse"].shape == (2,)
    assert unconstrained(guessing, fit, DATA, np.array([1])) is None
    logit = np.log(0.2 / 0.8)
    np.testing.assert_allclose(last_draws(guessing, fit, DATA, 4)["lapse"], [logit] * 4, rtol=1e-5)
    np.testing.assert_allclose(middle(guessing, fit, DATA)["lapse"], logit, rtol=1e-5)


def test_chains_start_at_modes_by_what_they_hold(monkeypatch):
    """Two modes of equal height share the chains, one 50 nats below gets none."""
    places = [{"z": jnp.array(float(index))} for index in range(3)]
    monkeypatch.setattr(starting, "has_modes", lambda *_: True)
    monkeypatch.setattr(starting, "modes", lambda *_: (places, np.array([-7.0, -57.0, -7.0])))
    start = starting.chain_starts(np.random.default_rng(0), None, None, 4)
    assert start["z"].tolist() == [0.0, 0.0, 2.0, 2.0]


def test_models_without_classes_start_as_they_did():
    assert not starting.has_modes(models.bradley_terry, DATA)
    assert not starting.has_modes(functools.partial(models.latent_class_bradley_terry, classes=1), DATA)
    assert starting.chain_starts(np.random.default_rng(0), models.bradley_terry, DATA, 4) is None


def test_the_evidence_counts_every_numbering():
    """One item's gap by class, known weights: by quadrature over both gaps, and from one mode of two."""

    def model(comparisons):
        with numpyro.plate("class", 2):
            gap = numpyro.sample("gap", dist.Normal(0, 2.0))
        score = gap[:, None, None] * jnp.array([0.5, -0.5])[comparisons.shown]
        each = [choices.logit(s) for s in score]
        bp.observe(comparisons, populations.latent_classes(each, jnp.log(jnp.ones(2) / 2), comparisons))

    wins = np.array([19, 20, 18, 1, 2, 3, 19, 1])
    rows = [(a, outcome, n) for a, w in enumerate(wins) for outcome, n in ((0, w), (1, 20 - w)) if n]
    who, outcome, count = np.array(rows).T
    data = Comparisons.from_arrays([[0, 1]] * len(rows), outcome, annotator=who, count=count)
    grid = np.linspace(-10, 10, 801)
    p = 1 / (1 + np.exp(-grid))
    each = wins[:, None] * np.log(p) + (20 - wins[:, None]) * np.log1p(-p)  # (a, grid)
    joint = np.logaddexp(each[:, :, None], each[:, None, :]).sum(0) - 8 * np.log(2)
    prior = -0.5 * (grid / 2) ** 2 - np.log(2 * np.sqrt(2 * np.pi))
    exact = scipy.special.logsumexp(joint + prior[:, None] + prior) + 2 * np.log(grid[1] - grid[0])
    fit = bp.laplace(jax.random.key(0), model, data)
    assert abs(fit.attrs["log_evidence"] - exact) < 4 * fit.attrs["log_evidence_se"] + 1e-3
    bridge, error = bp.log_evidence(jax.random.key(1), model, fit)
    assert abs(bridge - exact) < 4 * error + 1e-3


def test_minibatches_are_refused():
    data, _, _ = panel(0, annotators=6, items=4, each=4)
    with pytest.raises(ValueError, match=r"latent classes.*without batch_size"):
        bp.svi(jax.random.key(0), models.latent_class_bradley_terry, data, batch_size=8)


def test_known_annotators_are_predicted_as_their_class():
    data, camp, worths = panel(1)
    model = models.latent_class_bradley_terry
    fit = bp.laplace(jax.random.key(0), model, data, draws=300, proposals=1000)
    pairs = Comparisons.from_arrays(
        [[0, 1]] * 60, items=data.items, annotator=np.arange(60), annotators=data.annotators, merge=False
    )
    predicted = bp.predict(jax.random.key(1), model, fit, pairs, prob=0.999).isel(outcome=0)
    known = predicted["probability"].values
    exact = 1 / (1 + np.exp(worths[:, 1] - worths[:, 0]))
    for index in (0, 1):
        mine = known[camp == index]
        assert abs(np.median(mine) - exact[index]) < 0.15
        lower, upper = (predicted[end].values[camp == index] for end in ("lower", "upper"))
        assert ((lower < exact[index]) & (exact[index] < upper)).all() and np.median(upper - lower) < 0.4
    strangers = Comparisons.from_arrays([[0, 1]], items=data.items, annotator=[0], annotators=["stranger"])
    new = bp.predict(jax.random.key(1), model, fit, strangers)["probability"].values[0, 0]
    assert known.min() < new < known.max()
    replicated = bp.posterior_predictive(jax.random.key(2), model, fit, draws=50, answers=500)
    assert replicated["posterior_predictive"]["outcome"].shape == (1, 50, 500)


# ---- what can be known -------------------------------------------------------------------------------


def test_two_camps_are_told_from_one_by_new_annotators():
    data, _, _ = panel(2, annotators=40, items=6, each=20)
    found = bp.sweep(
        jax.random.key(0),
        models.latent_class_bradley_terry,
        data,
        values=(1, 2),
        method=bp.laplace,
        settings={"draws": 1000},
        loo_settings={"progress": False},
    )
    assert list(found.table.index) == ["classes=2", "classes=1"]
    assert found.table["elpd_diff"].iloc[1] < -20 and set(found.fits) == set(found.models) == set(
        found.results
    )
    assert "support classes=2" in bp.conclusion(found.table)
    with pytest.raises(ValueError, match="at least two values of 'classes'"):
        bp.sweep(jax.random.key(0), models.latent_class_bradley_terry, data, values=(2,))
