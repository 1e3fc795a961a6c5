"""NUTS, Laplace and SVI: the same posterior, the same DataTree, and honest about when not to be trusted."""

import functools
import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import bayespref as bp
from bayespref import choices
from bayespref.inference import trust
from bayespref.models import bradley_terry

KEY = jax.random.key(5)
QUICK = {
    "nuts": functools.partial(bp.nuts, chains=2, warmup=300, draws=400, progress=False),
    "laplace": functools.partial(bp.laplace, draws=500, proposals=1000),
    "svi": functools.partial(bp.svi, steps=1000, draws=500, progress=False),
}


def board(items, answers, seed, *, spread=1.0, neighbours=False):
    """Simulated Bradley-Terry answers; with `neighbours`, items are compared in a chain."""
    rng = np.random.default_rng(seed)
    worth = spread * rng.normal(size=items)
    if neighbours:
        first = rng.integers(items - 1, size=answers)
        pairs = np.stack([first, first + 1], 1)
    else:
        pairs = np.stack([rng.permutation(items)[:2] for _ in range(answers)])
    gap = worth[pairs[:, 0]] - worth[pairs[:, 1]]
    return bp.Comparisons.from_arrays(pairs, (rng.random(answers) > 1 / (1 + np.exp(-gap))).astype(int))


def quantities(fit):
    """(draws, m + 1) centred worths and the log scale."""
    posterior = fit["posterior"]
    worth = posterior["log_density"].values.reshape(-1, posterior.sizes["item"])
    scale = np.log(posterior["log_density_scale"].values.reshape(-1, 1))
    return np.concatenate([worth - worth.mean(1, keepdims=True), scale], 1)


def quietly(fit, *args, **options):
    """Fit without its warnings: too few draws, on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.FitWarning)
        return fit(*args, **options)


@pytest.fixture(scope="module")
def reference():
    """A board of 12 items and 2,000 answers, and its posterior by NUTS."""
    data = board(12, 2000, 0)
    fit = bp.nuts(KEY, bradley_terry, data, draws=2500, progress=False)
    return data, fit


@pytest.mark.parametrize("method", ["laplace", "svi"])
def test_approximations_agree_with_nuts(reference, method):
    """Means within 4 Monte-Carlo errors, standard deviations within 5 % (2 % of it Monte-Carlo)."""
    data, exact = reference
    if method == "laplace":
        fit = bp.laplace(KEY, bradley_terry, data, draws=10_000, proposals=20_000)
    else:
        fit = bp.svi(KEY, bradley_terry, data, steps=12_000, particles=8, draws=10_000, progress=False)
    a, b = quantities(fit), quantities(exact)
    error = np.sqrt(a.var(0) / len(a) + b.var(0) / bp.convergence(exact)["ess"])
    assert (np.abs(a.mean(0) - b.mean(0)) < 4 * error).all()
    np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.05)
    assert bp.verdict(exact) == [] and bp.verdict(fit) == []


def test_a_mean_field_guide_loses_what_its_docstring_says():
    """On a chain of neighbours the mean-field standard deviations are far too small, and k-hat says so."""
    data = board(8, 800, 1, neighbours=True)
    exact = quantities(bp.nuts(KEY, bradley_terry, data, progress=False)).std(0)[:-1]
    with pytest.warns(bp.FitWarning, match="svi approximation does not fit"):
        fit = bp.svi(KEY, bradley_terry, data, guide="normal", progress=False)
    ratio = quantities(fit).std(0)[:-1] / exact
    assert 0.40 < ratio.min() and ratio.max() < 0.85 and np.median(ratio) < 0.65
    assert fit.attrs["khat"] > 0.7


def test_a_badly_non_gaussian_posterior_is_flagged_while_nuts_handles_it():
    """Twenty items, forty answers, a learned scale: k-hat > 0.7 under Laplace, a clean verdict under NUTS."""
    data = board(20, 40, 1)
    with pytest.warns(bp.FitWarning, match="laplace approximation does not fit.*fit with nuts"):
        fit = bp.laplace(KEY, bradley_terry, data)
    assert fit.attrs["khat"] > 0.7
    exact = bp.nuts(KEY, bradley_terry, data, draws=2000, progress=False)
    assert bp.verdict(exact) == []


@pytest.mark.parametrize("method", QUICK)
def test_every_method_returns_the_same_tree(method):
    """Contract 9: groups, dims, labels, attributes, and a round trip through netCDF."""
    data = bp.Comparisons.from_arrays([[0, 1], [1, 2], [2, 0]] * 5, [0, 0, 1] * 5, items=["x", "y", "z"])
    fit = quietly(QUICK[method], KEY, functools.partial(bradley_terry, scale=1.0), data)
    assert {"posterior", "latent", "sample_stats", "log_likelihood", "observed_data", "constant_data"} <= set(
        fit.children
    )
    assert fit["posterior"]["log_density"].dims == ("chain", "draw", "item")
    assert list(fit["posterior"]["item"].values) == ["x", "y", "z"]
    assert set(fit["posterior"].data_vars) == {"log_density"}
    assert fit["log_likelihood"]["outcome"].shape[-1] == len(data) == 3
    np.testing.assert_allclose(np.exp(fit["posterior"]["log_density"]).sum("item"), 1, rtol=1e-5)
    assert fit.attrs["method"] == method and fit.attrs["model"] == "bradley_terry"
    assert json.loads(fit.attrs["model_options"]) == {"scale": 1.0}


def test_log_likelihood_is_that_of_one_answer():
    """Unscaled by count: log sigma of the worths' difference."""
    data = bp.Comparisons.from_arrays([[0, 1]] * 7, [0] * 7)
    fit = bp.laplace(KEY, functools.partial(bradley_terry, scale=1.0), data)
    worth = fit["posterior"]["log_density"]
    gap = (worth.isel(item=0) - worth.isel(item=1)).values
    np.testing.assert_allclose(fit["log_likelihood"]["outcome"][..., 0], -np.logaddexp(0, -gap), atol=1e-5)


@pytest.mark.parametrize("method", QUICK)
def test_the_same_key_gives_the_same_draws(method):
    """Same key, same machine: the same draws; another key: others."""
    data = board(4, 60, 2)
    model = functools.partial(bradley_terry, scale=1.0)
    first, again, other = (quietly(QUICK[method], key, model, data) for key in (KEY, KEY, jax.random.key(6)))
    np.testing.assert_array_equal(first["posterior"]["log_density"], again["posterior"]["log_density"])
    assert not np.array_equal(first["posterior"]["log_density"], other["posterior"]["log_density"])


def test_counting_leaves_the_posterior_as_it_is():
    """Counted and uncounted forms of one table: the same mode and the same evidence."""
    data = board(6, 300, 3)
    counted = bp.laplace(KEY, bradley_terry, data)
    uncounted = bp.laplace(KEY, bradley_terry, data.expanded())
    assert len(data) < data.answers == len(data.expanded())
    np.testing.assert_allclose(counted["mode"]["log_density"], uncounted["mode"]["log_density"], atol=2e-3)
    np.testing.assert_allclose(
        counted["posterior"]["log_density"].std(), uncounted["posterior"]["log_density"].std(), rtol=0.01
    )
    assert counted.attrs["log_evidence"] == pytest.approx(uncounted.attrs["log_evidence"], abs=0.02)


def test_minibatches_reach_the_posterior(reference):
    """SVI on batches of 128 answers of 2,000 finds the means of the full posterior."""
    data, exact = reference
    fit = bp.svi(KEY, bradley_terry, data, batch_size=128, steps=8000, progress=False)
    a, b = quantities(fit)[:, :-1], quantities(exact)[:, :-1]
    # gradient noise leaves the guide's means a fraction of a posterior sd off
    assert (np.abs(a.mean(0) - b.mean(0)) < 0.5 * b.std(0)).all()
    np.testing.assert_allclose(a.std(0), b.std(0), rtol=0.25)


def test_svi_takes_a_guide_function_and_reports_a_run_cut_short():
    """A hand-written guide fits the two-item posterior; ten steps do not, and the verdict says so."""

    def model(comparisons):
        gap = numpyro.sample("gap", dist.Normal(0.0, 10.0))
        score = gap * jnp.array([1.0, 0.0])
        bp.observe(comparisons, choices.logit(score[comparisons.shown]))

    def guide(comparisons):
        mean = numpyro.param("mean", 0.0)
        sd = numpyro.param("sd", 1.0, constraint=dist.constraints.positive)
        numpyro.sample("gap", dist.Normal(mean, sd))

    data = bp.Comparisons.from_arrays([[0, 1]] * 100, [0] * 70 + [1] * 30)
    fit = bp.svi(KEY, model, data, guide=guide, steps=3000, progress=False)
    gap = fit["posterior"]["gap"].values
    exact_sd = 1 / np.sqrt(100 * 0.7 * 0.3)
    assert abs(gap.mean() - np.log(7 / 3)) < 0.2 * exact_sd
    assert gap.std() == pytest.approx(exact_sd, rel=0.1)

    def far_guide(comparisons):
        mean = numpyro.param("mean", 30.0)
        numpyro.sample("gap", dist.Normal(mean, 0.1))

    short = quietly(bp.svi, KEY, model, data, guide=far_guide, steps=100, learning_rate=0.1, progress=False)
    assert any("had not converged" in s and "raise steps" in s for s in bp.verdict(short))


def test_nuts_that_is_too_short_says_what_to_raise():
    """R-hat or ESS out of bounds become one sentence each, with the remedy."""
    with pytest.warns(bp.FitWarning) as caught:
        fit = bp.nuts(KEY, bradley_terry, board(6, 100, 4), chains=2, warmup=50, draws=50, progress=False)
    sentences = bp.verdict(fit)
    assert [str(w.message).removeprefix("bradley_terry: ") for w in caught] == sentences
    assert any("effective draws" in s and "raise draws (now 50)" in s for s in sentences)
    alone = bp.verdict(fit.isel(chain=[0]))
    assert any("One chain" in s and "raise chains" in s for s in alone) and "nan" not in " ".join(alone)


def test_a_large_table_computes_its_log_likelihood_on_demand(monkeypatch):
    """Above the stated size nothing is stored, and leave-one-out is the same."""
    data, model = board(5, 200, 5), functools.partial(bradley_terry, scale=1.0)
    stored = bp.laplace(KEY, model, data)
    monkeypatch.setattr("bayespref.inference.fit.STORED_LOG_LIKELIHOOD", 10)
    lean = bp.laplace(KEY, model, data)
    assert "log_likelihood" not in lean.children
    assert bp.loo(KEY, model, lean).elpd == pytest.approx(bp.loo(KEY, model, stored).elpd, abs=1e-3)


def test_even_weights_do_not_fool_the_tail_fit():
    """Weights of an all but exact approximation: the raw fit sees k-hat > 1 in their fold, we do not."""
    from bayespref.inference.weights import smooth

    rng = np.random.default_rng(0)
    noise = rng.normal(size=4000)
    folded = 0.015 * (noise**3 - 3 * noise)
    heavy = 0.9 * rng.exponential(size=4000)  # Pareto weights with k = 0.9
    weights, khat = smooth(np.stack([folded, heavy, np.zeros(4000)], 1))
    np.testing.assert_allclose(np.exp(weights).sum(0), 1)
    assert khat[0] < 0.2 and 0.7 < khat[1] < 1.1 and khat[2] == 0


@pytest.mark.parametrize("chains", [1, 3])
def test_rhat_and_ess_are_arviz_s(chains, monkeypatch):
    """Of draws with ties and an odd number of them, of a chain that is apart, and of one chain alone."""
    from arviz_stats.base.array import array_stats

    monkeypatch.setattr(trust, "TOGETHER", 3)
    draws = np.random.default_rng(0).normal(size=(chains, 41, 4))
    draws[..., 1] = np.round(draws[..., 1])
    draws[..., 2] = np.cumsum(draws[..., 2], 1)
    draws[0, :, 3] += 2
    rhat, ess = trust._rhat_and_ess(draws)
    np.testing.assert_allclose(rhat, array_stats.rhat(draws, chain_axis=0, draw_axis=1), rtol=1e-12)
    np.testing.assert_allclose(ess, array_stats.ess(draws, chain_axis=0, draw_axis=1), rtol=1e-12)
