"""A smaller `Comparisons` that stands for all of them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from bayespref.comparisons import Comparisons


def minibatch(key: Array, comparisons: Comparisons, size: int, *, upto: Array | None = None) -> Comparisons:
    """`size` single answers drawn with replacement, each with weight (all answers) / size.

    The batch carries only its own items (`items.index` says which), so that its cost follows its size; the
    design stays that of the full data, so that latents mean the same. E[log-likelihood of a batch] is the
    log-likelihood of the data.

    Args:
        key: a `jax.random.key`.
        comparisons: counted data.
        size: answers in the batch.
        upto: (n,) answers up to and with each row, where they are known from batches before.

    Returns:
        Comparisons of `size` rows with count 1.
    """
    cumulative = jnp.cumsum(comparisons.count) if upto is None else upto
    total = cumulative[-1]
    rows = jnp.searchsorted(cumulative, jax.random.randint(key, (size,), 0, total), side="right")

    def gather(column):
        return None if column is None else column[rows]

    shown = comparisons.shown[rows]
    index = jnp.where(shown < 0, 0, shown).reshape(-1)
    items = dataclasses.replace(
        comparisons.items,
        columns={name: value[index] for name, value in comparisons.items.columns.items()},
        index=index,
    )
    place = jnp.arange(index.size, dtype=jnp.int32).reshape(shown.shape)
    return comparisons.replace(
        shown=jnp.where(shown < 0, -1, place),
        outcome=gather(comparisons.outcome),
        annotator=gather(comparisons.annotator),
        count=jnp.ones(size, jnp.int32),
        weight=comparisons.weight[rows] * total / size,
        items=items,
        row_columns={name: value[rows] for name, value in comparisons.row_columns.items()},
        shown_columns={name: value[rows] for name, value in comparisons.shown_columns.items()},
    )
