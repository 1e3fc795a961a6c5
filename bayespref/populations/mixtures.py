"""A mixture of annotators that needs no ids."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from bayespref.choices import Choice, Mixture
from bayespref.comparisons import refuse


def mixture(components: Sequence[Choice], log_weight: Array) -> Mixture:
    """Each answer comes from annotator h with probability w_h: P(y) = sum_h w_h P_h(y).

    Needs no annotator ids, and so cannot use them: answers are independent given the parameters. Source:
    arXiv 2311.14115 (the two-annotator experiments). Its likelihood does not change when components swap
    places: report them in an order of their own (of their means, say).

    Args:
        components: one choice distribution for each kind of annotator, of one batch shape and with the same
            outcomes.
        log_weight: (h,) or (..., h) log shares of the answers, summing to one.

    Returns:
        A distribution over answers, for `observe`.

    Raises:
        ValueError: for fewer than two components, or components that do not match.

    Example:
        >>> from bayespref import choices
        >>> opposed = [choices.logit(jnp.array([9.0, 0.0])), choices.logit(jnp.array([0.0, 9.0]))]
        >>> [round(float(p), 2) for p in mixture(opposed, jnp.log(jnp.array([0.4, 0.6]))).probs]
        [0.4, 0.6]
    """
    if len(components) < 2:
        raise refuse("a mixture has at least two distributions from bayespref.choices", f"{components!r}")
    check_alike("a mixture", components)
    if jnp.shape(log_weight)[-1:] != (len(components),):
        raise refuse(f"a mixture has {len(components)} weights", f"shape {jnp.shape(log_weight)}")
    return Mixture(tuple(components), log_weight)


def check_alike(what: str, components: Sequence[Choice]) -> None:
    """Refuse components that are no choices, or choices among different things.

    Args:
        what: whose components they are, for the message.
        components: to be checked.

    Raises:
        ValueError: for those.

    Example:
        >>> from bayespref import choices
        >>> check_alike("a mixture", [choices.logit(jnp.zeros(2)), choices.logit(jnp.ones(2))])
    """
    if not all(isinstance(choice, Choice) for choice in components):
        raise refuse(f"{what} has distributions from bayespref.choices", f"{components!r}")
    kinds = {
        (choice.batch_shape, choice.response, choice.k, choice.outcomes, choice.ties, choice.nones)
        for choice in components
    }
    if len(kinds) > 1:
        raise refuse(f"the components of {what} have one shape and the same outcomes", f"{kinds}")
