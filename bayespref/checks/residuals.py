"""Residuals of answers along nudges: what log-likelihoods gain along something that the model does not have.

Arrays end in rows, (..., n): of one value of the parameters, or of those of several replicates.
"""

from __future__ import annotations

import numpy as np

from bayespref.checks.design import Design, Plan
from bayespref.checks.nudges import Point

RATE = 0.02
"""Share of guesses at which the slope in it is taken."""
HALVINGS, LEAST = 20, 1e-30
"""Steps of a bisection; the least probability."""

At = Point[np.ndarray]


def at_rows(alike: At, row: np.ndarray) -> At:
    """Of every row what is known of those that the model tells apart."""
    return Point(*(each[..., row] for each in alike))


def along(point: At, z: np.ndarray) -> np.ndarray:
    """(..., o, n) residual of every outcome along nudges z (..., k, n) of scores."""
    terms = (point.slope[..., i, :, :] * z[..., i, None, :] for i in range(point.slope.shape[-3]))
    return sum(terms, np.zeros((), np.float32))


def scalars(point: At, design: Design, plan: Plan) -> np.ndarray:
    """(..., s, o, n) residuals along the nudges of scalar checks."""
    gap = np.square(point.score).sum(-2, keepdims=True)
    found = []
    for name in plan.scalars:
        kind = name.partition(":")[0]
        if kind == "position":
            found.append(along(point, design.first))
        elif kind == "covariate":
            index = [n for n in plan.scalars if n.startswith("covariate:")].index(name)
            found.append(along(point, design.covariates[index]))
        elif kind == "fatigue":
            assert design.time is not None
            found.append(along(point, design.time * point.score))
        elif kind == "link":
            found.append(along(point, point.score * gap))
        elif kind == "lapse":
            found.append(lapse_residual(point))
        elif kind == "ties":
            found.append(tie_residual(point) * (np.sqrt(gap) - np.sqrt(gap).mean(-1, keepdims=True)))
    return np.stack(found, -3)


def lapse_residual(point: At) -> np.ndarray:
    """(..., o, n) slope of log((1 - rate) p + rate guess) at a small rate, less its mean.

    At rate 0 a single answer held to be all but impossible would outweigh all others.
    """
    mixed = (1 - RATE) * point.probs + RATE * point.guess
    slope = np.where(mixed > 0, point.guess - point.probs, 0.0) / np.where(mixed > 0, mixed, 1.0)
    return slope - (point.probs * slope).sum(-2, keepdims=True)


def tie_residual(point: At) -> np.ndarray:
    """(..., o, n) 1 for a tie less its probability; ties are the outcome after those shown."""
    k = point.slope.shape[-3]
    is_tie = np.arange(point.probs.shape[-2])[:, None] == k
    return is_tie - point.probs[..., k : k + 1, :]


def groups(point: At, design: Design, plan: Plan) -> dict[str, np.ndarray]:
    """Check -> (q, o, n) residuals along the nudges of a group."""
    nudges = {name: np.stack(directions(name, design), 1) for name in plan.groups}
    return {name: along(point, nudge) for name, nudge in nudges.items()}


def directions(name: str, design: Design) -> list[np.ndarray]:
    """(q, n) what a group's nudges add to the score of each thing shown."""
    if name == "field":
        assert design.field is not None
        return [0.5 * design.field, -0.5 * design.field]
    return list(weight_of(name, design) * design.parts)


def weight_of(name: str, design: Design) -> np.ndarray:
    """(n,) what the nudges of parts are multiplied by in a group."""
    if name != "drift":
        return design.half
    assert design.time is not None
    return design.time


def effects(point: At, design: Design, plan: Plan) -> np.ndarray:
    """(..., p, o, n) residuals along nudges that each annotator may have of their own."""
    found = []
    for name in plan.effects:
        if name == "rationality":
            found.append(along(point, point.score))
        elif name == "position_by_annotator":
            found.append(along(point, design.first))
        else:
            index = [n for n in plan.effects if n.startswith("covariate")].index(name)
            found.append(along(point, design.covariates[index]))
    shape = point.probs.shape
    return np.stack(found, -3) if found else np.zeros((*shape[:-2], 0, *shape[-2:]), np.float32)


def parts(point: At, design: Design) -> np.ndarray:
    """(q, o, n) residuals along the nudges of items, features or bins."""
    return along(point, design.parts.swapaxes(0, 1))


def ahead(point: At) -> np.ndarray:
    """(..., o, n) residual along raising the first and lowering the second of two by half."""
    return (point.slope[..., 0, :, :] - point.slope[..., 1, :, :]) / 2


def over_answers(weight: np.ndarray, point: At) -> np.ndarray:
    """(..., k, n) slopes in the score of everything shown, summed over answers of weight (..., o, n)."""
    return (weight[..., None, :, :] * point.slope).sum(-2)


def guess_rate(point: At, counts: np.ndarray) -> np.ndarray:
    """(...,) share of guesses that makes answers (..., o, n) likeliest, the rest of the fit as it is.

    A root, by bisection: the score's own one-step estimate says nothing where a few answers are nearly
    impossible.
    """
    low, high = np.zeros((*counts.shape[:-2], 1, 1)), np.ones((*counts.shape[:-2], 1, 1))
    weighed = counts * (point.guess - point.probs)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        mixed = np.maximum((1 - middle) * point.probs + middle * point.guess, LEAST)
        more = (weighed / mixed).sum((-2, -1), keepdims=True) > 0  # the log-likelihood is concave in the rate
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return low[..., 0, 0]
