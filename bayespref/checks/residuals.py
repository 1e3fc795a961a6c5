"""Residuals of answers along nudges: what log-likelihoods gain along something that the model does not have.

Arrays end in the questions of a check, (..., m): of one value of the parameters, or of several replicates'.
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


def along(point: At, z: np.ndarray) -> np.ndarray:
    """(..., o, m) residual of every outcome along nudges z (..., k, m) of scores."""
    terms = (point.slope[..., i, :, :] * z[..., i, None, :] for i in range(point.slope.shape[-3]))
    return sum(terms, np.zeros((), np.float32))


def single(point: At, design: Design, plan: Plan) -> dict[str, np.ndarray]:
    """Check -> (..., o, m) residuals along its only nudge; those by annotator have one for each of them."""
    gap = np.square(point.score).sum(-2, keepdims=True)
    names = [name.partition(":")[2] for name in plan.scalars if name.startswith("covariate:")]
    found = {"rationality": along(point, point.score)}
    if "position" in plan.scalars:
        found["position"] = found["position_by_annotator"] = along(point, design.first)
    for name, column in zip(names, design.covariates, strict=True):
        found[f"covariate:{name}"] = found[f"covariate_by_annotator:{name}"] = along(point, column)
    if design.time is not None:
        found["fatigue"] = design.time * found["rationality"]
    found["link"] = along(point, point.score * gap)
    found["lapse"] = lapse_residual(point)
    if "ties" in plan.scalars:
        apart = np.sqrt(gap)
        mean = np.average(apart, -1, weights=np.broadcast_to(design.asked, apart.shape))
        found["ties"] = tie_residual(point) * (apart - mean[..., None])
    return found


def lapse_residual(point: At) -> np.ndarray:
    """(..., o, m) slope of log((1 - rate) p + rate guess) at a small rate, less its mean.

    At rate 0 a single answer held to be all but impossible would outweigh all others.
    """
    mixed = (1 - RATE) * point.probs + RATE * point.guess
    slope = np.where(mixed > 0, point.guess - point.probs, 0.0) / np.where(mixed > 0, mixed, 1.0)
    return slope - (point.probs * slope).sum(-2, keepdims=True)


def tie_residual(point: At) -> np.ndarray:
    """(..., o, m) 1 for a tie less its probability; ties are the outcome after those shown."""
    k = point.slope.shape[-3]
    is_tie = np.arange(point.probs.shape[-2])[:, None] == k
    return is_tie - point.probs[..., k : k + 1, :]


def groups(point: At, design: Design, plan: Plan) -> dict[str, np.ndarray]:
    """Check -> (q, o, m) residuals along the nudges of a group."""
    nudges = {name: np.stack(directions(name, design), 1) for name in plan.groups}
    return {name: along(point, nudge) for name, nudge in nudges.items()}


def directions(name: str, design: Design) -> list[np.ndarray]:
    """(q, m) what a group's nudges add to the score of each thing shown."""
    if name == "field":
        assert design.field is not None
        return [0.5 * design.field, -0.5 * design.field]
    return list(weight_of(name, design) * design.parts)


def weight_of(name: str, design: Design) -> np.ndarray:
    """(m,) what the nudges of parts are multiplied by in a group."""
    if name != "drift":
        return design.half
    assert design.time is not None
    return design.time


def parts(point: At, design: Design) -> np.ndarray:
    """(..., q, o, m) residuals along the nudges of items, features or bins."""
    return np.stack([along(point, z) for z in design.parts.swapaxes(0, 1)], -3)


def ahead(point: At) -> np.ndarray:
    """(..., o, m) residual along raising the first and lowering the second of two by half."""
    return (point.slope[..., 0, :, :] - point.slope[..., 1, :, :]) / 2


def over_answers(weight: np.ndarray, point: At) -> np.ndarray:
    """(..., k, m) slopes in the score of everything shown, summed over answers of weight (..., o, m)."""
    return (weight[..., None, :, :] * point.slope).sum(-2)


def guess_rate(point: At, counts: np.ndarray) -> np.ndarray:
    """(...,) share of guesses that makes answers (..., o, m) likeliest, the rest of the fit as it is.

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
