"""The statistics: each a number that is large when one assumption about the annotators fails.

Scores (Rao's, or Lagrange multipliers) at the fit: what the log-likelihood gains along a nudge that the model
does not have, made orthogonal to what it has. No alternative is fitted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayespref.checks.answers import late, of_rows
from bayespref.checks.design import Design, Plan
from bayespref.checks.residuals import At, ahead, over_answers, weight_of

CLUSTERED = ("position", "covariate")
"""Checks whose nudge may differ by annotator without being wrong on average: variance by annotator."""
MANY, SOME = 30, 5
"""Annotators whose sums of scores tell a variance about nothing; about their mean."""
CURVE = ("lapse", "link")
"""Nudges of the curve from differences to answers: what they explain is no cycle."""
TINY, ALIKE = 1e-12, 1e-3
"""What nothing is divided by; share of a curve's information below which two of its nudges are one."""

Statistics = dict[str, tuple[np.ndarray, np.ndarray]]
"""Check -> (statistics (c,), effects (c,)) of replicates."""


class Fixed(NamedTuple):
    """What is computed once, at the fit, and used for observed and replicated answers alike.

    Attributes:
        groups: (g, D) parameters' part in each group's nudge.
        group_inverse: name -> (q, q) inverse information of a group's nudges given the parameters.
        effects: (p, a, D) the parameters' part in each annotator's nudge. weight: (p, a) its information.
        tastes: (q, a, D) alike for the parts, or (0, a, D) where that would be too large.
        parts: (q, q) information of items, features or bins; parts_root: its inverse's square root.
        parts_own: sum over annotators of the squared norm of their own information about the parts.
    """

    groups: np.ndarray
    group_inverse: dict[str, np.ndarray]
    effects: np.ndarray
    weight: np.ndarray
    tastes: np.ndarray
    parts: np.ndarray
    parts_root: np.ndarray
    parts_own: float


class Judged(NamedTuple):
    """What statistics are computed from, of c replicates.

    Attributes:
        point: what the model says at their modes. counts: (c, o, m) how often each question was answered so.
        own: what was answered in each row (`answers`).
        single: check -> (c, o, m) residuals along its only nudge, or along each annotator's.
        clean: (c, s, o, m) those of scalar checks, without the parameters' part.
        slope: (c, D) of the log-likelihood. guesses: (c,) the likeliest share of guesses.
    """

    point: At
    counts: np.ndarray
    own: np.ndarray
    single: dict[str, np.ndarray]
    clean: np.ndarray
    slope: np.ndarray
    guesses: np.ndarray


def statistics(judged: Judged, design: Design, plan: Plan, fixed: Fixed) -> Statistics:
    """Statistics and effect sizes of every check that is made."""
    point = judged.point
    expected = judged.counts.sum(-2, keepdims=True) * point.probs
    of_fit = over_answers(expected * judged.single["rationality"], point)
    own = by_part(of_fit, design) @ (fixed.parts_root @ fixed.parts_root.T)
    out = _scalars(judged, expected, design, plan) | _groups(judged, design, plan, fixed, own)
    if design.annotator is not None:
        out |= _effects(judged, design, plan, fixed) | _tastes(judged, design, fixed, own)
    if plan.pairs:
        out |= _pairs(judged, expected, design, plan)
    return {name: out[name] for name in plan.names}


def by_part(of_shown: np.ndarray, design: Design) -> np.ndarray:
    """(c, q) sums over questions and things shown of (c, k, m), by part."""
    if design.part is not None:
        return design.part.sums(of_shown.reshape(len(of_shown), -1))[:, : design.parts.shape[1]]
    return np.sum([of_shown[:, i] @ of_one.T for i, of_one in enumerate(design.parts)], 0)


def _scalars(judged: Judged, expected: np.ndarray, design: Design, plan: Plan) -> Statistics:
    score = (judged.clean * judged.counts[:, None]).sum((-2, -1))
    information = (np.square(judged.clean) * expected[:, None]).sum((-2, -1))
    if "fatigue" in plan.scalars:  # what answers to one question differ in: when they came
        i, of_fit = plan.scalars.index("fatigue"), judged.single["rationality"]
        score[:, i] += (of_fit * late(judged.own, design, of_fit.shape[1])).sum((-2, -1))
        information[:, i] += (np.square(of_fit) * judged.point.probs * design.within()).sum((-2, -1))
    variance, effect = information, score / (information + TINY)
    of_annotators = np.array([name.startswith(CLUSTERED) for name in plan.scalars])
    if design.annotator is not None and of_annotators.any():
        clean = judged.clean[:, of_annotators]
        sums = design.annotator.sums(of_rows(clean, judged.own, design.row.of))
        known = design.by_annotator((np.square(clean) * judged.point.probs[:, None]).sum(-2))
        variance = variance.copy()
        variance[:, of_annotators] = clustered(sums, known)
    effect = np.where(np.array(plan.scalars) == "lapse", judged.guesses[:, None], effect)
    statistic = score / np.sqrt(variance + TINY)
    return {name: (statistic[:, i], effect[:, i]) for i, name in enumerate(plan.scalars)}


def clustered(sums: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Variance of the total of annotators' scores (..., a) with information alike, who may differ.

    Their sums squared; among few annotators about what the mean effect expects of each, as the plain ones
    bound |sum| by the root of their number; among fewer still the information alone.
    """
    number, total = (known > 0).sum(-1), known.sum(-1)
    centred = sums - known * (sums.sum(-1) / (total + TINY))[..., None]
    about_mean = np.square(centred).sum(-1) * number / np.maximum(number - 1, 1)
    robust = np.where(number < MANY, about_mean, np.square(sums).sum(-1))
    return np.where(number < SOME, total, robust)


def _groups(judged: Judged, design: Design, plan: Plan, fixed: Fixed, own: np.ndarray) -> Statistics:
    scores = over_answers(judged.counts, judged.point)
    found, at = {}, 0
    for name in plan.groups:
        inverse = fixed.group_inverse[name]
        part, at = fixed.groups[at : at + len(inverse)], at + len(inverse)
        score = _along_group(name, scores, judged, design) - judged.slope @ part.T
        change = score @ inverse
        form = (score * change).sum(-1)
        if name == "drift":  # what all items share in is fatigue
            about = own @ np.linalg.pinv(inverse, hermitian=True)
            form = form - np.square((own * score).sum(-1)) / ((about * own).sum(-1) + TINY)
        found[name] = form, np.sqrt(np.square(change).mean(-1))
    return found


def _along_group(name: str, scores: np.ndarray, judged: Judged, design: Design) -> np.ndarray:
    """(c, q) scores (c, k, m) along a group's nudges."""
    if name == "field":
        assert design.field is not None
        return (scores[:, 0] - scores[:, 1]) @ design.field.T / 2
    weighed = scores * weight_of(name, design)
    if name == "drift":
        weighed = weighed + over_answers(late(judged.own, design, judged.counts.shape[1]), judged.point)
    return by_part(weighed, design)


def _effects(judged: Judged, design: Design, plan: Plan, fixed: Fixed) -> Statistics:
    assert design.annotator is not None
    nudges = np.stack([judged.single[name] for name in plan.effects], 1)
    each = design.annotator.sums(of_rows(nudges, judged.own, design.row.of)) - _part(
        fixed.effects, judged.slope
    )
    each = each - fixed.weight * (each.sum(-1) / fixed.weight.sum(1))[..., None]
    excess = np.square(each).sum(-1) - (np.square(nudges) * judged.counts[:, None]).sum((-2, -1))
    spread = np.sqrt(np.maximum(excess / np.square(fixed.weight).sum(1), 0.0))
    return {name: (excess[:, i], spread[:, i]) for i, name in enumerate(plan.effects)}


def _part(of_each: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(c, p, a) the parameters' part (p, a, D) in what each annotator's scores sum to, by slope (c, D)."""
    return (slope @ of_each.reshape(-1, of_each.shape[-1]).T).reshape(-1, *of_each.shape[:2])


def _tastes(judged: Judged, design: Design, fixed: Fixed, own: np.ndarray) -> Statistics:
    each = _of_annotators(judged, design)
    if len(fixed.tastes):
        each = each - _part(fixed.tastes, judged.slope)
    moment = each @ each.swapaxes(1, 2) - _squares(judged, design)
    # What lies along the fit's own scores is rationality.
    loading = own @ fixed.parts
    length = (own * loading).sum(-1) + TINY
    across = np.eye(own.shape[1]) - loading[:, :, None] * own[:, None] / length[:, None, None]
    moment = across @ moment @ across.swapaxes(1, 2)
    strongest = np.linalg.eigvalsh(fixed.parts_root.T @ moment @ fixed.parts_root)[:, -1]
    trace = np.trace(moment, axis1=1, axis2=2)
    spread = np.sqrt(np.maximum(trace, 0.0) / fixed.parts_own)
    return {"shared_tastes": (strongest, spread), "personal_tastes": (trace, spread)}


def _of_annotators(judged: Judged, design: Design) -> np.ndarray:
    """(c, q, a) sums of scores by part and annotator."""
    assert design.annotator is not None
    slopes = of_rows(judged.point.slope, judged.own, design.row.of)
    if design.own_part is None:
        each = ((slopes * part[:, design.row.of]).sum(1) for part in design.parts.swapaxes(0, 1))
        return np.stack([design.annotator.sums(one) for one in each], 1)
    return design.own_sums(slopes)


def _squares(judged: Judged, design: Design) -> np.ndarray:
    """(c, q, q) what single answers add to the squares of annotators' sums, by part."""
    slope, q = judged.point.slope, design.parts.shape[1]
    each = (judged.counts[:, None, None] * slope[:, :, None] * slope[:, None]).sum(-2)
    if design.two_parts is not None:
        sums = design.two_parts.sums(each.reshape(len(each), -1))
        return sums.reshape(-1, q + 1, q + 1)[:, :q, :q]
    terms = np.ndindex(len(design.parts), len(design.parts))
    found = [(each[:, i, j, None] * design.parts[i]) @ design.parts[j].T for i, j in terms]
    return np.sum(found, 0)


def _pairs(judged: Judged, expected: np.ndarray, design: Design, plan: Plan) -> Statistics:
    assert design.pair_sign is not None
    residual = ahead(judged.point)
    of_pairs = design.pair_sign * (judged.counts * residual).sum(-2)
    variance = (expected * np.square(residual)).sum(-2)
    found: Statistics = {}
    if plan.matrix:
        found |= _cycles(judged, of_pairs, variance, expected, design, plan)
    if plan.cells:
        twice, pairs = _repeated(judged, residual, design)
        found["self_consistency"] = twice, np.sqrt(np.maximum(twice, 0.0) / np.maximum(pairs, 1e-6))
    return found


def _repeated(judged: Judged, residual: np.ndarray, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """(c,) products of residuals of one annotator and pair, summed, and their size if answers repeat."""
    assert design.again is not None and design.repeats is not None
    row, own = design.row.of[design.repeats], judged.own[..., design.repeats]
    signed = np.stack([design.pair_sign * residual, np.square(residual)], 1)
    one, square = of_rows(signed, own, row).swapaxes(0, 1)
    twice = np.square(design.again.sums(one)).sum(-1) - square.sum(-1)
    each, total = (judged.point.probs * np.square(residual)).sum(-2)[:, row], design.total[design.repeats]
    return twice, np.square(design.again.sums(each * total)).sum(-1) - (np.square(each) * total).sum(-1)


def _cycles(
    judged: Judged, of_pairs: np.ndarray, variance: np.ndarray, whole: np.ndarray, design: Design, plan: Plan
) -> Statistics:
    """Residuals of pairs, and as a matrix without what a better curve explains of `whole` (c, o, m)."""
    assert design.pair is not None and design.pair_sign is not None and design.pair_items is not None
    curve = judged.clean[:, [plan.scalars.index(name) for name in CURVE]]
    bent = design.pair_sign * (curve * (whole * ahead(judged.point))[:, None]).sum(-2)
    excess, expected, *explained = design.pair.sums(np.stack([of_pairs, variance, *bent.swapaxes(0, 1)]))
    bent = (_size(curve, judged.counts, whole)[:, None] @ np.stack(explained, 1))[:, 0]
    scaled, bent = (each / np.sqrt(np.maximum(expected, 1e-6)) for each in (excess, bent))
    low, high = design.pair_items.T
    matrix = np.zeros((len(scaled), plan.matrix + 1, plan.matrix + 1))  # the last: items not told apart
    matrix[:, low, high] = scaled - bent
    matrix = matrix[:, :-1, :-1] - matrix[:, :-1, :-1].swapaxes(1, 2)
    largest = np.linalg.eigvalsh(matrix @ matrix.swapaxes(1, 2))[:, -1]
    chance = np.square(scaled).sum(-1)
    spread = np.sqrt(np.maximum(chance - plan.pairs, 0.0) / np.maximum(expected.sum(-1), 1e-6))
    return {"cycles": (np.sqrt(np.maximum(largest, 0.0)), spread), "pairs": (chance, spread)}


def _size(curve: np.ndarray, counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(c, 2) how much of each nudge of the curve answers show; two that look alike are taken for one."""
    flat = curve.reshape(*curve.shape[:2], -1)
    information = (flat * expected.reshape(len(flat), 1, -1)) @ flat.swapaxes(1, 2)
    unit = np.sqrt(np.maximum(np.diagonal(information, axis1=1, axis2=2), TINY))
    alike = np.linalg.pinv(information / (unit[:, :, None] * unit[:, None]), rcond=ALIKE, hermitian=True)
    score = (flat @ counts.reshape(len(flat), -1, 1))[..., 0]
    return (alike @ (score / unit)[..., None])[..., 0] / unit
