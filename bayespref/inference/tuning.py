"""How chains are tuned between blocks, all together: step size by acceptance, scales by draws and slopes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.special import ndtri

from bayespref.inference.blocks import Block, Tuning

FIRST, LARGEST = (10, 15), 50
"""Draws of the first blocks, which find the step size alone, and of the largest block."""
LAST = 0.2
"""Share of warm-up, at most LARGEST draws, that settles the step size at the end."""
FAITH = 10
"""Draws' worth of faith in the scales that a window starts with."""
LONGER = 1.5
"""How many times as long as axes a direction is at least, to have a length of its own."""
DOUBLINGS, MARGIN = range(3, 10), 0.03
"""Of trees that may close upon themselves, and how far steps are kept from sizes at which they do."""
HALVES = 1.06
"""Half turns of a tree that just ends, and draws are near a quarter turn from the last."""
TREES, ALIKE = (7, 15), 0.95
"""Steps of trees that are looked after, and least share of trees of one of these numbers."""
LENGTHENED = 2**0.5
"""How many times as long steps may become where trees then have half as many."""
LITERAL = 0.95
"""Target acceptance above which steps are never lengthened: it is raised where trees diverged."""
SEEN = 1_000
"""Draws of a window that directions longer than axes are looked for in."""
RANK = 1e-10
"""Share of the largest squared singular value below which one is rounding."""


class Step(NamedTuple):
    """One block of the plan: its draws, whether they are kept, and what is tuned after it.

    Attributes:
        rescales: whether scales are taken. settles: whether warm-up ends, and with it the step size's search.
    """

    draws: int
    kept: bool = False
    rescales: bool = False
    settles: bool = False


def plan(warmup: int, draws: int) -> list[Step]:
    """Blocks of a run: step sizes, then windows of doubling length for scales, step sizes again, draws.

    Example:
        >>> [step.draws for step in plan(100, 60)]
        [10, 15, 50, 5, 20, 50, 10]
    """
    steps, left = [], warmup
    for size in FIRST:
        steps.append(Step(min(size, left)))
        left -= steps[-1].draws
    last = min(LARGEST, int(LAST * warmup))
    window = 25
    while left - last > 0:
        here = window if left - last >= 3 * window else left - last
        blocks = _blocks(here)
        steps += [Step(size) for size in blocks[:-1]] + [Step(blocks[-1], rescales=True)]
        left, window = left - here, 2 * window
    steps += [Step(size) for size in _blocks(left)]
    steps = [step for step in steps if step.draws]
    steps[-1:] = [step._replace(settles=True) for step in steps[-1:]]
    return steps + [Step(size, kept=True) for size in _blocks(draws)]


def _blocks(draws: int) -> list[int]:
    return [min(LARGEST, draws - start) for start in range(0, draws, LARGEST)]


def stepped(tuning: Tuning, blocks: list[Block], target: float) -> Tuning:
    """The step size at which the share accepted would be `target`, by the chain that accepted least.

    A chain in the neck of a funnel needs smaller steps than the others, so the least of the chains' shares
    counts, less what the least of so many equal ones is low by chance. In many dimensions a trajectory of
    steps e is accepted with probability 2 Phi(-c e^2) (Beskos et al., 2013): one pair of the two gives c.
    """
    shares = np.array([np.mean(block.acceptance_rate) for block in blocks])
    error = np.sqrt(np.mean([np.var(block.acceptance_rate) / len(block.acceptance_rate) for block in blocks]))
    chance = -ndtri(0.625 / (len(blocks) + 0.25))  # expected least of normal numbers (Blom, 1958)
    share = min(shares.min() + chance * error, shares.mean())
    ratio = ndtri(target / 2) / ndtri(np.clip(share, 0.02, 0.998) / 2)
    return tuning._replace(step_size=off_return(tuning.step_size * float(np.clip(np.sqrt(ratio), 0.25, 4.0))))


def off_return(size: float) -> float:
    """This step size, or the next longer one at which trees do not close upon themselves.

    In a normal posterior of unit scales a step of e turns by 2 arcsin(e / 2), and a tree of 2^k - 1 steps is
    told to end when it has turned by a half to a whole. Where a tree just fails to turn by a half and its
    double turns by more than a whole, no tree is told, and doubles on: ten times the steps (measured, in 200
    dimensions at e = 0.42). Steps so long that three are a half turn are those of few dimensions, where ends
    point at random enough.

    Example:
        >>> off_return(0.35), round(off_return(0.42), 3)
        (0.35, 0.458)
    """
    angle = _turn(size)
    for doublings in DOUBLINGS:
        least = (1 - MARGIN) * 2 * np.pi / (2 ** (doublings + 1) - 1)
        most = (1 + MARGIN) * np.pi / (2**doublings - 1)
        if least < angle < most:
            return _size(most)
    return size


def settled(sizes: list[tuple[int, float]]) -> float:
    """The step size in the end: the geometric mean of those found over the later half of warm-up.

    Args:
        sizes: draws of each block, and the step size found after it.
    """
    draws, size = np.array(sizes).T
    late = np.cumsum(draws) > draws.sum() / 2
    return off_return(float(np.exp(np.average(np.log(size[late]), weights=draws[late]))))


def quarter_turn(tuning: Tuning, steps: np.ndarray, *, longer: bool) -> Tuning:
    """Steps at which trees just end, where nearly all trees are of seven steps, or of fifteen.

    In a normal posterior of unit scales a draw after a turn of t is cos(t) of the last: autocorrelation is
    cos(t) of a number and cos(t)^2 of how far out it is. A tree ends when it has turned by a half; the
    shortest steps at which it does give draws near a quarter turn, where both are forgotten. Sizes by
    acceptance alone give draws that alternate: many effective for means, few for standard deviations and
    intervals (measured: the least over both is 1.2 to 1.45 times as many, at the same cost). Fifteen steps
    become seven, at half the cost, where they are at most sqrt(2) times as long: up to twice as many are
    refused. Left as it is where `along` is full: directions that it has no room for need all the turn that
    there is.

    Args:
        tuning: with a step size by acceptance.
        steps: of each of the last trees, of about that size.
        longer: whether fifteen may become seven.

    Example:
        >>> unit = Tuning(np.eye(3), 0.6, np.zeros((0, 3)))
        >>> round(quarter_turn(unit, np.full(100, 7), longer=False).step_size, 3)
        0.471
    """
    along, size = np.asarray(tuning.along), tuning.step_size
    full = len(along) > 0 and along.any(1).all()
    alike = any(np.mean(steps == number) >= ALIKE for number in TREES)
    number = next((number for number in TREES if number * _turn(size) >= np.pi), None)
    if full or not alike or number is None:
        return tuning
    if longer and number // 2 in TREES and _just_ends(number // 2) <= LENGTHENED * size:
        return tuning._replace(step_size=_just_ends(number // 2))
    return tuning._replace(step_size=min(size, _just_ends(number)))


def _just_ends(number: int) -> float:
    """The size at which so many steps turn a little more than a half."""
    return _size(HALVES * np.pi / number)


def _turn(size: float) -> float:
    """How far a step turns, in radians, in a normal posterior of unit scales."""
    return float(2 * np.arcsin(min(size, 2.0) / 2))


def _size(turn: float) -> float:
    """The step that turns so far."""
    return float(2 * np.sin(turn / 2))


def rescaled(tuning: Tuning, blocks: list[Block]) -> Tuning:
    """Scales from all chains' draws u and slopes g of a window: sd_i^2 = sd(u_i) / sd(g_i), shrunk to 1.

    For a normal posterior that is its standard deviation exactly, whatever the draws are (Seyboldt, nutpie).
    Beside axes of their own length, the directions in which draws lie farthest apart have theirs, by the same
    rule: a mean of many effects is a direction that no axis has. A chain stuck where slopes are not numbers
    is left aside.
    """
    scale, along = np.asarray(tuning.scale, np.float64), np.asarray(tuning.along, np.float64)
    position = np.concatenate([np.asarray(block.position, np.float64) for block in blocks])
    slope = np.concatenate([np.asarray(block.slope, np.float64) for block in blocks])
    there = np.isfinite(slope).all(1) & np.isfinite(position).all(1)
    if not there.any():
        return tuning
    position, slope = position[there] - position[there].mean(0), slope[there]
    dtype = np.asarray(tuning.scale).dtype
    if scale.ndim == 2:
        u = np.linalg.solve(scale, position.T).T
        return tuning._replace(scale=np.asarray(scale * _lengths(u, slope), dtype))
    u, slope = position / scale, slope - slope @ along.T / (1 + np.square(along).sum(1)) @ along
    factor = _lengths(u, slope)
    scale, along = scale * factor, _longest(u / factor, slope * factor, len(along))
    return tuning._replace(scale=np.asarray(scale, dtype), along=np.asarray(along, dtype))


def _lengths(u: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """(k,) sd along each column, by draws and slopes along it."""
    spread = np.log(u.std(0) + 1e-10) - np.log(slope.std(0) + 1e-10)
    faith = len(u) / (len(u) + FAITH)
    return np.exp(np.clip(0.5 * faith * spread, -5, 5))


def _longest(u: np.ndarray, slope: np.ndarray, number: int) -> np.ndarray:
    """(k, d): directions in which draws lie farthest apart, where they are longer than axes by LONGER."""
    seen = u[:: -(-len(u) // SEEN)]
    found = _farthest(seen, min(number, *seen.shape))
    found = np.concatenate([found, np.zeros((number - len(found), u.shape[1]))])
    length = _lengths(u @ found.T, slope @ found.T)
    return np.sqrt(np.where(length > LONGER, length - 1, 0.0))[:, None] * found


def _farthest(u: np.ndarray, number: int) -> np.ndarray:
    """(number, d) first singular vectors, zero beyond the rank; from the smaller product of u with itself."""
    wide = len(u) < u.shape[1]
    product = u @ u.T if wide else u.T @ u
    size = len(product)
    values, vectors = eigh(product, subset_by_index=(size - number, size - 1))
    vectors = np.where(values > RANK * values[-1], vectors, 0.0)
    return (u.T @ vectors / np.sqrt(np.maximum(values, 1e-30))).T if wide else vectors.T
