"""Choice distributions: scores of what was shown become a distribution over answers, in log space.

Outcomes are coded as in `Comparisons`: the chosen column, k for a tie, k + 1 for none of them. Scores are
(..., k) in log-odds; columns that show nothing are masked by `observe`.
"""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import Distribution, constraints

from bayespref.comparisons import refuse

SMALLEST = 1e-37
"""Smallest guess rate told from zero, near the smallest normal float32."""


class Choice(Distribution):
    """A choice among k things shown, perhaps with a tie: members say `log_probs`, the rest follows.

    Attributes:
        ties, nones: whether a tie, or none of them, is a possible answer.
    """

    arg_constraints: ClassVar[dict] = {}
    ties: ClassVar[bool] = False
    nones: ClassVar[bool] = False

    @property
    def k(self) -> int:
        """How many things are shown."""
        raise NotImplementedError

    def log_probs(self, available: Array | None = None) -> Array:
        """(..., outcomes) log-probability of every outcome; `available` (..., k) marks what was shown."""
        raise NotImplementedError

    @constraints.dependent_property(is_discrete=True, event_dim=0)  # pyright: ignore[reportArgumentType]
    def support(self) -> constraints.Constraint:
        """Outcomes 0 ... k - 1, then ties and none where they are possible."""
        return constraints.integer_interval(0, self.k - 1 + (2 if self.nones else int(self.ties)))

    @property
    def probs(self) -> Array:
        """(..., outcomes) probability of every outcome."""
        return jnp.exp(self.log_probs())

    def log_prob(self, value: Array) -> Array:
        """(...,) log-probability of the outcomes `value`, in nats."""
        return pick(self.log_probs(), value)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw outcomes exactly."""
        shape = (*sample_shape, *self.batch_shape)
        return jax.random.categorical(key, self.log_probs(), shape=shape).astype(jnp.int32)


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


class _Scored(Choice):
    """A choice given by its scores alone."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector}
    pytree_data_fields = ("score",)

    def __init__(self, score: Array, *, validate_args: bool | None = None):
        self.score = jnp.asarray(score)
        if self.score.ndim < 1 or self.score.shape[-1] < 2:
            raise refuse("scores have shape (..., k) with k >= 2", f"shape {self.score.shape}")
        super().__init__(self.score.shape[:-1], (), validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return self.score.shape[-1]

    def _masked(self, available: Array | None) -> Array:
        return self.score if available is None else jnp.where(available, self.score, -jnp.inf)


class Logit(_Scored):
    """P(i) = exp(s_i) / sum_j exp(s_j); see `logit`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        if self.k == 2:
            return jax.nn.log_sigmoid(self.score - self.score[..., ::-1])
        return jax.nn.log_softmax(self._masked(available), -1)


class Probit(_Scored):
    """P(first) = Phi(s_0 - s_1); see `probit`."""

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        return jax.scipy.special.log_ndtr(self.score - self.score[..., ::-1])


class Davidson(_Scored):
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
        return jax.nn.log_softmax(jnp.concatenate([self._masked(available), tie], -1), -1)


class Lapse(Choice):
    """With probability `rate` a guess among what was shown, else `choice`; see `lapse`."""

    arg_constraints: ClassVar[dict] = {"rate": constraints.unit_interval}
    pytree_data_fields = ("choice", "rate")

    def __init__(self, choice: Choice, rate: ArrayLike, *, validate_args: bool | None = None):
        self.choice, self.rate = choice, jnp.asarray(rate)
        super().__init__(choice.batch_shape, (), validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return self.choice.k

    @property
    @override
    def ties(self) -> bool:
        return self.choice.ties

    @property
    @override
    def nones(self) -> bool:
        return self.choice.nones

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        attended = self.choice.log_probs(available)
        columns, extra = attended[..., : self.k], attended[..., self.k :]
        there = jnp.ones((*self.batch_shape, self.k), bool) if available is None else available
        rate = jnp.broadcast_to(self.rate, self.batch_shape)[..., None]
        attentive, guess = jnp.log1p(-rate), jnp.log(jnp.maximum(rate, SMALLEST))
        # Masked before and after: the gradient of log(0 + 0) is not a number.
        columns = jnp.logaddexp(
            attentive + jnp.where(there, columns, 0.0), guess - jnp.log(there.sum(-1, keepdims=True))
        )
        return jnp.concatenate([jnp.where(there, columns, -jnp.inf), attentive + extra], -1)


class Mixture(Choice):
    """Each answer comes from one of several choices; see `populations.mixture`."""

    arg_constraints: ClassVar[dict] = {}
    pytree_data_fields = ("components", "log_weight")

    def __init__(
        self, components: tuple[Choice, ...], log_weight: Array, *, validate_args: bool | None = None
    ):
        self.components, self.log_weight = tuple(components), jnp.asarray(log_weight)
        super().__init__(self.components[0].batch_shape, (), validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return self.components[0].k

    @property
    @override
    def ties(self) -> bool:
        return self.components[0].ties

    @property
    @override
    def nones(self) -> bool:
        return self.components[0].nones

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        each = jnp.stack([choice.log_probs(available) for choice in self.components], -1)
        # Masked before and after: the gradient of log(0 + 0) is not a number.
        there = each > -jnp.inf
        mixed = jax.nn.logsumexp(jnp.where(there, each, -1e30) + self.log_weight[..., None, :], axis=-1)
        return jnp.where(there.any(-1), mixed, -jnp.inf)


def logit(score: Array) -> Logit:
    """Luce / Bradley-Terry / multinomial logit choice: P(i) = exp(s_i) / sum_j exp(s_j).

    Args:
        score: (..., k) scores in log-odds.

    Returns:
        A distribution over the column chosen.

    Example:
        >>> import jax.numpy as jnp
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
        >>> import jax.numpy as jnp
        >>> [round(p, 3) for p in probit(jnp.array([1.0, 0.0])).probs.tolist()]
        [0.841, 0.159]
    """
    if jnp.shape(score)[-1] != 2:
        raise refuse(
            "probit compares two things at a time",
            f"k = {jnp.shape(score)[-1]}",
            remedy="Use choices.logit for larger sets.",
        )
    return Probit(score)


def davidson(score: Array, log_tie: ArrayLike) -> Davidson:
    """Davidson's (1970) ties: P(i) ~ exp(s_i), P(tie) ~ nu exp((s_0 + s_1) / 2), nu = exp(log_tie).

    Equal things tie with probability nu / (2 + nu). For larger sets the tie is one of all that was shown
    and takes the mean of their scores.

    Args:
        score: (..., k) scores in log-odds.
        log_tie: (...,) log nu.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(davidson(jnp.zeros(2), jnp.log(0.9)).probs[2]), 6)
        0.310345
    """
    return Davidson(score, log_tie)


def lapse(choice: Choice, rate: ArrayLike) -> Lapse:
    """A slip now and then: P = rate * (uniform over what was shown) + (1 - rate) * choice.

    Args:
        choice: the distribution of an attentive answer.
        rate: (...,) probability of a guess, in [0, 1].

    Raises:
        ValueError: when `choice` is not one of this module's distributions.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(lapse(logit(jnp.array([50.0, 0.0])), 0.1).probs[1]), 3)
        0.05
    """
    if not isinstance(choice, Choice):
        raise refuse("a lapse mixes a guess into a choice distribution", f"a {type(choice).__name__}")
    return Lapse(choice, rate)
