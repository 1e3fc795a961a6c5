"""Rankings of what was shown, full or of the first few."""

from __future__ import annotations

from typing import override

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln
from numpyro.distributions import constraints

from bayespref.choices.base import IMPOSSIBLE, Scored


class PlackettLuce(Scored):
    """P(order) = prod_r exp(s_(r)) / sum over r' >= r of exp(s_(r')); see `plackett_luce`."""

    response = "ranking"

    @override
    def _event_shape(self) -> tuple[int, ...]:
        return (self.score.shape[-1],)

    @property
    @override
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.integer_interval(-1, self.k - 1), 1)

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        """(..., k) log-probability of being ranked first."""
        return jax.nn.log_softmax(self.masked(available), -1)

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        score = self.score if available is None else jnp.where(available, self.score, IMPOSSIBLE)
        value, score = jnp.broadcast_arrays(value, score)
        unranked = value < 0
        # The best first, then the unranked, then what was not shown: each is chosen among those after it.
        place = jnp.where(unranked, self.k, value)
        if available is not None:
            place = jnp.where(available, place, self.k + 1)
        order = jnp.argsort(place, -1)
        score, unranked = (jnp.take_along_axis(x, order, -1) for x in (score, unranked))
        return -jnp.where(unranked, 0.0, _left_over(score)).sum(-1)

    @override
    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        return _ranked(key, self.score, available, sample_shape)

    @override
    def guess_log_prob(self, value: Array, available: Array | None = None) -> Array:
        shown = self.k if available is None else available.sum(-1)
        ranked = (value >= 0).sum(-1)
        return gammaln(shown - ranked + 1.0) - gammaln(shown + 1.0)

    @override
    def guess(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        return _ranked(key, jnp.zeros_like(self.score), available, sample_shape)


def _left_over(score: Array) -> Array:
    """(..., k) log sum over r' >= r of exp(s_r' - s_r), from the last to the first."""

    def step(left: Array, gap: Array) -> tuple[Array, Array]:
        left = jax.nn.softplus(left + gap)
        return left, left

    gaps = jnp.moveaxis(score[..., 1:] - score[..., :-1], -1, 0)
    last = jnp.zeros_like(score[..., 0])
    left = jax.lax.scan(step, last, gaps, reverse=True)[1]
    return jnp.moveaxis(jnp.concatenate([left, last[None]]), 0, -1)


def _ranked(key: Array, score: Array, available: Array | None, sample_shape: tuple[int, ...]) -> Array:
    """Ranks in the order of scores with Gumbel noise, which is Plackett-Luce exactly."""
    noisy = score + jax.random.gumbel(key, (*sample_shape, *score.shape))
    if available is not None:
        noisy = jnp.where(available, noisy, -jnp.inf)
    ranks = jnp.argsort(jnp.argsort(-noisy, -1), -1).astype(jnp.int32)
    return ranks if available is None else jnp.where(available, ranks, -1)


def plackett_luce(score: Array) -> PlackettLuce:
    """A ranking as one choice after the other: P = prod_r exp(s_(r)) / sum_{r' >= r} exp(s_(r')).

    Rankings are not broken into pairs, which would count what they say more than once. Where only the first
    few are ranked, they are the first few choices, and the rest is what they were chosen over. Two items are
    Bradley-Terry, a ranking of the first alone is the multinomial logit.

    Args:
        score: (..., k) scores in log-odds.

    Returns:
        A distribution over (..., k) ranks, 0 the best, -1 unranked, for answers with response "ranking";
        `log_probs` are of being ranked first. Draws rank everything.

    Example:
        >>> ranks = jnp.array([1, 0, 2])
        >>> round(float(jnp.exp(plackett_luce(jnp.zeros(3)).log_prob(ranks))), 4)
        0.1667
    """
    return PlackettLuce(score)
