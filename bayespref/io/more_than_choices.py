"""Answers that say more than which: how strongly, in levels, and in which order, in ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayespref.comparisons import refuse
from bayespref.io.outcomes import spelling
from bayespref.io.source import Codes, Source


def strengths(codes: Codes, levels: Sequence) -> np.ndarray:
    """(n,) place of each answer among the levels, from "the first shown by far" to "the second by far".

    Args:
        codes: the labels of the n answers.
        levels: every label, in order.

    Raises:
        ValueError: for missing answers, fewer than two levels, one twice, or labels that are none of them.
    """
    codes.complete("an answer", remedy="Drop these rows, or read with outcome=None to simulate or predict.")
    listed = [] if isinstance(levels, str) else [spelling(level) for level in levels]
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise refuse(
            "levels lists the labels of strength in order, from the first shown by far to the second by far",
            repr(levels),
        )
    place = {label: index for index, label in enumerate(listed)}
    if unknown := [label for label in codes.labels if label not in place]:
        raise refuse(
            f"every answer is one of the levels {', '.join(map(repr, listed))}",
            ", ".join(map(repr, unknown[:6])),
            rows=codes.rows(unknown),
        )
    return np.array([place[label] for label in codes.labels])[codes.index]


def ranks(source: Source, columns: Sequence[str]) -> np.ndarray:
    """(rows, columns) ranks from 0, -1 for gaps; a file whose least rank is 1 counts from 1."""
    values = np.stack([source.numbers(column, "ranks").astype(np.float64) for column in columns], -1)
    return from_zero(values)


def from_zero(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, -1 for gaps (NaN), of numbers that count from 0 or from 1."""
    ranked = np.isfinite(values)
    whole = np.where(ranked, values, 0.0)
    if (bad := np.flatnonzero((whole != np.floor(whole)).reshape(len(values), -1).any(1))).size:
        raise refuse("ranks are whole numbers, 1 for the best", "fractions", rows=bad)
    least = values[ranked].min() if ranked.any() else 1.0
    if least not in (0.0, 1.0):
        raise refuse("ranks count from 1, or from 0, for the best", f"a least rank of {least:g}")
    return np.where(ranked, whole - least, -1).astype(np.int64)
