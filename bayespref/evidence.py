"""The evidence of a fit: log p(answers), by bridge sampling."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import potential_energy, unconstrain_fn
from scipy.special import logsumexp

from bayespref.comparisons import Comparisons
from bayespref.inference.fit import check_same_model, data_of, latent_of
from bayespref.inference.program import Model, Values
from bayespref.inference.relabel import log_numberings
from bayespref.losses import refuse_loss

ITERATIONS = 1000


def log_evidence(key: Array, model: Model, fit: xr.DataTree) -> tuple[float, float]:
    """Log p(answers) in nats and its standard error, by bridge sampling (Meng and Wong, 1996).

    A normal distribution fitted to half of the unconstrained posterior draws is bridged to the other half.
    Evidence depends on the priors as no other figure does: compare fits by `loo` unless the priors are
    meant literally. Draws of K exchangeable classes show one of K! equal modes; the others are counted in.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit.
        fit: what an inference function returned.

    Returns:
        The estimate, and its standard error treating draws as independent.

    Example:
        >>> log_evidence(jax.random.key(0), bradley_terry, fit)  # doctest: +SKIP
    """
    refuse_loss(fit, "evidence")
    check_same_model(model, fit)
    comparisons = data_of(fit)
    points, log_posterior = _unconstrained(model, comparisons, latent_of(fit))
    fitted, held = points[::2], points[1::2]
    mean = fitted.mean(0)
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(fitted.T)) + 1e-12 * np.eye(points.shape[1]))
    drawn = mean + np.asarray(jax.random.normal(key, held.shape), np.float64) @ factor.T

    def ratio(places: np.ndarray) -> np.ndarray:
        white = np.linalg.solve(factor, (places - mean).T)
        log_q = -0.5 * (white**2).sum(0) - np.log(np.diag(factor)).sum()
        return log_posterior(places) - log_q + 0.5 * len(mean) * np.log(2 * np.pi)

    at_posterior, at_proposal = ratio(held), ratio(drawn)
    centre, value = np.median(at_posterior), 0.0
    at_posterior, at_proposal = at_posterior - centre, at_proposal - centre
    for _ in range(ITERATIONS):
        upper = at_proposal - np.logaddexp(at_proposal, value)
        lower = -np.logaddexp(at_posterior, value)
        updated = np.asarray(logsumexp(upper)) - np.asarray(logsumexp(lower))
        if abs(updated - value) < 1e-10:
            break
        value = updated
    error = np.sqrt((_relative_variance(upper) + _relative_variance(lower)) / len(held))
    return float(value + centre + log_numberings(model, comparisons)), float(error)


def _relative_variance(log_values: np.ndarray) -> float:
    values = np.exp(log_values - log_values.max())
    return float(values.var() / values.mean() ** 2)


def _unconstrained(model: Model, comparisons: Comparisons, latent: Values):
    """Draws as vectors in unconstrained space, and the log posterior (unnormalised) of such vectors."""

    def restore(values: Values) -> Array:
        return ravel_pytree(unconstrain_fn(model, (comparisons,), {}, values))[0]

    first = unconstrain_fn(model, (comparisons,), {}, {name: value[0] for name, value in latent.items()})
    unravel = ravel_pytree(first)[1]
    points = jax.jit(lambda draws: jax.lax.map(restore, draws, batch_size=64))(latent)

    @jax.jit
    def score(places: Array, comparisons: Comparisons) -> Array:
        def one(place: Array) -> Array:
            return -jnp.asarray(potential_energy(model, (comparisons,), {}, unravel(place)))

        return jax.lax.map(one, places, batch_size=64)

    def log_posterior(places: np.ndarray) -> np.ndarray:
        return np.asarray(score(jnp.asarray(places, jnp.float32), comparisons), np.float64)

    return np.asarray(points, np.float64), log_posterior
