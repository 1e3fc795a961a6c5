"""One table, its columns read as labels, numbers or flags when they are named."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bayespref.comparisons import refuse

NO_LABEL = ("", "nan", "NaN")
"""What is no label: text columns that once held numbers write their gaps this way."""
FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


class Codes(NamedTuple):
    """A column of labels: `index` (n,) positions in `labels`, -1 where the label is missing."""

    index: np.ndarray
    labels: list[str]

    def rows(self, wrong: Sequence[str]) -> np.ndarray:
        """Rows that hold one of some labels."""
        return np.flatnonzero(np.isin(self.index, [self.labels.index(label) for label in wrong]))

    def complete(self, what: str, *, remedy: str = "Fill them in or drop these rows.") -> Codes:
        """Return the codes, refusing missing labels."""
        if (missing := np.flatnonzero(self.index < 0)).size:
            raise refuse(f"every row has {what}", "missing values", rows=missing, remedy=remedy)
        return self


class Source:
    """A table whose columns are read on demand.

    Attributes:
        names: the column names.
        what: what messages call the table.
        written: whether numbers are text that has to be parsed (CSV).
    """

    def __init__(
        self,
        names: Sequence[str],
        column: Callable[[str], Any],
        *,
        what: str = "the table",
        written: bool = False,
    ):
        self.names, self.what, self.written = tuple(names), what, written
        self._column = column
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise refuse(f"the columns of {what} have different names", f"{twice!r} more than once")

    def require(self, name: str, keyword: str) -> str:
        """Return `name` if it is a column; otherwise say which columns there are."""
        if name in self.names:
            return name
        listed = ", ".join(self.names[:30]) + (", ..." if len(self.names) > 30 else "")
        near = difflib.get_close_matches(str(name), self.names, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else "Name one of its columns."
        raise refuse(
            f"{keyword} names a column of {self.what}", f"{name!r}, with columns: {listed}", remedy=remedy
        )

    def array(self, name: str, keyword: str) -> pa.Array:
        """One column as a single array, without dictionary encoding."""
        column = self._column(self.require(name, keyword))
        if isinstance(column, pa.ChunkedArray):
            column = pa.array([], column.type) if column.num_chunks == 0 else column.combine_chunks()
        if len(column) == 0:
            raise refuse(
                f"{self.what} holds at least one row", "an empty table", remedy="Check filters and file."
            )
        if isinstance(column, pa.ChunkedArray):  # more text than one array holds
            column = column.cast(pa.large_string()).combine_chunks()
        return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column

    def codes(self, name: str, keyword: str) -> Codes:
        """Read a column of labels; whole numbers become their digits."""
        column = self.array(name, keyword)
        kind = column.type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise refuse(f"column {name!r} ({keyword}) holds text or numbers", f"type {kind}")
        if pa.types.is_null(kind):
            return Codes(np.full(len(column), -1), [])
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            column = column.cast(pa.large_string())
        encoded = column.dictionary_encode()
        labels = [_label(value) for value in encoded.dictionary.to_pylist()]
        index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        kept = [label for label in labels if label is not None]
        place = np.full(len(labels) + 1, -1)
        place[:-1][[label is not None for label in labels]] = np.arange(len(kept))
        return Codes(place[index], kept)

    def numbers(self, name: str, keyword: str) -> np.ndarray:
        """Read a column of numbers: int64 where all are whole and present, else float64 with NaN for gaps."""
        column = self.array(name, keyword)
        if _is_text(column.type):
            column = self._parsed(column, name, keyword)
        kind = column.type
        whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        if not (whole or any(test(kind) for test in _NUMERIC)):
            remedy = "Turn it into numbers first, such as days since the first answer for a time."
            raise refuse(f"column {name!r} ({keyword}) holds numbers", f"type {kind}", remedy=remedy)
        if kind == pa.uint64():
            column = column.cast(pa.float64(), safe=False)
        target = pa.int64() if whole and not column.null_count and kind != pa.uint64() else pa.float64()
        return column.cast(target, safe=False).to_numpy(zero_copy_only=False)

    def flags(self, name: str, keyword: str) -> np.ndarray:
        """Read a column of 0/1 or false/true as booleans."""
        codes = self.codes(name, keyword).complete(f"0 or 1 in column {name!r} ({keyword})")
        wrong = [label for label in codes.labels if label.lower() not in FLAGS]
        if wrong:
            raise refuse(
                f"column {name!r} ({keyword}) holds 0/1 or false/true", repr(wrong[0]), rows=codes.rows(wrong)
            )
        return np.array([FLAGS[label.lower()] for label in codes.labels], bool)[codes.index]

    def _parsed(self, column: pa.Array, name: str, keyword: str) -> pa.Array:
        """Numbers from text, where the file has nothing but text (CSV)."""
        if self.written:
            text = pc.call_function("utf8_trim_whitespace", [column])
            empty = pc.call_function("equal", [text, pa.scalar("", text.type)])
            text = pc.call_function("if_else", [empty, pa.scalar(None, text.type), text])
            for target in (pa.int64(), pa.float64()):
                try:
                    return text.cast(target)
                except pa.ArrowInvalid:
                    continue
        codes = self.codes(name, keyword)
        wrong = [label for label in codes.labels if not _is_number(label)] or codes.labels
        raise refuse(
            f"column {name!r} ({keyword}) holds numbers",
            f"text such as {wrong[0]!r}" if wrong else "nothing but gaps",
            rows=codes.rows(wrong),
            remedy="Turn it into numbers first, or leave it out.",
        )


_NUMERIC = (pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _label(value) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    label = str(value)
    return None if label in NO_LABEL else label


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
