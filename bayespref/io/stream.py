"""Parquet files larger than memory: distinct rows are counted as they are read, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from bayespref.comparisons import refuse
from bayespref.io.source import Source
from bayespref.io.wide import columns_of
from bayespref.validation import checked_count

BATCH = 1 << 20
"""Rows read at a time."""
TIMES, ROW = "times seen", "first row"
AMONG = "Rows are counted among the distinct rows of the file, in order of appearance."


def counted_source(path: Any, columns: Iterable[str], count: str | None) -> tuple[Source, str]:
    """The distinct rows of some columns of a Parquet file, and the name of the column that counts them.

    Args:
        path: a path ending in .parquet or .pq.
        columns: the columns that matter.
        count: a column that says how many answers a row stands for, or None.

    Returns:
        The rows in order of first appearance, and the name of their column of counts.

    Raises:
        ValueError: for other sources, columns that are not there, and counts that are none.

    Example:
        >>> source, times = counted_source("votes.parquet", ["left", "right"], None)  # doctest: +SKIP
    """
    if not isinstance(path, (str, os.PathLike)) or Path(path).suffix.lower() not in (".parquet", ".pq"):
        got = repr(str(path)) if isinstance(path, (str, os.PathLike)) else f"a {type(path).__name__}"
        raise refuse("streamed is a Parquet file", got, remedy="Read it without stream=True.")
    if not Path(path).is_file():
        raise refuse("the table is a file that can be read", f"no file {str(path)!r}")
    try:
        file = parquet.ParquetFile(path)
    except pa.ArrowException as error:
        raise refuse("the table can be read", f"{Path(path).name!r}: {error}") from error
    names = Source(file.schema_arrow.names, lambda name: name)
    keys = list(dict.fromkeys(names.require(name, "stream") for name in columns))
    if count is not None:
        names.require(count, "count")
    table = _distinct(file, keys, count)
    return Source(table.column_names, table.column), TIMES


def named_columns(
    table: Source, named: Sequence[Any], attributes: Any, shown_columns: Mapping, positions: tuple[str, ...]
) -> list[str]:
    """The columns that keywords name: single names, sequences, names by position, patterns of attributes."""
    found: list[str] = []
    for value in named:
        found += [value] if isinstance(value, str) else list(value or ())
    for value in shown_columns.values():
        found += [value] if isinstance(value, str) else list(value)
    if isinstance(attributes, Mapping):
        found += [column for columns in attributes.values() for column in columns]
    elif attributes:
        names = (attributes,) if isinstance(attributes, str) else attributes
        found += [column for name in names for column in columns_of(table, positions, name)]
        # Positions of attributes alone are names, not columns.
        found = [name for name in found if name not in positions or name in table.names]
    return found


@contextmanager
def among_distinct_rows(*, streamed: bool) -> Iterator[None]:
    """Say of refusals that name rows which rows they mean."""
    try:
        yield
    except ValueError as error:
        if streamed and " row(s), " in str(error):
            raise ValueError(f"{error} {AMONG}") from error
        raise


def _distinct(file: parquet.ParquetFile, keys: list[str], count: str | None) -> pa.Table:
    parts: list[pa.Table] = []
    start, known = 0, 0
    for batch in file.iter_batches(BATCH, columns=keys + ([] if count is None or count in keys else [count])):
        parts.append(_grouped(_numbered(batch, keys, count, start), keys))
        start += len(batch)
        # Parts are put together as often as they double what is known: linear in the rows read.
        if sum(len(part) for part in parts[1:]) >= max(known, BATCH):
            parts = [_grouped(pa.concat_tables(parts), keys)]
            known = len(parts[0])
    if not parts:
        raise refuse("the table holds at least one row", "an empty table", remedy="Check filters and file.")
    whole = _grouped(pa.concat_tables(parts), keys) if len(parts) > 1 else parts[0]
    return whole.sort_by(ROW).drop_columns([ROW])


def _numbered(batch: pa.RecordBatch, keys: Sequence[str], count: str | None, start: int) -> pa.Table:
    """A batch with its row numbers and counts, its columns without dictionaries."""
    table = pa.table(batch)
    columns = {name: _plain(table.column(name)) for name in keys}
    numbers = None if count is None else Source([count], table.column).numbers(count, "count")
    times = checked_count(numbers, len(table), start=start)
    return pa.table({**columns, TIMES: times, ROW: np.arange(start, start + len(table))})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _grouped(table: pa.Table, keys: list[str]) -> pa.Table:
    found = table.group_by(keys).aggregate([(TIMES, "sum"), (ROW, "min")])
    return found.rename_columns({f"{TIMES}_sum": TIMES, f"{ROW}_min": ROW}).select([*keys, TIMES, ROW])
