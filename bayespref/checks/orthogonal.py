"""What is computed once, at the fit: nudges orthogonal to the parameters, and what the model already has."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref.arrays import device_array
from bayespref.checks.design import Design, Plan
from bayespref.checks.nudges import Point
from bayespref.checks.problem import Information, Problem, information
from bayespref.checks.statistics import Fixed, effect_nudges, group_nudges, scalar_nudges
from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import like

IN_MODEL = 0.005
"""Share of a nudge's information that is left beside the parameters, below which the model has it already."""
WIDE = 30_000_000
"""Numbers up to which each annotator's part in the parameters is kept."""

Numbers = Array | np.ndarray


class Task(NamedTuple):
    """What all steps share: the model as functions, its rows, and what is checked."""

    problem: Problem
    rows: Comparisons
    design: Design


@functools.partial(jax.jit, static_argnames=("problem", "plan"))
def residuals(problem: Problem, rows: Comparisons, design: Design, plan: Plan, z, h, counts):
    """Probabilities, scores, and residuals along all nudges: of scalars and groups, and by annotator."""
    point = problem.point(rows, z, h, counts)
    groups = list(group_nudges(point, design, plan).values())
    together = jnp.concatenate([scalar_nudges(point, design, plan), *groups])
    parts = jnp.einsum("nok,nkq->qno", point.slope, design.parts)
    return point, together, effect_nudges(point, design, plan), parts


def point_at(task: Task, plan: Plan, z: Numbers, h: Numbers, counts: Numbers) -> Point:
    """Probabilities, residuals and scores at one value of the parameters."""
    return residuals(*task, plan, z, h, counts)[0]


def halves(task: Task, plan: Plan, z: Numbers, h: Numbers, counts: Numbers) -> Array:
    """(n,) 1/2 where scores differ more than in half of the answers, else -1/2."""
    point = point_at(task, plan, z, h, counts)
    gap = np.square(np.asarray(point.score)).sum(-1)
    order = np.argsort(gap)
    reached = np.cumsum(np.asarray(counts).sum(-1)[order])
    median = gap[order[np.searchsorted(reached, reached[-1] / 2)]]
    return device_array(np.where(gap > median, 0.5, -0.5), np.float32)


def information_at(task: Task, plan: Plan, z: Numbers, h: Numbers, counts: Numbers) -> Information:
    """Fisher information at one value of the parameters, of all nudges of a plan."""
    _, together, effects, parts = residuals(*task, plan, z, h, counts)
    own = _own_parts(plan, len(parts), len(z) + len(h))
    mine = np.concatenate([effects, parts]) if own else np.asarray(effects)
    here = (task.problem, task.rows, z, h, counts)
    found = information(*here, together, mine, annotators=plan.annotators)
    return Information(*(np.asarray(part, np.float64) for part in found))


def _own_parts(plan: Plan, q: int, parameters: int) -> bool:
    """Whether each annotator's tastes are made orthogonal to the parameters."""
    return plan.annotators > 0 and q * plan.annotators * parameters <= WIDE


def fixed_at(task: Task, plan: Plan, z, h, counts, found: Information) -> tuple[Fixed, tuple[str, ...]]:
    """What all replicates share, and the checks of what the model already has."""
    point, *nudges = residuals(*task, plan, z, h, counts)
    expected = np.asarray(counts.sum(-1))[:, None] * np.asarray(point.probs, np.float64)
    together, effects, parts = (np.asarray(one, np.float64) for one in nudges)
    inverse, s = found.projector(task.problem.shrunk), len(plan.scalars)
    coefficients, mine = found.crossed @ inverse, found.annotators @ inverse
    groups = {}
    for name, at in _slices(task, plan, len(parts)).items():
        full = np.einsum("qno,rno->qr", together[at] * expected, together[at], optimize=True)
        groups[name] = _inverse(full - coefficients[at] @ found.crossed[at].T, np.diag(full))
    weight = _by_annotator(task.rows, plan, np.square(effects) * expected)
    about = np.einsum("qno,rno->qr", parts * expected, parts, optimize=True)
    own_parts = _own(task.rows, plan, parts, expected)
    start = (coefficients[:s], inverse, found.ridge(task.problem.shrunk))
    arrays = (*start, coefficients[s:], groups, mine[: len(weight)], weight, mine[len(weight) :])
    fixed = Fixed(*jax.tree.map(_single, (*arrays, about, _root(about), own_parts)))
    return fixed, _held(task, plan, found, expected, (together, effects, parts))


def shapes_of_fixed(task: Task, plan: Plan, nudges, theta: int) -> Fixed:
    """What stands for `fixed_at` before it is computed, for what `residuals` returns and d + e parameters."""
    _, together, effects, parts = nudges
    s, q, p, a = len(plan.scalars), len(parts), len(effects), plan.annotators
    groups = {name: like((at.stop - at.start,) * 2) for name, at in _slices(task, plan, q).items()}
    own = q if _own_parts(plan, q, theta) else 0
    return Fixed(
        scalars=like((s, theta)),
        inverse=like((theta, theta)),
        ridge=like((theta, theta) if any(task.problem.shrunk) else (0, 0)),
        groups=like((len(together) - s, theta)),
        group_inverse=groups,
        effects=like((p, a, theta)),
        weight=like((p, a)),
        tastes=like((own, a, theta)),
        parts=like((q, q)),
        parts_root=like((q, q)),
        parts_own=like(()),
    )


def _slices(task: Task, plan: Plan, parts: int) -> dict[str, slice]:
    """Where the nudges of each group are, after those of scalars."""
    at, found = len(plan.scalars), {}
    for name in plan.groups:
        size = len(task.design.field) if name == "field" and task.design.field is not None else parts
        found[name] = slice(at, at := at + size)
    return found


def _held(task: Task, plan: Plan, found: Information, expected: np.ndarray, nudges) -> tuple[str, ...]:
    """Checks along nudges that the model's own parameters make, all but a little."""
    together, effects, parts = nudges
    inverse = found.projector()
    whole = np.einsum("qno,no->q", np.square(together), expected)
    left = whole - np.einsum("qd,de,qe->q", found.crossed, inverse, found.crossed, optimize=True)
    held = [plan.scalars[i] for i in np.flatnonzero(~(left > IN_MODEL * whole)[: len(plan.scalars)])]
    for name, at in _slices(task, plan, len(parts)).items():
        held += [name] if left[at].sum() < IN_MODEL * whole[at].sum() else []
    explained = np.einsum("pad,pad->p", found.annotators @ inverse, found.annotators)
    p = len(plan.effects)
    whole = _by_annotator(task.rows, plan, np.square(effects) * expected).sum(1)
    held += [plan.effects[i] for i in np.flatnonzero(whole - explained[:p] < IN_MODEL * whole)]
    if len(explained) > p:
        whole = _by_annotator(task.rows, plan, np.square(parts) * expected).sum()
        held += ["shared_tastes", "personal_tastes"] if whole - explained[p:].sum() < IN_MODEL * whole else []
    return tuple(held)


def _single(value) -> Array:
    return device_array(value, np.float32)


def _by_annotator(rows: Comparisons, plan: Plan, values: np.ndarray) -> np.ndarray:
    """(p, a) sums over each annotator's answers of (p, n, o)."""
    found = np.zeros((len(values), plan.annotators))
    if plan.annotators:
        for row, one in zip(found, values, strict=True):
            row[:] = np.bincount(np.asarray(rows.annotator), one.sum(-1), plan.annotators)
    return found


def _own(rows: Comparisons, plan: Plan, parts: np.ndarray, expected: np.ndarray) -> float:
    """Sum over annotators of ||A_k||^2, A_k (q, q) their information about the parts."""
    if plan.annotators == 0:
        return 1.0
    each = (_by_annotator(rows, plan, parts * one * expected) for one in parts)
    return float(sum(np.square(one).sum() for one in each))


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
