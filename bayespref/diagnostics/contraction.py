"""Where on a support comparisons carry information, and where the prior speaks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from bayespref import supports
from bayespref.inference.fit import check_same_model, data_of
from bayespref.inference.program import Model, run
from bayespref.supports import Support

DATA, PRIOR = 0.9, 0.5


def contraction(
    key: Array, model: Model, fit: xr.DataTree, *, site: str = "log_density", draws: int = 500
) -> xr.Dataset:
    """Prior-to-posterior contraction by point: 1 - Var_posterior / Var_prior of log p(x) - mean over shown.

    The mean is that of log p over the points that were shown, so that the normaliser, which moves with the
    tails, does not drown what is known. Region `data` has contraction above 0.9, `prior` below 0.5: there the
    density is what the prior says.

    Args:
        key: a `jax.random.key`, for draws of the prior.
        model: the model that made the fit.
        fit: what an inference function returned.
        site: name of the log-density.
        draws: of the prior.

    Returns:
        A dataset over the support: `contraction`, `shown` (how often points near it were shown), `region`
        ("data", "both", "prior"), and `density`, the posterior mean.

    Raises:
        ValueError: for another model than the fit's.

    Example:
        >>> contraction(key, density_gp_1d, fit)["region"]  # doctest: +SKIP
    """
    check_same_model(model, fit)
    comparisons, density = data_of(fit), fit["posterior"].to_dataset()[site]
    support = supports.of(density)
    extra = [d for d in density.dims if d not in ("chain", "draw", *support.dims)]
    ordered = density.transpose("chain", "draw", *extra, *support.dims)
    posterior = ordered.values.reshape(-1, *(density.sizes[d] for d in extra), len(support))

    @jax.jit
    def prior_draw(keys: Array) -> Array:
        blank = comparisons.replace(outcome=None)
        return jax.lax.map(
            lambda k: jnp.asarray(run(model, blank, {}, k)[site]["value"]), keys, batch_size=16
        )

    prior = np.asarray(prior_draw(jax.random.split(key, draws))).reshape(draws, *posterior.shape[1:])
    shown = _shown(comparisons, support)
    weight = shown / shown.sum() if shown.any() else np.full(len(support), 1 / len(support))

    def variance(values: np.ndarray) -> np.ndarray:
        return (values - (values @ weight)[..., None]).astype(np.float64).var(0)

    left = 1 - variance(posterior) / variance(prior)
    region = np.where(left > DATA, "data", np.where(left < PRIOR, "prior", "both"))
    dims, sizes = (*extra, *support.dims), [density.sizes[d] for d in (*extra, *support.dims)]
    coords = {name: value for name, value in density.coords.items() if name not in ("chain", "draw")}
    return xr.Dataset(
        {
            "contraction": (dims, left.reshape(sizes)),
            "region": (dims, region.reshape(sizes)),
            "density": (dims, np.exp(posterior).mean(0).reshape(sizes)),
            "shown": (support.dims, shown.reshape(support.shape)),
        },
        coords=coords,
    )


def _shown(comparisons, support: Support) -> np.ndarray:
    """(g,) how many times a point was shown for which this one is the support's nearest."""
    times = np.asarray(comparisons.design.item_answers, np.float64)
    if support.kind == "items":
        return times
    points = np.asarray(comparisons.items.features, np.float64)
    if support.low is None or support.high is None:
        from scipy.spatial import KDTree

        return np.bincount(KDTree(support.points).query(points)[1], times, len(support))
    size = np.asarray(support.shape)
    cell = np.rint((points - support.low) / (support.high - support.low) * (size - 1)).astype(int)
    flat = np.ravel_multi_index(tuple(np.clip(cell, 0, size - 1).T), support.shape)
    return np.bincount(flat, times, len(support))
