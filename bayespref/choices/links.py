"""Which one is chosen: logit for sets of any size, probit and Laplace noise for two."""

from __future__ import annotations

from typing import override

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.choices.base import Scored, pick, two_at_a_time

LARGER = "Use choices.logit for larger sets."


class Logit(Scored):
    """P(i) = exp(s_i) / sum_j exp(s_j); see `logit`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        if self.k == 2:
            return log_sigmoid(self.score - self.score[..., ::-1])
        return jax.nn.log_softmax(self.masked(available), -1)

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        shape = jnp.broadcast_shapes(self.score.shape[:-1], jnp.shape(value))
        score = jnp.broadcast_to(self.masked(available), (*shape, self.k))
        return _chosen(score, jnp.broadcast_to(value, shape))

    @override
    def tallied(self, tally: Array, available: Array | None = None) -> Array:
        if self.k > 2:
            return super().tallied(tally, available)
        return _tallied(apart(self.score[..., 0] - self.score[..., 1]), tally)


def apart(x: Array) -> Array:
    """Numbers computed before what is made of them: a loop that looks up and takes exponentials is slow."""
    return jax.lax.optimization_barrier(x)


@jax.custom_jvp
def log_sigmoid(x: Array) -> Array:
    """Log 1 / (1 + exp(-x)), written so that processors take several numbers at a time.

    `jax.nn.log_sigmoid` looks for what is not a number, and takes three times as long.
    """
    return jnp.minimum(x, 0.0) - jnp.log1p(jnp.exp(-jnp.abs(x)))


@log_sigmoid.defjvp
def _log_sigmoid_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return log_sigmoid(primals[0]), jax.nn.sigmoid(-primals[0]) * tangents[0]


@jax.custom_jvp
def _tallied(ahead: Array, tally: Array) -> Array:
    """(...,) log-probability of tally (..., 2) answers, the first `ahead` (...,) in log-odds."""
    against = jnp.where(ahead > 0, tally[..., 1], tally[..., 0])
    return -tally.sum(-1) * jnp.log1p(jnp.exp(-jnp.abs(ahead))) - against * jnp.abs(ahead)


@_tallied.defjvp
def _tallied_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    ahead, tally = primals
    slope = tally[..., 0] * jax.nn.sigmoid(-ahead) - tally[..., 1] * jax.nn.sigmoid(ahead)
    return _tallied(ahead, tally), slope * tangents[0]


def _chosen(score: Array, value: Array) -> Array:
    """(...,) log-softmax of scores (..., k) at the columns `value` (...,)."""
    if score.shape[-1] == 2:
        return log_sigmoid(apart((score[..., 0] - score[..., 1]) * _sign(value)))
    return _picked(score, value)


@jax.custom_jvp
def _picked(score: Array, value: Array) -> Array:
    """`_chosen` of more than two; the derivative of an index is a scatter, four times as slow as the rest."""
    return pick(jax.nn.log_softmax(score, -1), value)


@_picked.defjvp
def _picked_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    score, value = primals
    surprise = (jnp.arange(score.shape[-1]) == value[..., None]) - jax.nn.softmax(score, -1)
    return _picked(score, value), (surprise * tangents[0]).sum(-1)


def _sign(value: Array) -> Array:
    return 1 - 2 * value


class Probit(Scored):
    """P(first) = Phi(s_0 - s_1); see `probit`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        return jax.scipy.special.log_ndtr(self.score - self.score[..., ::-1])


class LaplaceNoise(Scored):
    """P(first) = F(s_0 - s_1), F the Laplace distribution; see `laplace_noise`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        ahead = self.score - self.score[..., ::-1]
        # Both branches are kept finite: the gradient passes through the one not taken.
        behind = jnp.minimum(ahead, 0.0) - jnp.log(2.0)
        return jnp.where(ahead < 0, behind, jnp.log1p(-0.5 * jnp.exp(-jnp.maximum(ahead, 0.0))))


def logit(score: Array) -> Logit:
    """Luce / Bradley-Terry / multinomial logit choice: P(i) = exp(s_i) / sum_j exp(s_j).

    Args:
        score: (..., k) scores in log-odds.

    Returns:
        A distribution over the column chosen.

    Example:
        >>> logit(jnp.array([0.0, 0.0])).probs.tolist()
        [0.5, 0.5]
    """
    return Logit(score)


def probit(score: Array) -> Probit:
    """Thurstone's choice between two: P(first) = Phi(s_0 - s_1).

    The unit of the scores is the standard deviation of a comparison's noise (Thurstone's case V with
    discriminal standard deviation 1/sqrt(2)); divide logit worths by about 1.6 to compare.

    Args:
        score: (..., 2) scores.

    Raises:
        ValueError: for more than two things at a time: the integral has no closed form.

    Example:
        >>> [round(p, 3) for p in probit(jnp.array([1.0, 0.0])).probs.tolist()]
        [0.841, 0.159]
    """
    two_at_a_time("probit", score, LARGER)
    return Probit(score)


def laplace_noise(score: Array) -> LaplaceNoise:
    """Choice between two by utilities with exponential noise: P(first) = F(s_0 - s_1), F = Laplace(0, 1).

    An expert who reports the better of log p(x) + W, W exponential, answers like this (Mikkola, Acerbi and
    Klami, 2024); the unit of scores is W's mean. Tails are those of the logit, the middle is sharper.

    Args:
        score: (..., 2) scores.

    Raises:
        ValueError: for more than two things at a time.

    Example:
        >>> [round(p, 3) for p in laplace_noise(jnp.array([1.0, 0.0])).probs.tolist()]
        [0.816, 0.184]
    """
    two_at_a_time("laplace_noise", score, LARGER)
    return LaplaceNoise(score)
