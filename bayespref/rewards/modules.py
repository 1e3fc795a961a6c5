"""Priors on the weights of an Equinox module."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree

from bayespref.supports import Support


def sampled(name: str, module: Any, *, support: Support, scale: float = 1.0) -> Any:
    """Draw a module's weights: Normal(0, scale^2 / fan-in) for matrices, Normal(0, scale^2) for the rest.

    One standard normal vector, site `_{name}`, holds them all: guides and samplers see unit scales. What is
    wrapped in `paramax.NonTrainable`, or is no floating-point array, stays as it is.

    Args:
        name: of the log-density the module serves.
        module: an Equinox module, the values of its weights ignored.
        support: of that log-density.
        scale: factor of the prior standard deviations.

    Returns:
        The module with drawn weights, wrappers of `paramax` (flowjax's own) unwrapped.

    Example:
        >>> def model(comparisons):
        ...     network = sampled("log_density", eqx.nn.MLP(1, "scalar", 16, 1, key=key), support=support)
    """
    import equinox as eqx
    import paramax

    is_fixed = lambda leaf: isinstance(leaf, paramax.NonTrainable)  # noqa: E731
    weights, structure = eqx.partition(
        module, lambda leaf: eqx.is_inexact_array(leaf) and not is_fixed(leaf), is_leaf=is_fixed
    )
    spread = jax.tree_util.tree_map_with_path(lambda path, leaf: scale * _spread(path, leaf), weights)
    flat, unravel = ravel_pytree(spread)
    raw = numpyro.sample(
        f"_{name}",
        dist.Normal(0.0, 1.0).expand(flat.shape).to_event(1),
        infer={"event_dims": (f"{name}_weight",), "support": support},
    )
    return paramax.unwrap(eqx.combine(unravel(flat * raw), structure, is_leaf=is_fixed))


def _spread(path: tuple, leaf: jax.Array) -> jax.Array:
    """Prior standard deviations of one array; a layer's `weight` has its inputs on the last axis."""
    is_matrix = any(getattr(part, "name", None) == "weight" for part in path) and leaf.ndim > 1
    return jnp.full(leaf.shape, 1 / math.sqrt(leaf.shape[-1]) if is_matrix else 1.0, leaf.dtype)
