"""Rows of a check: one for each question, and fewer for a model that does not tell all of them apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons
from bayespref.inference.condensed import WORTH, blanked
from bayespref.inference.program import Model
from bayespref.subsetting import row_codes, take

SINGLE_ROWS = 20_000
"""Answers up to which every answer is a row of its own; above, answers to the same question share one."""
STEP = 1.2
"""Numbers of rows that a model tells apart are filled up to powers of it: data alike share a compilation."""


def rows_of(data: Comparisons) -> tuple[Comparisons, np.ndarray]:
    """One row for each question, and the row (answers,) of every single answer.

    Few answers have a row each, so that data of one size share a compilation.
    """
    single = data.replace(source_rows=None)
    if data.answers <= SINGLE_ROWS:
        single = single.expanded()
        return blank(single), np.arange(len(single))
    code = row_codes(single.replace(outcome=None))
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return blank(take(single, first, np.ones(len(first), np.int64))), inverse


def blank(rows: Comparisons) -> Comparisons:
    """Rows with an answer that every model allows: which one is never looked at."""
    n = len(rows)
    return rows.replace(
        outcome=device_array(np.zeros(n), np.int32),
        count=device_array(np.ones(n), np.int32),
        weight=device_array(np.ones(n), np.float32),
        has_ties=False,
        has_none=False,
    )


def counts_of(data: Comparisons, row: np.ndarray, rows: int, outcomes: int) -> np.ndarray:
    """(rows, outcomes) how often each row was answered so."""
    single = data.answers <= SINGLE_ROWS
    source = data.replace(source_rows=None).expanded() if single else data
    counts = np.zeros((rows, outcomes))
    np.add.at(counts, (row, np.asarray(source.outcome)), np.asarray(source.count))
    return counts


def apart(model: Model, rows: Comparisons) -> tuple[Comparisons, Groups]:
    """The rows (m,) that a model tells apart, and which of them each row (n,) is."""
    bare = blanked(model, rows)
    _, first, inverse = np.unique(row_codes(bare), return_index=True, return_inverse=True)
    size = int(np.ceil(STEP ** np.ceil(np.log(len(first)) / np.log(STEP))))
    if size > WORTH * len(rows):
        return rows, groups_of(np.arange(len(rows)), len(rows))
    return take(bare, np.resize(first, size)), groups_of(inverse, size)


class Groups(NamedTuple):
    """Which of `size` groups each of n rows is in, (n,), and rows in their order; None if they are."""

    of: np.ndarray
    size: int
    order: np.ndarray | None
    start: np.ndarray
    there: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(..., size) sums of values (..., n) over the rows of each group."""
        if self.order is None and len(self.there) == len(self.of) == self.size:
            return values
        found = np.zeros((*values.shape[:-1], self.size), values.dtype)
        if len(self.there):
            ordered = values if self.order is None else values[..., self.order]
            found[..., self.there] = np.add.reduceat(ordered, self.start, -1)
        return found


def groups_of(of: np.ndarray, size: int) -> Groups:
    """Groups of rows by index (n,).

    Example:
        >>> groups_of(np.array([1, 0, 1]), 3).sums(np.array([1.0, 2.0, 4.0])).tolist()
        [2.0, 5.0, 0.0]
    """
    order = None if (np.diff(of) >= 0).all() else np.argsort(of, kind="stable")
    there, start = np.unique(of if order is None else of[order], return_index=True)
    return Groups(of, size, order, start, there)
