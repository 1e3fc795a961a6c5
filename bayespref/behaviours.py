"""Preference behaviour distribution equations: from an item's log-density to its score.

Each behaviour scores one item, Omega(x) = f(x) log p(x) + g(x) with f > 0 (arXiv 2311.14115); an annotator
compares scores, so swapping sides flips the sign of every difference by construction.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from bayespref.comparisons import refuse


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


def boltzmann(reward: Array, rationality: Array) -> Array:
    """Boltzmann rationality: Omega(x) = b r(x), b that of whoever answers; 0 is a guess, large b the best.

    Ignores a constant added to a row of `reward`. Written by column: derivatives of the broadcast product are
    sums over so short an axis, half the time of a gradient.

    Args:
        reward: (n, k) rewards of what each row shows, in nats.
        rationality: (n,) of each row's annotator, without unit.

    Returns:
        (n, k) scores in log-odds. Source: Jeon, Milli and Dragan (2020).

    Example:
        >>> import jax.numpy as jnp
        >>> boltzmann(jnp.array([[0.0, 1.0]]), jnp.array([2.0])).tolist()
        [[0.0, 2.0]]
    """
    return jnp.stack([rationality * reward[..., side] for side in range(reward.shape[-1])], -1)


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


def dpo(beta: Array | float, log_reference: Array) -> Callable[[Array], Array]:
    """Direct preference optimisation's behaviour: Omega(x) = beta (log p(x) - log reference(x)).

    Ignores a constant added to the log-density. Source: Rafailov et al. (2023); arXiv 2311.14115.

    Args:
        beta: positive inverse temperature.
        log_reference: (m,) log-density of the reference at the items, in nats.

    Returns:
        The behaviour, a function of (m,) log-densities.

    Raises:
        ValueError: for beta that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> dpo(2.0, jnp.array([0.0, 1.0]))(jnp.array([1.0, 1.0])).tolist()
        [2.0, 0.0]
    """
    _check_positive("beta", beta)
    return pbde(f=beta, g=-beta * log_reference)


def geometric(alpha: Array | float, log_reference: Array) -> Callable[[Array], Array]:
    """Geometric averaging: Omega(x) = log p(x) / alpha + (1 - 1 / alpha) log reference(x).

    The density p is then the geometric average, preferred^alpha reference^(1 - alpha) / Z, of what a Luce
    annotator prefers and the reference. Ignores a constant added to the log-density. Source: arXiv
    2311.14115.

    Args:
        alpha: positive share of the preferred density; 1 is Luce's rule.
        log_reference: (m,) log-density of the reference at the items, in nats.

    Returns:
        The behaviour, a function of (m,) log-densities.

    Raises:
        ValueError: for alpha that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> geometric(0.5, jnp.array([0.0, 1.0]))(jnp.array([1.0, 1.0])).tolist()
        [2.0, 1.0]
    """
    _check_positive("alpha", alpha)
    return pbde(f=1 / alpha, g=(1 - 1 / alpha) * log_reference)


def length_normalised(length: Array, scale: Array | float) -> Callable[[Array], Array]:
    """Log-density per unit of length: Omega(x) = (scale / length(x)) log p(x).

    f is not constant, so a constant added to the log-density changes the answers: give it a *normalised* one,
    which is what every reward returns. Source: arXiv 2311.14115, the language-model experiments.

    Args:
        length: (m,) positive lengths of the items.
        scale: positive, the greatest length in the paper.

    Returns:
        The behaviour, a function of (m,) log-densities.

    Raises:
        ValueError: for lengths or a scale that are not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> length_normalised(jnp.array([1.0, 2.0]), 2.0)(jnp.array([-1.0, -1.0])).tolist()
        [-2.0, -1.0]
    """
    _check_positive("length", length)
    _check_positive("scale", scale)
    return pbde(f=scale / length)


def _check_positive(name: str, value: ArrayLike) -> None:
    """Refuse what is known now; inside a transformation, values are checked before it."""
    if isinstance(value, Tracer):
        return
    flat = np.ravel(np.asarray(value))
    if (bad := np.flatnonzero(~(flat > 0))).size:
        raise refuse(f"{name} is positive", f"{flat[bad[0]]}", rows=bad if flat.size > 1 else None)
