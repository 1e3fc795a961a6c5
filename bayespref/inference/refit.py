"""Fit again with some answers left out: same model, method and settings, compiled once."""

from __future__ import annotations

import json
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro.infer.util import unconstrain_fn

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import latent_of
from bayespref.inference.laplace import laplace
from bayespref.inference.nuts import sampler
from bayespref.inference.program import Model, Values
from bayespref.inference.svi import GUIDES, svi


def refitter(
    model: Model, fit: xr.DataTree, comparisons: Comparisons
) -> Callable[[Array, np.ndarray], Values]:
    """A function (key, left_out) -> draws of the latents, joined over chains.

    `left_out` (n,) is how many of each row's identical answers are left out; weights do it, so shapes,
    parametrisation and compiled code stay.
    """
    settings, method = json.loads(fit.attrs["settings"]), fit.attrs["method"]
    count = np.asarray(comparisons.count)

    def without(left_out: np.ndarray) -> Comparisons:
        return comparisons.replace(weight=jnp.asarray((count - left_out) / count, jnp.float32))

    if method == "nuts":
        sample, start = sampler(model, **settings), last_draws(model, fit, comparisons)

        def refit(key: Array, left_out: np.ndarray) -> Values:
            latent, _ = sample(key, without(left_out), start)
            return jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), latent)

    elif method == "laplace":

        def refit(key: Array, left_out: np.ndarray) -> Values:
            return latent_of(laplace(key, model, without(left_out), **settings))

    elif settings["guide"] not in GUIDES:
        raise refuse(
            f"fitting again by svi needs a guide with a name, one of {sorted(GUIDES)}",
            f"the guide {settings['guide']!r}, which a fit cannot store",
            remedy="Call loo with refit=False, or fit with a named guide.",
        )
    else:

        def refit(key: Array, left_out: np.ndarray) -> Values:
            return latent_of(svi(key, model, without(left_out), progress=False, **settings))

    return refit


def last_draws(model: Model, fit: xr.DataTree, comparisons: Comparisons) -> Values | None:
    """(chains, ...) the last draw of each chain, unconstrained: a unit less hardly moves the posterior.

    None where rounding put one on the edge of its support.
    """
    sizes = fit["latent"].sizes
    last = np.arange(1, sizes["chain"] + 1) * sizes["draw"] - 1
    values = {name: value[last] for name, value in latent_of(fit).items()}
    start = jax.vmap(lambda value: unconstrain_fn(model, (comparisons,), {}, value))(values)
    return start if all(np.isfinite(value).all() for value in start.values()) else None
