"""Slips: now and then an answer that is a guess."""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayespref.choices.base import Around, Choice, log_mixture
from bayespref.comparisons import refuse

SMALLEST = 1e-37
"""Smallest guess rate told from zero, near the smallest normal float32."""


class Lapse(Around):
    """With probability `rate` a guess among what was shown, else `choice`; see `lapse`."""

    arg_constraints: ClassVar[dict] = {"rate": constraints.unit_interval}
    pytree_data_fields = ("choice", "rate")

    def __init__(self, choice: Choice, rate: ArrayLike, *, validate_args: bool | None = None):
        self.choice, self.rate = choice, jnp.asarray(rate)
        super().__init__(choice.batch_shape, choice.event_shape, validate_args=validate_args)

    @property
    @override
    def inner(self) -> Choice:
        return self.choice

    def _log_weight(self, rate: Array) -> Array:
        """(..., 2) log-probabilities of attention and of a slip."""
        return jnp.stack([jnp.log1p(-rate), jnp.log(jnp.maximum(rate, SMALLEST))], -1)

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        rate = jnp.broadcast_to(self.rate, self.batch_shape)[..., None]
        each = [self.choice.log_probs(available), self.choice.guess_log_probs(available)]
        return log_mixture(each, self._log_weight(rate))

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        attended = self.choice.answer_log_prob(value, available)
        guessed = jnp.broadcast_to(self.choice.guess_log_prob(value, available), attended.shape)
        return log_mixture([attended, guessed], self._log_weight(self.rate))

    @override
    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, 3)
        slips = jax.random.uniform(keys[0], (*sample_shape, *self.batch_shape)) < self.rate
        slips = slips.reshape(slips.shape + (1,) * len(self.event_shape))
        guessed = self.choice.guess(keys[1], available, sample_shape)
        return jnp.where(slips, guessed, self.choice.draw(keys[2], available, sample_shape))


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
