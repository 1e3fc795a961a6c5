"""What data allow to be checked, decided before any answer is looked at, and the arrays that checks need."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from bayespref.checks.rows import Groups, groups_of
from bayespref.comparisons import Comparisons

DIRECTIONS, BINS = 64, {1: 8, 2: 3, 3: 2}
"""Items told apart at most, and bins of each coordinate of points, by number of coordinates."""
COVARIATES, ENOUGH, REPEATED = 20, 5, 10
"""Columns checked at most; answers to a typical pair, and repeats, from which pairs say something."""
ROUNDING = 1e-9
"""Spread of a column, next to its size, that is none."""
SEVERAL = "pairs of items that were compared several times each"
TWICE = "annotators who saw a pair twice"
"""What data may lack."""


class Design(NamedTuple):
    """Arrays behind the checks, of n rows and the m questions that they ask; those not needed are None.

    Attributes:
        row: which question each row (n,) asks. total, asked: (n,) and (m,) how many answered it.
        annotator: who did (n,).
        first: (k, m) nudge of what was shown first. covariates: (c, k, m) columns, standardised.
        time: (m,) standardised, mean of a question's answers. late: (n,) what it is more than that.
        parts: (k, q, m) what was shown, as items, features or bins.
        pair, pair_sign: which two were shown, and (m,) whether in that order. pair_items: (pairs, 2) places
            of their items. repeats: (r,) rows of an annotator's pair that came twice. again: which it is.
        field: (f, m) +1 or -1 where two bins were compared.
        part, own_part, two_parts: where each thing shown is one part: which, of k m things, the last of
            q + 1 for none; which part and annotator, of k n; which two, of k k m pairs of things shown.
        half: (m,) +1/2 where a difference is above the median, else -1/2 (of the fit, filled in later).
    """

    row: Groups
    total: np.ndarray
    asked: np.ndarray
    annotator: Groups | None
    first: np.ndarray
    covariates: np.ndarray
    time: np.ndarray | None
    late: np.ndarray | None
    parts: np.ndarray
    pair: Groups | None
    pair_sign: np.ndarray | None
    pair_items: np.ndarray | None
    repeats: np.ndarray | None
    again: Groups | None
    field: np.ndarray | None
    half: np.ndarray
    part: Groups | None = None
    own_part: Groups | None = None
    two_parts: Groups | None = None

    def by_annotator(self, values: np.ndarray) -> np.ndarray:
        """(..., a) sums over each annotator's answers of what all answers to a question share, (..., m)."""
        assert self.annotator is not None
        return self.annotator.sums(np.take(values, self.row.of, -1, mode="clip") * self.total)

    def by_own_part(self, values: np.ndarray) -> np.ndarray:
        """(..., q, a) sums by part and annotator of (..., k, m), where each thing shown is one part."""
        return self.own_sums(np.take(values, self.row.of, -1, mode="clip") * self.total)

    def own_sums(self, of_rows: np.ndarray) -> np.ndarray:
        """(..., q, a) sums by part and annotator of (..., k, n), where each thing shown is one part."""
        assert self.annotator is not None and self.own_part is not None
        sums = self.own_part.sums(of_rows.reshape(*of_rows.shape[:-2], -1))
        return sums.reshape(*of_rows.shape[:-2], -1, self.annotator.size)[..., :-1, :]

    def within(self) -> np.ndarray:
        """(m,) sum of squares of the times of a question's answers about their mean."""
        assert self.late is not None
        return self.row.sums(self.total * np.square(self.late))


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is checked (static): names of checks, of columns, and sizes.

    Attributes:
        scalars, groups, effects, others: names of checks by kind of statistic.
        missing: check -> what the data lack for it.
        annotators: number of them, 0 where not known. pairs, cells: numbers of pairs, of annotators' pairs.
        matrix: items in the matrix of pairs, 0 without one.
        kind: what `parts` are: "items", "features" or "regions".
    """

    scalars: tuple[str, ...]
    groups: tuple[str, ...]
    effects: tuple[str, ...]
    others: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    annotators: int
    pairs: int
    cells: int
    matrix: int
    kind: str

    @property
    def names(self) -> tuple[str, ...]:
        """Every check that is made, in order."""
        return self.scalars + self.groups + self.effects + self.others


def design_of(
    data: Comparisons,
    rows: Comparisons,
    total: np.ndarray,
    few: Comparisons,
    row: Groups,
    time: str | None,
) -> tuple[Design, Plan]:
    """The arrays and the plan for rows of `total` (n,) answers each, which ask the questions `few` (m,)."""
    missing: dict[str, str] = {}
    scalars, groups, effects, others = ["lapse", "link"], ["design"], [], []
    asked = row.sums(total)
    if rows.presentation == "recorded":
        scalars.insert(0, "position")
    else:
        missing["position"] = "the order in which things were shown"
    names, columns = _covariates(few, asked, missing)
    scalars += [f"covariate:{name}" for name in names]
    clock = _time(rows, total, time)
    if clock is None:
        missing |= dict.fromkeys(
            ("drift", "fatigue"), "the time of each answer (a row column 'time', or time=...)"
        )
    else:
        scalars.append("fatigue")
        groups.append("drift")
    if data.has_ties:
        scalars.append("ties")
    parts, kind, field = _parts(few, asked)
    if field is not None:
        groups.append("field")
    annotators = _annotators(rows, total, missing)
    if annotators:
        effects += ["rationality"]
        effects += ["position_by_annotator"] if rows.presentation == "recorded" else []
        effects += [f"covariate_by_annotator:{name}" for name in names]
        others += ["shared_tastes", "personal_tastes"]
    who = groups_of(np.asarray(rows.annotator), annotators) if annotators else None
    pairs, repeats, again = _pairs(few, asked, kind, missing), None, None
    others += pairs["checks"]
    if who is not None and "pair" in pairs:
        repeats, again = _again(pairs["pair"].of[row.of], who, total)
        if again is None:
            missing["self_consistency"] = TWICE
        else:
            others.append("self_consistency")
    mean = None if clock is None else row.sums(total * clock) / np.maximum(asked, 1)
    design = Design(
        row=row,
        total=_single(total),
        asked=_single(asked),
        annotator=who,
        first=_single(np.tile(np.eye(1, rows.k).T, len(few))),
        covariates=_single(columns),
        time=None if mean is None else _single(mean),
        late=None if clock is None or mean is None else _single(clock - mean[row.of]),
        parts=_single(parts.transpose(1, 2, 0)),
        pair=pairs.get("pair"),
        pair_sign=pairs.get("sign"),
        pair_items=pairs.get("items"),
        repeats=repeats,
        again=again,
        field=field,
        half=np.zeros(len(few), np.float32),
        **_single_parts(parts, kind, row, who),
    )
    plan = Plan(
        tuple(scalars), tuple(groups), tuple(effects), tuple(others), tuple(missing.items()),
        annotators, pairs["pairs"], 0 if again is None else again.size, pairs["matrix"], kind,
    )  # fmt: skip
    return design, plan


def _single(values: np.ndarray) -> np.ndarray:
    """As models compute, rows next to each other."""
    return np.ascontiguousarray(values, np.float32)


def _annotators(rows: Comparisons, total: np.ndarray, missing: dict[str, str]) -> int:
    """How many annotators, or 0 where fewer than two are known to have answered twice.

    One alone differs from nobody, and whether they repeat themselves is whether pairs fit a ranking.
    """
    kinds = ("rationality", "shared_tastes", "personal_tastes", "position_by_annotator")
    if rows.annotator is None or rows.annotators is None:
        need = "annotator ids, with two answers or more by the same annotator"
        missing |= dict.fromkeys((*kinds, "self_consistency"), need)
        return 0
    each = np.bincount(np.asarray(rows.annotator), total, len(rows.annotators))
    if (each >= 2).sum() < 2:
        missing |= dict.fromkeys(kinds, "two annotators or more with two answers each")
        missing["self_consistency"] = "two annotators or more who saw a pair twice"
        return 0
    return len(rows.annotators)


def _covariates(few: Comparisons, asked: np.ndarray, missing: dict[str, str]) -> tuple[list[str], np.ndarray]:
    """Names and (c, k, m) columns of numbers of what was shown, in standard deviations within questions."""
    there = np.asarray(few.shown) >= 0
    found: dict[str, np.ndarray] = {}
    for name, value in few.shown_columns.items():
        table = np.asarray(value, np.float64)
        if name == "features":
            found |= {label: table[..., j] for j, label in enumerate(few.feature_names)}
        elif table.ndim == 2:
            found[name] = table
    for name, value in few.items.columns.items():
        table = np.asarray(value, np.float64)
        if table.ndim == 1:
            found[name] = table[np.asarray(few.shown)]
    kept, columns = [], []
    for name, value in found.items():
        scaled = _standard(value[..., None], there[..., None], asked)[..., 0]
        if np.any(scaled) and len(found) <= COVARIATES:
            kept.append(name)
            columns.append(scaled)
    if len(found) > COVARIATES:
        missing["covariate"] = f"at most {COVARIATES} columns; these have {len(found)}"
    elif not kept:
        missing["covariate"] = "columns of what was shown (its length, its style)"
    return kept, np.array(columns).reshape(len(kept), *there.shape).swapaxes(1, 2)


def _time(rows: Comparisons, total: np.ndarray, name: str | None) -> np.ndarray | None:
    """(n,) when each row was answered, in standard deviations of answers."""
    column = rows.row_columns.get(name or "time")
    if column is None:
        return None
    value = np.asarray(column, np.float64)
    if np.ptp(value) == 0:
        return None
    centred = value - np.average(value, weights=total)
    return centred / np.sqrt(np.average(np.square(centred), weights=total))


def _parts(few: Comparisons, asked: np.ndarray) -> tuple[np.ndarray, str, np.ndarray | None]:
    """(m, k, q) what was shown as items, features or bins; its kind; (f, m) signs of pairs of bins."""
    shown, m = np.asarray(few.shown), few.items.size
    there = (shown >= 0)[..., None]
    features = few.items.columns.get("features")
    on_shown = few.shown_columns.get("features")
    if on_shown is not None and on_shown.shape[-1] <= DIRECTIONS and (m > DIRECTIONS or m <= few.k):
        table = np.asarray(on_shown, np.float64)
        return _standard(table, there, asked), "features", None
    if features is not None and m > DIRECTIONS and features.shape[1] in BINS:
        where, bins = _bins(np.asarray(features, np.float64), _times_shown(shown, asked, m))
        parts = there * (where[shown][..., None] == np.arange(bins))
        field = _field(where[shown], bins) if few.k == 2 else None
        return parts, "regions", field
    if features is not None and m > DIRECTIONS and features.shape[1] <= DIRECTIONS:
        return _standard(np.asarray(features, np.float64)[shown], there, asked), "features", None
    parts = there * (shown[..., None] == _most_shown(_times_shown(shown, asked, m)))
    return parts, "items", None


def _single_parts(parts: np.ndarray, kind: str, row: Groups, who: Groups | None) -> dict[str, Groups]:
    """Sums by part without a multiplication by mostly zeros."""
    if kind == "features":
        return {}
    q = parts.shape[2]
    which = np.where(parts.any(2), parts.argmax(2), q).T  # (k, m)
    found = {"part": groups_of(which.ravel(), q + 1)}
    found["two_parts"] = groups_of((which[:, None] * (q + 1) + which).ravel(), (q + 1) ** 2)
    if who is not None:
        own = which[:, row.of] * who.size + who.of
        found["own_part"] = groups_of(own.ravel(), (q + 1) * who.size)
    return found


def _times_shown(shown: np.ndarray, total: np.ndarray, items: int) -> np.ndarray:
    """(m,) how many answers showed each item: a row stands for `total` of them, however rows were merged."""
    there = shown >= 0
    weight = np.broadcast_to(total[:, None], shown.shape)
    return np.bincount(shown[there], weight[there], minlength=items).astype(int)


def _most_shown(times: np.ndarray) -> np.ndarray:
    """The items that are told apart: those shown most often, in the order of the table."""
    return np.sort(np.argsort(-times, kind="stable")[:DIRECTIONS])


def _standard(table: np.ndarray, there: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(n, k, q) table in standard deviations within rows of `total` answers; zero where it never varies."""
    table = np.where(there, table, 0.0)
    within = there * (table - table.sum(1, keepdims=True) / there.sum(1, keepdims=True))
    weight = total[:, None, None]
    spread = np.sqrt((weight * np.square(within)).sum((0, 1)) / (weight * there).sum())
    varies = spread > ROUNDING * np.abs(table).max((0, 1))
    return np.where(varies, within / np.where(varies, spread, 1.0), 0.0)


def _bins(points: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, int]:
    """(m,) bin of each point, by quantiles of each coordinate of what was shown, each so many `times`."""
    each, where = BINS[points.shape[1]], np.zeros(len(points), int)
    for column in points.T:
        edges = np.quantile(np.repeat(column, times), np.arange(1, each) / each)
        where = where * each + np.searchsorted(edges, column)
    return where, each ** points.shape[1]


def _field(where: np.ndarray, bins: int) -> np.ndarray:
    low, high = np.triu_indices(bins, 1)
    first, second = where[:, 0], where[:, 1]
    ahead = (first == low[:, None]) & (second == high[:, None])
    behind = (first == high[:, None]) & (second == low[:, None])
    return ahead.astype(np.float32) - behind


def _pairs(few: Comparisons, asked: np.ndarray, kind: str, missing: dict[str, str]) -> dict:
    """Pairs of items: which question shows which, and whether they come back often enough."""
    several, out = SEVERAL, {"checks": [], "pairs": 0, "matrix": 0}
    if few.k != 2:
        several = missing["self_consistency"] = "answers to two things at a time"
    elif kind != "items":
        missing["self_consistency"] = TWICE
    if few.k != 2 or kind != "items":
        missing |= {"cycles": several, "pairs": several}
        return out
    shown, m = np.asarray(few.shown), few.items.size
    low, high = shown.min(1), shown.max(1)
    codes, pair = np.unique(low * m + high, return_inverse=True)
    times = np.bincount(pair, asked)
    out |= {
        "pair": groups_of(pair, len(codes)),
        "sign": _single(np.where(shown[:, 0] == low, 1.0, -1.0)),
    }
    out["pairs"] = len(codes)
    if np.median(np.repeat(times, times.astype(int))) >= ENOUGH and m >= 3:
        out["checks"] += ["cycles", "pairs"]
        chosen = _most_shown(_times_shown(shown, asked, m))
        place = np.full(m, len(chosen))
        place[chosen] = np.arange(len(chosen))
        out |= {"items": place[np.stack(np.divmod(codes, m), 1)], "matrix": len(chosen)}
    else:
        missing |= dict.fromkeys(("cycles", "pairs"), several if m >= 3 else "three items or more")
    return out


def _again(pair: np.ndarray, who: Groups, total: np.ndarray) -> tuple[np.ndarray, Groups] | tuple[None, None]:
    """Rows of pairs that an annotator saw twice, and which pair of whom each is about; if enough did."""
    _, cell = np.unique(who.of * (np.int64(pair.max()) + 1) + pair, return_inverse=True)
    twice = np.bincount(cell, total) >= 2
    if twice.sum() < REPEATED:
        return None, None
    repeats = np.flatnonzero(twice[cell])
    _, cell = np.unique(cell[repeats], return_inverse=True)
    return repeats, groups_of(cell, int(twice.sum()))
