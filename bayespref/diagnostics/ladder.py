"""How far up the ladder of data a table of answers reaches, and what that leaves untestable.

Each rung lets another assumption about annotators be tested: pooled answers alone cannot tell an annotator
who is unsure from annotators who disagree.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from bayespref.checks.design import BINS, COVARIATES, DIRECTIONS, ENOUGH, REPEATED
from bayespref.comparisons import Comparisons

RUNGS = {
    "L0": "single answers",
    "L1": "repeated pairs",
    "L2": "annotator ids",
    "L3": "overlap",
    "L4": "test-retest",
    "L5": "order and columns",
}
"""What each rung adds. A pair is a set of things shown together, in whatever order."""
ALL = (
    *("position", "covariate", "rationality", "shared_tastes", "personal_tastes", "self_consistency"),
    *("fatigue", "drift", "cycles", "pairs", "lapse", "link"),
)
"""Assumptions about annotators that `checks` can test, by the names used there."""
Spread = tuple[float, float, float]


class Cells(NamedTuple):
    """Answers counted by pair and annotator, (c,) each: pair, who (0 without ids), answers, things shown."""

    pair: np.ndarray
    who: np.ndarray
    answers: np.ndarray
    shown: np.ndarray


@dataclasses.dataclass(frozen=True)
class Reach:
    """What of the ladder is there.

    Attributes:
        pairs: distinct pairs. answers_per_pair: least, median and most answers to one of them.
        repeated: pairs with several answers. typical: answers to the pair of a median answer.
        annotators: how many are known, None without ids. several: those with two answers or more.
        shared: pairs answered by several annotators. again: times that an annotator's pair came back.
        order: whether the order of presentation is recorded. covariates: columns that differ between things
            shown together. time: whether the times of answers are known.
    """

    pairs: int
    answers_per_pair: Spread
    repeated: int
    typical: float
    annotators: int | None
    several: int
    shared: int
    again: int
    order: bool
    covariates: tuple[str, ...]
    time: bool

    @property
    def rungs(self) -> tuple[str, ...]:
        """Names of the rungs reached."""
        there = {
            "L0": True,
            "L1": self.repeated > 0,
            "L2": self.several >= 2,
            "L3": self.shared > 0,
            "L4": self.again > 0,
            "L5": self.order or bool(self.covariates) or self.time,
        }
        return tuple(name for name, reached in there.items() if reached)


def cells_of(data: Comparisons) -> Cells:
    """Count answers by pair and annotator, in order of pair.

    Args:
        data: comparisons with or without outcomes.

    Example:
        >>> twice = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 0], annotator=[0, 0])
        >>> cells_of(twice).answers.tolist()
        [2]
    """
    shown, size = np.asarray(data.shown), 1 if data.annotators is None else len(data.annotators)
    code = _pair_codes(shown, data.items.size)
    code = _joined(code, 0 if data.annotator is None else np.asarray(data.annotator), size)
    order = np.argsort(code)
    code = code[order]
    first = np.flatnonzero(np.diff(code, prepend=-1))
    answers = np.add.reduceat(np.asarray(data.count, np.int64)[order], first) if len(first) else first
    together = (shown[order[first]] >= 0).sum(1)
    return Cells(*np.divmod(code[first], size), answers, together)


def reach(data: Comparisons, *, time: str | None = None) -> Reach:
    """Count what the rungs of the ladder ask for, in one pass over the rows.

    Args:
        data: comparisons with or without outcomes.
        time: name of the row column that holds times; None takes `time`.

    Example:
        >>> twice = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 0], annotator=[0, 0])
        >>> reach(twice).again, reach(twice).rungs
        (1, ('L0', 'L1', 'L4', 'L5'))
    """
    cells, known = cells_of(data), data.annotator is not None
    first = np.flatnonzero(np.diff(cells.pair, prepend=-1))
    per_pair = np.add.reduceat(cells.answers, first) if len(first) else first
    own = np.diff(np.append(first, len(cells.pair)))
    each = data.design.annotator_answers
    column = data.row_columns.get(time or "time")
    return Reach(
        pairs=len(first),
        answers_per_pair=quantiles(per_pair),
        repeated=int((per_pair >= 2).sum()),
        typical=float(np.median(np.repeat(per_pair, per_pair))),
        annotators=None if data.annotators is None else len(data.annotators),
        several=0 if each is None else int((np.asarray(each) >= 2).sum()),
        shared=int((own >= 2).sum()) if known else 0,
        again=int((cells.answers >= 2).sum()) if known else 0,
        order=data.presentation == "recorded",
        covariates=_varying(data),
        time=column is not None and bool(np.ptp(np.asarray(column)) > 0),
    )


def untestable(data: Comparisons, found: Reach) -> tuple[str, ...]:
    """Names of the assumptions about annotators that such data cannot test, as `checks` names them.

    Args:
        data: the comparisons.
        found: what `reach` says of them.

    Example:
        >>> one = Comparisons.from_arrays([[0, 1]], [0], presentation="lost")
        >>> untestable(one, reach(one))[:3]
        ('position', 'covariate', 'rationality')
    """
    if data.response == "ranking":
        return ALL
    by_items = data.k == 2 and _by_items(data)
    tested = {
        "position": found.order,
        "covariate": bool(found.covariates),
        **dict.fromkeys(("rationality", "shared_tastes", "personal_tastes"), found.several >= 2),
        "self_consistency": by_items and found.several >= 2 and found.again >= REPEATED,
        **dict.fromkeys(("fatigue", "drift"), found.time),
        **dict.fromkeys(("cycles", "pairs"), by_items and data.items.size >= 3 and found.typical >= ENOUGH),
    }
    return tuple(name for name, testable in tested.items() if not testable)


def quantiles(values) -> Spread:
    """Least, median and most.

    Args:
        values: at least one number.

    Example:
        >>> quantiles([3, 1, 2])
        (1.0, 2.0, 3.0)
    """
    low, middle, high = np.quantile(np.asarray(values), [0, 0.5, 1])
    return float(low), float(middle), float(high)


def spread(found: Spread) -> str:
    """Least, most and median in words.

    Args:
        found: what `quantiles` returned.

    Example:
        >>> spread((1.0, 2.0, 3000.0))
        '1 to 3,000, median 2'
    """
    low, middle, high = found
    return f"{low:,.0f} to {high:,.0f}, median {middle:,.0f}"


def _pair_codes(shown: np.ndarray, items: int) -> np.ndarray:
    """(n,) one integer for each set of things shown, whatever their order."""
    ordered = np.sort(shown, 1).astype(np.int64) + 1
    code = ordered[:, 0]
    for column in ordered.T[1:]:
        code = _joined(code, column, items + 1)
    return code


def _joined(code: np.ndarray, column: np.ndarray | int, size: int) -> np.ndarray:
    """Codes of both together; those that would not fit in 62 bits are numbered anew first."""
    if (int(code.max(initial=0)) + 1) * size > 2**62:
        code = np.unique(code, return_inverse=True)[1]
    return code * size + column


def _varying(data: Comparisons) -> tuple[str, ...]:
    """Columns that may be covariates and differ between things shown together; none of too many."""
    shown, found = np.asarray(data.shown), {}
    on_shown = {name: np.asarray(value) for name, value in data.shown_columns.items()}
    if (features := on_shown.pop("features", None)) is not None:
        found |= {label: features[..., j] for j, label in enumerate(data.feature_names)}
    found |= {name: value for name, value in on_shown.items() if value.ndim == 2}
    if data.items.labels is not None or "features" not in data.items.columns:
        columns = {name: np.asarray(value) for name, value in data.items.columns.items()}
        found |= {name: value[shown] for name, value in columns.items() if value.ndim == 1}
    if len(found) > COVARIATES:
        return ()
    there, kept = shown >= 0, []
    for name, value in found.items():
        highest, lowest = np.where(there, value, -np.inf).max(1), np.where(there, value, np.inf).min(1)
        kept += [name] if (highest > lowest).any() else []
    return tuple(kept)


def _by_items(data: Comparisons) -> bool:
    """Whether checks take what was shown for items, rather than for features or regions."""
    items, on_shown = data.items, data.shown_columns.get("features")
    if on_shown is not None and on_shown.shape[-1] <= DIRECTIONS:
        if items.size > DIRECTIONS or items.size <= data.k:
            return False
    if "features" not in items.columns:
        return True
    dimension = items.features.shape[1]
    regions = items.labels is None and dimension in BINS
    return not regions and not (items.size > DIRECTIONS and dimension <= DIRECTIONS)
