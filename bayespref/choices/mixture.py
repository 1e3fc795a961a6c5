"""Each answer from one of several choices, see `populations.mixture`."""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.choices.base import Around, Choice, log_mixture


class Mixture(Around):
    """P(y) = sum_h w_h P_h(y); see `populations.mixture`."""

    arg_constraints: ClassVar[dict] = {}
    pytree_data_fields = ("components", "log_weight")

    def __init__(
        self, components: tuple[Choice, ...], log_weight: Array, *, validate_args: bool | None = None
    ):
        self.components, self.log_weight = tuple(components), jnp.asarray(log_weight)
        first = self.components[0]
        super().__init__(first.batch_shape, first.event_shape, validate_args=validate_args)

    @property
    @override
    def inner(self) -> Choice:
        return self.components[0]

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        return log_mixture(
            [choice.log_probs(available) for choice in self.components], self.log_weight[..., None, :]
        )

    @override
    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        return log_mixture(
            [choice.answer_log_prob(value, available) for choice in self.components], self.log_weight
        )

    @override
    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        key, *keys = jax.random.split(key, len(self.components) + 1)
        which = jax.random.categorical(key, self.log_weight, shape=(*sample_shape, *self.batch_shape))
        which = which.reshape(which.shape + (1,) * len(self.event_shape))
        each = [
            choice.draw(k, available, sample_shape) for choice, k in zip(self.components, keys, strict=True)
        ]
        return jnp.select([which == index for index in range(len(each))], each)
