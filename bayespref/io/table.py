"""Tables in: files and data frames of answers become `Comparisons`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayespref.comparisons import Comparisons, refuse
from bayespref.io.files import open_source
from bayespref.io.joins import annotator_table, item_table, join_items, listed
from bayespref.io.layout import Layout
from bayespref.io.long import read_long
from bayespref.io.source import Source
from bayespref.io.stream import among_distinct_rows, counted_source, named_columns
from bayespref.io.wide import read_wide

__all__ = ["join_items", "read_table"]

FORMS = "shown=(...), winner= and loser=, ranking=(...), or choice_id="


def read_table(
    source: Any,
    *,
    shown: Sequence[str] | None = None,
    outcome: str | None = None,
    outcomes: Mapping[Any, str | int] | None = None,
    levels: Sequence | None = None,
    ranks: str | Sequence[str] | None = None,
    ranking: Sequence[str] | None = None,
    winner: str | None = None,
    loser: str | None = None,
    choice_id: str | Sequence[str] | None = None,
    alternative: str | None = None,
    chosen: str | None = None,
    available: str | Sequence[str] | None = None,
    attributes: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    annotator: str | None = None,
    count: str | None = None,
    row_columns: Sequence[str] = (),
    shown_columns: Mapping[str, Any] | None = None,
    items: Any = None,
    item_id: str | None = None,
    features: Sequence[str] = (),
    item_columns: Sequence[str] = (),
    annotators: Any = None,
    annotator_id: str | None = None,
    annotator_columns: Sequence[str] = (),
    presentation: str | None = None,
    keep_rows: bool = False,
    stream: bool = False,
) -> Comparisons:
    """Read answers from a file or a data frame.

    A table is *wide* (a row is a comparison; `shown` names its k positions in the order of presentation),
    *winner and loser* or *ranking* (columns of ids, the best first; which was shown first is lost), or *long*
    (a row is an alternative; rows with one `choice_id` are one choice among k). An answer is a choice, a
    level of strength (`levels`), or ranks (`ranks`, `ranking`). What was shown is known by its id, by
    its `attributes`, or both. Attributes without ids make every distinct attribute vector an item;
    with ids they are kept on what was shown. Only columns that are named are read. Items and annotators
    stand in the natural order of their labels ("item 9" before "item 10"); those that only the `items` or
    `annotators` frame knows are kept, and are worth what the prior says.

    Args:
        source: a path (.csv, .csv.gz, .parquet, .pq, .jsonl, .ndjson), or a pandas, polars or pyarrow frame.
            In CSV, an unquoted empty cell, NA, NaN or nan is a gap.
        shown: names of the positions: columns of item ids (gaps from the third on: nothing was shown
            there), or, with `attributes`, plain names.
        outcome: column of answers; None reads comparisons to simulate or predict. Understood without
            `outcomes`: the names in `shown`, or ids of items shown in the row; "tie"; "none".
        outcomes: what other labels mean: label -> name in `shown`, column index, "tie" or "none".
        levels: labels of strength in the column `outcome`, in order, from "the first shown by far" to "the
            second by far"; an odd number has "about the same" in the middle.
        ranks: columns with the rank of each position (long: one column), 1 the best; gaps are unranked.
        ranking: columns of ids, from the best; gaps from the third on.
        winner: column of the chosen ids.
        loser: column of the other ids.
        choice_id: column, or columns that together, say which rows of a long table are one choice.
        alternative: column of the alternatives' ids.
        chosen: 0/1 column, one 1 in each choice.
        available: 0/1 column of a long table, or one for each position of a wide one: 0 was not shown.
        attributes: long: columns. Wide: name -> columns by position, or names, with columns found by the
            patterns left_price, price_left, price.left and priceleft.
        annotator: column of annotator ids.
        count: column of how many identical answers a row stands for.
        row_columns: numeric columns of the comparison to keep.
        shown_columns: name -> columns by position (long: name -> column), kept on what was shown.
        items: file or frame with a row for each item.
        item_id: its id column; None where it has one column of text.
        features: its columns that become the (m, d) item features.
        item_columns: other numeric columns of it to keep.
        annotators: file or frame with a row for each annotator.
        annotator_id: its id column; None where it has one column of text.
        annotator_columns: numeric columns of it to keep.
        presentation: "recorded" (default for wide tables) or "lost" (default for the others).
        keep_rows: remember which rows of the table each comparison stands for.
        stream: read a Parquet file a batch at a time, counting identical rows as they come, so that it need
            not fit in memory. Not for long tables. Rows in messages are then distinct rows.

    Returns:
        Comparisons with identical rows counted.

    Raises:
        ValueError: for any column, label, id or number that breaks a rule, naming rows or choices.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"left": ["tea", "milk"], "right": ["milk", "tea"], "choice": ["left", "tie"]})
        >>> read_table(table, shown=("left", "right"), outcome="choice")
        Comparisons(2 answers, 2 rows, 2 items, k=2, ties, presentation recorded)
    """
    table = open_source(source)
    form = _form(shown, (winner, loser), ranking, choice_id)
    if stream:
        if form == "long" or keep_rows:
            got = "a long table" if form == "long" else "keep_rows=True"
            raise refuse("what is streamed has a comparison in each row, and rows are not kept", got)
        named = (shown, ranking, winner, loser, outcome, ranks, available, annotator, row_columns)
        columns = named_columns(table, named, attributes, shown_columns or {}, listed(ranking or shown))
        table, count = counted_source(source, columns, count)
    said = {"outcome": outcome, "outcomes": outcomes, "levels": levels, "alternative": alternative}
    _refuse_strangers(form, **said, chosen=chosen, ranks=ranks)
    shown_columns = dict(shown_columns or {})
    with among_distinct_rows(streamed=stream):
        if choice_id is not None:
            layout = read_long(
                table,
                choice_id,
                alternative=alternative,
                chosen=chosen,
                available=available,
                attributes=attributes,
                shown_columns=shown_columns,
                ranks=ranks,
            )
        else:
            pair = () if winner is None or loser is None else (winner, loser)
            layout = read_wide(
                table,
                listed(pair or ranking or shown),
                outcome=outcome,
                outcomes=outcomes,
                attributes=attributes,
                available=available,
                shown_columns=shown_columns,
                levels=levels,
                ranks=ranks,
                best_first={"winner": "choice", "ranking": "ranking"}.get(form, ""),
            )
        shown_index, known_items = item_table(layout, items, item_id, listed(features), listed(item_columns))
        who, known_annotators = annotator_table(
            table, layout, annotator, annotators, annotator_id, listed(annotator_columns)
        )
        columns = layout.columns
        if layout.features is not None:
            columns = columns | {"features": layout.features}
        data = Comparisons.from_arrays(
            shown_index,
            layout.outcome,
            items=known_items,
            annotator=who,
            annotators=known_annotators,
            count=None if count is None else _row_numbers(table, layout, count, "count"),
            row_columns={
                name: _row_numbers(table, layout, name, "row_columns") for name in listed(row_columns)
            },
            shown_columns=columns,
            feature_names=() if layout.features is None else layout.names,
            presentation=_presentation(form, presentation),
            response=layout.response,
            levels=layout.levels,
            keep_rows=keep_rows,
        )
    return _with_file_rows(data, layout) if keep_rows else data


def _form(shown, winner, ranking, choice_id) -> str:
    given = {
        "wide": shown is not None,
        "winner": any(winner),
        "ranking": ranking is not None,
        "long": choice_id is not None,
    }
    forms = [form for form, there in given.items() if there]
    if len(forms) != 1:
        raise refuse(
            f"a table says what was shown in one way: {FORMS}",
            "none of them" if not forms else f"{len(forms)} of them",
        )
    if forms == ["winner"] and not all(winner):
        raise refuse("winner and loser are given together", f"winner={winner[0]!r}, loser={winner[1]!r}")
    return forms[0]


FITTING = {
    "wide": ("outcome", "outcomes", "levels", "ranks"),
    "winner": (),
    "ranking": (),
    "long": ("alternative", "chosen", "ranks"),
}
"""Keywords that say what was answered, by form of table."""


def _refuse_strangers(form: str, **given) -> None:
    """Refuse keywords that another form of table would need, and two that say the same."""
    said = [name for name, value in given.items() if value is not None]
    strange = [name for name in said if name not in FITTING[form]]
    if strange:
        raise refuse(
            "alternative and chosen go with choice_id; outcome, outcomes, levels with shown; ranks with both",
            f"{', '.join(strange)} in a {form} table",
        )
    if given["outcomes"] is not None and given["outcome"] is None:
        raise refuse("outcomes says what the labels of a column mean", "outcomes without outcome")
    twice = {"ranks", "levels", "outcomes"} & set(said), {"ranks", "outcome", "chosen"} & set(said)
    if any(len(names) > 1 for names in twice):
        raise refuse("answers are said in one way", f"{', '.join(sorted(set().union(*twice)))} together")


def _presentation(form: str, presentation: str | None) -> str:
    if form in ("winner", "ranking") and presentation == "recorded":
        raise refuse(
            "a table that lists the best first has lost the order in which they were shown",
            "presentation='recorded'",
            remedy="Read it as shown=(...) in the order of presentation, with an outcome.",
        )
    return presentation or ("recorded" if form == "wide" else "lost")


def _row_numbers(table: Source, layout: Layout, name: str, keyword: str) -> np.ndarray:
    return layout.per_comparison(
        table.numbers(name, keyword), f"column {name!r}", "Give one value per choice."
    )


def _with_file_rows(data: Comparisons, layout: Layout) -> Comparisons:
    """Source rows of a long table are rows of the file, not numbers of choices."""
    if layout.choices is None or data.source_rows is None:
        return data
    order = np.argsort(layout.choices.index, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(layout.choices.index))[:-1])
    return data.replace(
        source_rows=tuple(np.concatenate([rows[choice] for choice in source]) for source in data.source_rows)
    )
