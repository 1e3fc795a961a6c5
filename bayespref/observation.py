"""The one way answers enter a model."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpyro
from jax import Array
from numpyro.distributions import Distribution, constraints

from bayespref.choices import Choice
from bayespref.comparisons import Comparisons, refuse
from bayespref.populations import LatentClasses

FITTING = {"choice": "logit", "graded": "graded", "ranking": "plackett_luce"}
"""Response -> a distribution that fits it."""


class Counted(Distribution):
    """A table's answers: log_prob = count x weight x log p(one answer).

    `answer_log_prob` is the unscaled log-probability of one answer, what leave-one-out needs.
    """

    arg_constraints: ClassVar[dict] = {}
    pytree_data_fields = ("choice", "count", "weight", "available", "tally")

    def __init__(
        self,
        choice,
        count: Array,
        weight: Array,
        available: Array | None,
        tally: Array | None = None,
        *,
        validate_args=None,
    ):
        self.choice, self.count, self.weight, self.available = choice, count, weight, available
        self.tally = tally
        super().__init__(choice.batch_shape, choice.event_shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)  # pyright: ignore[reportArgumentType]
    def support(self) -> constraints.Constraint:
        """The outcomes of `choice`."""
        return self.choice.support

    def outcome_log_probs(self) -> Array:
        """(n, outcomes) log-probability of every outcome; of rankings, of being ranked first."""
        if isinstance(self.choice, Choice):
            return self.choice.log_probs(self.available)
        outcomes = self.choice.enumerate_support(expand=True)
        return jnp.moveaxis(self.choice.log_prob(outcomes), 0, -1)

    def answer_log_prob(self, value: Array) -> Array:
        """(n,) log-probability of one answer."""
        if isinstance(self.choice, Choice):
            return self.choice.answer_log_prob(value, self.available)
        return self.choice.log_prob(value)

    def annotator_log_prob(self, value: Array, annotator: Array, annotators: int) -> Array:
        """(a,) log-probability of all that each annotator answered, weights left aside."""
        return jax.ops.segment_sum(self.count * self.answer_log_prob(value), annotator, annotators)

    def log_prob(self, value: Array) -> Array:
        """(n,) log-probability of all the answers that each row stands for."""
        if self.tally is not None:
            return self.choice.tallied(self.tally, self.available)
        return self.count * self.weight * self.answer_log_prob(value)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """One outcome for each row; `simulate` repeats counted rows first."""
        if isinstance(self.choice, Choice):
            return self.choice.draw(key, self.available, sample_shape)
        return self.choice.sample(key, sample_shape)


def observe(comparisons: Comparisons, choice: Distribution) -> Array:
    """State what was answered: site `outcome`, counts and weights carried inside.

    It lies in plate `comparison` where answers are independent given the parameters, and is one event over
    all rows where those of an annotator depend on each other (`populations.latent_classes`).

    Args:
        comparisons: the data; without outcomes, they are drawn.
        choice: a distribution from `choices` over each row's answers, batch shape (n,); or latent classes;
            or a loss from `losses`; or any discrete NumPyro distribution over 0 ... k - 1 (for sets of one
            size).

    Returns:
        (n,) outcomes, (n, k) ranks.

    Raises:
        ValueError: when the distribution does not fit the answers: wrong shape, another response, or ties
            where the model has none.

    Example:
        >>> def model(comparisons):
        ...     ...
        ...     bp.observe(comparisons, choices.logit(score))
    """
    if isinstance(choice, LatentClasses):
        for component in choice.components:
            _check_fits(comparisons, component)
        dims = ["comparison", "position"][: len(choice.event_shape)]
        return jnp.asarray(
            numpyro.sample("outcome", choice, obs=comparisons.outcome, infer={"event_dims": dims})
        )
    _check_fits(comparisons, choice)
    counts = (comparisons.count, comparisons.weight, comparisons.available, comparisons.tally)
    answers = Counted(choice, *counts)
    with numpyro.plate("comparison", len(comparisons)):
        return jnp.asarray(numpyro.sample("outcome", answers, obs=comparisons.outcome))


def _check_fits(comparisons: Comparisons, choice: Distribution) -> None:
    n, k = comparisons.shown.shape
    if not isinstance(choice, Distribution):
        raise refuse(
            "observe takes a distribution", f"a {type(choice).__name__}", remedy="Try choices.logit."
        )
    event = (k,) if getattr(choice, "response", "choice") == "ranking" else ()
    if tuple(choice.batch_shape) != (n,) or tuple(choice.event_shape) != event:
        raise refuse(
            f"the answers' distribution has one element for each row, batch shape ({n},)",
            f"batch shape {tuple(choice.batch_shape)} and event shape {tuple(choice.event_shape)}",
            remedy="Index the scores by comparisons.shown, and effects by comparisons.annotator.",
        )
    if not isinstance(choice, Choice):
        if (
            comparisons.ragged
            or comparisons.has_ties
            or comparisons.has_none
            or comparisons.response != "choice"
        ):
            raise refuse(
                "ties, levels, ranks and sets of different size need a distribution from bayespref.choices",
                f"a {type(choice).__name__}",
            )
        if not choice.is_discrete:
            raise refuse("answers have a discrete distribution", f"a {type(choice).__name__}")
        outcomes = (
            len(choice.enumerate_support(expand=False)) if choice.has_enumerate_support else "unbounded"
        )
        if outcomes != k:
            raise refuse(
                f"a distribution over answers has one outcome for each of the k = {k} shown",
                f"a {type(choice).__name__} over {outcomes}",
            )
        return
    if comparisons.outcome is not None and choice.response != comparisons.response:
        raise refuse(
            f"answers with response {comparisons.response!r} have a distribution of that kind",
            f"a {type(choice).__name__.lower()}, of response {choice.response!r}",
            remedy=f"Use choices.{FITTING[comparisons.response]}.",
        )
    if (
        comparisons.outcome is not None
        and choice.response == "graded"
        and choice.outcomes != comparisons.levels
    ):
        raise refuse(
            f"a model of answers in {comparisons.levels} levels has as many",
            f"{choice.outcomes}",
            remedy="Give choices.graded one step for each pair of levels beside the middle.",
        )
    if choice.k != k:
        raise refuse(f"the scores have one column for each of the k = {k} shown", f"{choice.k} columns")
    if comparisons.has_ties and not choice.ties:
        raise refuse(
            "a model without ties is fitted to answers without ties",
            f"tied answers under {type(choice).__name__.lower()}",
            remedy="Fit a model with ties (davidson, rao_kupper), or leave the tied rows out: "
            "comparisons.subset(rows=comparisons.outcome < comparisons.k).",
        )
    if comparisons.has_none and not choice.nones:
        raise refuse(
            "a model without 'none of them' is fitted to answers without it",
            f"answers 'none' under {type(choice).__name__.lower()}",
            remedy="Fit a model with them (both_bad), or leave those rows out: "
            "comparisons.subset(rows=comparisons.outcome <= comparisons.k).",
        )
