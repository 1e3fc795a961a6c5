"""The data: what was shown, what was answered, by whom, and how often.

`Comparisons` is an immutable pytree. Its arrays are traced; labels stay on the host and are dropped by
every JAX transformation, so two data sets of one shape share one compilation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from jax.core import Tracer

import bayespref._numpyro  # noqa: F401 (before any module of numpyro)
from bayespref.arrays import device_array

TIE, NONE = "tie", "none"


def refuse(must: str, got: str, *, rows=None, remedy: str = "") -> ValueError:
    """Build the one form every refusal takes: what must hold, what was got, which rows, what to do."""
    where = ""
    if rows is not None and len(rows):
        listed = ", ".join(str(int(row)) for row in rows[:5])
        where = f" in {len(rows)} row(s), counted from 0: {listed}{', ...' if len(rows) > 5 else ''}"
    return ValueError(f"{must}; got {got}{where}.{' ' + remedy if remedy else ''}")


class Design(NamedTuple):
    """What parametrisations read: computed once on the full data, carried by every batch and shard.

    Attributes:
        item_answers: (m,) how many answers showed each item.
        annotator_answers: (a,) how many answers each annotator gave, or None without annotators.
        feature_mean: (d,) mean of the features over everything shown, or None without features.
        feature_scale: (d,) their standard deviation within a comparison, the spread choices can see (1
            where a feature never differs, which only data to predict or to simulate may have).
        column_mean, column_scale: name -> mean and standard deviation over annotators of their one-number
            columns, or None without any.
    """

    item_answers: Array
    annotator_answers: Array | None = None
    feature_mean: Array | None = None
    feature_scale: Array | None = None
    column_mean: dict[str, Array] | None = None
    column_scale: dict[str, Array] | None = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Items:
    """The item table: one row for each thing that can be chosen.

    Attributes:
        columns: name -> (m, ...) numeric array; `features` (m, d), `log_reference` (m,), `length` (m,), ...
        feature_names: the names of the d columns of `features`.
        size: rows of the full table. A minibatch carries fewer rows and says in `index` which they are.
        index: (rows,) position of each carried row in the full table, or None for all of them.
        labels: the items' names, host-side, None inside traced code.
    """

    columns: dict[str, Array]
    size: int
    feature_names: tuple[str, ...] = ()
    index: Array | None = None
    labels: np.ndarray | None = None

    @property
    def features(self) -> Array:
        """(m, d) features; raises a ValueError where the items have none."""
        if "features" not in self.columns:
            raise refuse(
                "a reward over features needs item features",
                f"items with columns {sorted(self.columns)}",
                remedy="Read them with features=(...), or add them with comparisons.with_item_columns(...).",
            )
        return self.columns["features"]

    def column(self, name: str) -> Array:
        """(m, ...) a column of the items; raises a ValueError where the items lack it."""
        if name not in self.columns:
            raise refuse(
                f"this model needs the items' column {name!r}",
                f"items with columns {sorted(self.columns)}",
                remedy=f"Add it: comparisons.with_item_columns({{{name!r}: values}}).",
            )
        return self.columns[name]

    def __len__(self) -> int:
        """Rows carried here: all of them, but for a minibatch."""
        return self.size if self.index is None else len(self.index)

    def __repr__(self) -> str:
        """Show size and columns."""
        return f"Items({self.size} items, columns={sorted(self.columns)})"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Annotators:
    """The annotator table: columns (age, expertise, ...) of (a, ...) arrays, and the annotators' names."""

    columns: dict[str, Array]
    size: int
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        """How many annotators."""
        return self.size

    def __repr__(self) -> str:
        """Show size and columns."""
        return f"Annotators({self.size} annotators, columns={sorted(self.columns)})"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparisons:
    """Answers to "which of these is better?", identical ones counted.

    Attributes:
        shown: (n, k) item indices in presentation order; column 0 was shown first, -1 is nothing shown.
        outcome: by `response`: (n,) the chosen column, k a tie, k + 1 none of them; (n,) the level; (n, k)
            the rank of every column. None means: simulate.
        count: (n,) how many identical answers the row stands for.
        weight: (n,) factor on the row's log-likelihood: 1 but for minibatches, left-out rows, exact limits.
        annotator: (n,) annotator index, or None.
        items: the item table. annotators: the annotator table, or None.
        row_columns: name -> (n,) column of the comparison (time, prompt, strength).
        shown_columns: name -> (n, k, ...) column of what was shown (a price shown with a brand).
        design: answers per item and annotator and spread of the features, from the full data.
        response: kind of outcome: "choice"; "graded", how strongly the first is preferred, level 0 by far;
            "ranking", 0 the best, -1 unranked.
        levels: number of levels of graded answers, else 0.
        presentation: "recorded", or "lost" when the order of sides is not that of the screen.
        has_ties, has_none: whether any outcome is a tie, or none of them.
        ragged: whether sets differ in size.
        source_rows: for each row, the rows of the file it stands for (host-side), or None.
        tally: (n, outcomes) answers of every outcome, in place of `outcome` and `count`, where inference made
            one row of all (`inference.condensed`); else None.

    Example:
        >>> answers = Comparisons.from_arrays([[0, 1], [1, 2]], [0, 1], items=["a", "b", "c"])
        >>> answers.shown.shape
        (2, 2)
    """

    shown: Array
    outcome: Array | None
    count: Array
    weight: Array
    annotator: Array | None
    items: Items
    annotators: Annotators | None
    row_columns: dict[str, Array]
    shown_columns: dict[str, Array]
    design: Design
    response: str = "choice"
    levels: int = 0
    presentation: str = "recorded"
    has_ties: bool = False
    has_none: bool = False
    ragged: bool = False
    feature_names: tuple[str, ...] = ()
    source_rows: tuple[np.ndarray, ...] | None = None
    tally: Array | None = None

    @classmethod
    def from_arrays(
        cls,
        shown,
        outcome=None,
        *,
        items: Items | Sequence[str] | int | None = None,
        annotator=None,
        annotators: Annotators | Sequence[str] | int | None = None,
        count=None,
        row_columns: Mapping[str, np.ndarray] | None = None,
        shown_columns: Mapping[str, np.ndarray] | None = None,
        feature_names: Sequence[str] = (),
        presentation: str = "recorded",
        response: str = "choice",
        levels: int | None = None,
        merge: bool = True,
        keep_rows: bool = False,
    ) -> Comparisons:
        """Check arrays and build comparisons from them.

        Args:
            shown: (n, k) integer item indices, -1 where nothing was shown.
            outcome: integers as `response` has it: (n,) columns (k = tie, k + 1 = none), (n,) levels from 0,
                the first shown by far, or (n, k) ranks from 0, the best (-1 = unranked). None to simulate.
            items: the item table, labels, or a number of items; None takes the largest index shown.
            annotator: (n,) integer annotator indices.
            annotators: the annotator table, labels, or a number of annotators.
            count: (n,) positive integers, how many identical answers a row stands for.
            row_columns: name -> (n,) numbers of each comparison.
            shown_columns: name -> (n, k, ...) numbers of what was shown; `features` is (n, k, d).
            feature_names: names of the d features in `shown_columns["features"]`.
            presentation: "recorded", or "lost": sides are then shuffled with a fixed seed.
            response: "choice", "graded" or "ranking".
            levels: number of levels of graded answers.
            merge: merge identical rows into counts.
            keep_rows: remember which input rows each row stands for.

        Raises:
            ValueError: for any input that breaks a rule, naming the rows.
        """
        from bayespref.validation import checked_arrays

        return checked_arrays(
            shown,
            outcome,
            items=items,
            annotator=annotator,
            annotators=annotators,
            count=count,
            row_columns=dict(row_columns or {}),
            shown_columns=dict(shown_columns or {}),
            feature_names=tuple(feature_names),
            presentation=presentation,
            response=response,
            levels=levels,
            merge=merge,
            keep_rows=keep_rows,
        )

    @classmethod
    def from_points(cls, points, outcome=None, *, names: Sequence[str] = (), **options) -> Comparisons:
        """Build comparisons of points of a continuous space: each distinct point becomes an item.

        Args:
            points: (n, k) numbers, or (n, k, d) coordinates, of what was shown.
            outcome: (n,) integer outcomes as in `from_arrays`, or None to simulate.
            names: names of the d coordinates; x, y, z where not given.
            options: as in `from_arrays`: annotator, count, presentation, ...

        Raises:
            ValueError: for points that are not finite, and as `from_arrays`.

        Example:
            >>> Comparisons.from_points([[0.0, 1.0], [1.0, 2.5]], [0, 1]).items.features.tolist()
            [[0.0], [1.0], [2.5]]
        """
        from bayespref.points import from_points

        return from_points(points, outcome, names=names, **options)

    # ---- shapes and derived arrays -------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of rows (identical answers are one row); `answers` counts them one by one."""
        return self.shown.shape[0]

    @property
    def k(self) -> int:
        """Columns of `shown`: the largest number of things shown at once."""
        return self.shown.shape[1]

    @property
    def answers(self) -> int:
        """Number of single answers: the sum of counts."""
        return int(np.asarray(self.count).sum())

    @property
    def available(self) -> Array | None:
        """(n, k) whether something was shown there, or None when every set is full."""
        return self.shown >= 0 if self.ragged else None

    @property
    def first_shown(self) -> Array:
        """(k,) 1 for what was shown first, else 0: `score + effect * comparisons.first_shown`.

        Raises:
            ValueError: when the order of presentation is not recorded.
        """
        if self.presentation != "recorded":
            raise refuse(
                "a position effect needs the order in which things were shown",
                f"presentation={self.presentation!r}",
                remedy="Fit a model without a position effect, or read a table that records the order.",
            )
        return device_array(np.eye(1, self.k)[0], np.float32)

    @property
    def features(self) -> Array:
        """(n, k, d) features of what was shown, from the items or from columns on what was shown."""
        if "features" in self.shown_columns:
            return self.shown_columns["features"]
        return self.items.features[self.shown]

    def by_annotator(self) -> Array:
        """(n,) annotator indices; raises a ValueError for answers without annotators."""
        if self.annotator is None or self.annotators is None:
            raise refuse(
                "a model by annotator needs to know who answered",
                "answers without annotators",
                remedy="Read the table with annotator='...', or fit a pooled model.",
            )
        return self.annotator

    def replace(self, **changes) -> Comparisons:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        """Say in one line what the data are."""
        parts = [f"{len(self):,} rows", f"{self.items.size:,} items", f"k={self.k}"]
        if not isinstance(self.count, Tracer):
            parts.insert(0, f"{self.answers:,} answers")
        if self.annotators is not None:
            parts.append(f"{self.annotators.size:,} annotators")
        if self.has_ties:
            parts.append("ties")
        return f"Comparisons({', '.join(parts)}, presentation {self.presentation})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # ---- delegates: one place each -------------------------------------------------------------------

    def summary(self):
        """Describe the data: sizes, ties, connectivity, answers per item and annotator (a `Summary`)."""
        from bayespref.diagnostics.summary import summarise

        return summarise(self)

    def subset(self, *, rows=None, annotators=None, items=None) -> Comparisons:
        """Keep some rows, the answers of some annotators, or those among some items (see `subsetting`)."""
        from bayespref.subsetting import subset

        return subset(self, rows=rows, annotators=annotators, items=items)

    def split(self, key: Array, *, test: float = 0.2, by: str = "row") -> tuple[Comparisons, Comparisons]:
        """Split into train and test, by single answer (`by="row"`) or by whole annotators."""
        from bayespref.subsetting import split

        return split(key, self, test=test, by=by)

    def with_item_columns(self, columns, *, item: str | None = None, features=()) -> Comparisons:
        """Add columns to the item table, from a frame keyed by `item` or a mapping of (m,) arrays."""
        from bayespref.io.table import join_items

        return join_items(self, columns, item=item, features=features)

    def expanded(self) -> Comparisons:
        """One row for each single answer: every row repeated `count` times."""
        from bayespref.subsetting import expand

        return expand(self)

    def counted(self) -> Comparisons:
        """Merge identical rows into counts: the same likelihood from fewer rows."""
        from bayespref.subsetting import merge

        return merge(self)

    def to_datatree(self):
        """The same data as an `xarray.DataTree` with groups observed_data and constant_data."""
        from bayespref.io.datatree import to_datatree

        return to_datatree(self)

    @staticmethod
    def from_datatree(tree) -> Comparisons:
        """Read back what `to_datatree` wrote; a stored fit carries its data this way."""
        from bayespref.io.datatree import from_datatree

        return from_datatree(tree)


# Labels and source rows stay on the host: a transformation drops them instead of recompiling for each.
jax.tree_util.register_dataclass(
    Items,
    data_fields=("columns", "index"),
    meta_fields=("size", "feature_names"),
    drop_fields=("labels",),
)
jax.tree_util.register_dataclass(
    Annotators, data_fields=("columns",), meta_fields=("size",), drop_fields=("labels",)
)
jax.tree_util.register_dataclass(
    Comparisons,
    data_fields=(
        *("shown", "outcome", "count", "weight", "annotator", "items", "annotators"),
        *("row_columns", "shown_columns", "design", "tally"),
    ),
    meta_fields=("response", "levels", "presentation", "has_ties", "has_none", "ragged", "feature_names"),
    drop_fields=("source_rows",),
)
