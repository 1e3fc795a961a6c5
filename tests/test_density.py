"""Densities over points: Gaussian-process rewards, fits with nested scales, agreement, contraction."""

import functools
import importlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
import xarray as xr
from helpers import EPS
from numpyro import handlers

import bayespref as bp
from bayespref import behaviours, choices, diagnostics, limits, losses, models, rewards, supports, toys
from bayespref.inference import curvature, nested
from bayespref.inference.hoisting import ahead_of_loop, hoist
from bayespref.inference.program import sites_of
from bayespref.inference.starting import starts

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]
quiet = functools.partial(warnings.catch_warnings, action="ignore", category=bp.FitWarning)


def smooth(x):
    """Log-density of a normal about 1 with sd 2, up to a constant."""
    return -0.5 * ((x - 1) / 2) ** 2


@functools.cache
def smooth_fit():
    data = toys.answers(jax.random.key(0), smooth, answers=3000)
    with quiet():
        return bp.laplace(jax.random.key(1), SMALL, data, draws=1000, proposals=4000)


SMALL = functools.partial(models.density_gp_1d, basis=24)


# ---- the reward --------------------------------------------------------------------------------------


PLANE = supports.box([-1, 0], [1, 3], points=21)
FINE = supports.box([-1, 0], [1, 3], points=1024)
SCATTER = supports.samples(np.random.default_rng(0).normal(size=(40, 3)))
OVER_POINTS = {
    **{
        f"gp, {kernel}, {where}": (functools.partial(rewards.gp, kernel=kernel, basis=8), support)
        for kernel in ("matern52", "matern32", "matern12", "squared_exponential")
        for where, support in (("line", LINE), ("plane", PLANE))
    },
    "neural, line": (rewards.neural, LINE),
    "neural, plane": (functools.partial(rewards.neural, width=4, depth=2), PLANE),
    "neural, samples": (rewards.neural, SCATTER),
    "flow, plane": (functools.partial(rewards.flow, layers=2, width=8), FINE),
}
"""Every reward over points, and a support for it."""


def test_every_reward_over_points_is_in_the_list():
    on_items = {"item_table", "linear", "from_columns", "cycles"}  # in test_rewards.py
    assert {name.split(",")[0] for name in OVER_POINTS} == set(rewards.__all__) - on_items


@pytest.mark.parametrize(("reward", "support"), OVER_POINTS.values(), ids=OVER_POINTS)
def test_the_density_is_normalised_and_the_reward_callable(reward, support):
    """A draw of the prior: it integrates to one, is the same at points as on the support, and has slopes."""
    some = jnp.asarray(support.points[:: max(len(support) // 7, 1)], jnp.float32)

    def one(values):
        with handlers.seed(rng_seed=0), handlers.substitute(data=values), handlers.trace() as trace:
            at_points = reward(support)(some)
        return at_points, trace

    at_points, trace = one({})
    log_density = trace["log_density"]["value"]
    assert log_density.shape == support.shape and np.ptp(log_density) > 0.01
    # A flow integrates to one in itself: on a grid but for an error of its steps' square.
    exact = "flow" not in repr(reward)
    assert abs(float(support.log_total(log_density.reshape(-1)))) < (1e-5 if exact else 1e-3)
    every = log_density.reshape(-1)[:: max(len(support) // 7, 1)]
    np.testing.assert_allclose(at_points, every, atol=1e-4)
    latent = {name: site["value"] for name, site in trace.items() if site["type"] == "sample"}
    for name, slope in jax.jit(jax.grad(lambda v: one(v)[0].std()))(latent).items():
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, name


@pytest.mark.parametrize("kernel", ["matern52", "matern32", "squared_exponential"])
def test_the_prior_has_the_covariance_of_its_kernel(kernel):
    """Many draws of r at three points in the middle of the support, against the kernel in closed form."""
    gp = importlib.import_module("bayespref.rewards.gp")
    length, height, basis = 2.0, 1.5, 80
    at = np.array([0.0, 1.0, 3.0])
    spectrum = gp._log_spectrum(kernel, jnp.arange(1, basis + 1)[None] * np.pi / (2 * 30.0), length)
    phi = np.sin(np.arange(1, basis + 1) * np.pi / 60 * (at[:, None] + 30)) / np.sqrt(30)
    covariance = height**2 * (phi * np.exp(spectrum)) @ phi.T
    gap = np.abs(at[:, None] - at) / length
    exact = {
        "matern52": (1 + np.sqrt(5) * gap + 5 * gap**2 / 3) * np.exp(-np.sqrt(5) * gap),
        "matern32": (1 + np.sqrt(3) * gap) * np.exp(-np.sqrt(3) * gap),
        "squared_exponential": np.exp(-0.5 * gap**2),
    }[kernel]
    # What is left out: frequencies beyond 80 pi / 60, less than 1 % of the roughest kernel's variance.
    np.testing.assert_allclose(covariance, height**2 * exact, atol=0.012 * height**2)


def test_a_linear_reward_on_a_support_is_an_exponential_density():
    """log p = b x - log integral exp(b x): answers of such an annotator give b back."""
    slope = 0.3
    data = toys.answers(jax.random.key(4), lambda x: slope * x, answers=2000)

    def model(comparisons):
        log_density = rewards.linear(comparisons, support=LINE)(comparisons.items.features)
        bp.observe(comparisons, choices.logit(log_density[comparisons.shown]))

    fit = bp.laplace(jax.random.key(0), model, data, draws=1000, proposals=2000)
    found = fit["posterior"]["coefficient"].values.reshape(-1)
    assert abs(found.mean() - slope) < 5 * found.std()
    agreement = diagnostics.density_agreement(fit, lambda x: slope * x)
    assert abs(float(agreement["exponent"]) - found.mean() / slope) < 0.01
    with pytest.raises(ValueError, match="coordinates"):
        rewards.linear(data, support=PLANE)


def test_points_outside_are_refused():
    data = bp.Comparisons.from_points([[0.0, 11.0], [1.0, 2.0]], [0, 1])
    with pytest.raises(ValueError, match=r"interval\(x from -10 to 10.*11\.0.*low=, high="):
        bp.laplace(jax.random.key(0), models.density_gp_1d, data)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: rewards.gp(supports.items(size=3)), "bounded support"),
        (lambda: rewards.gp(LINE, kernel="cubic"), "a kernel is one of"),
        (lambda: bp.Comparisons.from_points([[0.0, np.nan]], [0]), r"finite.*1 row"),
        (lambda: bp.Comparisons.from_points([0.0, 1.0], [0]), r"\(n, k\)"),
        (lambda: bp.Comparisons.from_points([[0.0, 0.0]], [0]), "differ"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_points_shown_twice_are_one_item():
    data = bp.Comparisons.from_points([[3.0, 1.0], [1.0, 2.0], [3.0, 1.0]], [0, 1, 0])
    np.testing.assert_array_equal(data.items.features[:, 0], [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(data.count, [2, 1])
    assert data.items.labels.tolist() == ["3.0", "1.0", "2.0"] and data.feature_names == ("x",)


# ---- the fit -----------------------------------------------------------------------------------------


def test_a_fit_carries_its_support_and_finds_the_density():
    fit = smooth_fit()
    density = fit["posterior"]["log_density"]
    assert supports.of(density).kind == "interval" and density.dims == ("chain", "draw", "x")
    assert fit.attrs["khat"] < 0.7
    agreement = diagnostics.density_agreement(fit, smooth)
    assert float(agreement["total_variation_of_mean"]) < 0.08
    assert abs(float(agreement["exponent"]) - 1) < 0.1


def test_nested_laplace_is_the_posterior_that_nuts_samples():
    """The same 200 answers by both: means and sds of log p(x) within 5 Monte-Carlo standard errors."""
    data = toys.answers(jax.random.key(2), smooth, answers=200)
    model = functools.partial(models.density_gp_1d, basis=10, length=dist.LogNormal(1.0, 0.3))
    with quiet():
        nested = bp.laplace(jax.random.key(0), model, data, draws=2000, proposals=8000)
        sampled = bp.nuts(jax.random.key(1), model, data, warmup=500, draws=1000, chains=2, progress=False)
    assert nested.attrs["khat"] < 0.7
    at = [-6.0, -2.0, 1.0, 4.0, 7.0]  # points of the grid
    import arviz as az

    theirs = sampled["posterior"].to_dataset()["log_density"].sel(x=at)
    ours = nested["posterior"].to_dataset()["log_density"].sel(x=at)
    ess, ess_of_sd = (
        az.ess(sampled, var_names=["log_density"], method=kind)["log_density"].sel(x=at).values
        for kind in ("mean", "sd")
    )
    weighted = min(nested.attrs["importance_ess"], 2000)
    sd, apart = theirs.values.std((0, 1)), ours.values.mean((0, 1)) - theirs.values.mean((0, 1))
    error = np.sqrt(sd**2 / ess + ours.values.var((0, 1)) / weighted)
    assert (np.abs(apart) < 5 * error).all()
    # Var(log sd) = (kurtosis - 1) / 4 n: where nothing was shown, tails are heavier than normal.
    kurtosis = scipy.stats.kurtosis(theirs.values, (0, 1), fisher=False)
    error = np.sqrt((kurtosis - 1) / 4 * (1 / ess_of_sd + 1 / weighted))
    assert (np.abs(np.log(ours.values.std((0, 1)) / sd)) < 5 * error).all()


def test_agreement_of_a_fit_with_itself():
    fit = smooth_fit()
    same = diagnostics.density_agreement(fit, fit)
    assert float(same["total_variation_of_mean"]) < 1e-6 and abs(float(same["exponent"]) - 1) < 1e-3
    assert (same["total_variation"] > 0).all()


def test_contraction_is_high_where_points_were_shown():
    result = diagnostics.contraction(jax.random.key(0), SMALL, smooth_fit(), draws=200)
    assert float(result["contraction"].sel(x=0, method="nearest")) > 0.95
    assert set(np.unique(result["region"])) <= {"data", "both", "prior"}
    assert float(result["shown"].sum()) == 2 * 3000
    with pytest.raises(ValueError, match="judged by the model"):
        diagnostics.contraction(jax.random.key(0), models.density_gp_1d, smooth_fit())


def test_the_map_of_preferences_is_that_of_the_density():
    grid = np.linspace(-4, 6, 6)
    matrix = bp.preference_matrix(
        jax.random.key(0), SMALL, smooth_fit(), grid, columns={"log_reference": toys.reference}
    )
    truth = 1 / (1 + np.exp(smooth(grid) - smooth(grid)[:, None]))
    assert np.abs(matrix - truth).max() < 0.1
    np.testing.assert_allclose(matrix + matrix.T, 1, atol=1e-6)


# ---- how the nested approximation computes -----------------------------------------------------------


def by_slic(comparisons, *, delta=0.5):
    log_density = rewards.gp(LINE, basis=8)
    anchor = log_density(jnp.asarray(LINE.points, jnp.float32)).mean()
    score = log_density(comparisons.items.features)[comparisons.shown]
    bp.observe(comparisons, losses.slic_hf(score, delta=delta, anchor=anchor))


@pytest.mark.parametrize(
    "model",
    [
        functools.partial(models.density_gp_1d, basis=8),
        functools.partial(models.two_viewpoints_1d, basis=8),
        by_slic,
    ],
    ids=["gp", "mixture of two", "loss with an anchor"],
)
def test_the_hessian_by_rows_is_the_hessian(model):
    """Rows, what they share, and what curves in the weights, against JAX's own Hessian of the whole."""
    data = toys.answers(jax.random.key(0), [toys.narrow, toys.wide], answers=300)
    start = starts(np.random.default_rng(0), model, data)
    outer = {name for name, site in sites_of(model, data).items() if site.outer}
    problem = nested._Problem(model, data, start, outer)
    theta, z = np.asarray(problem.theta), np.asarray(problem.z)
    declared = curvature.declared(model, problem.unravel_theta, problem.unravel_z)
    exact = jax.jit(jax.hessian(declared.potential, argnums=2))(data, theta, z)
    rows, rest = problem._curvature(theta, z)
    # Sums of 300 terms in another order, each rounded to float32.
    np.testing.assert_allclose(rest + curvature.multiply(rows), exact, atol=300 * EPS * np.abs(exact).max())
    value, (outer_slope, inner_slope) = problem._slopes(theta, z)
    whole = jax.jit(jax.value_and_grad(declared.potential, argnums=(1, 2)))(data, theta, z)
    np.testing.assert_allclose(value, whole[0], rtol=32 * EPS)
    for mine, theirs in zip((outer_slope, inner_slope), whole[1], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=300 * EPS * np.abs(theirs).max())


def test_nothing_descends_where_a_slope_is_not_finite(monkeypatch):
    """Far from the data a potential may be finite and its slope not: such places are as good as infinite."""
    data, model = toys.answers(jax.random.key(2), smooth, answers=50), models.density_gp_1d
    sites = sites_of(model, data)
    start = starts(np.random.default_rng(0), model, data)
    problem = nested._Problem(model, data, start, {name for name, site in sites.items() if site.outer})
    theta, z = np.asarray(problem.theta, float), np.asarray(problem.z, float)
    sound, steps = problem._slopes, []

    def broken(theta, at):
        value, (outer, inner) = sound(theta, at)
        steps.append(np.abs(at - z).max())
        return value, (outer, np.where(steps[-1] > 0.1, np.nan, inner))

    monkeypatch.setattr(problem, "_slopes", broken)
    assert problem.slopes(theta, z + 1)[0] == np.inf and np.isfinite(problem.slopes(theta, z)[0])
    inner = problem.attempt(theta)  # the mode is farther than that, so none is found, and nothing raises
    assert inner is None and max(steps) > 0.1


def test_data_of_one_shape_share_what_was_compiled():
    first, second = (toys.answers(jax.random.key(seed), smooth, answers=40) for seed in (0, 1))
    calls = []

    def function(comparisons, x):
        calls.append(1)
        return x * jnp.sin(comparisons.items.features).sum()

    hoisted = [hoist(function, data, jnp.ones(())) for data in (first, second)]
    assert len(calls) == 1
    for data, compute in zip((first, second), hoisted, strict=True):
        np.testing.assert_allclose(compute(2.0), 2 * np.sin(data.items.features).sum(), rtol=1e-5)


def test_a_loop_does_not_repeat_what_its_argument_leaves_as_it_is():
    """Sines of closed-over points are taken before the loop, and numbers stay what they are, batched too."""
    points = jnp.linspace(0.0, 1.0, 50)

    def power(points, scale, *, apart):
        def grown(z):
            return {"a": z["a"] + scale * (jnp.sin(points) * z["a"]).mean()}

        start = {"a": jnp.ones(())}
        step = ahead_of_loop(grown, start) if apart else grown
        return jax.lax.fori_loop(0, 4, lambda _, z: step(z), start)["a"]

    def taken_before(apart):
        outside = jax.make_jaxpr(functools.partial(power, apart=apart))(points, 0.5).jaxpr.eqns
        return "sin" in [equation.primitive.name for equation in outside]

    assert taken_before(True) and not taken_before(False)
    scales = jnp.array([0.1, 0.5, 2.0])
    found = jax.vmap(functools.partial(power, apart=True), in_axes=(None, 0))(points, scales)
    np.testing.assert_allclose(found, (1 + scales * np.sin(points).mean()) ** 4, rtol=1e-5)


# ---- distances ---------------------------------------------------------------------------------------


def test_distances_between_normals():
    line = supports.interval(-12, 12, points=4801)  # the tails cut off hold 4e-8 of the wider one
    x = line.points[:, 0]
    p, q = scipy.stats.norm.logpdf(x, 0, 1), scipy.stats.norm.logpdf(x, 1, 2)
    found = diagnostics.distances(p, q, line)
    assert abs(found["kl_to_reference"] - (np.log(2) + (1 + 1) / 8 - 0.5)) < 1e-6
    assert abs(found["kl_from_reference"] - (np.log(0.5) + (4 + 1) / 2 - 0.5)) < 1e-5
    assert abs(found["hellinger"] ** 2 - (1 - np.sqrt(4 / 5) * np.exp(-1 / 20))) < 1e-6
    shifted = diagnostics.distances(p, scipy.stats.norm.logpdf(x, 0.5, 1), line)
    assert abs(shifted["wasserstein"][0] - 0.5) < 1e-6
    assert abs(shifted["total_variation"] - (2 * scipy.stats.norm.cdf(0.25) - 1)) < 1e-5


def test_distances_where_a_density_vanishes():
    two = supports.items(size=3)
    with np.errstate(divide="ignore"):
        p, q = np.log([0.5, 0.5, 0.0]), np.log([1.0, 0.0, 0.0])
    found = diagnostics.distances(p, q, two)
    assert found["kl_to_reference"] == np.inf and abs(found["kl_from_reference"] - np.log(2)) < 1e-12
    assert abs(found["total_variation"] - 0.5) < 1e-12


@pytest.mark.parametrize("b", [0.25, 1.0, 3.0])
def test_the_exponent_of_a_tempered_density(b):
    reference = toys.preference(X)
    assert abs(diagnostics.exponent(b * reference, reference, LINE) - b) < 1e-6


def test_agreement_refuses_another_support():
    other = xr.DataArray(
        np.zeros((1, 2, 5)),
        dims=("chain", "draw", "x"),
        coords=supports.interval(0, 1, points=5).coords(),
    )
    with pytest.raises(ValueError, match="on one support"):
        diagnostics.density_agreement(smooth_fit(), other)
    with pytest.raises(ValueError, match="801 points"):
        diagnostics.density_agreement(smooth_fit(), np.zeros(7))


# ---- losses ------------------------------------------------------------------------------------------


def by_ipo(comparisons, *, tau=0.5):
    log_density = rewards.gp(LINE, basis=24)(comparisons.items.features)
    score = behaviours.dpo(1.0, comparisons.items.column("log_reference"))(log_density)
    bp.observe(comparisons, losses.ipo(score[comparisons.shown], tau=tau))


@functools.cache
def ipo_fit():
    data = toys.answers(jax.random.key(3), smooth, answers=4000)
    with quiet():
        return bp.laplace(jax.random.key(0), by_ipo, data, draws=500, proposals=1000)


def test_ipo_reaches_its_borda_tilt():
    reference = toys.reference(X)
    design = np.exp(reference + LINE.log_weight)
    limit = limits.ipo(
        limits.Annotator(smooth(X)),
        tau=0.5,
        log_reference=reference,
        log_weight=LINE.log_weight,
        design=design,
    )
    mean = diagnostics.mean_density(ipo_fit()["posterior"]["log_density"])
    assert diagnostics.distances(mean, limit, LINE)["total_variation"] < 0.05
    assert "log_evidence" not in ipo_fit().attrs and "log_likelihood" not in ipo_fit().children


@pytest.mark.parametrize(
    "ask",
    [
        lambda key, fit: bp.loo(key, by_ipo, fit),
        lambda key, fit: bp.log_evidence(key, by_ipo, fit),
        lambda key, fit: bp.predict(key, by_ipo, fit, toys.answers(key, smooth, answers=10)),
        lambda key, fit: bp.posterior_predictive(key, by_ipo, fit),
        lambda key, fit: bp.simulate(key, by_ipo, toys.answers(key, smooth, answers=10)),
        lambda key, fit: diagnostics.density_agreement(fit, smooth),
    ],
    ids=["loo", "log_evidence", "predict", "posterior_predictive", "simulate", "density_agreement"],
)
def test_what_needs_a_likelihood_refuses_a_loss(ask):
    with pytest.raises(ValueError, match="no annotator behaviour it is the likelihood of"):
        ask(jax.random.key(0), ipo_fit())


# ---- two viewpoints ----------------------------------------------------------------------------------


def test_mixtures_refuse_what_does_not_match():
    from bayespref import populations

    two, three = choices.logit(jnp.zeros((4, 2))), choices.logit(jnp.zeros((4, 3)))
    for components, weight, match in (
        ([two], jnp.zeros(1), "at least two"),
        ([two, three], jnp.zeros(2), "one shape"),
        ([two, two], jnp.zeros(3), "2 weights"),
    ):
        with pytest.raises(ValueError, match=match):
            populations.mixture(components, weight)


@pytest.mark.slow
def test_two_viewpoints_are_found_without_ids():
    data = toys.answers(jax.random.key(5), [toys.narrow, toys.wide], answers=8192)
    model = functools.partial(models.two_viewpoints_1d, basis=48)
    with quiet():
        fit = bp.laplace(jax.random.key(0), model, data, draws=500, proposals=2000)
    weight = fit["posterior"]["weight"].values.reshape(-1, 2)
    assert abs(weight.mean(0)[0] - 0.4) < 4 * weight.std(0)[0] + 0.005
    truth = [toys.narrow(X), toys.wide(X)]
    for viewpoint in range(2):
        one = fit["posterior"].to_dataset()["log_density"].sel(viewpoint=viewpoint)
        agreement = diagnostics.density_agreement(fit, truth[viewpoint], of=one)
        assert float(agreement["total_variation_of_mean"]) < 0.2
    assert weight.std(0)[0] < 0.02
