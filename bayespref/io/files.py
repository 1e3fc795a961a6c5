"""Files and data frames, opened as a `Source`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.json as json
import pyarrow.parquet as parquet

from bayespref.comparisons import refuse
from bayespref.io.source import Source

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq", ".jsonl", ".ndjson")
MISSING = ("", "NA", "NaN", "nan")
"""What stands for nothing in an unquoted cell of a CSV file."""
BLOCK = 1 << 26
"""Bytes of one JSON block: no record may be longer."""


def open_source(source: Any, *, what: str = "the table") -> Source:
    """Open a path or a data frame.

    Args:
        source: a path ending in one of `SUFFIXES`, or a pandas, polars or pyarrow data frame.
        what: what messages call it.

    Raises:
        ValueError: for another suffix, a file that is not there or cannot be read, or another object.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source), what)
    try:
        frame = nw.from_native(source)
    except TypeError:
        raise refuse(
            f"{what} is a path or a data frame (pandas, polars, pyarrow)", f"a {type(source).__name__}"
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise refuse(f"the columns of {what} have different names", " ".join(str(error).split())) from error
    frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return Source(frame.columns, lambda name: _frame_column(frame, name), what=what)


def _frame_column(frame: nw.DataFrame, name: str) -> pa.ChunkedArray:
    try:
        return frame.select(name).to_arrow().column(name)
    except pa.ArrowException as error:
        raise refuse(f"column {name!r} holds values of one type", str(error)) from error


def _open_file(path: Path, what: str) -> Source:
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise refuse(
            f"{what} is a file ending in {', '.join(SUFFIXES)}",
            repr(path.name),
            remedy="Read other files with pandas or polars, and pass the data frame.",
        )
    if not path.is_file():
        raise refuse(f"{what} is a file that can be read", f"no file {str(path)!r}")
    try:
        if name.endswith((".csv", ".csv.gz")):
            table = _read_csv(path)
            return Source(table.column_names, table.column, what=what, written=True)
        if name.endswith((".jsonl", ".ndjson")):
            table = json.read_json(path, json.ReadOptions(block_size=BLOCK))
            return Source(table.column_names, lambda name: _json_column(path, table, name), what=what)
        names = parquet.read_schema(path).names
        return Source(names, lambda name: parquet.read_table(path, columns=[name]).column(name), what=what)
    except pa.ArrowException as error:
        raise refuse(f"{what} can be read", f"{path.name!r}: {error}") from error


def _read_csv(path: Path) -> pa.Table:
    """Every cell as text: a label 007 stays what it is, and numbers are parsed where they are asked for."""
    parse = csv.ParseOptions(newlines_in_values=True)
    with csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    options = csv.ConvertOptions(
        column_types={name: pa.large_string() for name in names},
        null_values=list(MISSING),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    return csv.read_csv(path, parse_options=parse, convert_options=options)


def _json_column(path: Path, table: pa.Table, name: str) -> pa.ChunkedArray:
    column = table.column(name)
    if not pa.types.is_timestamp(column.type):
        return column
    # A label that reads like a date is text in the file.
    schema = pa.schema([pa.field(name, pa.string())])
    return json.read_json(
        path,
        json.ReadOptions(block_size=BLOCK),
        json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    ).column(name)
