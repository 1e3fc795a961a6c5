"""Wide tables: a row is a comparison, with columns for each position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayespref.comparisons import NONE, TIE, refuse
from bayespref.io import more_than_choices
from bayespref.io.items import natural_order, one_spelling, positions, vector_items
from bayespref.io.layout import Layout, check_attributes, read_attributes
from bayespref.io.outcomes import resolve
from bayespref.io.source import Source


def read_wide(
    source: Source,
    names: tuple[str, ...],
    *,
    outcome: str | None,
    outcomes: Mapping | None,
    attributes: Mapping[str, Sequence[str]] | Sequence[str] | None,
    available: Sequence[str] | None,
    shown_columns: Mapping[str, Sequence[str]],
    levels: Sequence | None = None,
    ranks: Sequence[str] | None = None,
    best_first: str = "",
) -> Layout:
    """Read what was shown at each of the k positions `names`, and what was answered.

    `best_first` is "choice" where the first column was chosen, "ranking" where columns stand in that order.
    """
    _check_names(names)
    identified = _has_ids(source, names, attributes)
    attribute_names, values = _attributes(source, names, attributes)
    if identified or values is None:
        shown, labels = _ids(source, names, available)
        vectors, features = None, values
        if features is not None:
            check_attributes(features, shown >= 0, attribute_names)
    else:
        there = _offered(source, names, available, len(values))
        if available is None:
            there[:, 2:] &= np.isfinite(values[:, 2:]).any(2)
        check_attributes(values, there, attribute_names)
        shown, labels, vectors = vector_items(values, there, attribute_names)
        features = None
    response, answered = _answers(
        source, names, shown, labels if identified else None, outcome, outcomes, levels, ranks
    )
    if best_first:
        response = best_first
        in_order = np.where(shown >= 0, np.arange(shown.shape[1]), -1)
        answered = np.zeros(len(shown), np.int64) if best_first == "choice" else in_order
    columns = {name: _by_position(source, names, name, where) for name, where in shown_columns.items()}
    graded = None if levels is None else len(levels)
    return Layout(
        shown, labels, answered, vectors, features, attribute_names, columns, None, response, graded
    )


def _answers(source, names, shown, labels, outcome, outcomes, levels, ranks):
    """Kind of the answers, and the answers or None."""
    if ranks is not None:
        if isinstance(ranks, str) or len(ranks) != len(names):
            raise refuse(f"ranks names one column for each of the positions {names}", repr(ranks))
        return "ranking", more_than_choices.ranks(source, ranks)
    kind = "choice" if levels is None else "graded"
    if outcome is None:
        return kind, None
    codes = source.codes(outcome, "outcome")
    if levels is not None:
        return kind, more_than_choices.strengths(codes, levels)
    ids = None if labels is None else list(labels)
    return kind, resolve(codes, names, outcomes=outcomes, shown=shown, items=ids)


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) < 2 or len(set(names)) < len(names):
        raise refuse("shown names two or more different positions, in the order of presentation", str(names))
    if reserved := {TIE, NONE} & set(names):
        raise refuse("positions are not called 'tie' or 'none', which are outcomes", str(sorted(reserved)))


def _has_ids(source: Source, names: tuple[str, ...], attributes) -> bool:
    found = [name for name in names if name in source.names]
    if found and len(found) < len(names):
        for name in names:
            source.require(name, "each position in shown")
    if not found and not attributes:
        for name in names:
            source.require(name, "without attributes, each position in shown")
    return bool(found)


def _offered(
    source: Source, names: tuple[str, ...], available: Sequence[str] | None, rows: int
) -> np.ndarray:
    if available is None:
        return np.ones((rows, len(names)), bool)
    if isinstance(available, str) or len(available) != len(names):
        raise refuse(f"available names one column for each of {names}", repr(available))
    return np.stack([source.flags(column, "available") for column in available], 1)


def _ids(source: Source, names: tuple[str, ...], available: Sequence[str] | None):
    """Item indices of what was shown; only the third and later positions may be empty, unless marked."""
    codes = [source.codes(name, "shown") for name in names]
    there = _offered(source, names, available, len(codes[0].index))
    for place, (name, column) in enumerate(zip(names, codes, strict=True)):
        missing = column.index < 0
        if (wrong := np.flatnonzero(missing & there[:, place])).size and (place < 2 or available is not None):
            raise refuse(
                f"column {name!r} says what was shown",
                "missing ids",
                rows=wrong,
                remedy="Drop these rows, or fill in the ids.",
            )
    spelled = [label for column in codes for label in column.labels]
    one_spelling(spelled)
    labels = natural_order(spelled)
    shown = np.stack(positions(codes, labels), 1)
    return np.where(there, shown, -1), np.array(labels, dtype=object)


def _attributes(source: Source, names: tuple[str, ...], attributes):
    """Names of the d attributes and their (n, k, d) values, or no names and None."""
    if not attributes:
        return (), None
    if not isinstance(attributes, Mapping):
        listed = (attributes,) if isinstance(attributes, str) else tuple(attributes)
        attributes = {name: columns_of(source, names, name) for name in listed}
    values = [_by_position(source, names, name, where) for name, where in attributes.items()]
    return tuple(attributes), np.stack(values, -1).astype(np.float64)


def _by_position(source: Source, names: tuple[str, ...], name: str, columns: Sequence[str]) -> np.ndarray:
    """(n, k) numbers from one column for each position."""
    if isinstance(columns, str) or len(columns) != len(names):
        raise refuse(f"{name!r} has one column for each of the positions {names}", repr(columns))
    return read_attributes(source, list(columns), [name] * len(columns))


def columns_of(source: Source, names: tuple[str, ...], name: str) -> list[str]:
    """Columns of an attribute by the usual patterns: left_price, price_left, price.left, priceleft."""
    patterns = ["{shown}_{name}", "{name}_{shown}", "{name}.{shown}", "{name}{shown}"]
    tried = [[pattern.format(shown=shown, name=name) for shown in names] for pattern in patterns]
    fitting = [columns for columns in tried if all(column in source.names for column in columns)]
    if len(fitting) == 1:
        return fitting[0]
    raise refuse(
        f"attribute {name!r} has one column for each position",
        f"{len(fitting)} of these in the table: {'; '.join(', '.join(columns) for columns in tried)}",
        remedy=f"Name the columns: attributes={{{name!r}: (...)}}.",
    )
