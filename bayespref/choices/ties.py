"""Ties: by Davidson, as strong as the geometric mean of both; by Rao and Kupper, within a threshold."""

from __future__ import annotations

import functools
from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayespref.choices.base import Scored, two_at_a_time
from bayespref.choices.graded import log_gap
from bayespref.choices.links import apart


class Davidson(Scored):
    """P(i) ~ exp(s_i), P(tie) ~ exp(log_tie + mean of scores); see `davidson`."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector, "log_tie": constraints.real}
    pytree_data_fields = ("score", "log_tie")
    ties = True

    def __init__(self, score: Array, log_tie: ArrayLike, *, validate_args: bool | None = None):
        self.log_tie = jnp.asarray(log_tie)
        super().__init__(score, validate_args=validate_args)

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        score = self.score
        there = jnp.ones(score.shape, bool) if available is None else available
        mean = jnp.where(there, score, 0.0).sum(-1) / there.sum(-1)
        tie = (mean + self.log_tie)[..., None]
        return jax.nn.log_softmax(jnp.concatenate([self.masked(available), tie], -1), -1)

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        if self.k > 2 or available is not None:
            return super().answer_log_prob(value, available)
        first, second, tie = columns = self._columns()
        return jnp.select([value == 0, value == 1], [first, second], tie) - _log_total(columns)

    @override
    def tallied(self, tally: Array, available: Array | None = None) -> Array:
        if self.k > 2 or available is not None:
            return super().tallied(tally, available)
        columns = self._columns()
        each = [tally[..., outcome] * column for outcome, column in enumerate(columns)]
        return each[0] + each[1] + each[2] - tally.sum(-1) * _log_total(columns)

    def _columns(self) -> list[Array]:
        """Log-odds (...,) of the first of two, the second and a tie, up to a constant."""
        half = apart((self.score[..., 0] - self.score[..., 1]) / 2)
        return [half, -half, jnp.broadcast_to(self.log_tie, half.shape)]


class RaoKupper(Scored):
    """P(first) = sigma(s_0 - s_1 - threshold), alike for the second, else a tie; see `rao_kupper`."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector, "threshold": constraints.positive}
    pytree_data_fields = ("score", "threshold")
    ties = True

    def __init__(self, score: Array, threshold: ArrayLike, *, validate_args: bool | None = None):
        self.threshold = jnp.asarray(threshold)
        super().__init__(score, validate_args=validate_args)

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        threshold = jnp.broadcast_to(self.threshold, self.batch_shape)[..., None]
        ahead = self.ahead
        wins = jax.nn.log_sigmoid(jnp.concatenate([ahead, -ahead], -1) - threshold)
        return jnp.concatenate([wins, log_gap(ahead - threshold, ahead + threshold)], -1)


def _log_total(columns: list[Array]) -> Array:
    """Log of the sum of the columns' exponentials; along an axis of three, processors take one at a time."""
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, columns))
    return largest + jnp.log(sum(jnp.exp(column - largest) for column in columns))


def davidson(score: Array, log_tie: ArrayLike) -> Davidson:
    """Davidson's (1970) ties: P(i) ~ exp(s_i), P(tie) ~ nu exp((s_0 + s_1) / 2), nu = exp(log_tie).

    Equal things tie with probability nu / (2 + nu). For larger sets the tie is one of all that was shown
    and takes the mean of their scores.

    Args:
        score: (..., k) scores in log-odds.
        log_tie: (...,) log nu.

    Example:
        >>> round(float(davidson(jnp.zeros(2), jnp.log(0.9)).probs[2]), 6)
        0.310345
    """
    return Davidson(score, log_tie)


def rao_kupper(score: Array, threshold: ArrayLike) -> RaoKupper:
    """Rao and Kupper's (1967) ties: P(first) = p_0 / (p_0 + theta p_1), p = exp(s), theta = exp(threshold).

    Differences that a judge cannot tell from none, those within the threshold, are ties. Equal things tie
    with probability (theta - 1) / (theta + 1). The same as `graded` with three levels.

    Args:
        score: (..., 2) scores in log-odds.
        threshold: (...,) positive, log theta, in log-odds.

    Raises:
        ValueError: for more than two things at a time.

    Example:
        >>> round(float(rao_kupper(jnp.zeros(2), jnp.log(1.8)).probs[2]), 6)
        0.285714
    """
    two_at_a_time("rao_kupper", score, "Use choices.davidson for larger sets.")
    return RaoKupper(score, threshold)
