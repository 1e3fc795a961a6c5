"""Every annotator belongs to one of K classes, and answers as that class does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from numpyro.distributions import Distribution, constraints

from bayespref.choices import Choice
from bayespref.choices.base import log_mixture
from bayespref.comparisons import Comparisons, refuse
from bayespref.populations.mixtures import check_alike


class LatentClasses(Distribution):
    """All answers of all annotators: prod_a sum_h w_h prod_(i of a) P_h(y_i); see `latent_classes`.

    One event over all answers, since those of one annotator depend on each other. Counts and weights of the
    rows are carried inside, as `observe` does for answers that are independent.
    """

    arg_constraints: ClassVar[dict] = {}
    pytree_data_fields = ("components", "log_weight", "annotator", "count", "weight", "available")
    pytree_aux_fields = ("annotators", "exchangeable")

    def __init__(
        self,
        components: tuple[Choice, ...],
        log_weight: Array,
        comparisons: Comparisons,
        *,
        exchangeable: bool,
        validate_args: bool | None = None,
    ):
        self.annotator = comparisons.by_annotator()
        assert comparisons.annotators is not None
        self.components, self.log_weight = tuple(components), jnp.asarray(log_weight)
        self.annotators, self.exchangeable = len(comparisons.annotators), exchangeable
        self.count, self.weight = comparisons.count, comparisons.weight
        self.available = comparisons.available
        first = self.components[0]
        super().__init__((), (*first.batch_shape, *first.event_shape), validate_args=validate_args)

    @property
    def choice(self) -> Choice:
        """The first class's choice distribution, which says what kind of answers they are."""
        return self.components[0]

    @constraints.dependent_property(is_discrete=True, event_dim=1)  # pyright: ignore[reportArgumentType]
    def support(self) -> constraints.Constraint:
        """That of the choices, over all rows."""
        return constraints.independent(self.choice.support, 1)

    def _each(self, value: Array) -> Array:
        """(K, n) log-probability of one answer of each row in each class."""
        return jnp.stack([choice.answer_log_prob(value, self.available) for choice in self.components])

    def _total(self, each: Array, count: Array) -> Array:
        """(K, a) log weight of each class plus log-probability of an annotator's answers in it."""
        sums = [jax.ops.segment_sum(count * one, self.annotator, self.annotators) for one in each]
        return jnp.stack(sums) + self._log_weights().T

    def membership(self, value: Array) -> Array:
        """(a, K) log-probability of each class, given all that each annotator answered."""
        return jax.nn.log_softmax(self._total(self._each(value), self.count * self.weight), 0).T

    def annotator_log_prob(self, value: Array, annotator: Array, annotators: int) -> Array:
        """(a,) log-probability of all that each annotator answered, weights left aside."""
        return jax.nn.logsumexp(self._total(self._each(value), self.count), 0)

    def answer_log_prob(self, value: Array) -> Array:
        """(n,) log-probability of one answer of each row, given the other answers of its annotator."""
        each = self._each(value)
        total = self._total(each, self.count)
        others = total[:, self.annotator] - each
        return jax.nn.logsumexp(total, 0)[self.annotator] - jax.nn.logsumexp(others, 0)

    def _log_weights(self) -> Array:
        """(a, K) log-probability of each class for each annotator."""
        return jnp.broadcast_to(self.log_weight, (self.annotators, len(self.components)))

    def given(self, membership: Array) -> LatentClasses:
        """The same answers by annotators of whom (a, K) log-probabilities of each class are known."""
        known = copy.copy(self)
        known.log_weight = membership
        return known

    def outcome_log_probs(self) -> Array:
        """(n, outcomes) log-probability of every outcome, whoever in the class answers."""
        each = [choice.log_probs(self.available) for choice in self.components]
        return log_mixture(each, self._log_weights()[self.annotator][:, None, :])

    @override
    def log_prob(self, value: Array) -> Array:
        """Log-probability of all answers, counts and weights in it."""
        return jax.nn.logsumexp(self._total(self._each(value), self.count * self.weight), 0).sum()

    @override
    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """A class for each annotator, then one answer for each row."""
        key, *keys = jax.random.split(key, len(self.components) + 1)
        who = jax.random.categorical(key, self._log_weights(), shape=(*sample_shape, self.annotators))
        which = jnp.take(who, self.annotator, axis=-1)
        which = which.reshape(which.shape + (1,) * len(self.choice.event_shape))
        each = [
            choice.draw(k, self.available, sample_shape)
            for choice, k in zip(self.components, keys, strict=True)
        ]
        return jnp.select([which == index for index in range(len(each))], each)


def latent_classes(
    components: Sequence[Choice],
    log_weight: Array,
    comparisons: Comparisons,
    *,
    exchangeable: bool = True,
) -> LatentClasses:
    """Each annotator is of one class: p(answers of a) = sum_h w_h prod_i P_h(y_i), classes summed out.

    Unlike `mixture`, which draws a class for every answer, all answers of an annotator are of one class, so
    two classes can be told apart with three items already (known as a latent-class, or panel, model).

    Exchangeable classes could be numbered in any order. Fits are relabelled after sampling (Stephens, 2000):
    every draw's numbering is the one that best agrees with the other draws on who belongs where, the largest
    class first, so chains agree and summaries by class mean something.

    Args:
        components: one choice distribution for each class, over the same rows and outcomes.
        log_weight: (K,) log shares of annotators, or (a, K) by annotator (from covariates, say).
        comparisons: the data: who gave which answer.
        exchangeable: False where classes are told apart by what they are (careful and careless, say);
            they then keep the order they were given in.

    Returns:
        A distribution over all answers, for `observe`.

    Raises:
        ValueError: for answers without annotators, no components, or components that do not match.

    Example:
        >>> from bayespref import choices
        >>> answers = Comparisons.from_arrays([[0, 1], [0, 1]], [0, 0], annotator=[0, 0])
        >>> opposed = [choices.logit(jnp.array([[s, -s]])) for s in (1.0, -1.0)]
        >>> round(float(jnp.exp(latent_classes(opposed, jnp.log(jnp.ones(2) / 2), answers).log_prob(
        ...     answers.outcome))), 4)  # (.8808^2 + .1192^2) / 2
        0.395
    """
    comparisons.by_annotator()
    if not components:
        raise refuse("latent classes have at least one distribution from bayespref.choices", "none")
    check_alike("latent classes", components)
    if jnp.shape(log_weight)[-1:] != (len(components),):
        raise refuse(
            f"{len(components)} latent classes have as many weights", f"shape {jnp.shape(log_weight)}"
        )
    return LatentClasses(tuple(components), log_weight, comparisons, exchangeable=exchangeable)
