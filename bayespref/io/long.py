"""Long tables, as choice modellers keep them: a row is an alternative, rows of one choice share an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayespref.comparisons import refuse
from bayespref.io.items import natural_order, one_spelling, positions, vector_items
from bayespref.io.layout import Choices, Layout, check_attributes, read_attributes
from bayespref.io.more_than_choices import from_zero
from bayespref.io.source import Source


def read_long(
    source: Source,
    choice_id: str | Sequence[str],
    *,
    alternative: str | None,
    chosen: str | None,
    available: str | Sequence[str] | None,
    attributes: Mapping[str, Sequence[str]] | Sequence[str] | None,
    shown_columns: Mapping[str, str],
    ranks: str | Sequence[str] | None = None,
) -> Layout:
    """Read choices; the position of an alternative is its place among the rows of its choice."""
    if isinstance(attributes, Mapping):
        raise refuse("attributes of a long table are a sequence of columns", repr(attributes))
    names = (attributes,) if isinstance(attributes, str) else tuple(attributes or ())
    if alternative is None and not names:
        raise refuse("a long table says what was shown", "neither alternative nor attributes")
    choices = _choices(source, choice_id, available)
    values = None
    if names:
        values = read_attributes(source, list(names), list(names))
        offered = np.zeros(len(values), bool)
        offered[choices.rows] = True
        check_attributes(values, offered, names)
    shown, labels, vectors, features = _items(source, choices, alternative, values, names)
    ordered = np.sort(shown, 1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1)
    if twice.any():
        raise choices.refuse(
            "the alternatives of a choice differ from each other", "the same twice", np.flatnonzero(twice)
        )
    outcome = None if chosen is None else _chosen(source, choices, chosen)
    if ranks is not None:
        if not isinstance(ranks, str):
            raise refuse("a long table has one column of ranks", repr(ranks))
        outcome = from_zero(choices.spread(source.numbers(ranks, "ranks").astype(np.float64), fill=np.nan))
    columns = {
        name: choices.spread(source.numbers(column, "shown_columns"))
        for name, column in shown_columns.items()
    }
    response = "choice" if ranks is None else "ranking"
    return Layout(shown, labels, outcome, vectors, features, names, columns, choices, response)


def _choices(
    source: Source, choice_id: str | Sequence[str], available: str | Sequence[str] | None
) -> Choices:
    listed = (choice_id,) if isinstance(choice_id, str) else tuple(choice_id)
    codes = [source.codes(name, "choice_id").complete("a choice id") for name in listed]
    code = np.zeros(len(codes[0].index), np.int64)
    for column in codes:
        code = np.unique(code * len(column.labels) + column.index, return_inverse=True)[1]
    _, first, index = np.unique(code, return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(first))
    index, first = appearance[index], np.sort(first)
    names = [" / ".join(column.labels[column.index[row]] for column in codes) for row in first]
    offered = np.arange(len(index))
    if available is not None:
        if not isinstance(available, str):
            raise refuse("a long table has one column that says what was available", repr(available))
        offered = np.flatnonzero(source.flags(available, "available"))
    sizes = np.bincount(index[offered], minlength=len(names))
    rows = offered[np.argsort(index[offered], kind="stable")]
    position = np.arange(len(rows)) - (np.cumsum(sizes) - sizes)[index[rows]]
    choices = Choices(index, np.array(names, dtype=object), rows, position)
    if (wrong := np.flatnonzero(sizes < 2)).size:
        raise choices.refuse(
            "every choice shows at least two alternatives",
            f"{sizes[wrong[0]]}",
            wrong,
            remedy="Drop these choices, or mark their alternatives as available.",
        )
    return choices


def _items(source: Source, choices: Choices, alternative: str | None, values, names: tuple[str, ...]):
    features = None if values is None else choices.spread(values)
    if alternative is None:
        assert features is not None
        there = choices.spread(np.ones(len(choices.index), bool))
        return *vector_items(features, there, names), None
    codes = source.codes(alternative, "alternative").complete("an alternative")
    one_spelling(codes.labels)
    labels = natural_order(codes.labels)
    shown = choices.spread(positions([codes], labels)[0], fill=-1)
    return shown, np.array(labels, dtype=object), None, features


def _chosen(source: Source, choices: Choices, chosen: str) -> np.ndarray:
    """(n,) place of the one alternative chosen in each choice."""
    flags = source.flags(chosen, "chosen")
    times = np.bincount(choices.index[flags], minlength=len(choices.names))
    if (wrong := np.flatnonzero(times != 1)).size:
        got = "none chosen" if times[wrong[0]] == 0 else f"{times[wrong[0]]} chosen"
        raise choices.refuse(
            "exactly one alternative of each choice is chosen",
            got,
            wrong,
            remedy="Make choice ids unique, such as choice_id=('person', 'task'), or drop these choices.",
        )
    spread = choices.spread(flags)
    if (wrong := np.flatnonzero(~spread.any(1))).size:
        raise choices.refuse("what is chosen was available", "an unavailable alternative", wrong)
    return spread.argmax(1)
