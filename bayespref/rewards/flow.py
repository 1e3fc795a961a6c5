"""A normalising flow as the reward over points."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.comparisons import refuse
from bayespref.rewards.density import normalised
from bayespref.rewards.modules import sampled
from bayespref.supports import Support


def flow(
    support: Support,
    *,
    name: str = "log_density",
    layers: int = 4,
    knots: int = 8,
    width: int = 16,
    scale: float = 1.0,
) -> Callable[[Array], Array]:
    """A normalising flow of the box onto itself: log p(x) = log |det dT/dx| - log volume, T drawn a priori.
    """
    try:
        from flowjax.bijections import RationalQuadraticSpline
        from flowjax.distributions import Uniform
        from flowjax.flows import masked_autoregressive_flow
    except ImportError as error:
        raise ImportError("rewards.flow needs flowjax: pip install 'bayespref[neural]'") from error
    if support.low is None or support.high is None:
        raise refuse("a flow needs a bounded support", f"{support!r}")
    d = len(support.low)
    centre, half = (support.low + support.high) / 2, (support.high - support.low) / 2
    architecture = masked_autoregressive_flow(
        jax.random.key(0),
        base_dist=Uniform(-jnp.ones(d), jnp.ones(d)),
        transformer=RationalQuadraticSpline(knots=knots, interval=1),
        flow_layers=layers,
        nn_width=width,
        nn_activation=jnp.tanh,
    )
    transport = sampled(name, architecture.bijection, support=support, scale=scale)
    log_volume = math.log(math.prod(support.high - support.low))

    def reward(points: Array) -> Array:
        points = points if points.ndim and points.shape[-1] == d else points[..., None]
        inside = jnp.clip((points - centre) / half, -1.0, 1.0).reshape(-1, d)
        log_det = jax.vmap(lambda u: transport.inverse_and_log_det(u)[1])(inside)
        return (log_det - log_volume).reshape(points.shape[:-1])

    return normalised(name, support, reward)
