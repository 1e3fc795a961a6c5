"""Which one is chosen: logit for sets of any size, probit and Laplace noise for two."""

from __future__ import annotations

from typing import override

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.choices.base import Scored, two_at_a_time

LARGER = "Use choices.logit for larger sets."


class Logit(Scored):
    """P(i) = exp(s_i) / sum_j exp(s_j); see `logit`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        if self.k == 2:
            return jax.nn.log_sigmoid(self.score - self.score[..., ::-1])
        return jax.nn.log_softmax(self.masked(available), -1)


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
