"""Fewer, other or differently counted rows of the same comparisons."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref.arrays import device_array
from bayespref.comparisons import Annotators, Comparisons, Items, refuse
from bayespref.design import with_design


def take(data: Comparisons, rows: np.ndarray, count: np.ndarray | None = None) -> Comparisons:
    """Rows by index, with new counts if given; tables and design stay those of `data`."""

    def part(value):
        return device_array(np.asarray(value)[rows])

    outcome = None if data.outcome is None else part(data.outcome)
    return data.replace(
        shown=part(data.shown),
        outcome=outcome,
        count=part(data.count) if count is None else device_array(count, jnp.int32),
        weight=part(data.weight),
        annotator=None if data.annotator is None else part(data.annotator),
        row_columns={name: part(value) for name, value in data.row_columns.items()},
        shown_columns={name: part(value) for name, value in data.shown_columns.items()},
        has_ties=outcome is not None and data.has_ties and bool((np.asarray(outcome) == data.k).any()),
        has_none=outcome is not None and data.has_none and bool((np.asarray(outcome) == data.k + 1).any()),
        source_rows=None if data.source_rows is None else tuple(data.source_rows[i] for i in rows),
    )


def expand(data: Comparisons) -> Comparisons:
    """One row for each single answer.

    Source rows are told apart where each stands for one answer; where the file had counts of its own,
    every answer of a row keeps all of the row's source rows.
    """
    count = np.asarray(data.count)
    rows = np.repeat(np.arange(len(data)), count)
    expanded = take(data.replace(source_rows=None), rows, np.ones(len(rows), np.int64))
    if data.source_rows is not None:
        sources = []
        for source, times in zip(data.source_rows, count, strict=True):
            sources += list(source[:, None]) if len(source) == times else [source] * int(times)
        expanded = expanded.replace(source_rows=tuple(sources))
    return expanded


def merge(data: Comparisons) -> Comparisons:
    """Merge identical rows into counts, in order of first appearance."""
    code = row_codes(data)
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data
    order = np.argsort(first)
    place = np.argsort(order)[inverse]
    count = np.bincount(place, np.asarray(data.count, np.float64), len(first)).astype(np.int64)
    merged = take(data.replace(source_rows=None), first[order], count)
    if data.source_rows is not None:
        groups = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
        rows = tuple(np.concatenate([data.source_rows[i] for i in group]) for group in groups)
        merged = merged.replace(source_rows=rows)
    return merged


def row_codes(data: Comparisons) -> np.ndarray:
    """One integer for each row, equal exactly where everything but the count is."""
    columns = [*np.asarray(data.shown).T + 1]
    columns += [] if data.annotator is None else [np.asarray(data.annotator)]
    outcome = () if data.outcome is None else (data.outcome,)
    for value in (*outcome, data.weight, *data.row_columns.values(), *data.shown_columns.values()):
        columns += [*np.asarray(value).reshape(len(data), -1).T]
    code, radix = np.zeros(len(data), np.int64), 1
    for column in columns:
        if not np.issubdtype(column.dtype, np.integer):
            column = np.unique(column, return_inverse=True)[1]
        column = column.astype(np.int64) - int(column.min(initial=0))
        size = int(column.max(initial=0)) + 1
        if radix * size > 2**62:
            code = np.unique(code, return_inverse=True)[1]
            radix = int(code.max(initial=0)) + 1
        code, radix = code * size + column, radix * size
    return code


def subset(data: Comparisons, *, rows=None, annotators=None, items=None) -> Comparisons:
    """Keep rows (indices or a mask), annotators' answers, or answers among items (labels or indices).

    Items and annotators that are not named are dropped from their tables; the design is that of the
    subset, which is a data set of its own.

    Raises:
        ValueError: for labels that are not there, or when nothing is left.
    """
    part = data if rows is None else take(data, _row_positions(rows, len(data)))
    if items is not None:
        part = _subset_items(part, _positions("item", items, data.items.labels, data.items.size))
    if annotators is not None:
        table = _annotators(data)
        part = _subset_annotators(part, _positions("annotator", annotators, table.labels, len(table)))
    if len(part) == 0:
        raise refuse("a subset keeps at least one answer", "an empty subset")
    return with_design(part)


def _annotators(data: Comparisons) -> Annotators:
    data.by_annotator()
    assert data.annotators is not None
    return data.annotators


def _row_positions(rows, size: int) -> np.ndarray:
    """Row numbers from a mask or from row numbers, which may repeat (a bootstrap sample)."""
    rows = np.atleast_1d(np.asarray(rows))
    if rows.dtype == bool:
        if rows.shape != (size,):
            raise refuse(f"a mask has one entry for each row, {size}", f"shape {rows.shape}")
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if not np.issubdtype(rows.dtype, np.integer) or rows.ndim != 1:
        raise refuse("rows are given by number or by a mask", f"{rows.dtype} of shape {rows.shape}")
    if rows.min() < 0 or rows.max() >= size:
        raise refuse(f"row numbers lie between 0 and {size - 1}", f"{rows.min()} to {rows.max()}")
    return rows


def _positions(what: str, wanted, labels: np.ndarray | None, size: int) -> np.ndarray:
    """Positions of labels (or of integer indices, where no label reads like one of them) in a table."""
    wanted = [wanted] if isinstance(wanted, (str, int)) else list(wanted)
    texts = [str(one) for one in wanted]
    if len(set(wanted)) < len(wanted):
        raise refuse(f"each {what} is named once", f"{len(wanted)} names of {len(set(wanted))} {what}s")
    place = {str(label): index for index, label in enumerate(() if labels is None else labels)}
    numbers = [int(one) for one in wanted if isinstance(one, (int, np.integer))]
    if wanted and len(numbers) == len(wanted) and not any(text in place for text in texts):
        if min(numbers) < 0 or max(numbers) >= size:
            raise refuse(f"{what} indices lie between 0 and {size - 1}", str(numbers[:5]))
        return np.asarray(numbers)
    missing = [text for text in texts if text not in place]
    if missing:
        raise refuse(f"every {what} named is in the data", f"unknown {what}s {missing[:5]}")
    return np.array([place[text] for text in texts], np.int64)


def _subset_items(data: Comparisons, kept: np.ndarray) -> Comparisons:
    place = np.full(data.items.size + 1, -2)
    place[kept], place[-1] = np.arange(len(kept)), -1
    shown = place[np.asarray(data.shown)]
    rows = np.flatnonzero((shown > -2).all(1))
    labels = None if data.items.labels is None else data.items.labels[kept]
    table = Items(
        columns={name: device_array(np.asarray(value)[kept]) for name, value in data.items.columns.items()},
        size=len(kept),
        feature_names=data.items.feature_names,
        labels=labels,
    )
    return take(data, rows).replace(shown=device_array(shown[rows], jnp.int32), items=table)


def _subset_annotators(data: Comparisons, kept: np.ndarray) -> Comparisons:
    table = _annotators(data)
    place = np.full(len(table), -1)
    place[kept] = np.arange(len(kept))
    annotator = place[np.asarray(data.annotator)]
    rows = np.flatnonzero(annotator >= 0)
    part = Annotators(
        columns={name: device_array(np.asarray(value)[kept]) for name, value in table.columns.items()},
        size=len(kept),
        labels=None if table.labels is None else table.labels[kept],
    )
    return take(data, rows).replace(annotator=device_array(annotator[rows], jnp.int32), annotators=part)


def split(key: Array, data: Comparisons, *, test: float, by: str) -> tuple[Comparisons, Comparisons]:
    """Train and test parts. By row, single answers are drawn; by annotator, whole annotators.

    The item table stays whole in both parts, and by row the annotator table too, so that a model of the
    train part can score the test part.

    Raises:
        ValueError: for a share outside (0, 1), an unknown unit, or a part left empty.
    """
    if not 0 < test < 1:
        raise refuse("the test share lies between 0 and 1", str(test))
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,))))
    if by == "annotator":
        size = len(_annotators(data))
        order, tested = rng.permutation(size), round(test * size)
        if not 0 < tested < size:
            raise refuse("both parts hold an annotator", f"{size} annotators split {1 - test:g} to {test:g}")
        parts = [np.sort(order[tested:]), np.sort(order[:tested])]
        train, held = (_subset_annotators(data, part) for part in parts)
        return with_design(train), with_design(held, fitted=False)
    if by != "row":
        raise refuse("a split is by 'row' or by 'annotator'", repr(by))
    count = np.asarray(data.count, np.int64)
    tested = rng.multivariate_hypergeometric(count, round(test * count.sum()))
    if tested.sum() in (0, count.sum()):
        raise refuse("both parts hold an answer", f"{count.sum()} answers split {1 - test:g} to {test:g}")
    parts = []
    for kept in (count - tested, tested):
        rows = np.flatnonzero(kept)
        parts.append(take(data.replace(source_rows=None), rows, kept[rows]))
    return with_design(parts[0]), with_design(parts[1], fitted=False)
