"""Slips: now and then an answer that is a guess."""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayespref.choices.base import IMPOSSIBLE, Choice
from bayespref.comparisons import refuse

SMALLEST = 1e-37
"""Smallest guess rate told from zero, near the smallest normal float32."""


class Lapse(Choice):
    """With probability `rate` a guess among what was shown, else `choice`; see `lapse`."""

    arg_constraints: ClassVar[dict] = {"rate": constraints.unit_interval}
    pytree_data_fields = ("choice", "rate")

    def __init__(self, choice: Choice, rate: ArrayLike, *, validate_args: bool | None = None):
        self.choice, self.rate = choice, jnp.asarray(rate)
        super().__init__(choice.batch_shape, choice.event_shape, validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return self.choice.k

    @property
    @override
    def outcomes(self) -> int:
        return self.choice.outcomes

    @property
    @override
    def response(self) -> str:
        return self.choice.response

    @property
    @override
    def ties(self) -> bool:
        return self.choice.ties

    @property
    @override
    def nones(self) -> bool:
        return self.choice.nones

    @property
    @override
    def support(self) -> constraints.Constraint:
        return self.choice.support

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        rate = jnp.broadcast_to(self.rate, self.batch_shape)[..., None]
        return _mixed(rate, self.choice.log_probs(available), self.choice.guess_log_probs(available))

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        attended = self.choice.answer_log_prob(value, available)
        return _mixed(self.rate, attended, self.choice.guess_log_prob(value, available))

    @override
    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, 3)
        slips = jax.random.uniform(keys[0], (*sample_shape, *self.batch_shape)) < self.rate
        slips = slips.reshape(slips.shape + (1,) * len(self.event_shape))
        guessed = self.choice.guess(keys[1], available, sample_shape)
        return jnp.where(slips, guessed, self.choice.draw(keys[2], available, sample_shape))


def _mixed(rate: Array, attended: Array, guessed: Array) -> Array:
    """log(rate exp(guessed) + (1 - rate) exp(attended)), minus infinity where both are impossible."""
    attentive, guess = jnp.log1p(-rate), jnp.log(jnp.maximum(rate, SMALLEST))
    possible = (attended > -jnp.inf) | (guessed > -jnp.inf)
    attended, guessed = (jnp.maximum(x, IMPOSSIBLE) for x in (attended, guessed))
    return jnp.where(possible, jnp.logaddexp(attentive + attended, guess + guessed), -jnp.inf)


def lapse(choice: Choice, rate: ArrayLike) -> Lapse:
    """A slip now and then: P = rate * (uniform over what was shown) + (1 - rate) * choice.

    A guess is even over the columns shown, the levels, or the orders; nobody guesses a tie or "none".

    Args:
        choice: the distribution of an attentive answer.
        rate: (...,) probability of a guess, in [0, 1].

    Raises:
        ValueError: when `choice` is not one of this package's distributions.

    Example:
        >>> from bayespref.choices import logit
        >>> round(float(lapse(logit(jnp.array([50.0, 0.0])), 0.1).probs[1]), 3)
        0.05
    """
    if not isinstance(choice, Choice):
        raise refuse("a lapse mixes a guess into a choice distribution", f"a {type(choice).__name__}")
    return Lapse(choice, rate)
