"""A neural reward over points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array

from bayespref.comparisons import refuse
from bayespref.rewards.density import normalised
from bayespref.rewards.modules import sampled
from bayespref.supports import Support


def neural(
    support: Support,
    *,
    name: str = "log_density",
    network: Any = None,
    width: int = 16,
    depth: int = 1,
    steepness: float = 10.0,
    amplitude: dist.Distribution | float | None = None,
) -> Callable[[Array], Array]:
    """A network with normal weights: r(x) = amplitude f(steepness u(x)), log p(x) = r(x) - log integral exp r.

    Args:
        support: any.
        name: of the log-density's site.

    Example:
        >>> def model(comparisons):
        ...     log_density = neural(supports.interval(-10, 10), width=8)
        ...     score = log_density(comparisons.items.features)[comparisons.shown]
    """
    try:
        import equinox as eqx
    except ImportError as error:
        raise ImportError("rewards.neural needs Equinox: pip install 'bayespref[neural]'") from error
    d = support.points.shape[1]
    if network is None:
        network = eqx.nn.MLP(d, "scalar", width, depth, jnp.tanh, key=jax.random.key(0))
    function = sampled(name, network, support=support)
    if amplitude is None:
        amplitude = dist.LogNormal(math.log(5.0), 1.0)
    if isinstance(amplitude, dist.Distribution):
        amplitude = numpyro.sample(f"{name}_amplitude", amplitude)
    centre, half = _frame(support)

    def reward(points: Array) -> Array:
        points = points if points.ndim and points.shape[-1] == d else points[..., None]
        scaled = (steepness * (points - centre) / half).reshape(-1, d)
        return amplitude * jax.vmap(function)(scaled).reshape(points.shape[:-1])

    return normalised(name, support, reward)


def _frame(support: Support):
    """Centre and half-width (d,) of a support: of its bounds, or two standard deviations of its points."""
    if support.low is not None and support.high is not None:
        return (support.low + support.high) / 2, (support.high - support.low) / 2
    return support.points.mean(0), 2 * support.points.std(0)
