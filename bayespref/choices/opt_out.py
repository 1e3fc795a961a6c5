"""None of them: what was shown is weighed against what could be had elsewhere."""

from __future__ import annotations

from typing import ClassVar, override

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from numpyro.distributions import constraints

from bayespref.choices.base import Choice
from bayespref.comparisons import refuse


class OrNone(Choice):
    """P(none) = sigma(threshold - log sum exp(score)), else `choice`; see `or_none`."""

    arg_constraints: ClassVar[dict] = {"score": constraints.real_vector, "threshold": constraints.real}
    pytree_data_fields = ("choice", "score", "threshold")
    nones = True

    def __init__(self, choice: Choice, score: Array, threshold: ArrayLike, *, validate_args=None):
        self.choice, self.score, self.threshold = choice, jnp.asarray(score), jnp.asarray(threshold)
        super().__init__(choice.batch_shape, (), validate_args=validate_args)

    @property
    @override
    def k(self) -> int:
        return self.choice.k

    @property
    @override
    def ties(self) -> bool:
        return self.choice.ties

    @override
    def log_probs(self, available: Array | None = None) -> Array:
        there = self.score if available is None else jnp.where(available, self.score, -jnp.inf)
        above = (jax.nn.logsumexp(there, -1) - self.threshold)[..., None]
        some = self.choice.log_probs(available) + jax.nn.log_sigmoid(above)
        tie = [] if self.ties else [jnp.full(above.shape, -jnp.inf)]
        return jnp.concatenate([some, *tie, jax.nn.log_sigmoid(-above)], -1)


def or_none(choice: Choice, score: Array, threshold: ArrayLike) -> OrNone:
    """An answer "none of them" (both bad, opt-out): P(none) = sigma(threshold - log sum_j exp(s_j)).

    Beside `logit`, none is one more alternative whose score is the threshold; beside a choice with ties, it
    is weighed against all of them together. A threshold is absolute: a constant added to every score changes
    the answers, so give it normalised log-densities, and mind what the threshold's prior says about them.

    Args:
        choice: the distribution of an answer that is not "none".
        score: (..., k) scores of what was shown, in log-odds.
        threshold: (...,) score of the outside option, in log-odds.

    Raises:
        ValueError: for a choice that has "none" already, or answers that are graded or rankings.

    Example:
        >>> from bayespref.choices import logit
        >>> score = jnp.zeros(2)
        >>> [round(p, 3) for p in or_none(logit(score), score, 0.0).probs.tolist()]
        [0.333, 0.333, 0.0, 0.333]
    """
    if not isinstance(choice, Choice) or choice.response != "choice" or choice.nones:
        raise refuse("or_none adds 'none of them' to a choice that has it not", f"a {type(choice).__name__}")
    if jnp.shape(score)[-1:] != (choice.k,):
        raise refuse(f"or_none takes the scores of the k = {choice.k} shown", f"shape {jnp.shape(score)}")
    return OrNone(choice, score, threshold)
