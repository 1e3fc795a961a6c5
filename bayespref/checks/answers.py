"""Answers of replicates: what was answered in each row, and how often each question was answered so.

`own` is (c, n) for rows of single answers: the place of the answer in an array (o, m) of outcomes and
questions. For rows of several it is (c, o, n): how many gave each. Arrays end in questions, (..., o, m).
"""

from __future__ import annotations

import numpy as np

from bayespref.checks.design import Design
from bayespref.checks.rows import Groups
from bayespref.comparisons import Comparisons


def answered(
    data: Comparisons, row: np.ndarray, asked: Groups, total: np.ndarray, outcomes: int
) -> np.ndarray:
    """(1, n) or (1, o, n) what was answered, in each `row` (`rows.rows_of`) that asks a question."""
    if (total == 1).all():
        outcome = np.asarray(data.replace(source_rows=None).expanded().outcome)
        return (outcome * asked.size + asked.of)[None].astype(np.int32)
    counts = np.zeros((outcomes, len(total)), np.float32)
    np.add.at(counts, (np.asarray(data.outcome), row), np.asarray(data.count))
    return counts[None]


def drawn(random: np.random.Generator, probs: np.ndarray, asked: Groups, total: np.ndarray) -> np.ndarray:
    """(r, n) or (r, o, n) replicated answers, `total` (n,) in each row, of probabilities (r, m, o)."""
    probs = np.asarray(probs, np.float64)
    probs = probs / probs.sum(-1, keepdims=True)
    if (total > 1).any():
        return random.multinomial(total.astype(int), probs[:, asked.of]).swapaxes(1, 2).astype(np.float32)
    found = np.empty((len(probs), len(total)), np.int32)
    for below, out in zip(np.cumsum(probs, -1).swapaxes(1, 2), found, strict=True):
        chance = random.random(len(total))
        out[:] = asked.of + asked.size * sum(chance >= one[asked.of] for one in below[:-1])
    return found


def by_question(own: np.ndarray, asked: Groups, outcomes: int) -> np.ndarray:
    """(c, m, o) how often each question was answered so."""
    if own.ndim == 3:
        return asked.sums(own).swapaxes(1, 2)
    size = outcomes * asked.size
    found = np.empty((len(own), asked.size, outcomes), np.float32)
    for place, out in zip(own, found, strict=True):
        out[:] = np.bincount(place, minlength=size).reshape(outcomes, -1).T
    return found


def of_rows(values: np.ndarray, own: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(c, s, n) sums over answers of rows, which ask questions `row` (n,), of (c, s, o, m)."""
    if own.ndim == 3:
        return (values[..., row] * own[:, None]).sum(2)
    c, s = values.shape[:2]
    found = np.empty((c, s, own.shape[1]), values.dtype)
    for one, place, out in zip(values.reshape(c, s, -1), own, found, strict=True):
        np.take(one, place, 1, out, "clip")
    return found


def late(own: np.ndarray, design: Design, outcomes: int) -> np.ndarray:
    """(c, o, m) how much later than on average each answer to a question came, summed."""
    assert design.late is not None
    if own.ndim == 3:
        return design.row.sums(own * design.late)
    size = outcomes * design.row.size
    each = [np.bincount(place, design.late, size) for place in own]
    return np.reshape(each, (len(own), outcomes, -1)).astype(np.float32)
