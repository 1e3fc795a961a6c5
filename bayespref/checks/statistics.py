"""The statistics: each a number that is large when one assumption about the annotators fails.

Scores (Rao's, or Lagrange multipliers) at the fit: what the log-likelihood gains along a nudge that the model
does not have, made orthogonal to what it has. No alternative is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bayespref.checks.design import Design, Plan
from bayespref.checks.nudges import Point
from bayespref.checks.problem import Problem
from bayespref.comparisons import Comparisons

CLUSTERED = ("position", "covariate")
"""Checks whose nudge may differ by annotator without being wrong on average: variance by annotator."""
RATE = 0.02
"""Share of guesses at which the slope in it is taken."""
PROJECTIONS, TINY = 4, 1e-8
"""Steps by which nudges are made orthogonal to the parameters of a replicate; information that is none."""
MANY, SOME = 30, 5
"""Annotators whose sums of scores tell a variance about nothing; about their mean."""


class Fixed(NamedTuple):
    """What is computed once, at the fit, and used for observed and replicated answers alike.

    Attributes:
        scalars: (s, D) parameters' part in each scalar nudge; alike groups (g, D).
        inverse: (D, D) of the information. ridge: (D, D) of the prior of annotators' effects, or (0, 0).
        group_inverse: name -> (q, q) inverse information of a group's nudges given the parameters.
        effects: (p, a, D) the parameters' part in each annotator's nudge. weight: (p, a) its information.
        tastes: (q, a, D) alike for the parts, or (0, a, D) where that would be too large.
        parts: (q, q) information of items, features or bins; parts_root: its inverse's square root.
        parts_own: sum over annotators of the squared norm of their own information about the parts.
    """

    scalars: Array
    inverse: Array
    ridge: Array
    groups: Array
    group_inverse: dict[str, Array]
    effects: Array
    weight: Array
    tastes: Array
    parts: Array
    parts_root: Array
    parts_own: Array


def scalar_nudges(point: Point, design: Design, plan: Plan) -> Array:
    """(s, n, o) residuals along the nudges of scalar checks."""
    gap = jnp.square(point.score).sum(-1, keepdims=True)
    found = []
    for name in plan.scalars:
        kind = name.partition(":")[0]
        if kind == "position":
            found.append(point.along(design.first))
        elif kind == "covariate":
            index = [n for n in plan.scalars if n.startswith("covariate:")].index(name)
            found.append(point.along(design.covariates[index]))
        elif kind == "fatigue":
            assert design.time is not None
            found.append(point.along(design.time[:, None] * point.score))
        elif kind == "link":
            found.append(point.along(point.score * gap))
        elif kind == "lapse":
            found.append(lapse_residual(point))
        elif kind == "ties":
            found.append(tie_residual(point) * (jnp.sqrt(gap) - jnp.sqrt(gap).mean()))
    return jnp.stack(found)


def lapse_residual(point: Point) -> Array:
    """(n, o) slope of log((1 - rate) p + rate guess) at a small rate, less its mean.

    At rate 0 a single answer held to be all but impossible would outweigh all others.
    """
    mixed = (1 - RATE) * point.probs + RATE * point.guess
    slope = jnp.where(mixed > 0, (point.guess - point.probs) / jnp.where(mixed > 0, mixed, 1.0), 0.0)
    return slope - (point.probs * slope).sum(-1, keepdims=True)


def tie_residual(point: Point) -> Array:
    """(n, o) 1 for a tie less its probability; ties are the outcome after those shown."""
    k = point.slope.shape[-1]
    is_tie = jnp.arange(point.probs.shape[-1]) == k
    return is_tie - point.probs[:, k : k + 1]


def group_directions(design: Design, plan: Plan) -> dict[str, Array]:
    """Check -> (q, n, k) what a group's nudges add to the score of everything shown."""
    found = {}
    for name in plan.groups:
        if name == "field":
            assert design.field is not None
            found[name] = design.field[:, :, None] * jnp.array([0.5, -0.5])
        else:
            weight = design.time if name == "drift" else design.half
            assert weight is not None
            found[name] = jnp.moveaxis(weight[:, None, None] * design.parts, -1, 0)
    return found


def group_nudges(point: Point, design: Design, plan: Plan) -> dict[str, Array]:
    """Check -> (q, n, o) residuals along the nudges of a group."""
    directions = group_directions(design, plan)
    return {name: jnp.einsum("nok,qnk->qno", point.slope, z) for name, z in directions.items()}


def effect_nudges(point: Point, design: Design, plan: Plan) -> Array:
    """(p, n, o) residuals along nudges that each annotator may have of their own."""
    found = []
    for name in plan.effects:
        if name == "rationality":
            found.append(point.along(point.score))
        elif name == "position_by_annotator":
            found.append(point.along(design.first))
        else:
            index = [n for n in plan.effects if n.startswith("covariate")].index(name)
            found.append(point.along(design.covariates[index]))
    return jnp.stack(found) if found else jnp.zeros((0, *point.probs.shape))


def ahead(point: Point) -> Array:
    """(n, o) residual along raising the first and lowering the second of two by half."""
    return (point.slope[..., 0] - point.slope[..., 1]) / 2


def direction(point: Point, parts: Array, inverse: Array, total: Array) -> Array:
    """(q,) the fit's own scores as a function of the parts: weighted least squares."""
    along = total[:, None] * point.probs * point.along(point.score)
    return inverse @ jnp.einsum("nk,nkq->q", over_answers(along, point), parts)


def over_answers(weight: Array, point: Point) -> Array:
    """(n, k) slopes in the score of everything shown, summed over answers of weight (n, o).

    Answers are summed before parts are looked at: every replicate has the same parts.
    """
    return (weight[..., None] * point.slope).sum(1)


def statistics(
    problem: Problem,
    rows: Comparisons,
    design: Design,
    plan: Plan,
    fixed: Fixed,
    z: Array,
    h: Array,
    counts: Array,
) -> dict[str, tuple[Array, Array]]:
    """Check -> (statistic, effect size) for counted answers at their own mode."""
    d, total = len(z), counts.sum(-1)
    theta = jnp.concatenate([z, h])

    def log_probs(theta: Array) -> Array:
        found = problem.log_probs(rows, theta[:d], theta[d:], counts)
        return jnp.where(jnp.isfinite(found), found, 0.0)

    _, push = jax.linearize(log_probs, theta)
    pull = jax.linear_transpose(push, theta)
    slope = problem.slope(rows, z, h, pull(counts)[0])
    point = problem.point(rows, z, h, counts)
    clean = orthogonal(scalar_nudges(point, design, plan), total[:, None] * point.probs, push, pull, fixed)
    out = _scalars(clean, point, plan, rows, counts)
    inverse = fixed.parts_root @ fixed.parts_root.T
    own = direction(point, design.parts, inverse, total)
    scores = over_answers(counts, point)
    out |= _groups(scores, design, plan, fixed, slope, own)
    if plan.annotators:
        out |= _effects(point, design, plan, fixed, rows, counts, slope)
        out |= _tastes(point, scores, design, plan, fixed, rows, counts, slope, own)
    if plan.pairs:
        out |= _pairs(point, design, plan, counts, _curve(clean, plan))
    return {name: out[name] for name in plan.names}


def orthogonal(nudges: Array, expected: Array, push: Callable, pull: Callable, fixed: Fixed) -> Array:
    """(s, n, o) nudges less the parameters' part in them, at these parameters.

    Conjugate gradients from the part that they have at the fit, preconditioned by its information (steps of
    Newton's run away along what answers hardly inform). The part at the fit itself would leave replicates
    more information than the fit has: a check then rejected up to three times too often on a few hundred
    answers.
    """
    ridge = fixed.ridge if fixed.ridge.size else None

    def one(nudge: Array, part: Array) -> Array:
        clean = nudge - push(part)
        left = pull(expected * clean)[0] - (0.0 if ridge is None else ridge @ part)
        step = fixed.inverse @ left

        def descend(_, state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            clean, left, step, size = state
            moved = push(step)
            bent = pull(expected * moved)[0] + (0.0 if ridge is None else ridge @ step)
            length = jnp.where(size > TINY, size / jnp.maximum(step @ bent, TINY), 0.0)
            clean, left = clean - length * moved, left - length * bent
            ahead = fixed.inverse @ left
            size, before = left @ ahead, size
            step = ahead + jnp.where(before > TINY, size / jnp.maximum(before, TINY), 0.0) * step
            return clean, left, step, size

        return jax.lax.fori_loop(0, PROJECTIONS, descend, (clean, left, step, left @ step))[0]

    return jax.vmap(one)(nudges, fixed.scalars)


def _scalars(clean: Array, point: Point, plan: Plan, rows, counts: Array):
    """All of them at once: a program compiles as fast for twenty columns as for none."""
    by_row = jnp.einsum("sno,no->ns", clean, counts)
    known = jnp.einsum("sno,no->ns", jnp.square(clean), counts.sum(-1, keepdims=True) * point.probs)
    score, information = by_row.sum(0), known.sum(0)
    variance, effect = information, score / (information + 1e-12)
    of_annotators = np.array([name.startswith(CLUSTERED) for name in plan.scalars])
    if plan.annotators and of_annotators.any():
        robust = clustered(by_row, known, rows.by_annotator(), plan.annotators)
        variance = jnp.where(of_annotators, robust, information)
    lapse = np.array(plan.scalars) == "lapse"
    effect = jnp.where(lapse, guess_rate(point, counts), effect)
    statistic = score / jnp.sqrt(variance + 1e-12)
    return {name: (statistic[i], effect[i]) for i, name in enumerate(plan.scalars)}


def clustered(scores: Array, information: Array, who: Array, annotators: int) -> Array:
    """Variance of the sum of scores (n, ...) with information alike, over annotators who may differ.

    Their sums squared; among few annotators about what the mean effect expects of each, as the plain ones
    bound |sum| by the root of their number; among fewer still the information alone.
    """
    sums, known = jax.ops.segment_sum(jnp.stack([scores, information], 1), who, annotators).swapaxes(0, 1)
    number, total = (known > 0).sum(0), known.sum(0)
    centred = sums - known * (sums.sum(0) / (total + 1e-12))
    about_mean = jnp.square(centred).sum(0) * number / jnp.maximum(number - 1, 1)
    robust = jnp.where(number < MANY, about_mean, jnp.square(sums).sum(0))
    return jnp.where(number < SOME, total, robust)


def guess_rate(point: Point, counts: Array) -> Array:
    """Share of guesses that makes the answers likeliest, the rest of the fit as it is: a root, by bisection.

    The score's own one-step estimate says nothing where a few answers are nearly impossible.
    """

    def slope(rate: Array) -> Array:
        mixed = jnp.maximum((1 - rate) * point.probs + rate * point.guess, 1e-30)
        return (counts * (point.guess - point.probs) / mixed).sum()

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        more = slope(middle) > 0  # the log-likelihood is concave in the rate
        return jnp.where(more, middle, ends[0]), jnp.where(more, ends[1], middle)

    return jax.lax.fori_loop(0, 20, halve, (jnp.asarray(0.0), jnp.asarray(1.0)))[0]


def _groups(scores: Array, design: Design, plan: Plan, fixed: Fixed, slope: Array, own: Array):
    found, at = {}, 0
    for name, directions in group_directions(design, plan).items():
        size = len(directions)
        score = jnp.einsum("qnk,nk->q", directions, scores) - fixed.groups[at : at + size] @ slope
        inverse, at = fixed.group_inverse[name], at + size
        change = inverse @ score
        form = score @ change
        if name == "drift":  # what all items share in is fatigue
            shared = jnp.square(own @ score) / (own @ jnp.linalg.pinv(inverse, hermitian=True) @ own + 1e-12)
            form = form - shared
        found[name] = form, jnp.sqrt(jnp.square(change).mean())
    return found


def _effects(point: Point, design: Design, plan: Plan, fixed: Fixed, rows, counts: Array, slope: Array):
    nudges = effect_nudges(point, design, plan)
    by_row = jnp.einsum("pno,no->np", nudges, counts)
    each = jax.ops.segment_sum(by_row, rows.by_annotator(), plan.annotators).T - fixed.effects @ slope
    each = each - fixed.weight * (each.sum(1) / fixed.weight.sum(1))[:, None]
    own = jnp.einsum("pno,no->p", jnp.square(nudges), counts)
    excess = jnp.square(each).sum(1) - own
    spread = jnp.sqrt(jnp.maximum(excess / jnp.square(fixed.weight).sum(1), 0.0))
    return {name: (excess[i], spread[i]) for i, name in enumerate(plan.effects)}


def _tastes(
    point: Point,
    scores: Array,
    design: Design,
    plan: Plan,
    fixed: Fixed,
    rows,
    counts,
    slope: Array,
    own: Array,
):
    parts, q = design.parts, design.parts.shape[-1]
    residual = (scores[..., None] * parts).sum(1)
    by_annotator = jax.ops.segment_sum(residual, rows.by_annotator(), plan.annotators)
    if len(fixed.tastes):
        by_annotator = by_annotator - (fixed.tastes @ slope).T
    square = (counts[..., None, None] * point.slope[..., None] * point.slope[:, :, None]).sum(1)
    own_answers = (square[..., None] * parts[:, None]).sum(2)
    moment = by_annotator.T @ by_annotator - parts.reshape(-1, q).T @ own_answers.reshape(-1, q)
    # What lies along the fit's own scores is rationality.
    loading = fixed.parts @ own
    across = jnp.eye(q) - jnp.outer(loading, own) / (own @ loading + 1e-12)
    moment = across @ moment @ across.T
    strongest = jnp.linalg.eigvalsh(fixed.parts_root.T @ moment @ fixed.parts_root)[-1]
    trace = jnp.trace(moment)
    spread = jnp.sqrt(jnp.maximum(trace, 0.0) / fixed.parts_own)
    return {"shared_tastes": (strongest, spread), "personal_tastes": (trace, spread)}


def _curve(clean: Array, plan: Plan) -> Array:
    """(c, n, o) the nudges of the curve from differences to answers: what they explain is no cycle."""
    return jnp.stack([clean[plan.scalars.index(name)] for name in ("lapse", "link")])


def _pairs(point: Point, design: Design, plan: Plan, counts: Array, curve: Array):
    residual = ahead(point)
    sign = design.pair_sign
    assert sign is not None
    by_row = sign * (counts * residual).sum(-1)
    variance = (counts.sum(-1, keepdims=True) * point.probs * jnp.square(residual)).sum(-1)
    found = {}
    if plan.matrix:
        assert design.pair is not None and design.pair_items is not None
        bent = _bent(point, design, counts, curve)
        excess, expected, bent = _summed((by_row, variance, bent), design.pair, plan.pairs)
        scaled, bent = (each / jnp.sqrt(jnp.maximum(expected, 1e-6)) for each in (excess, bent))
        low, high = design.pair_items.T
        matrix = jnp.zeros((plan.matrix, plan.matrix)).at[low, high].add(scaled - bent, mode="drop")
        matrix = matrix - matrix.T
        information, chance = jnp.maximum(expected.sum(), 1e-6), jnp.square(scaled).sum()
        spread = jnp.sqrt(jnp.maximum(chance - plan.pairs, 0.0) / information)
        found["cycles"] = jnp.linalg.norm(matrix, 2), spread
        found["pairs"] = chance, spread
    if plan.cells:
        assert design.again is not None
        own, weight, alone = _summed((by_row, variance, jnp.square(variance)), design.again, plan.cells)
        twice = jnp.square(own).sum() - (counts * jnp.square(residual)).sum()
        pairs = (jnp.square(weight) - alone).sum()
        found["self_consistency"] = twice, jnp.sqrt(jnp.maximum(twice, 0.0) / jnp.maximum(pairs, 1e-6))
    return found


def _summed(of_rows: tuple[Array, ...], where: Array, number: int) -> Array:
    """(c, number) sums of numbers of rows (n,), over the rows of each."""
    return jax.ops.segment_sum(jnp.stack(of_rows, 1), where, number).T


def _bent(point: Point, design: Design, counts: Array, curve: Array) -> Array:
    """(n,) what a better curve would explain of the residual of each row."""
    expected = counts.sum(-1, keepdims=True) * point.probs
    information = jnp.einsum("cno,dno,no->cd", curve, curve, expected)
    unit = jnp.sqrt(jnp.diag(information))
    # Two nudges that look alike are taken for one.
    scaled = jnp.linalg.pinv(information / jnp.outer(unit, unit), rtol=1e-3, hermitian=True)
    size = (scaled @ (jnp.einsum("cno,no->c", curve, counts) / unit)) / unit
    assert design.pair_sign is not None
    return design.pair_sign * jnp.einsum("c,cno,no->n", size, curve, expected * ahead(point))
