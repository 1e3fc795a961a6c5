"""Rows of a check, one for each answer or for several alike, and the questions that they ask."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons
from bayespref.inference.condensed import WORTH, blanked
from bayespref.inference.program import Model
from bayespref.subsetting import row_codes, take

SINGLE_ROWS, SHARED = 20_000, 0.5
"""Answers up to which every answer is a row of its own; above, answers to the same question by the same
annotator share one, if rows are then at most that share of them."""
STEP = 1.2
"""Numbers of questions are filled up to powers of it: data alike share a compilation."""


def rows_of(data: Comparisons) -> tuple[Comparisons, np.ndarray]:
    """Rows without answers, and the row of every single answer, or of every row of the data.

    Few answers have a row each, so that data of one size share a compilation.
    """
    single = data.replace(source_rows=None)
    if data.answers > SINGLE_ROWS:
        code = row_codes(single.replace(outcome=None))
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        if len(first) <= SHARED * data.answers:
            return blank(take(single, first, np.ones(len(first), np.int64))), inverse
    single = single.expanded()
    return blank(single), np.arange(len(single))


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


def totals_of(data: Comparisons, row: np.ndarray, rows: int) -> np.ndarray:
    """(rows,) how many answers each row stands for."""
    return np.bincount(row, None if len(row) == data.answers else np.asarray(data.count), rows)


def apart(model: Model, rows: Comparisons) -> tuple[Comparisons, Groups]:
    """The questions (m,): rows that neither the model nor a check tells apart, and which each row (n,) asks.

    Checks ask what was shown, and its columns of numbers; who answered, and when, they know of every row.
    """
    bare = blanked(model, rows)
    asked = {n: v for n, v in rows.shown_columns.items() if v.ndim == 2 or n == "features"}
    bare = bare.replace(shown_columns=bare.shown_columns | asked)
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
            ordered = values if self.order is None else np.take(values, self.order, -1, mode="clip")
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
