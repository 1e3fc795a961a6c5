"""The border: every rule that data must keep, checked once, when `Comparisons` are made."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref import answers
from bayespref.arrays import device_array
from bayespref.comparisons import Annotators, Comparisons, Design, Items, refuse
from bayespref.design import with_design

SHUFFLE_SEED = 0
"""Seed of the shuffle of sides in files that lost the order of presentation."""


def checked_arrays(
    shown,
    outcome,
    *,
    items,
    annotator,
    annotators,
    count,
    row_columns: dict,
    shown_columns: dict,
    feature_names: tuple[str, ...],
    presentation: str,
    merge: bool,
    keep_rows: bool,
    response: str,
    levels: int | None,
) -> Comparisons:
    """Check everything, then build the `Comparisons` (see `Comparisons.from_arrays`)."""
    if presentation not in ("recorded", "lost"):
        raise refuse("presentation is 'recorded' or 'lost'", repr(presentation))
    shown = _checked_shown(shown)
    n, k = shown.shape
    item_table = _item_table(items, shown)
    outcome, levels = answers.checked(outcome, shown, response, levels)
    annotator_table = None
    if annotator is None and annotators is not None:
        raise refuse("a table of annotators comes with who gave each answer", "annotators without annotator")
    if annotator is not None:
        annotator, annotator_table = _checked_annotator(annotator, annotators, n)
    count = checked_count(count, n)
    row_columns = {name: _checked_row_column(name, value, n) for name, value in row_columns.items()}
    shown_columns = {name: _checked_shown_column(name, value, shown) for name, value in shown_columns.items()}
    feature_names = _checked_features(shown_columns, item_table, feature_names)
    if presentation == "lost":
        order = np.argsort(np.random.default_rng(SHUFFLE_SEED).random((n, k)), axis=1)
        outcome = None if outcome is None else answers.reordered(outcome, order, response, levels)
        shown, shown_columns = _shuffled(shown, order, shown_columns)
    chosen = outcome if response == "choice" else None
    data = Comparisons(
        shown=device_array(shown, jnp.int32),
        outcome=None if outcome is None else device_array(outcome, jnp.int32),
        count=device_array(count, jnp.int32),
        weight=device_array(np.ones(n), jnp.float32),
        annotator=None if annotator is None else device_array(annotator, jnp.int32),
        items=item_table,
        annotators=annotator_table,
        row_columns={name: device_array(value) for name, value in row_columns.items()},
        shown_columns={name: device_array(value, jnp.float32) for name, value in shown_columns.items()},
        design=Design(device_array(np.zeros(item_table.size), jnp.float32)),
        presentation=presentation,
        response=response,
        levels=levels,
        has_ties=chosen is not None and bool((chosen == k).any()),
        has_none=chosen is not None and bool((chosen == k + 1).any()),
        ragged=bool((shown < 0).any()),
        feature_names=feature_names,
        source_rows=tuple(np.arange(n)[:, None]) if keep_rows else None,
    )
    if merge:
        from bayespref.subsetting import merge as merge_rows

        data = merge_rows(data)
    return with_design(data)


def _checked_features(shown_columns: dict, items: Items, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features, one for each, wherever the features are kept."""
    on_shown, on_items = shown_columns.get("features"), items.columns.get("features")
    if on_shown is not None and on_items is not None:
        raise refuse("features belong to the items or to what was shown", "features on both")
    features, axes = (on_items, 2) if on_shown is None else (on_shown, 3)
    names = names or items.feature_names
    if features is None:
        if names:
            raise refuse("feature names come with features", f"names {list(names)} without features")
        return ()
    if np.ndim(features) != axes:
        raise refuse(f"features have {axes} axes, the last one the features", f"shape {np.shape(features)}")
    size = np.shape(features)[-1]
    names = names or tuple(f"feature {index}" for index in range(size))
    if len(names) != size:
        raise refuse(f"each of the {size} features has a name", f"{len(names)} names")
    unique("feature names", names)
    return tuple(str(name) for name in names)


def _checked_shown(shown) -> np.ndarray:
    shown = np.asarray(shown)
    if shown.ndim != 2 or shown.shape[1] < 2:
        raise refuse("shown is an (n, k) array with k >= 2 things per comparison", f"shape {shown.shape}")
    if len(shown) == 0:
        raise refuse("a table holds at least one answer", "an empty table", remedy="Check filters and file.")
    if not np.issubdtype(shown.dtype, np.integer):
        raise refuse("shown holds integer item indices", f"dtype {shown.dtype}")
    if (bad := np.flatnonzero((shown < -1).any(1))).size:
        raise refuse("item indices are >= 0, or -1 for nothing shown", str(shown[bad[0]]), rows=bad)
    if (bad := np.flatnonzero((shown >= 0).sum(1) < 2)).size:
        raise refuse(
            "every comparison shows at least two things",
            "fewer",
            rows=bad,
            remedy="Drop these rows, or mark the alternatives as available.",
        )
    ordered = np.sort(shown, 1)
    if (bad := np.flatnonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1))).size:
        raise refuse(
            "the things shown in a comparison differ from each other",
            "a comparison of an item with itself",
            rows=bad,
            remedy="Drop these rows: they say nothing about preference.",
        )
    return shown


def _item_table(items, shown: np.ndarray) -> Items:
    if not isinstance(items, Items):
        labels = _labels(items, int(shown.max()) + 1, "item")
        items = Items(columns={}, size=len(labels), labels=labels)
    if items.labels is None:
        items = dataclasses.replace(items, labels=_labels(items.size, 0, "item"))
    unique("item labels", items.labels)
    if (bad := np.flatnonzero((shown >= items.size).any(1))).size:
        raise refuse(
            f"item indices are below the number of items, {items.size}", str(shown[bad[0]]), rows=bad
        )
    columns = {name: _checked_item_column(name, value, items.size) for name, value in items.columns.items()}
    return dataclasses.replace(items, columns=columns)


def _checked_item_column(name: str, value, size: int) -> Array:
    value = finite(f"item column {name!r}", _of_length(name, value, size, "item"))
    return device_array(value, jnp.float32 if np.issubdtype(value.dtype, np.floating) else None)


def _labels(labels, size: int, what: str) -> np.ndarray:
    if labels is None or isinstance(labels, (int, np.integer)):
        size = size if labels is None else int(labels)
        return np.array([f"{what} {index}" for index in range(size)], dtype=object)
    return np.array([str(label) for label in labels], dtype=object)


def unique(what: str, labels) -> None:
    """Refuse labels that occur twice."""
    values, counts = np.unique(np.asarray(labels, dtype=str), return_counts=True)
    if (twice := values[counts > 1]).size:
        raise refuse(
            f"{what} are unique", f"{str(twice[0])!r} more than once", remedy="Rename or merge them."
        )


def _checked_annotator(annotator, annotators, n: int) -> tuple[np.ndarray, Annotators]:
    annotator = _of_length("annotator", annotator, n)
    if not np.issubdtype(annotator.dtype, np.integer):
        raise refuse("annotators are given by integer index", f"dtype {annotator.dtype}")
    if (bad := np.flatnonzero(annotator < 0)).size:
        raise refuse(
            "every answer has an annotator, or none has",
            "missing annotators",
            rows=bad,
            remedy="Drop these rows, give the unknown annotators ids, or leave annotator out.",
        )
    if not isinstance(annotators, Annotators):
        labels = _labels(annotators, int(annotator.max()) + 1, "annotator")
        annotators = Annotators(columns={}, size=len(labels), labels=labels)
    if annotators.labels is None:
        annotators = dataclasses.replace(annotators, labels=_labels(annotators.size, 0, "annotator"))
    unique("annotator labels", annotators.labels)
    if (bad := np.flatnonzero(annotator >= annotators.size)).size:
        raise refuse(
            f"annotator indices are below the number of annotators, {annotators.size}",
            str(annotator[bad[0]]),
            rows=bad,
        )
    return annotator, annotators


def checked_count(count, n: int, *, start: int = 0) -> np.ndarray:
    """(n,) how many answers each row stands for, 1 where nothing says; `start` is the first row's number."""
    if count is None:
        return np.ones(n, np.int64)
    count = _of_length("count", count, n)
    remedy = "Fractions of an answer are weights, not counts."
    if not np.issubdtype(count.dtype, np.number) or np.issubdtype(count.dtype, np.complexfloating):
        raise refuse("counts are positive integers", f"dtype {count.dtype}")
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~(count == np.floor(count)) | ~np.isfinite(count))
    if bad.size:
        raise refuse(
            "counts are positive integers", f"count {count[bad[0]]}", rows=bad + start, remedy=remedy
        )
    if (bad := np.flatnonzero(count < 1)).size:
        raise refuse(
            "counts are positive integers",
            f"count {count[bad[0]]}",
            rows=bad + start,
            remedy="Drop rows that stand for no answer.",
        )
    if (total := float(np.sum(count, dtype=np.float64))) >= 2**31:
        raise refuse("the answers number fewer than 2**31", f"{total:.3g}")
    return count.astype(np.int64)


def _checked_shown_column(name: str, value, shown: np.ndarray) -> np.ndarray:
    value = np.asarray(value)
    if value.shape[:2] != shown.shape:
        raise refuse(
            f"column {name!r} of what was shown has shape {shown.shape} (comparison, position)",
            f"shape {value.shape}",
        )
    there = (shown >= 0).reshape(shown.shape + (1,) * (value.ndim - 2))
    return finite(f"column {name!r} of what was shown", np.where(there, value, 0))


def _checked_row_column(name: str, value, n: int) -> np.ndarray:
    value = finite(f"row column {name!r}", _of_length(name, value, n))
    if not np.issubdtype(value.dtype, np.integer):
        return value
    large = np.abs(value.astype(np.float64)).reshape(n, -1) >= 2**31
    if (bad := np.flatnonzero(large.any(1))).size:
        raise refuse(
            f"integers in row column {name!r} lie between -2**31 and 2**31",
            str(value[bad[0]]),
            rows=bad,
            remedy="Shift or rescale them, such as days since the first answer for a time.",
        )
    return value


def _of_length(name: str, value, n: int, what: str = "row") -> np.ndarray:
    value = np.asarray(value)
    if value.shape[:1] != (n,):
        raise refuse(f"{name!r} has one entry for each {what}, {n}", f"shape {value.shape}")
    return value


def finite(what: str, value: np.ndarray) -> np.ndarray:
    """Refuse columns that are not numbers, or hold NaN or infinite values."""
    value = np.asarray(value)
    if not (np.issubdtype(value.dtype, np.number) or value.dtype == bool):
        raise refuse(
            f"{what} holds numbers",
            f"dtype {value.dtype}",
            remedy="Code categories as numbers (0/1 columns) first.",
        )
    if (bad := np.flatnonzero(~np.isfinite(value.astype(np.float64)).reshape(len(value), -1).all(1))).size:
        raise refuse(
            f"{what} holds finite numbers",
            "NaN or infinite values",
            rows=bad,
            remedy="Fill them in or drop the rows: nothing is dropped silently.",
        )
    return value


def _shuffled(shown: np.ndarray, order: np.ndarray, shown_columns: dict):
    """Shuffle the sides: a file that lists the chosen first has lost their order."""
    columns = {
        name: np.take_along_axis(value, order.reshape(order.shape + (1,) * (value.ndim - 2)), 1)
        for name, value in shown_columns.items()
    }
    return np.take_along_axis(shown, order, 1), columns
