"""What a table says was shown and chosen, whatever its layout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayespref.comparisons import refuse
from bayespref.io.source import Source


class Choices(NamedTuple):
    """Which choice each row of a long table belongs to.

    Attributes:
        index: (rows,) choice of each row of the table. names: (n,) what messages call each choice.
        rows: the rows that were offered, sorted by choice. position: (offered,) their place in the choice.
    """

    index: np.ndarray
    names: np.ndarray
    rows: np.ndarray
    position: np.ndarray

    def spread(self, values: np.ndarray, *, fill: float = 0) -> np.ndarray:
        """Turn (rows, ...) values of alternatives into (n, k, ...) values of choices."""
        shape = (len(self.names), int(self.position.max()) + 1, *values.shape[1:])
        spread = np.full(shape, fill, values.dtype)
        spread[self.index[self.rows], self.position] = values[self.rows]
        return spread

    def refuse(self, must: str, got: str, wrong: np.ndarray, *, remedy: str = "") -> ValueError:
        """Build a refusal that names the choices concerned."""
        listed = ", ".join(repr(str(name)) for name in self.names[wrong[:5]])
        more = ", ..." if len(wrong) > 5 else ""
        return refuse(must, f"{got} for {len(wrong)} choice id(s): {listed}{more}", remedy=remedy)


class Layout(NamedTuple):
    """What was shown and chosen.

    Attributes:
        shown: (n, k) positions in `labels`, -1 for nothing. labels: (m,) the items' names.
        outcome: (n,) chosen column or level, (n, k) ranks, or None.
        vectors: (m, d) attributes of the items, where the items are attribute vectors.
        features: (n, k, d) attributes of what was shown, where the items have ids of their own.
        names: the d attributes.
        columns: name -> (n, k) other columns of what was shown.
        choices: which rows belong together in a long table, None where each row is a comparison.
        response: kind of outcome. levels: number of levels of graded ones.
    """

    shown: np.ndarray
    labels: np.ndarray
    outcome: np.ndarray | None
    vectors: np.ndarray | None
    features: np.ndarray | None
    names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    choices: Choices | None = None
    response: str = "choice"
    levels: int | None = None

    def per_comparison(self, values: np.ndarray, what: str, remedy: str) -> np.ndarray:
        """One value for each comparison: of its row, or the one that all rows of a choice share."""
        if self.choices is None:
            return values
        index = self.choices.index
        first = np.unique(index, return_index=True)[1]
        same = (values == values[first][index]) | ((values != values) & (values != values)[first][index])
        if not same.all():
            wrong = np.unique(index[~same])
            raise self.choices.refuse(
                f"{what} is the same in all rows of a choice", "several", wrong, remedy=remedy
            )
        return values[first]


def read_attributes(source: Source, columns: list[str], names: list[str]) -> np.ndarray:
    """(rows, columns) numbers; the caller checks gaps, which depend on what was shown."""
    values = [
        source.numbers(column, f"attribute {name!r}") for column, name in zip(columns, names, strict=True)
    ]
    return np.stack(values, -1).astype(np.float64)


def check_attributes(values: np.ndarray, there: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse gaps and infinite values in (rows, ..., d) attributes of things that were shown."""
    for place, name in enumerate(names):
        wrong = (there & ~np.isfinite(values[..., place])).reshape(len(values), -1).any(1)
        if wrong.any():
            raise refuse(
                f"attribute {name!r} of everything shown is a finite number",
                "NaN or infinite values",
                rows=np.flatnonzero(wrong),
                remedy="Fill them in or drop the rows: nothing is dropped silently.",
            )
