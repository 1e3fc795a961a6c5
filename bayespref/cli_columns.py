"""Which columns of a table are what: the options of the command line, and reading by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from bayespref.cli_output import tell

if TYPE_CHECKING:
    from bayespref.comparisons import Comparisons

Listed = Annotated[list[str] | None, Parameter(negative="")]


@Parameter(name="*", group="Columns (guessed from their names, unless said)")
@dataclasses.dataclass(kw_only=True)
class Columns:
    """Which columns are what; the keywords of `bayespref.read_table`.

    Attributes:
        shown: Columns of what was shown, in order: left,right.
        outcome: Column of answers.
        outcomes: What the answers' labels mean: A=left,B=right,both=tie.
        levels: Labels of strength, from the first by far to the second by far.
        ranks: Columns of ranks, 1 the best, one for each of shown.
        ranking: Columns of what was shown, the best first.
        winner: Column of the chosen.
        loser: Column of the other.
        choice_id: Long tables: which rows are one choice.
        alternative: Long tables: what was on offer.
        chosen: Long tables: 1 for the alternative chosen.
        available: Long tables: 0 for what was not on offer.
        attributes: What describes the things shown: price,time.
        annotator: Column of who answered.
        annotators: File with a row for each annotator.
        annotator_id: Its column of names.
        annotator_columns: Its columns that describe the annotators.
        count: Column of how many answers a row stands for.
        row_columns: Columns of numbers about the answer: time.
        presentation: Whether the order shown is recorded or lost.
        items: File with a row for each item.
        item_id: Its column of names.
        features: Its columns that describe the items.
        item_columns: Its other columns that models ask for: log_reference,length.
        stream: Count rows of a Parquet file as they are read, so that it need not fit in memory.
    """

    shown: Listed = None
    outcome: str | None = None
    outcomes: Listed = None
    levels: Listed = None
    ranks: Listed = None
    ranking: Listed = None
    winner: str | None = None
    loser: str | None = None
    choice_id: Listed = None
    alternative: str | None = None
    chosen: str | None = None
    available: Listed = None
    attributes: Listed = None
    annotator: str | None = None
    annotators: Path | None = None
    annotator_id: str | None = None
    annotator_columns: Listed = None
    count: str | None = None
    row_columns: Listed = None
    presentation: Literal["recorded", "lost"] | None = None
    items: Path | None = None
    item_id: str | None = None
    features: Listed = None
    item_columns: Listed = None
    stream: Annotated[bool, Parameter(negative="")] = False


def read(data: Path, columns: Columns | None) -> Comparisons:
    """Read a table by the columns named; where they do not say what was shown, guess, and tell the guess."""
    from bayespref import read_table

    given = _keywords(columns or Columns())
    if not {"shown", "winner", "loser", "ranking", "choice_id"} & set(given):
        guess = _guess(data)
        tell(f"reading {data.name} as {_options_text({**guess, **given})} (guessed from the column names)")
        given = {**guess, **given}
    return read_table(data, **given)


def _guess(data: Path) -> dict[str, Any]:
    from bayespref.io.files import open_source
    from bayespref.io.guess import guess_columns

    return guess_columns(open_source(data).names)


def _options_text(keywords: Mapping[str, Any]) -> str:
    """Keywords as the options that would say the same."""
    parts = []
    for name, value in keywords.items():
        text = value if isinstance(value, (str, Path)) else ",".join(_pair_text(value))
        parts.append(f"--{name.replace('_', '-')} {text}")
    return " ".join(parts)


def _pair_text(value: Mapping | Sequence) -> list[str]:
    return [f"{k}={v}" for k, v in value.items()] if isinstance(value, Mapping) else [str(v) for v in value]


def _keywords(columns: Columns) -> dict[str, Any]:
    """Keywords of `read_table` from the options given."""
    given = {name: value for name, value in vars(columns).items() if value not in (None, False)}
    for name in (
        "shown",
        "levels",
        "ranks",
        "ranking",
        "choice_id",
        "available",
        "attributes",
        "features",
        "item_columns",
        "annotator_columns",
        "row_columns",
    ):
        if name in given:
            given[name] = _split(given[name])
    for name in ("choice_id", "available", "ranks"):
        if len(given.get(name, "")) == 1:
            given[name] = given[name][0]
    if "outcomes" in given:
        given["outcomes"] = _meanings(given["outcomes"], given.get("shown", ()))
    return given


def _split(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(","))


def _meanings(values: Sequence[str], shown: Sequence[str]) -> dict[str, str | int]:
    """label=position pairs; a number is the index of a column, unless a column is called that."""
    meanings: dict[str, str | int] = {}
    for value in values:
        for pair in value.split(",") if all("=" in part for part in value.split(",")) else [value]:
            label, equals, code = pair.rpartition("=")
            if not equals:
                raise ValueError(
                    f"--outcomes takes label=position; got {value!r}. Such as --outcomes A=left,B=right."
                )
            meanings[label.strip()] = (
                int(code) if code.strip().isdigit() and code not in shown else code.strip()
            )
    return meanings
