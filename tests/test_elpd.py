"""Leave-one-out at the right unit: against closed forms, brute force, and populations that are known."""

import functools
import warnings

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.special import betaln, logsumexp

import bayespref as bp
from bayespref import choices, rewards
from bayespref.elpd import MAX_SINGLE_REFITS, data_digest
from bayespref.inference.refit import refitter
from bayespref.models import bradley_terry, rationality_by_annotator

KEY = jax.random.key(11)


def crowd(annotators, each, seed, *, spread, items=5):
    """Simulated Bradley-Terry answers by annotators whose log-rationality has standard deviation `spread`."""
    rng = np.random.default_rng(seed)
    worth = 1.2 * rng.normal(size=items)
    rationality = np.exp(spread * rng.normal(size=annotators))
    person = np.repeat(np.arange(annotators), each)
    pairs = np.stack([rng.permutation(items)[:2] for _ in person])
    gap = rationality[person] * (worth[pairs[:, 0]] - worth[pairs[:, 1]])
    outcome = (rng.random(len(person)) > 1 / (1 + np.exp(-gap))).astype(int)
    return bp.Comparisons.from_arrays(pairs, outcome, annotator=person)


def opinion_by_annotator(comparisons):
    """Two items; annotators have their own gap, normal around a common one. Not in the gallery."""
    mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
    sd = numpyro.sample("sd", dist.HalfNormal(1.0))
    with numpyro.plate("annotator", len(comparisons.annotators)):
        gap = numpyro.sample("gap", dist.Normal(mean, sd))
    score = gap[comparisons.annotator][:, None] * jnp.array([0.5, -0.5])
    sign = jnp.where(comparisons.shown[:, :1] == 0, 1.0, -1.0)
    bp.observe(comparisons, choices.logit(sign * score))


def log_densities(mean, sd, data, annotator, *, nodes=61):
    """(...) log p(the annotator's answers | mean, sd): the gap integrated by Gauss-Hermite quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    rows = np.asarray(data.annotator) == annotator
    sign = np.where(np.asarray(data.shown)[rows, 0] == 0, 1.0, -1.0)
    won = np.where(np.asarray(data.outcome)[rows] == 0, 1.0, -1.0) * sign
    gap = np.asarray(mean)[..., None] + np.asarray(sd)[..., None] * x
    each = sum(
        -count * np.logaddexp(0, -gap * side)
        for side, count in zip(won, np.asarray(data.count)[rows], strict=True)
    )
    return logsumexp(each + np.log(w / w.sum()), axis=-1)


def log_mean(values):
    """Log of the mean of exp(values), (chain, draw), and its standard error, that of correlated draws."""
    found = logsumexp(values) - np.log(values.size)
    return found, float(az.mcse(np.exp(values - found), method="mean"))


def brute_force(key, model, fit, data, annotators):
    """Log predictive densities and their errors: refits without each annotator, the effect integrated."""
    refit = refitter(model, fit, data)
    person, count = np.asarray(data.annotator), np.asarray(data.count)
    found = []
    for a in annotators:
        draws = refit(jax.random.fold_in(key, a), np.where(person == a, count, 0))
        mean, sd = (np.reshape(draws[name], (fit["latent"].sizes["chain"], -1)) for name in ("mean", "sd"))
        found.append(log_mean(log_densities(mean, sd, data, a)))
    return np.array(found).T


def fitted(data, key=KEY, **options):
    return bp.nuts(key, opinion_by_annotator, data, target_accept=0.95, progress=False, **options)


def opinionated(each):
    """Sixteen annotators who differ, with some answers each, for the model of this file."""
    rng = np.random.default_rng(4)
    gap = 0.5 + 1.2 * rng.normal(size=16)
    person = np.repeat(np.arange(16), each)
    first = rng.integers(2, size=len(person))
    prefers_zero = rng.random(len(person)) < 1 / (1 + np.exp(-gap[person]))
    outcome = np.where(prefers_zero, first != 0, first == 0).astype(int)
    return bp.Comparisons.from_arrays(np.stack([first, 1 - first], 1), outcome, annotator=person)


@pytest.fixture(scope="module")
def opinions():
    """Ten answers each, and a fit."""
    data = opinionated(10)
    return data, fitted(data)


@pytest.mark.slow
def test_by_annotator_agrees_with_refitting_without_each():
    """Annotator by annotator within 2 standard errors for at least 90 %: a model of this file, unchanged.

    Forty answers each, so that their spread stays off zero and no transition diverges. Three fits: what one
    fit's draws have of chance, all its annotators share.
    """
    data, within = opinionated(40), []
    for key in jax.random.split(KEY, 3):
        fit = fitted(data, key, draws=4000)
        result = bp.loo(key, opinion_by_annotator, fit, by="annotator", draws=16000, points=2048)
        assert result.n_data_points == 16
        exact, error = brute_force(key, opinion_by_annotator, fit, data, range(16))
        # without an annotator, the fit's own draws estimate the mean of 1 / p(y_a)
        mean, sd = fit["latent"]["mean"].values, fit["latent"]["sd"].values
        own = [log_mean(-log_densities(mean, sd, data, a))[1] for a in range(16)]
        bound = 2 * np.hypot(error, own) + 1e-3
        assert (bound < 0.04).all()  # so that two standard errors is a claim
        within.append(np.abs(result.elpd_i.values - exact) < bound)
    assert np.mean(within) >= 0.9, within


def test_unreliable_annotators_are_refitted(opinions, monkeypatch):
    """With a low k-hat threshold two annotators are refitted.

    Their answers stay within 4 standard errors of the difference, their own; the others' as they were.
    """
    data, fit = opinions
    plain = bp.loo(KEY, opinion_by_annotator, fit, by="annotator")
    monkeypatch.setattr("bayespref.elpd._good_k", lambda draws: float(np.sort(plain.pareto_k.values)[-3]))
    refitted = bp.loo(KEY, opinion_by_annotator, fit, by="annotator")
    assert refitted.refitted == 2 <= MAX_SINGLE_REFITS
    moved = np.abs(refitted.elpd_i.values - plain.elpd_i.values)
    changed = np.flatnonzero(moved)
    assert len(changed) == 2
    _, error = brute_force(KEY, opinion_by_annotator, fit, data, changed)
    assert (moved[changed] < 4 * np.sqrt(2) * error).all()


def test_the_integral_does_not_depend_on_points_or_proposal(opinions):
    """Quadrupled points or a normal proposal: within a tenth of a nat; the stated error covers it."""
    _, fit = opinions
    base = bp.loo(KEY, opinion_by_annotator, fit, by="annotator")
    for options in ({"points": 1024}, {"proposal": "normal"}):
        other = bp.loo(KEY, opinion_by_annotator, fit, by="annotator", **options)
        assert abs(other.elpd - base.elpd) < max(4 * base.integration_se, 0.1)


def test_a_pooled_model_by_annotator_is_the_sum_of_its_answers():
    """Two items, one annotator each answer set: leave-annotator-out has a closed form (Beta-binomial)."""

    def two_items(comparisons):
        gap = numpyro.sample("gap", dist.Logistic(0.0, 1.0))
        bp.observe(comparisons, choices.logit((gap * jnp.array([1.0, 0.0]))[comparisons.shown]))

    wins = np.array([3, 1, 4, 2, 2, 3, 0, 4, 3, 2])
    person = np.repeat(np.arange(10), 4)
    outcome = (np.tile(np.arange(4), 10) >= np.repeat(wins, 4)).astype(int)
    data = bp.Comparisons.from_arrays([[0, 1]] * 40, outcome, annotator=person)
    fit = bp.laplace(KEY, two_items, data)
    result = bp.loo(KEY, two_items, fit, by="annotator", draws=4000)
    total, answers = wins.sum(), 40
    rest, others = total - wins, answers - 4 - (total - wins)
    exact = betaln(1 + rest + wins, 1 + others + 4 - wins) - betaln(1 + rest, 1 + others)
    np.testing.assert_allclose(result.elpd_i, exact, atol=0.02)  # 4 Monte-Carlo errors of 4,000 draws
    assert result.integration_se == 0


def test_a_hierarchy_on_a_homogeneous_crowd_is_not_preferred():
    """Annotators who do not differ: by annotator the hierarchy gains nothing that counts."""
    data = crowd(24, 20, 1, spread=0.0)
    pooled = bp.laplace(KEY, bradley_terry, data)
    hierarchy = bp.nuts(KEY, rationality_by_annotator, data, target_accept=0.9, progress=False)
    table = bp.compare(
        {
            "pooled": bp.loo(KEY, bradley_terry, pooled, by="annotator"),
            "hierarchy": bp.loo(KEY, rationality_by_annotator, hierarchy, by="annotator"),
        }
    )
    gain = table.loc["hierarchy", "elpd"] - table.loc["pooled", "elpd"]
    assert gain < 2 * table["dse"].max() or gain < 1
    assert "do not separate" in bp.conclusion(table)


def test_loo_weights_counted_answers():
    """Counted and expanded rows: the same elpd, standard error and number of units."""
    people = crowd(6, 60, 2, spread=0.0, items=4)
    data = bp.Comparisons.from_arrays(people.shown, people.outcome, count=people.count)
    model = functools.partial(bradley_terry, scale=1.0)
    assert len(data) < data.answers
    counted = bp.loo(KEY, model, bp.laplace(KEY, model, data))
    single = bp.loo(KEY, model, bp.laplace(KEY, model, data.expanded()))
    assert counted.n_data_points == single.n_data_points == data.answers
    assert counted.elpd == pytest.approx(single.elpd, abs=0.1)
    assert counted.se == pytest.approx(single.se, rel=0.01)
    assert np.isfinite(counted.p) and 2 < counted.p < 5  # four worths that sum to zero


def test_arviz_takes_the_result():
    """The result is an ArviZ ELPD: `arviz.compare` and its plots take it."""
    import arviz_stats

    data = crowd(4, 30, 3, spread=0.0, items=4)
    fits = {scale: functools.partial(bradley_terry, scale=scale) for scale in (0.3, 1.0)}
    results = {str(scale): bp.loo(KEY, model, bp.laplace(KEY, model, data)) for scale, model in fits.items()}
    ours, theirs = bp.compare(results), arviz_stats.compare(results, round_to="none")
    np.testing.assert_allclose(ours["elpd_diff"], theirs["elpd_diff"])
    assert list(ours.index) == list(theirs.index)
    assert (ours["unit"] == "comparison").all()


def test_a_guide_of_the_users_own_is_not_refitted_by_name():
    """A fit stores a guide's name only: fitting again is refused with what to do, not tried by that name."""
    data = crowd(4, 10, 7, spread=0.0, items=3)
    fit = bp.laplace(KEY, functools.partial(bradley_terry, scale=1.0), data)
    fit.attrs.update(method="svi", settings='{"guide": "mine", "steps": 10}')
    with pytest.raises(ValueError, match=r"guide with a name.*'mine'.*refit=False"):
        refitter(functools.partial(bradley_terry, scale=1.0), fit, data)


def test_the_digest_tells_data_apart():
    """Another outcome, or another annotator, is other data."""
    data = crowd(4, 10, 5, spread=0.0)
    assert data_digest(data) == data_digest(data.replace(weight=data.weight * 2))
    assert data_digest(data) != data_digest(data.replace(outcome=1 - data.outcome))
    assert data_digest(data) != data_digest(data.replace(annotator=data.annotator[::-1]))


def test_constrained_effects_and_nested_plates_are_integrated():
    """Lapse rates by annotator (in the unit interval) and an effect per annotator and item: same integral
    as quadrature over the logit of the rate when the second effect is all but switched off."""

    def lapses(comparisons, spread=1e-3):
        score = rewards.item_table(comparisons, scale=1.0)[comparisons.shown]
        rate_mean = numpyro.sample("rate_mean", dist.Beta(2.0, 8.0))
        size = len(comparisons.annotators)
        with numpyro.plate("annotator", size):
            rate = numpyro.sample("rate", dist.Beta(10 * rate_mean, 10 * (1 - rate_mean)))
        with numpyro.plate("annotator", size, dim=-2), numpyro.plate("item", comparisons.items.size, dim=-1):
            taste = numpyro.sample("taste", dist.Normal(0.0, spread))
        own = jnp.take_along_axis(taste[comparisons.annotator], comparisons.shown, 1)
        bp.observe(comparisons, choices.lapse(choices.logit(score + own), rate[comparisons.annotator]))

    data = crowd(6, 40, 6, spread=0.0, items=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.FitWarning)  # any draws near the posterior do
        fit = bp.nuts(KEY, lapses, data, warmup=300, draws=300, progress=False)
    from bayespref.inference.fit import latent_of
    from bayespref.inference.marginal import effects_of, integrated_log_likelihood

    effects = effects_of(lapses, data, fit)
    assert effects.size == 4  # one rate, three tastes
    draws = {name: value[:50] for name, value in latent_of(fit).items()}
    values, errors = integrated_log_likelihood(
        KEY, lapses, data, draws, effects, points=1024, proposal="student"
    )
    logit = np.linspace(-100, 40, 14001)  # the Beta prior may be singular at 0: integrate over the logit
    grid = 1 / (1 + np.exp(-logit))
    worth = np.asarray(draws["_log_density"])
    mean = np.asarray(draws["rate_mean"])[:, None]
    log_prior = -10 * mean * np.logaddexp(0, -logit) - 10 * (1 - mean) * np.logaddexp(0, logit)
    log_prior -= betaln(10 * mean, 10 * (1 - mean))
    shown, outcome = np.asarray(data.shown), np.asarray(data.outcome)
    person, count = np.asarray(data.annotator), np.asarray(data.count)
    for a in range(6):
        rows = person == a
        gap = worth[:, shown[rows, 0]] - worth[:, shown[rows, 1]]
        chosen = 1 / (1 + np.exp(-np.where(outcome[rows] == 0, gap, -gap)))
        each = np.log(grid[None, :, None] / 2 + (1 - grid[None, :, None]) * chosen[:, None, :]) @ count[rows]
        exact = logsumexp(each + log_prior, axis=1) + np.log(logit[1] - logit[0])
        # the stated error covers it, also at draws where the prior of the rate is all but a spike at 0
        distance = np.abs(values[:, a] - exact)
        assert (distance < 5 * errors[:, a]).all() and np.median(distance) < 0.02
