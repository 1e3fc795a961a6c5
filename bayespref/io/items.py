"""Items and annotators by name: labels in natural order, attribute vectors as items, columns joined by id."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bayespref.comparisons import refuse
from bayespref.io.files import open_source
from bayespref.io.source import Codes, Source
from bayespref.validation import finite


def natural_order(labels) -> list[str]:
    """Sort labels so that "item 10" comes after "item 9".

    Example:
        >>> natural_order(["b", "a10", "a9"])
        ['a9', 'a10', 'b']
    """

    def key(label: str):
        parts = re.split(r"([0-9]+)", label)
        return [int(part) if place % 2 else part.casefold() for place, part in enumerate(parts)], label

    return sorted(set(labels), key=key)


def positions(codes: Sequence[Codes], labels: Sequence[str]) -> list[np.ndarray]:
    """Positions in `labels` of every row of each column, -1 where a label is missing."""
    place = {label: index for index, label in enumerate(labels)}
    tables = [np.array([*(place[label] for label in column.labels), -1], np.int64) for column in codes]
    return [table[column.index] for table, column in zip(tables, codes, strict=True)]


def one_spelling(labels: Sequence[str]) -> None:
    """Refuse ids that occur both as "3" and as "3.0": a column with gaps turned numbers into decimals."""
    known = set(labels)
    twice = [label for label in labels if label.endswith(".0") and label[:-2] in known]
    if twice:
        raise refuse(
            "an id is written in one way",
            f"{twice[0][:-2]!r} and {twice[0]!r}",
            remedy="Write ids as text or as whole numbers; gaps make some programs write decimals.",
        )


def vector_items(values: np.ndarray, there: np.ndarray, names: Sequence[str]):
    """Give one item to each distinct attribute vector.

    Args:
        values: (n, k, d) attributes of what was shown.
        there: (n, k) whether something was shown.
        names: the d attributes.

    Returns:
        shown (n, k), labels (m,) such as "price=24, time=2.5", and the vectors (m, d), sorted.
    """
    vectors = values[there] + 0.0
    code = np.zeros(len(vectors), np.int64)
    for column in vectors.T:
        found, inverse = np.unique(column, return_inverse=True)
        code = np.unique(code * len(found) + inverse, return_inverse=True)[1]
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    shown = np.full(there.shape, -1)
    shown[there] = inverse
    vectors = vectors[first]
    return shown, _vector_labels(vectors, names), vectors


def _vector_labels(vectors: np.ndarray, names: Sequence[str]) -> np.ndarray:
    texts = []
    for name, column in zip(names, vectors.T, strict=True):
        single = column.astype(np.float32)
        written = pa.array(single if (single == column).all() else column).cast(pa.string())
        texts.append(
            pc.call_function("binary_join_element_wise", [pa.scalar(str(name)), written, pa.scalar("=")])
        )
    joined = pc.call_function("binary_join_element_wise", [*texts, pa.scalar(", ")])
    return np.array(joined.to_pylist(), dtype=object)


def read_keyed(frame, key: str | None, columns: Sequence[str] | None, *, what: str, keyword: str):
    """Read columns of a frame with one row for each label.

    Args:
        frame: a path or a data frame.
        key: its id column, or None where it has one text column.
        columns: names of numeric columns; None takes all but the id column.
        what: "item" or "annotator".
        keyword: what the user calls `key`.

    Returns:
        labels (rows,) and a mapping name -> (rows,) float64 numbers.

    Raises:
        ValueError: for missing ids, text, gaps, or one label with different numbers.
    """
    source = open_source(frame, what=f"the {what}s frame")
    key = _only_text_column(source, keyword) if key is None else key
    codes = source.codes(key, keyword).complete(f"an id in column {key!r} of {source.what}")
    _, first = np.unique(codes.index, return_index=True)
    values = {}
    for name in (other for other in source.names if other != key) if columns is None else columns:
        column = source.numbers(name, f"a column of {what}s").astype(np.float64)
        finite(f"column {name!r} of {source.what}", column)
        if (bad := np.flatnonzero(column != column[first][codes.index])).size:
            raise refuse(
                f"one {what} has one row in {source.what}, or rows that agree",
                f"different {name!r} for {codes.labels[codes.index[bad[0]]]!r}",
                rows=bad,
            )
        values[name] = column[first]
    return np.array(codes.labels, dtype=object), values


def _only_text_column(source: Source, keyword: str) -> str:
    text = [name for name in source.names if _holds_text(source, name)]
    if len(text) != 1:
        raise refuse(
            f"{keyword} names the column of ids in {source.what}",
            f"no {keyword}, and {len(text)} columns of text",
            remedy=f"Give {keyword}=, one of: {', '.join(source.names)}.",
        )
    return text[0]


def _holds_text(source: Source, name: str) -> bool:
    array = source.array(name, "column")
    kind = array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return False
    if not source.written:
        return True
    try:
        source.numbers(name, "column")
    except ValueError:
        return True
    return False


def aligned(labels, found: np.ndarray, values: dict[str, np.ndarray], *, what: str) -> dict[str, np.ndarray]:
    """Columns of a keyed frame in the order of `labels`; every label has to be in the frame."""
    place = {label: index for index, label in enumerate(found)}
    missing = [str(label) for label in labels if label not in place]
    if missing:
        raise refuse(
            f"every {what} of the answers is in the {what}s frame",
            f"{len(missing)} missing, such as {', '.join(map(repr, missing[:5]))}",
            remedy=f"Add a row for each, or leave the {what}s frame out.",
        )
    order = np.array([place[label] for label in labels], np.int64)
    return {name: value[order] for name, value in values.items()}


def feature_columns(values: dict[str, np.ndarray], features: Sequence[str], others: Sequence[str]) -> dict:
    """Stack features into one (m, d) column, and keep the others by name, all float32."""
    columns = {name: values[name].astype(np.float32) for name in others}
    if features:
        columns["features"] = np.stack([values[name] for name in features], 1).astype(np.float32)
    return columns
