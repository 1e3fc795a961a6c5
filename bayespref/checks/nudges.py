"""What a fitted model says of every answer, and how that changes when scores are nudged.

A nudge adds to the score of one thing shown in one row. The slope of log p(answer) along it is that answer's
generalised residual (Gourieroux et al., 1987): y - p for a logit. It exists for every choice of the package:
ties, levels, lapses, mixtures, classes.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.choices import Choice
from bayespref.comparisons import Comparisons
from bayespref.observation import Counted
from bayespref.populations import LatentClasses


class Point[T](NamedTuple):
    """What a model says at one value of its parameters, or at several (..., of each); T is a kind of array.

    Attributes:
        probs: (o, n) probability of every outcome of every row.
        slope: (k, o, n) d log p(outcome) / d score of each thing shown.
        score: (k, n) log-odds at which each is preferred, mean zero over what was shown.
        guess: (o, n) probability of every outcome for somebody who does not look.
    """

    probs: T
    slope: T
    score: T
    guess: T


def nudged(choice: Choice, by: Array) -> Choice:
    """The same choice with scores raised: `by` (n, k), in log-odds.

    Args:
        choice: of this package.
        by: what is added to every score, of all components alike.

    Example:
        >>> from bayespref import choices
        >>> even = choices.logit(jnp.zeros((1, 2)))
        >>> nudged(even, jnp.array([[1.0, 0.0]])).score.tolist()
        [[1.0, 0.0]]
    """
    raised: Any = copy.copy(choice)
    if hasattr(choice, "score"):
        raised.score = getattr(choice, "score") + by  # noqa: B009 (not every choice has one)
    if isinstance(inner := getattr(choice, "choice", None), Choice):
        raised.choice = nudged(inner, by)
    if components := getattr(choice, "components", ()):
        raised.components = tuple(nudged(component, by) for component in components)
    return raised


def answers_in(answers: Counted | LatentClasses, by: Array) -> Counted | LatentClasses:
    """What a model observes, with scores nudged."""
    raised: Any = copy.copy(answers)
    if isinstance(answers, LatentClasses):
        raised.components = tuple(nudged(component, by) for component in answers.components)
    else:
        raised.choice = nudged(answers.choice, by)
    return raised


def by_class(answers: LatentClasses) -> Array:
    """(n, o, K) log-probability of every outcome in every class."""
    return jnp.stack([choice.log_probs(answers.available) for choice in answers.components], -1)


def class_totals(answers: LatentClasses, counts: Array) -> Array:
    """(a, K) log weight of each class plus log-probability of all of an annotator's counted answers."""
    rows = jnp.where(counts[..., None] > 0, counts[..., None] * by_class(answers), 0.0).sum(1)
    return jax.ops.segment_sum(rows, answers.annotator, answers.annotators) + answers.log_weight


def log_likelihood(answers: Counted | LatentClasses, counts: Array) -> Array:
    """Log-probability of answers counted by outcome, (n, o)."""
    if isinstance(answers, LatentClasses):
        return jax.nn.logsumexp(class_totals(answers, counts), -1).sum()
    return jnp.where(counts > 0, counts * answers.outcome_log_probs(), 0.0).sum()


def given_answers(answers: Counted | LatentClasses, counts: Array) -> Counted | LatentClasses:
    """The same, where classes are latent with the annotators' memberships as their answers say."""
    if isinstance(answers, LatentClasses):
        return answers.given(jax.nn.log_softmax(class_totals(answers, counts), -1))
    return answers


def point(answers: Counted | LatentClasses, rows: Comparisons) -> Point[Array]:
    """Probabilities, residuals and scores of a model's answers."""

    def log_probs(by: Array) -> Array:
        return answers_in(answers, by).outcome_log_probs()

    none = jnp.zeros(rows.shown.shape)
    units = jnp.eye(rows.k)
    log_p, push = jax.linearize(log_probs, none)
    slopes = [push(jnp.broadcast_to(unit, none.shape)) for unit in units]
    first = answers.components[0] if isinstance(answers, LatentClasses) else answers.choice
    guess = jnp.exp(first.guess_log_probs(rows.available))
    slope = jnp.where(jnp.isfinite(log_p), jnp.stack(slopes), 0.0)
    return Point(jnp.exp(log_p).T, slope.swapaxes(1, 2), _scores(log_p, rows).T, guess.T)


def _scores(log_p: Array, rows: Comparisons) -> Array:
    """(n, k) log-odds of preferring each thing shown, mean zero."""
    if rows.response == "graded":
        levels = log_p.shape[-1]
        low = jax.nn.logsumexp(log_p[:, : levels // 2], -1)
        high = jax.nn.logsumexp(log_p[:, (levels + 1) // 2 :], -1)
        return jnp.stack([low - high, high - low], -1) / 2
    plain = log_p[:, : rows.k]
    if rows.available is None:
        return plain - plain.mean(-1, keepdims=True)
    there = rows.available
    plain = jnp.where(there, plain, 0.0)
    return jnp.where(there, plain - plain.sum(-1, keepdims=True) / there.sum(-1, keepdims=True), 0.0)
