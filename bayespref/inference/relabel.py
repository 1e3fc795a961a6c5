"""Exchangeable classes under one numbering, so that draws and chains mean the same by "class 0"."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import numpy as np
from jax import Array
from scipy.optimize import linear_sum_assignment

from bayespref.comparisons import Comparisons
from bayespref.inference.program import Model, Site, Values, map_draws, observed, run
from bayespref.populations import LatentClasses

AXIS = "class"
"""The dimension along which sites are renumbered."""
ROUNDS, FEW = 30, 4
"""How often draws and their mean take turns; classes of which all numberings are tried."""


def relabelled(draws: Values, log_membership: Array, sites: dict[str, Site]) -> Values:
    """Draws (s, ...) of every site with exchangeable classes numbered alike, the largest first.

    Args:
        draws: sampled and computed sites.
        log_membership: (s, a, K) of the annotators at the same draws, from `log_memberships`.
        sites: what the model's sites are.
    """
    order = numbering(np.exp(np.asarray(log_membership, np.float64)))
    renumbered: dict[str, Any] = dict(draws)
    for name, value in draws.items():
        dims = sites[name].dims if name in sites else ()
        for axis in [axis for axis, dim in enumerate(dims, 1) if dim == AXIS]:
            at = order.reshape(
                len(order), *(order.shape[1] if a == axis else 1 for a in range(1, value.ndim))
            )
            renumbered[name] = np.take_along_axis(np.asarray(renumbered[name]), at, axis)
    return renumbered


def classes_of(model: Model, comparisons: Comparisons) -> tuple[int, bool]:
    """How many latent classes a model has (0 without any), and whether they are exchangeable."""
    answers = observed(model, comparisons)
    if not isinstance(answers, LatentClasses):
        return 0, False
    return len(answers.components), answers.exchangeable


def numbered(model: Model, comparisons: Comparisons) -> bool:
    """Whether draws need one numbering of classes: several that are exchangeable."""
    classes, exchangeable = classes_of(model, comparisons)
    return classes > 1 and exchangeable


def log_numberings(model: Model, comparisons: Comparisons) -> float:
    """Log K!: draws under one numbering of K exchangeable classes show one of so many equal modes."""
    classes, exchangeable = classes_of(model, comparisons)
    return math.lgamma(classes + 1) if exchangeable else 0.0


@functools.partial(jax.jit, static_argnums=0)
def log_memberships(model: Model, comparisons: Comparisons, latent: Values) -> Array:
    """(s, a, K) log-probability of each annotator's class at every draw of the latents."""

    def one(values: Values) -> Array:
        return run(model, comparisons, values)["outcome"]["fn"].membership(comparisons.outcome)

    return map_draws(one, latent)


def numbering(membership: np.ndarray) -> np.ndarray:
    """(s, K) order of classes in each draw that makes draws agree best on who belongs where.

    Minimises the Kullback-Leibler divergence of each draw's membership from their mean, draws and mean in
    turn (Stephens, 2000, algorithm 2), from the draw that is most certain.

    Args:
        membership: (s, a, K) probabilities.
    """
    draws, _, classes = membership.shape
    certain = np.sum(membership**2, (1, 2)).argmax()
    mean, order = membership[certain], np.zeros((draws, classes), int)
    for _ in range(ROUNDS):
        cost = -np.einsum("sak,aj->sjk", membership, np.log(np.maximum(mean, 1e-12)))
        new = _cheapest(cost)
        if (new == order).all():
            break
        order = new
        mean = np.take_along_axis(membership, order[:, None, :], 2).mean(0)
    largest = np.argsort(-mean.sum(0), kind="stable")
    return order[:, largest]


def _cheapest(cost: np.ndarray) -> np.ndarray:
    """(s, K) column for each row of costs (s, K, K), each taken once, at the least total."""
    classes = cost.shape[-1]
    if classes > FEW:
        return np.array([linear_sum_assignment(one)[1] for one in cost])
    every = np.array(list(itertools.permutations(range(classes))))
    return every[cost[:, np.arange(classes), every].sum(-1).argmin(-1)]
