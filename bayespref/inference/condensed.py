"""Rows that a model cannot tell apart, made one: the same likelihood from fewer rows.

Most models do not ask which of two was shown first, and many do not ask who answered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr

from bayespref.arrays import device_array
from bayespref.choices import Choice
from bayespref.comparisons import Comparisons
from bayespref.inference.flat import ravel, traceable
from bayespref.inference.program import Model, observed, remembered, run, sites_of
from bayespref.inference.starting import medians, slope_of
from bayespref.observation import Counted
from bayespref.subsetting import merge, row_codes, take

WORTH = 0.8
"""Share of the rows that has to be left at most, for the merging to be worth its compilation."""
ALIKE, ROUNDING = 1e-3, 1e-5
"""Difference of slopes that rounding explains: relative to each, and to the largest."""


class Rows(NamedTuple):
    """Rows after merging, and whether things shown were put into one order for it."""

    comparisons: Comparisons
    in_order: bool = False


@remembered
def condensed(model: Model, comparisons: Comparisons) -> Comparisons:
    """The same data for this model, with fewer rows where there can be fewer.

    Columns that the model does not read are blanked, things shown are put into one order where order makes
    no difference to the model, and rows that differ in nothing but outcome become one with a tally.

    Args:
        model: the declaration.
        comparisons: the data, with outcomes.

    Returns:
        Comparisons under which every parameter has the same likelihood, for inference alone.
    """
    rows = expected(model, comparisons)
    if rows.in_order and not _sides_alike(model, rows.comparisons):
        return _merged(model, comparisons, in_order=False).comparisons
    return rows.comparisons


@remembered
def expected(model: Model, comparisons: Comparisons) -> Rows:
    """The rows of `condensed` if sides are alike, before it is known: what programs may be compiled for."""
    kind = observed(model, comparisons)
    if comparisons.response != "choice" or not isinstance(kind.choice, Choice):
        return Rows(comparisons)
    if not isinstance(kind, Counted) and (np.asarray(comparisons.weight) != 1).any():
        return Rows(comparisons)  # rows of one shape for whatever weights a leave-one-out gives
    in_order = not comparisons.ragged and _takes_any_order(model, comparisons)
    return _merged(model, comparisons, in_order=in_order)


def _merged(model: Model, comparisons: Comparisons, *, in_order: bool) -> Rows:
    """Rows that differ in nothing but outcome made one, if that is worth it."""
    kind = observed(model, comparisons)
    data = blanked(model, comparisons).replace(source_rows=None)
    data = _in_order(data) if in_order else data
    fewer = _tallied(data, kind.choice.outcomes) if isinstance(kind, Counted) else merge(data)
    worth = len(fewer) <= WORTH * len(comparisons)
    return Rows(fewer, in_order) if worth else Rows(comparisons)


def _takes_any_order(model: Model, comparisons: Comparisons) -> bool:
    """Whether the model can be written down for things shown in an order that is not known."""
    try:
        sites_of(model, comparisons.replace(presentation="lost"))
    except ValueError:
        return False
    return True


def blanked(model: Model, comparisons: Comparisons) -> Comparisons:
    """Columns of rows that the likelihood does not depend on, set to nothing."""
    leaves, structure = jax.tree.flatten(comparisons)

    def likelihood(leaves: list) -> Any:
        data = jax.tree.unflatten(structure, leaves)
        return run(model, data, {})["outcome"]["fn"].log_prob(data.outcome)

    traced = jax.make_jaxpr(likelihood)(leaves)
    used = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))[1]
    read = jax.tree.unflatten(structure, used)

    def blank(values: Any, reads: Any) -> Any:
        return values if reads else jnp.zeros_like(values)

    return comparisons.replace(
        annotator=None if comparisons.annotator is None else blank(comparisons.annotator, read.annotator),
        row_columns={n: blank(v, read.row_columns[n]) for n, v in comparisons.row_columns.items()},
        shown_columns={n: blank(v, read.shown_columns[n]) for n, v in comparisons.shown_columns.items()},
    )


def _turned(data: Comparisons, order: np.ndarray) -> Comparisons:
    """The things shown in another order, (n, k) columns for each row; outcomes name the same things."""
    shown, outcome = np.asarray(data.shown), np.asarray(data.outcome)
    place = np.argsort(order, 1)
    chosen = np.take_along_axis(place, np.minimum(outcome, data.k - 1)[:, None], 1)[:, 0]
    rows, tally = np.arange(len(data))[:, None], data.tally
    if tally is not None:
        tally = np.asarray(tally)
        tally = device_array(np.concatenate([tally[rows, order], tally[:, data.k :]], 1))
    return data.replace(
        tally=tally,
        shown=device_array(shown[rows, order]),
        outcome=device_array(np.where(outcome < data.k, chosen, outcome), jnp.int32),
        shown_columns={n: device_array(np.asarray(v)[rows, order]) for n, v in data.shown_columns.items()},
    )


def _sides_alike(model: Model, data: Comparisons) -> bool:
    """Whether the potential is the same with the things shown in reverse, at two points.

    `data` are condensed already, so that the program that compares them is the one that inference uses. They
    are weighted at random: where answers happen to be balanced, sides would look alike to any model.
    """
    random = np.random.default_rng(0)
    data = _weighted(random, data)
    turned = _turned(data, np.tile(np.arange(data.k)[::-1], (len(data), 1)))
    middle, unravel = ravel(medians(model, data))
    for _ in range(2):
        point = traceable(middle + random.standard_normal(middle.shape))
        one, other = (np.asarray(slope_of(model, unravel)(point, each)[1]) for each in (data, turned))
        explained = ALIKE * np.abs(one) + ROUNDING * np.abs(one).max()
        if not (np.abs(one - other) <= explained).all():
            return False
    return True


def _weighted(random: np.random.Generator, data: Comparisons) -> Comparisons:
    """Each answer, or all alike of a row, with a weight between a half and one and a half of its own."""
    name = "weight" if data.tally is None else "tally"
    values = np.asarray(getattr(data, name))
    factors = random.uniform(0.5, 1.5, values.shape).astype(values.dtype)
    return data.replace(**{name: device_array(values * factors)})


def _in_order(data: Comparisons) -> Comparisons:
    return _turned(data, np.argsort(np.asarray(data.shown), 1, kind="stable"))


def _tallied(data: Comparisons, outcomes: int) -> Comparisons:
    """One row for all outcomes of what is otherwise the same."""
    answers = np.asarray(data.count) * np.asarray(data.weight, np.float64)
    outcome = np.asarray(data.outcome)
    one = np.zeros(len(data), np.int32), np.ones_like(np.asarray(data.weight))
    blank = data.replace(outcome=device_array(one[0]), weight=device_array(one[1]))
    code = row_codes(blank)
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    tally = np.zeros((len(first), outcomes))
    np.add.at(tally, (inverse, outcome), answers)
    return take(blank, first, np.ones(len(first))).replace(tally=device_array(tally.astype(np.float32)))
