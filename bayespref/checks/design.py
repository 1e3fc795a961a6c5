"""What data allow to be checked, decided before any answer is looked at, and the arrays that checks need."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons

SINGLE_ROWS = 20_000
"""Answers up to which every answer is a row of its own; above, answers to the same question share one."""
DIRECTIONS, BINS = 64, {1: 8, 2: 3, 3: 2}
"""Items told apart at most, and bins of each coordinate of points, by number of coordinates."""
COVARIATES, ENOUGH, REPEATED = 20, 5, 10
"""Columns checked at most; answers to a typical pair, and repeats, from which pairs say something."""
ROUNDING = 1e-9
"""Spread of a column, next to its size, that is none."""


class Design(NamedTuple):
    """Arrays behind the checks; those that no check needs are None.

    Attributes:
        first: (n, k) nudge of what was shown first. covariates: (c, n, k) columns, standardised.
        time: (n,) standardised. parts: (n, k, q) what was shown, as items, features or bins.
        pair, pair_sign: (n,) which two were shown, and whether in that order. again: (n,) which annotator
            and pair. field: (f, n) +1 or -1 where two bins were compared.
        half: (n,) +1/2 where a difference is above the median, else -1/2 (of the fit, filled in later).
    """

    first: Array
    covariates: Array
    time: Array | None
    parts: Array
    pair: Array | None
    pair_sign: Array | None
    pair_items: Array | None
    again: Array | None
    field: Array | None
    half: Array | None = None


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


def rows_of(data: Comparisons) -> tuple[Comparisons, np.ndarray]:
    """One row for each question, and the row (answers,) of every single answer.

    Few answers have a row each, so that data of one size share a compilation.
    """
    single = data.replace(source_rows=None)
    if data.answers <= SINGLE_ROWS:
        single = single.expanded()
        return blank(single), np.arange(len(single))
    from bayespref.subsetting import row_codes, take

    code = row_codes(single.replace(outcome=None))
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return blank(take(single, first, np.ones(len(first), np.int64))), inverse


def blank(rows: Comparisons) -> Comparisons:
    """Rows with an answer that every model allows: which one is never looked at."""
    n = len(rows)
    return rows.replace(
        outcome=device_array(np.zeros(n), np.int32),
        count=device_array(np.ones(n), np.int32),
        weight=device_array(np.ones(n), np.float32),
        has_ties=False,
        has_none=False,
    )


def counts_of(data: Comparisons, row: np.ndarray, rows: int, outcomes: int) -> np.ndarray:
    """(rows, outcomes) how often each row was answered so."""
    single = data.answers <= SINGLE_ROWS
    source = data.replace(source_rows=None).expanded() if single else data
    counts = np.zeros((rows, outcomes))
    np.add.at(counts, (row, np.asarray(source.outcome)), np.asarray(source.count))
    return counts


def design_of(
    data: Comparisons, rows: Comparisons, total: np.ndarray, time: str | None
) -> tuple[Design, Plan]:
    """The arrays and the plan for rows that stand for `total` (n,) answers each."""
    missing: dict[str, str] = {}
    scalars, groups, effects, others = ["lapse", "link"], ["design"], [], []
    first = device_array(np.tile(np.eye(1, rows.k), (len(rows), 1)), np.float32)
    if rows.presentation == "recorded":
        scalars.insert(0, "position")
    else:
        missing["position"] = "the order in which things were shown"
    names, columns = _covariates(rows, total, missing)
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
    parts, kind, field = _parts(rows, total)
    if field is not None:
        groups.append("field")
    annotators = _annotators(rows, total, missing)
    if annotators:
        effects += ["rationality"]
        effects += ["position_by_annotator"] if rows.presentation == "recorded" else []
        effects += [f"covariate_by_annotator:{name}" for name in names]
        others += ["shared_tastes", "personal_tastes"]
    pairs = _pairs(rows, total, annotators, kind, missing)
    others += pairs["checks"]
    design = Design(
        first=first,
        covariates=columns,
        time=clock,
        parts=parts,
        pair=pairs.get("pair"),
        pair_sign=pairs.get("sign"),
        pair_items=pairs.get("items"),
        again=pairs.get("again"),
        field=field,
    )
    plan = Plan(
        tuple(scalars), tuple(groups), tuple(effects), tuple(others), tuple(missing.items()),
        annotators, pairs["pairs"], pairs["cells"], pairs["matrix"], kind,
    )  # fmt: skip
    return design, plan


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


def _covariates(rows: Comparisons, total: np.ndarray, missing: dict[str, str]) -> tuple[list[str], Array]:
    """Names and (c, n, k) values of numeric columns of what was shown, in standard deviations within rows."""
    there = np.asarray(rows.shown) >= 0
    found: dict[str, np.ndarray] = {}
    for name, value in rows.shown_columns.items():
        table = np.asarray(value, np.float64)
        if name == "features":
            found |= {label: table[..., j] for j, label in enumerate(rows.feature_names)}
        elif table.ndim == 2:
            found[name] = table
    for name, value in rows.items.columns.items():
        table = np.asarray(value, np.float64)
        if table.ndim == 1:
            found[name] = table[np.asarray(rows.shown)]
    kept, columns = [], []
    for name, value in found.items():
        scaled = _standard(value[..., None], there[..., None], total)[..., 0]
        if np.any(scaled) and len(found) <= COVARIATES:
            kept.append(name)
            columns.append(scaled)
    if len(found) > COVARIATES:
        missing["covariate"] = f"at most {COVARIATES} columns; these have {len(found)}"
    elif not kept:
        missing["covariate"] = "columns of what was shown (its length, its style)"
    return kept, device_array(np.array(columns).reshape(len(kept), *there.shape), jnp.float32)


def _time(rows: Comparisons, total: np.ndarray, name: str | None) -> Array | None:
    """(n,) when each row was answered, in standard deviations of answers."""
    column = rows.row_columns.get(name or "time")
    if column is None:
        return None
    value = np.asarray(column, np.float64)
    if np.ptp(value) == 0:
        return None
    centred = value - np.average(value, weights=total)
    return device_array(centred / np.sqrt(np.average(np.square(centred), weights=total)), jnp.float32)


def _parts(rows: Comparisons, total: np.ndarray) -> tuple[Array, str, Array | None]:
    """(n, k, q) what was shown as items, features or bins; its kind; (f, n) signs of pairs of bins."""
    shown, m = np.asarray(rows.shown), rows.items.size
    there = (shown >= 0)[..., None]
    features = rows.items.columns.get("features")
    on_shown = rows.shown_columns.get("features")
    if on_shown is not None and on_shown.shape[-1] <= DIRECTIONS and (m > DIRECTIONS or m <= rows.k):
        table = np.asarray(on_shown, np.float64)
        return device_array(_standard(table, there, total), jnp.float32), "features", None
    if features is not None and m > DIRECTIONS and features.shape[1] in BINS:
        where, bins = _bins(np.asarray(features, np.float64), _times_shown(shown, total, m))
        parts = there * (where[shown][..., None] == np.arange(bins))
        field = _field(where[shown], bins) if rows.k == 2 else None
        return device_array(parts, jnp.float32), "regions", field
    if features is not None and m > DIRECTIONS and features.shape[1] <= DIRECTIONS:
        table = _standard(np.asarray(features, np.float64)[shown], there, total)
        return device_array(table, jnp.float32), "features", None
    parts = there * (shown[..., None] == _most_shown(_times_shown(shown, total, m)))
    return device_array(parts, jnp.float32), "items", None


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


def _field(where: np.ndarray, bins: int) -> Array:
    low, high = np.triu_indices(bins, 1)
    first, second = where[:, 0], where[:, 1]
    ahead = (first == low[:, None]) & (second == high[:, None])
    behind = (first == high[:, None]) & (second == low[:, None])
    return device_array(ahead.astype(np.float32) - behind)


def _pairs(rows: Comparisons, total: np.ndarray, annotators: int, kind: str, missing: dict[str, str]) -> dict:
    """Pairs of items: which row shows which, and whether they come back often enough."""
    several, twice = "pairs of items that were compared several times each", "annotators who saw a pair twice"
    out: dict = {"checks": [], "pairs": 0, "cells": 0, "matrix": 0}
    if rows.k != 2:
        several = twice = "answers to two things at a time"
    if rows.k != 2 or kind != "items":
        missing |= {"cycles": several, "pairs": several, "self_consistency": twice}
        return out
    shown, m = np.asarray(rows.shown), rows.items.size
    low, high = shown.min(1), shown.max(1)
    codes, pair = np.unique(low * m + high, return_inverse=True)
    times = np.bincount(pair, total)
    out |= {
        "pair": device_array(pair),
        "sign": device_array(np.where(shown[:, 0] == low, 1.0, -1.0), jnp.float32),
    }
    out["pairs"] = len(codes)
    if np.median(np.repeat(times, times.astype(int))) >= ENOUGH and m >= 3:
        out["checks"] += ["cycles", "pairs"]
        chosen = _most_shown(_times_shown(shown, total, m))
        place = np.full(m, len(chosen))
        place[chosen] = np.arange(len(chosen))
        out |= {"items": device_array(place[np.stack(np.divmod(codes, m), 1)]), "matrix": len(chosen)}
    else:
        missing |= dict.fromkeys(("cycles", "pairs"), several if m >= 3 else "three items or more")
    if annotators:
        _, cell = np.unique(np.asarray(rows.annotator) * np.int64(len(codes)) + pair, return_inverse=True)
        if (np.bincount(cell, total) >= 2).sum() >= REPEATED:
            out["checks"].append("self_consistency")
            out |= {"again": device_array(cell), "cells": int(cell.max()) + 1}
        else:
            missing["self_consistency"] = twice
    return out
