"""Where chains start and how long their steps are along each axis, from the posterior's curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.optimize

from bayespref.comparisons import Comparisons
from bayespref.inference.flat import Flat, ravel, traceable
from bayespref.inference.meshes import fetched
from bayespref.inference.program import Model, Site, Values, sites_of
from bayespref.inference.starting import DIFFERENCE, curvature_by_differences, finite, medians, slope_of

DENSE, EACH = 400, 4000
"""Axes up to which scales are a matrix; probes of the slope up to which curvatures are taken at all."""
FLATTEST = 0.1
"""Least curvature: an unconstrained axis whose sd would be above 3 is flat, or bent the other way."""
APART = 0.5
"""Standard deviation of the logarithms of scales where chains start."""
ITERATIONS = 200


class Beginning(NamedTuple):
    """Starts (chains, d), scales (d,) or (d, d) with scale scale' close to the covariance, and the way back.

    `unravel` takes a vector to sites, `places` says where in it each site's numbers are.
    """

    positions: np.ndarray
    scale: np.ndarray
    unravel: Flat
    places: dict[str, np.ndarray]


def beginning(
    random: np.random.Generator, model: Model, comparisons: Comparisons, chains: int, start: Values | None
) -> Beginning:
    """Where chains start and how they move at first.

    Positions are draws from the normal approximation at the mode, or `start`. Scales of effects are held at
    their prior's median on the way to that mode (a joint mode may be a collapse), and dispersed after.
    """
    near = fetched(medians(model, comparisons)) if start is None else {n: v[0] for n, v in start.items()}
    vector, unravel = ravel(near)
    vector = vector.astype(np.float64)
    slope = slope_of(model, unravel)
    sites = sites_of(model, comparisons)
    names = unravel.places
    held = np.zeros(len(vector), bool)
    for name, index in names.items():
        held[index.ravel()] = sites[name].positive

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        return finite(*slope(traceable(x), comparisons))

    if start is None:
        vector = _mode(objective, vector, held)
    groups = _apart(names, sites, len(vector))
    scale = _scale(objective, vector, groups)
    if start is not None:
        positions = np.stack([ravel({n: v[c] for n, v in start.items()})[0] for c in range(chains)])
        return Beginning(positions, scale.astype(np.float32), unravel, names)
    noise = random.standard_normal((chains, len(vector)))
    positions = vector + (noise @ scale.T if scale.ndim == 2 else noise * scale)
    positions[:, held] = vector[held] + APART * noise[:, held]
    return Beginning(positions.astype(np.float32), scale.astype(np.float32), unravel, names)


def _mode(objective: Callable, vector: np.ndarray, held: np.ndarray) -> np.ndarray:
    free = ~held
    found = vector.copy()

    def part(x: np.ndarray) -> tuple[float, np.ndarray]:
        found[free] = x
        value, slope = objective(found)
        return value, slope[free]

    best = scipy.optimize.minimize(
        part, vector[free], jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    found[free] = best.x
    return found


def _apart(names: dict[str, np.ndarray], sites: dict[str, Site], size: int) -> list[np.ndarray]:
    """Sets of axes that share no answers, so that one probe of the slope tells the curvature of all.

    Effects of different annotators are such a set.
    """
    groups = []
    for name, index in names.items():
        axis = sites[name].annotator_axis
        if axis is None or index.ndim <= axis:
            groups += list(index.reshape(-1, 1))
        else:
            groups += list(np.moveaxis(index, axis, -1).reshape(-1, index.shape[axis]))
    return groups


def shape_of_scale(unravel: Flat, sites: dict[str, Site]) -> tuple[int, ...]:
    """(d, d) or (d,): what a beginning will have, so that programs can be compiled before it."""
    dense = _is_dense(unravel.size, _apart(unravel.places, sites, unravel.size))
    return (unravel.size,) * (2 if dense else 1)


def _is_dense(size: int, groups: list[np.ndarray]) -> bool:
    return size <= DENSE and len(groups) == size


def _scale(objective: Callable, vector: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """A factor of the inverse Hessian, from differences of slopes: all of it, or along each axis.

    Along each axis with effects by annotator: their correlations where scales are held are those of no other
    scale (half the effective draws, measured on the README's example).
    """
    size = len(vector)
    if _is_dense(size, groups):
        values, axes = np.linalg.eigh(curvature_by_differences(objective, vector)[0])
        return axes / np.sqrt(np.maximum(values, FLATTEST))
    if len(groups) > EACH:
        return np.ones(size)
    diagonal = np.zeros(size)
    for probe in groups:
        step = np.zeros(size)
        step[probe] = DIFFERENCE * np.maximum(1.0, np.abs(vector[probe]))
        change = (objective(vector + step)[1] - objective(vector - step)[1]) / 2
        diagonal[probe] = change[probe] / step[probe]
    return 1 / np.sqrt(np.maximum(diagonal, FLATTEST))
