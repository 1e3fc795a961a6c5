"""Item and annotator tables: what the answers name, with columns joined from frames of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from bayespref.comparisons import Annotators, Comparisons, Items, refuse
from bayespref.design import with_design
from bayespref.io.files import open_source
from bayespref.io.items import aligned, feature_columns, natural_order, positions, read_keyed
from bayespref.io.layout import Layout
from bayespref.io.source import Source
from bayespref.validation import finite


def listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return names as a tuple; a single string is one name."""
    return (names,) if isinstance(names, str) else tuple(names or ())


def item_table(layout: Layout, frame, item_id: str | None, features, others) -> tuple[np.ndarray, Items]:
    """Return positions of what was shown in the full item table, and the table."""
    if frame is None:
        if features or others or item_id:
            raise refuse(
                "features, item_columns and item_id name columns of the items frame",
                "no items frame",
                remedy="Pass items=, or use attributes= for columns of the table itself.",
            )
        columns: dict = {} if layout.vectors is None else {"features": layout.vectors.astype(np.float32)}
        names = () if layout.vectors is None else layout.names
        return layout.shown, Items(columns, len(layout.labels), feature_names=names, labels=layout.labels)
    if layout.vectors is not None:
        raise refuse("an items frame is joined by item ids", "attributes without ids")
    if features and layout.features is not None:
        raise refuse("features come from the table or from the items frame", "attributes and features")
    found, values = read_keyed(frame, item_id, [*features, *others], what="item", keyword="item_id")
    aligned(layout.labels, found, {}, what="item")
    labels = np.array(natural_order(found), dtype=object)
    columns = feature_columns(aligned(labels, found, values, what="item"), features, others)
    place = {label: index for index, label in enumerate(labels)}
    moved = np.array([*(place[label] for label in layout.labels), -1], np.int64)
    return moved[layout.shown], Items(columns, len(labels), feature_names=features, labels=labels)


def annotator_table(table: Source, layout: Layout, column: str | None, frame, key: str | None, columns):
    """Return (n,) annotator indices and the annotator table, or None and None."""
    if column is None:
        if frame is not None or key or columns:
            raise refuse("an annotators frame comes with who gave each answer", "no annotator column")
        return None, None
    codes = table.codes(column, "annotator").complete(
        "an annotator",
        remedy="Drop these rows, give the unknown annotators ids, or leave annotator out.",
    )
    labels, values = natural_order(codes.labels), {}
    if frame is not None:
        found, values = read_keyed(frame, key, columns, what="annotator", keyword="annotator_id")
        aligned(labels, found, {}, what="annotator")
        labels = natural_order(found)
        values = aligned(labels, found, values, what="annotator")
    elif key or columns:
        raise refuse("annotator_columns name columns of the annotators frame", "no annotators frame")
    who = layout.per_comparison(
        positions([codes], labels)[0],
        "the annotator",
        "Make choice ids unique, such as choice_id=('person', 'task').",
    )
    kept = {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}
    return who, Annotators(kept, len(labels), np.array(labels, dtype=object))


def join_items(
    comparisons: Comparisons, columns: Any, *, item: str | None = None, features: Sequence[str] = ()
) -> Comparisons:
    """Add columns to the item table.

    Args:
        comparisons: comparisons whose items get the columns.
        columns: a file or frame with a row for each item, all of whose columns are numbers, or a mapping
            name -> (m,) array in the order of the items. Rows of a frame for other items are not used.
        item: the frame's column of ids; None where it has one column of text.
        features: those columns that become the items' (m, d) `features`, in this order.

    Returns:
        New comparisons; the others are added under their names.

    Raises:
        ValueError: for items the frame lacks, text, gaps, or a column that is there already.

    Example:
        >>> from bayespref.comparisons import Comparisons
        >>> answers = Comparisons.from_arrays([[0, 1]], [0], items=["a", "b"])
        >>> join_items(answers, {"size": [1.0, 2.0]}, features=("size",)).items.features.shape
        (2, 1)
    """
    table, features = comparisons.items, listed(features)
    if table.index is not None:
        raise refuse("columns are added to the full item table", "a minibatch")
    if isinstance(columns, Mapping):
        values = {str(name): np.asarray(value) for name, value in columns.items()}
    else:
        values = _joined(table, columns, item)
    if unknown := [name for name in features if name not in values]:
        raise refuse("features are among the columns", f"unknown {unknown}, with columns {sorted(values)}")
    for name, value in values.items():
        if value.shape[:1] != (table.size,):
            raise refuse(
                f"column {name!r} has one entry for each of {table.size} items", f"shape {value.shape}"
            )
        finite(f"item column {name!r}", value)
    new = feature_columns(values, features, [name for name in values if name not in features])
    has = {*table.columns, *(("features",) if "features" in comparisons.shown_columns else ())}
    if twice := sorted(has & set(new)):
        raise refuse("columns are added under new names", f"{twice[0]!r}, which is there already")
    added = {name: jnp.asarray(value) for name, value in new.items()}
    if "features" not in new:
        return comparisons.replace(items=dataclasses.replace(table, columns=table.columns | added))
    names = features or tuple(f"feature {place}" for place in range(new["features"].shape[1]))
    merged = dataclasses.replace(table, columns=table.columns | added, feature_names=names)
    return with_design(comparisons.replace(items=merged, feature_names=names))


def _joined(table: Items, frame, item: str | None) -> dict[str, np.ndarray]:
    if table.labels is None:
        raise refuse("a frame is joined by the items' labels", "items without labels")
    source = open_source(frame, what="the items frame")
    found, values = read_keyed(source, item, None, what="item", keyword="item")
    return aligned(table.labels, found, values, what="item")
