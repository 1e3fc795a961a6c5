"""How strongly the first is preferred to the second, in ordered levels."""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayespref.choices.base import Scored, two_at_a_time
from bayespref.comparisons import refuse

NARROWEST = 1e-30
"""Narrowest level, in log-odds, told from none."""


def log_gap(low: Array, high: Array) -> Array:
    """log(sigma(high) - sigma(low)), exact in both tails.

    Args:
        low: log-odds.
        high: log-odds above `low`.

    Example:
        >>> round(float(jnp.exp(log_gap(jnp.array(-1.0), jnp.array(1.0)))), 4)
        0.4621
    """
    width = jnp.maximum(high - low, NARROWEST)
    return jax.nn.log_sigmoid(high) + jax.nn.log_sigmoid(-low) + jnp.log(-jnp.expm1(-width))


class Graded(Scored):
    """P(level <= j) = sigma(s_0 - s_1 + c_j), cut-points c symmetric about zero; see `graded`."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector}
    pytree_data_fields = ("score", "steps")
    pytree_aux_fields = ("middle",)
    response = "graded"

    def __init__(self, score: Array, steps: Array, *, middle: bool, validate_args: bool | None = None):
        self.steps, self.middle = jnp.asarray(steps), middle
        super().__init__(score, validate_args=validate_args)

    @property
    @override
    def outcomes(self) -> int:
        return 2 * self.steps.shape[-1] + (1 if self.middle else 2)

    @property
    def cutpoints(self) -> Array:
        """(..., levels - 1) cut-points in log-odds, from the lowest."""
        beyond = jnp.cumsum(self.steps, -1)
        none = jnp.zeros((*beyond.shape[:-1], 0 if self.middle else 1))
        return jnp.concatenate([-beyond[..., ::-1], none, beyond], -1)

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        at = self.ahead + self.cutpoints
        first, last = jax.nn.log_sigmoid(at[..., :1]), jax.nn.log_sigmoid(-at[..., -1:])
        return jnp.concatenate([first, log_gap(at[..., :-1], at[..., 1:]), last], -1)

    @override
    def guess_log_probs(self, available: Array | None = None) -> Array:
        return jnp.full((*self.batch_shape, self.outcomes), -jnp.log(self.outcomes))


def graded(score: Array, steps: ArrayLike, *, middle: bool = True) -> Graded:
    """Strength of preference: P(level <= j) = sigma(s_0 - s_1 + c_j), level 0 the first by far.

    The cumulative logit model with cut-points c symmetric about zero, so that swapping sides mirrors the
    levels (Agresti, 1992). With a middle level there are 2 h + 1 levels, cut-points +-steps_1, +-(steps_1 +
    steps_2), ...; without, 2 h + 2, and zero is a cut-point too. Two levels are the logit, three are
    `rao_kupper`.

    Args:
        score: (..., 2) scores in log-odds.
        steps: (..., h) positive distances between cut-points, from the middle outward, in log-odds.
        middle: whether the middle level, "about the same", is one of them.

    Returns:
        A distribution over levels, for answers with response "graded".

    Raises:
        ValueError: for more than two things at a time, or fewer than two levels.

    Example:
        >>> [round(p, 2) for p in graded(jnp.array([1.0, 0.0]), [0.5, 1.0]).probs.tolist()]
        [0.38, 0.24, 0.2, 0.11, 0.08]
    """
    two_at_a_time("graded", score, "Ask for rankings (choices.plackett_luce) of larger sets.")
    steps = jnp.atleast_1d(jnp.asarray(steps, float))
    if middle and steps.shape[-1] == 0:
        raise refuse("graded answers have at least two levels", "a middle level alone")
    return Graded(score, steps, middle=middle)
