"""Where optimisations and chains start."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax import Array
from numpyro import handlers, validation_enabled
from numpyro.distributions import (
    Dirichlet,
    ExpandedDistribution,
    Independent,
    LKJCholesky,
    MultivariateNormal,
    ZeroSumNormal,
    biject_to,
)
from numpyro.infer import init_to_median
from numpyro.infer.util import potential_energy

from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import like
from bayespref.inference.flat import flat_of, ravel, traceable
from bayespref.inference.meshes import fetched
from bayespref.inference.program import Model, Values, side_by_side, sites_of
from bayespref.inference.relabel import numbered

NUDGE = 0.1
"""Noise around the prior's medians, where exchangeable components and networks have a saddle."""
SEARCHES, FAR, STEPS = 16, 1.0, 200
"""Optimisations that look for modes of classes, how far apart they start, and how long each may take."""
DIFFERENCE = 0.01
"""Step of a difference, relative to a vector's element, at least to 1."""
SAME, KEPT = 0.1, 4
"""Nats within which two searches found one mode, whatever its numbering; how many modes are weighed."""


def starts(random: np.random.Generator, model: Model, comparisons: Comparisons) -> dict[str, np.ndarray]:
    """Unconstrained values to start from: near the prior's median of every sampled site.

    Classes of annotators have modes besides those of other numberings: camps lumped together, a camp split.
    With them, the one of several modes that holds most.
    """
    if has_modes(model, comparisons):
        found, mass = modes(random, model, comparisons)
        if len(found):
            return {name: np.asarray(value) for name, value in found[int(mass.argmax())].items()}
    return _near(random, fetched(medians(model, comparisons)), NUDGE)


def chain_starts(
    random: np.random.Generator, model: Model, comparisons: Comparisons, chains: int
) -> Values | None:
    """(chains, ...) unconstrained values where chains start; None where that is near the prior's medians.

    Of several modes, by the mass they hold: all chains at one mode, unless another holds nearly as much,
    which R-hat then tells.
    """
    if not has_modes(model, comparisons):
        return None
    found, mass = modes(random, model, comparisons)
    if not len(found):
        return None
    share = np.exp(mass - mass.max())
    places = (np.arange(chains) + random.random()) / chains
    chosen = np.searchsorted(np.cumsum(share) / share.sum(), places)
    return jax.tree.map(lambda *each: jnp.stack(each), *(found[index] for index in chosen))


def has_modes(model: Model, comparisons: Comparisons) -> bool:
    """Exchangeable classes, and no effects by annotator: their joint mode collapses."""
    latent = [site for site in sites_of(model, comparisons).values() if site.latent]
    return numbered(model, comparisons) and all(site.annotator_axis is None for site in latent)


def modes(
    random: np.random.Generator, model: Model, comparisons: Comparisons
) -> tuple[list[dict[str, Array]], np.ndarray]:
    """Local modes of the posterior from dispersed starts, unconstrained, and the log of the mass they hold.

    Mass is height - 1/2 log det(-Hessian). A learned scale that runs to zero, where items hardly differ, has
    height without bound but no curvature: it is no mode.
    """
    median = fetched(medians(model, comparisons))
    unravel = ravel(median)[1]
    gradient = slope_of(model, unravel)

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        return finite(*gradient(traceable(vector), comparisons))

    def search() -> tuple[float, np.ndarray]:
        start = ravel(_near(random, median, FAR))[0].astype(np.float64)
        options = {"maxiter": STEPS}
        found = scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        return float(found.fun), found.x

    points, mass = [], []
    for vector in _distinct([search() for _ in range(SEARCHES)])[:KEPT]:
        matrix, error = curvature_by_differences(objective, vector)
        eigenvalues = np.linalg.eigvalsh(matrix)
        if eigenvalues[0] > error:
            points.append(unravel(traceable(vector)))
            mass.append(-objective(vector)[0] - 0.5 * np.log(eigenvalues).sum())
    return points, np.array(mass)


def _distinct(found: list[tuple[float, np.ndarray]]) -> list[np.ndarray]:
    """One point of each height, the highest first."""
    kept: list[tuple[float, np.ndarray]] = []
    for one in sorted(found, key=lambda one: one[0]):
        if not kept or one[0] > kept[-1][0] + SAME:
            kept.append(one)
    return [vector for _, vector in kept]


def finite(value: Array, slope: Array) -> tuple[float, np.ndarray]:
    """A value and a slope that an optimiser can step back from."""
    height, steepness = float(value), np.asarray(fetched(slope), np.float64)
    return (height, steepness) if np.isfinite(height) else (1e30, np.zeros_like(steepness))


@functools.lru_cache(maxsize=64)
def slope_of(model: Model, unravel: Callable) -> Callable:
    """Value and gradient of the potential (vector, comparisons); compiled once for all data of one shape."""
    return jax.jit(jax.value_and_grad(potential_of(model, unravel)))


def lowered_start(model: Model, comparisons: Comparisons) -> Iterator[jax.stages.Lowered]:
    """What is run from the first step on: slopes, and the prior's medians."""
    unravel = flat_of(sites_of(model, comparisons))
    yield slope_of(model, unravel).lower(like((unravel.size,)), comparisons)
    yield medians.lower(model, comparisons)


@functools.lru_cache(maxsize=64)
def hessian_of(model: Model, unravel: Callable) -> Callable:
    """Hessian of the potential (vector, comparisons); compiled once for all data of one shape."""
    slope = jax.grad(potential_of(model, unravel))

    def hessian(vector: Array, comparisons: Comparisons) -> Array:
        def column(direction: Array) -> Array:
            return jax.jvp(lambda x: slope(x, comparisons), (vector,), (direction,))[1]

        # A few columns at a time, to bound memory.
        units = jnp.eye(len(vector), dtype=vector.dtype)
        return jax.lax.map(column, units, batch_size=side_by_side(comparisons))

    return jax.jit(hessian)


def curvature_by_differences(objective: Callable, vector: np.ndarray) -> tuple[np.ndarray, float]:
    """Hessian (d, d) by differences of slopes, which needs no program of its own, and its error.

    The error is that of rounding: half the largest eigenvalue of what should be symmetric less its transpose.

    Args:
        objective: value and slope at a vector (d,).
        vector: where.
    """
    hessian = np.zeros((len(vector), len(vector)))
    for axis, place in enumerate(vector):
        step = np.zeros(len(vector))
        step[axis] = DIFFERENCE * max(1.0, abs(place))
        hessian[axis] = (objective(vector + step)[1] - objective(vector - step)[1]) / (2 * step[axis])
    error = float(np.linalg.norm(hessian - hessian.T, 2)) / 2
    return (hessian + hessian.T) / 2, error


def potential_of(model: Model, unravel: Callable) -> Callable[[Array, Comparisons], Array]:
    """Negative log posterior density (vector, comparisons) in unconstrained space, up to a constant.

    Without NumPyro's checks of values: `sites_of` has read the model with them, and here they cost a fifth.
    """

    def potential(vector: Array, comparisons: Comparisons) -> Array:
        with validation_enabled(is_validate=False):
            return jnp.asarray(potential_energy(model, (comparisons,), {}, unravel(vector)))

    return potential


def _near(random: np.random.Generator, values: Values, noise: float) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(value) + noise * random.standard_normal(value.shape).astype(value.dtype)
        for name, value in sorted(values.items())
    }


@functools.partial(jax.jit, static_argnums=0)
def medians(model: Model, comparisons: Comparisons) -> dict[str, Array]:
    """The prior's median of every sampled site, unconstrained."""
    median = handlers.substitute(handlers.seed(model, jax.random.key(0)), substitute_fn=_median)
    return {
        name: biject_to(site["fn"].support).inv(site["value"])
        for name, site in handlers.trace(median).get_trace(comparisons).items()
        if site["type"] == "sample" and not site["is_observed"]
    }


def _median(site: dict) -> Any:
    """Median of a site's prior, or its centre, in closed form where there is one: draws compile slowly."""
    if site["type"] != "sample" or site["is_observed"]:
        return None
    base = site["fn"]
    while isinstance(base, Independent | ExpandedDistribution):
        base = base.base_dist
    shape = site["fn"].shape()
    if isinstance(base, LKJCholesky):
        return jnp.broadcast_to(jnp.eye(base.dimension), shape)
    if isinstance(base, ZeroSumNormal | MultivariateNormal | Dirichlet):
        return jnp.broadcast_to(base.mean, shape)
    try:
        return jnp.broadcast_to(base.icdf(jnp.full(base.shape(), 0.5)), shape)
    except (NotImplementedError, ImportError):  # NumPyro takes some quantiles from TensorFlow Probability
        return init_to_median(site)
