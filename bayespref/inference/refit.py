"""Fit again with some answers left out: same model, method and settings, compiled once."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro.infer.util import unconstrain_fn

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import latent_of
from bayespref.inference.laplace import approximated
from bayespref.inference.meshes import fetched
from bayespref.inference.nuts import sampler
from bayespref.inference.program import Model, Values
from bayespref.inference.starting import chain_starts
from bayespref.inference.trust import warn


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
        sample, chains = sampler(model, **settings), settings["chains"]
        start = last_draws(model, fit, comparisons, chains)

        def refit(key: Array, left_out: np.ndarray) -> Values:
            data = without(left_out)

            def starts(random: np.random.Generator) -> Values | None:
                return chain_starts(random, model, data, chains) if start is None else start

            latent, _ = sample(key, data, starts)
            return jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), latent)

    elif method == "laplace":
        start = middle(model, fit, comparisons)

        def refit(key: Array, left_out: np.ndarray) -> Values:
            return latent_of(warn(approximated(key, model, without(left_out), start=start, **settings)))

    else:
        from bayespref.inference.svi import GUIDES, svi

        if settings["guide"] not in GUIDES:
            raise refuse(
                f"fitting again by svi needs a guide with a name, one of {sorted(GUIDES)}",
                f"the guide {settings['guide']!r}, which a fit cannot store",
                remedy="Call loo with refit=False, or fit with a named guide.",
            )

        def refit(key: Array, left_out: np.ndarray) -> Values:
            return latent_of(svi(key, model, without(left_out), progress=False, **settings))

    return refit


def last_draws(
    model: Model, fit: xr.DataTree, comparisons: Comparisons, chains: int
) -> dict[str, Any] | None:
    """(chains, ...) the last draws of chains, unconstrained: a unit less hardly moves the posterior."""
    sizes = fit["latent"].sizes
    last = np.arange(1, sizes["chain"] + 1) * sizes["draw"] - 1
    found = unconstrained(model, fit, comparisons, last)
    return (
        None
        if found is None
        else {name: np.resize(value, (chains, *value.shape[1:])) for name, value in found.items()}
    )


def middle(model: Model, fit: xr.DataTree, comparisons: Comparisons) -> dict[str, np.ndarray] | None:
    """The mean of some unconstrained draws: the mode without a unit is near."""
    found = unconstrained(model, fit, comparisons, np.arange(min(fit["latent"].sizes["draw"], 200)))
    return None if found is None else {name: np.asarray(value.mean(0)) for name, value in found.items()}


def unconstrained(
    model: Model, fit: xr.DataTree, comparisons: Comparisons, which: np.ndarray
) -> dict[str, Any] | None:
    """Those of some draws of the latents that rounding did not put on the edge of their support.

    None if all are there: fits then start where they would without a fit to start from.
    """
    values = {name: np.asarray(value)[which] for name, value in latent_of(fit).items()}
    found = fetched(_unconstrained(model, comparisons, values))
    each = [np.isfinite(value).reshape(len(which), -1).all(1) for value in found.values()]
    inside = np.logical_and.reduce(each)
    return {name: value[inside] for name, value in found.items()} if inside.any() else None


@functools.partial(jax.jit, static_argnums=0)
def _unconstrained(model: Model, comparisons: Comparisons, values: Values) -> Values:
    return jax.vmap(lambda value: unconstrain_fn(model, (comparisons,), {}, value))(values)
