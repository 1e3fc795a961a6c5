"""Preference behaviour distribution equations: from an item's log-density to its score.

Each behaviour scores one item, Omega(x) = f(x) log p(x) + g(x) with f > 0 (arXiv 2311.14115); an annotator
compares scores, so swapping sides flips the sign of every difference by construction.
"""

from __future__ import annotations

from collections.abc import Callable

from jax import Array


def luce(log_density: Array) -> Array:
    """Luce's choice rule (Bradley-Terry): Omega(x) = log p(x).

    Ignores a constant added to `log_density`.

    Args:
        log_density: (...,) log-densities in nats.

    Returns:
        (...,) scores in log-odds.

    Example:
        >>> import jax.numpy as jnp
        >>> luce(jnp.array([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """
    return log_density


def pbde(f: Array | float = 1.0, g: Array | float = 0.0) -> Callable[[Array], Array]:
    """Any preference behaviour distribution equation: Omega(x) = f(x) log p(x) + g(x).

    Ignores a constant added to the log-density only where f is constant; otherwise it needs a
    *normalised* log-density, which is what every reward returns over its items.

    Args:
        f: positive factor, a number or one for each item (m,).
        g: term in log-odds, a number or one for each item (m,).

    Returns:
        The behaviour, a function of (m,) log-densities.

    Example:
        >>> import jax.numpy as jnp
        >>> pbde(f=2.0, g=jnp.array([0.0, 1.0]))(jnp.array([1.0, 1.0])).tolist()
        [2.0, 3.0]
    """

    def behaviour(log_density: Array) -> Array:
        return f * log_density + g

    return behaviour
