"""How a reward over points becomes a density on its support."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

import jax.numpy as jnp
import numpyro
from jax import Array

from bayespref.comparisons import refuse
from bayespref.supports import Support

Reward = Callable[[Array], Array]


def normalised(name: str, support: Support, reward: Reward) -> Reward:
    """Normalise a reward over its support: log p(x) = r(x) - log integral exp r.

    Registers site `name`, the log-density at the support's points, along the support's dimensions.

    Args:
        name: of the site.
        support: where the density lives.
        reward: from points (..., d) to (...,) nats.

    Returns:
        A function from points (..., d) in the support to log-densities (...,) in nats; points outside raise.

    Example:
        >>> def model(comparisons):
        ...     log_density = normalised("log_density", support, reward)
    """
    at_points = reward(jnp.asarray(support.points, jnp.float32))
    log_total = support.log_total(at_points)
    with plates(support):
        numpyro.deterministic(name, (at_points - log_total).reshape(support.shape))

    def log_density(points: Array) -> Array:
        support.check(points)
        return reward(points) - log_total

    return log_density


def plates(support: Support) -> ExitStack:
    """Plates along a support's dimensions, for a density registered on it.

    Args:
        support: where the density lives.

    Example:
        >>> with plates(support):  # doctest: +SKIP
        ...     numpyro.deterministic("log_density", at_points.reshape(support.shape))
    """
    stack = ExitStack()
    for axis, (dim, size) in enumerate(zip(support.dims, support.shape, strict=True)):
        stack.enter_context(numpyro.plate(dim, size, dim=axis - len(support.dims)))
    return stack


def by_class(classes: int | None, *, dim: int) -> AbstractContextManager:
    """A plate over classes of annotators, or nothing where there are none.

    Args:
        classes: how many, or None.
        dim: of the plate.

    Raises:
        ValueError: for no class at all.

    Example:
        >>> with by_class(2, dim=-1):  # doctest: +SKIP
        ...     numpyro.sample("worth", dist.ZeroSumNormal(1.0, (5,)))
    """
    if classes is None:
        return nullcontext()
    if classes < 1:
        raise refuse("there is at least one class", f"classes={classes}")
    return numpyro.plate("class", classes, dim=dim)
