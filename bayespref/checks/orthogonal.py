"""What is computed once, at the fit: nudges orthogonal to the parameters, and what the model already has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayespref.checks import residuals
from bayespref.checks.design import Design, Plan
from bayespref.checks.problem import Information, Problem
from bayespref.checks.residuals import At
from bayespref.checks.statistics import Fixed
from bayespref.comparisons import Comparisons

IN_MODEL = 0.005
"""Share of a nudge's information that is left beside the parameters, below which the model has it already."""
WIDE = 30_000_000
"""Numbers up to which each annotator's part in the parameters is kept."""


class Task(NamedTuple):
    """What all steps share: a model, the questions (m,), what is checked, replicates at a time."""

    problem: Problem
    rows: Comparisons
    design: Design
    chunk: int


class Fit(NamedTuple):
    """What nudges are made orthogonal with: what they are at the fit, in single precision.

    Attributes:
        scalars: (s, D) parameters' part in each scalar nudge. inverse: (D, D) of the information.
        ridge: (D, D) of the prior of annotators' effects, or (0, 0).
    """

    scalars: np.ndarray
    inverse: np.ndarray
    ridge: np.ndarray


class Nudges(NamedTuple):
    """Residuals along all nudges at one value of the parameters: (., o, m) of each kind."""

    shared: np.ndarray
    effects: np.ndarray
    parts: np.ndarray


def nudges_at(point: At, design: Design, plan: Plan) -> Nudges:
    """Residuals along nudges: those of scalars, then groups; by annotator; of parts."""
    single = residuals.single(point, design, plan)
    groups = residuals.groups(point, design, plan).values()
    shared = np.concatenate([np.stack([single[name] for name in plan.scalars]), *groups])
    none = np.zeros((0, *point.probs.shape), np.float32)
    effects = np.stack([single[name] for name in plan.effects]) if plan.effects else none
    return Nudges(shared, effects, residuals.parts(point, design))


def halves(point: At, asked: np.ndarray) -> np.ndarray:
    """(m,) 1/2 where scores differ more than in half of the answers, so many to each question, else -1/2."""
    gap = np.square(point.score).sum(0)
    order = np.argsort(gap)
    reached = np.cumsum(asked[order], dtype=np.float64)
    median = gap[order[np.searchsorted(reached, reached[-1] / 2)]]
    return np.where(gap > median, 0.5, -0.5).astype(np.float32)


def own_parts(plan: Plan, q: int, parameters: int) -> bool:
    """Whether each annotator's tastes are made orthogonal to the parameters."""
    return plan.annotators > 0 and q * plan.annotators * parameters <= WIDE


def fixed_at(
    task: Task, plan: Plan, point: At, nudges: Nudges, found: Information
) -> tuple[Fit, Fixed, tuple[str, ...]]:
    """What all replicates share, and the checks of what the model already has."""
    design, probs = task.design, np.asarray(point.probs, np.float64)
    expected = design.asked * probs
    nudges = Nudges(*(np.asarray(one, np.float64) for one in nudges))
    shared, effects, parts = nudges
    inverse, s = found.projector(task.problem.shrunk), len(plan.scalars)
    coefficients, mine = found.crossed @ inverse, found.annotators @ inverse
    about, groups = _products(parts, expected), {}
    for name, at in _slices(plan, nudges).items():
        full = _products(shared[at], expected)
        if name == "drift":  # and what answers to one question differ in
            full = full + _products(parts, probs * design.within())
        groups[name] = _inverse(full - coefficients[at] @ found.crossed[at].T, np.diag(full))
    weight = _by_annotator(design, np.square(effects) * probs)
    start = (coefficients[:s], inverse, found.ridge(task.problem.shrunk))
    fit = Fit(*(value.astype(np.float32) for value in start))
    mine = mine.astype(np.float32)  # the largest of all: read for every replicate
    fixed = Fixed(
        groups=coefficients[s:],
        group_inverse=groups,
        effects=mine[: len(weight)],
        weight=weight,
        tastes=mine[len(weight) :],
        parts=about,
        parts_root=_root(about),
        parts_own=_own(design, point, parts),
    )
    return fit, fixed, _held(design, plan, found, point, nudges)


def _products(nudges: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(q, q) sums of products of nudges (q, o, m), weighed (o, m)."""
    flat = nudges.reshape(len(nudges), -1)
    return (flat * weight.ravel()) @ flat.T


def _slices(plan: Plan, nudges: Nudges) -> dict[str, slice]:
    """Where the nudges of each group are, after those of scalars; all but a field's are as many as parts."""
    at, found = len(plan.scalars), {}
    parts = len(nudges.parts)
    rest = len(nudges.shared) - at - parts * sum(name != "field" for name in plan.groups)
    for name in plan.groups:
        found[name] = slice(at, at := at + (rest if name == "field" else parts))
    return found


def _held(design: Design, plan: Plan, found: Information, point: At, nudges: Nudges) -> tuple[str, ...]:
    """Checks along nudges that the model's own parameters make, all but a little."""
    _, effects, parts = nudges
    inverse, slices, probs = found.projector(), _slices(plan, nudges), np.asarray(point.probs, np.float64)
    whole = _whole(design, plan, point, nudges)
    left = whole - ((found.crossed @ inverse) * found.crossed).sum(1)
    held = [plan.scalars[i] for i in np.flatnonzero(~(left > IN_MODEL * whole)[: len(plan.scalars)])]
    for name, at in slices.items():
        held += [name] if left[at].sum() < IN_MODEL * whole[at].sum() else []
    explained = ((found.annotators @ inverse) * found.annotators).sum((1, 2))
    p = len(plan.effects)
    whole = _by_annotator(design, np.square(effects) * probs).sum(1)
    held += [plan.effects[i] for i in np.flatnonzero(whole - explained[:p] < IN_MODEL * whole)]
    if len(explained) > p:
        whole = _by_annotator(design, np.square(parts) * probs).sum()
        held += ["shared_tastes", "personal_tastes"] if whole - explained[p:].sum() < IN_MODEL * whole else []
    return tuple(held)


def _whole(design: Design, plan: Plan, point: At, nudges: Nudges) -> np.ndarray:
    """Information of each shared nudge alone."""
    probs, slices = np.asarray(point.probs, np.float64), _slices(plan, nudges)
    whole = (np.square(nudges.shared) * design.asked * probs).sum((1, 2))
    if design.time is not None:  # and of what answers to one question differ in
        apart = probs * design.within()
        whole[slices["drift"]] += (np.square(nudges.parts) * apart).sum((1, 2))
        whole[plan.scalars.index("fatigue")] += (np.square(residuals.along(point, point.score)) * apart).sum()
    return whole


def _by_annotator(design: Design, values: np.ndarray) -> np.ndarray:
    """(p, a) sums over each annotator's answers of (p, o, m)."""
    return np.zeros((len(values), 0)) if design.annotator is None else design.by_annotator(values.sum(1))


def _own(design: Design, point: At, parts: np.ndarray) -> float:
    """Sum over annotators of ||A_k||^2, A_k (q, q) their information about the parts (q, o, m)."""
    if design.annotator is None:
        return 1.0
    if design.own_part is None:
        each = (_by_annotator(design, parts * one * point.probs) for one in parts)
        return float(sum(np.square(one).sum() for one in each))
    row, q = design.row.of, design.parts.shape[1]
    which = np.where(design.parts.any(1), design.parts.argmax(1), q)  # (k, m)
    slope = np.asarray(point.slope, np.float64)
    found = (slope[:, None] * slope * point.probs).sum(2)  # (k, k, m)
    found = np.where((which[:, None] < q) & (which < q), found, 0.0)
    place = which[:, None, row] * (q + 1) + which[:, row] + design.annotator.of * (q + 1) ** 2
    _, place = np.unique(place, return_inverse=True)
    sums = np.bincount(place.ravel(), (found[..., row] * design.total).ravel())
    return float(np.square(sums).sum())


def _inverse(matrix: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Pseudo-inverse of information (q, q), of directions that keep a share of what `scale` (q,) had."""
    unit = np.sqrt(np.maximum(scale, 1e-12))
    values, vectors = np.linalg.eigh(matrix / np.outer(unit, unit))
    kept = values > IN_MODEL
    scaled = vectors[:, kept] / unit[:, None]
    return (scaled / values[kept]) @ scaled.T


def _root(matrix: np.ndarray) -> np.ndarray:
    """(q, q) R with R R' the pseudo-inverse of information."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-5 * values[-1]
    return np.where(kept, vectors / np.sqrt(np.where(kept, values, 1.0)), 0.0)
