"""What every choice distribution is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, constraints

from bayespref.comparisons import refuse

IMPOSSIBLE = -1e30
"""Stands for log 0 inside sums: the gradient of log(0 + 0) is not a number."""


class Choice(Distribution):
    """An answer about k things shown: members say `log_probs`, the rest follows.

    Attributes:
        response: the kind of answer, as in `Comparisons`.
        ties, nones: whether a tie, or none of them, is a possible answer.
    """

    arg_constraints: ClassVar[dict] = {}
    response: ClassVar[str] = "choice"
    ties: ClassVar[bool] = False
    nones: ClassVar[bool] = False

    @property
    def k(self) -> int:
        """How many things are shown."""
        raise NotImplementedError

    @property
    def outcomes(self) -> int:
        """How many answers there are: k, a tie and none where they are possible; levels; k of rankings."""
        return self.k + (2 if self.nones else int(self.ties))

    def log_probs(self, available: Array | None = None) -> Array:
        """(..., outcomes) log-probability of every outcome; `available` (..., k) marks what was shown."""
        raise NotImplementedError

    def answer_log_prob(self, value: Array, available: Array | None = None) -> Array:
        """(...,) log-probability of the answers `value`, in nats."""
        return pick(self.log_probs(available), value)

    def tallied(self, tally: Array, available: Array | None = None) -> Array:
        """(...,) log-probability of (..., outcomes) answers of every outcome, in nats."""
        return jnp.where(tally > 0, tally * self.log_probs(available), 0.0).sum(-1)

    def draw(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw answers exactly."""
        shape = (*sample_shape, *self.batch_shape)
        return jax.random.categorical(key, self.log_probs(available), shape=shape).astype(jnp.int32)

    def guess_log_probs(self, available: Array | None = None) -> Array:
        """(..., outcomes) log-probabilities of somebody who does not look: even over what was shown."""
        there = jnp.ones((*self.batch_shape, self.k), bool) if available is None else available
        even = jnp.where(there, -jnp.log(there.sum(-1, keepdims=True)), -jnp.inf)
        nobody = jnp.full((*self.batch_shape, self.outcomes - self.k), -jnp.inf)
        return jnp.concatenate([even, nobody], -1)

    def guess_log_prob(self, value: Array, available: Array | None = None) -> Array:
        """(...,) log-probability of the answers `value` by somebody who does not look."""
        return pick(self.guess_log_probs(available), value)

    def guess(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw answers of somebody who does not look."""
        shape = (*sample_shape, *self.batch_shape)
        return jax.random.categorical(key, self.guess_log_probs(available), shape=shape).astype(jnp.int32)

    @constraints.dependent_property(is_discrete=True, event_dim=0)  # pyright: ignore[reportArgumentType]
    def support(self) -> constraints.Constraint:
        """Outcomes 0 ... outcomes - 1."""
        return constraints.integer_interval(0, self.outcomes - 1)

    @property
    def probs(self) -> Array:
        """(..., outcomes) probability of every outcome."""
        return jnp.exp(self.log_probs())

    def log_prob(self, value: Array) -> Array:
        """(...,) log-probability of the answers `value`, in nats."""
        return self.answer_log_prob(value)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw answers exactly."""
        return self.draw(key, None, sample_shape)


class Around(Choice):
    """A choice made of another, `inner`: the same answers, the same guesses."""

    @property
    def inner(self) -> Choice:
        """The choice that says which answers there are."""
        raise NotImplementedError

    @property
    def k(self) -> int:
        """How many things are shown."""
        return self.inner.k

    @property
    def outcomes(self) -> int:
        """How many answers there are."""
        return self.inner.outcomes

    @property
    def response(self) -> str:
        """The kind of answer."""
        return self.inner.response

    @property
    def ties(self) -> bool:
        """Whether a tie is a possible answer."""
        return self.inner.ties

    @property
    def nones(self) -> bool:
        """Whether none of them is a possible answer."""
        return self.inner.nones

    @property
    def support(self) -> constraints.Constraint:
        """The answers of `inner`."""
        return self.inner.support

    def guess_log_probs(self, available: Array | None = None) -> Array:
        """(..., outcomes) log-probabilities of somebody who does not look."""
        return self.inner.guess_log_probs(available)

    def guess_log_prob(self, value: Array, available: Array | None = None) -> Array:
        """(...,) log-probability of the answers `value` by somebody who does not look."""
        return self.inner.guess_log_prob(value, available)

    def guess(self, key: Array, available: Array | None = None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw answers of somebody who does not look."""
        return self.inner.guess(key, available, sample_shape)


class Scored(Choice):
    """A choice given by the scores of what was shown, and perhaps more."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector}
    pytree_data_fields = ("score",)

    def __init__(self, score: Array, *, validate_args: bool | None = None):
        self.score = jnp.asarray(score)
        if self.score.ndim < 1 or self.score.shape[-1] < 2:
            raise refuse("scores have shape (..., k) with k >= 2", f"shape {self.score.shape}")
        super().__init__(self.score.shape[:-1], self._event_shape(), validate_args=validate_args)

    def _event_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def k(self) -> int:
        """How many things are shown."""
        return self.score.shape[-1]

    @property
    def ahead(self) -> Array:
        """(..., 1) score of the first less that of the second."""
        return self.score[..., :1] - self.score[..., 1:2]

    def masked(self, available: Array | None) -> Array:
        """(..., k) scores, those of what was not shown at minus infinity."""
        return self.score if available is None else jnp.where(available, self.score, -jnp.inf)


def two_at_a_time(what: str, score: Array, remedy: str) -> None:
    """Refuse larger sets where a distribution compares two things."""
    if jnp.shape(score)[-1:] not in ((2,), (1,), ()):
        raise refuse(f"{what} compares two things at a time", f"k = {jnp.shape(score)[-1]}", remedy=remedy)


def log_mixture(each: Sequence[Array], log_weight: Array) -> Array:
    """Log sum_h w_h exp(each_h), minus infinity where all are impossible.

    Args:
        each: h arrays (...) of log-probabilities.
        log_weight: (..., h) or (h,) log weights.

    Example:
        >>> float(jnp.exp(log_mixture([jnp.log(0.25), jnp.log(0.75)], jnp.log(jnp.array([0.5, 0.5])))))
        0.5
    """
    stacked = jnp.stack(each, -1)
    mixed = jax.nn.logsumexp(jnp.maximum(stacked, IMPOSSIBLE) + log_weight, axis=-1)
    return jnp.where((stacked > -jnp.inf).any(-1), mixed, -jnp.inf)


def pick(log_probs: Array, value: Array) -> Array:
    """Log-probabilities of the outcomes that were given.

    Args:
        log_probs: (..., outcomes) of every outcome.
        value: (...,) outcomes.

    Returns:
        (...,) log-probabilities at `value`.

    Example:
        >>> pick(jnp.array([-1.0, -2.0]), jnp.array(1)).item()
        -2.0
    """
    shape = jnp.broadcast_shapes(log_probs.shape[:-1], jnp.shape(value))
    log_probs = jnp.broadcast_to(log_probs, (*shape, log_probs.shape[-1]))
    index = jnp.broadcast_to(value, shape)[..., None].astype(jnp.int32)
    return jnp.take_along_axis(log_probs, index, -1)[..., 0]
