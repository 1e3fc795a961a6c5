"""Laplace inside an integral over scales: for models whose joint mode says little about them.

A Gaussian process has hundreds of weights z and a few scales theta. The joint mode of (z, theta) is not where
the mass is, but given theta the weights are nearly normal. So: the mode of
F(theta) = U(theta, z*(theta)) + log det H(theta) / 2, a t-distribution around it, and at each of a few dozen
points of theta a normal distribution for z (Rue, Martino and Chopin, 2009). What the approximation misses is
left to the importance weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.stats
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import potential_energy

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.program import Model

CHUNK, STEPS, FREEDOM = 64, 60, 7
STEP = 0.02
"""Step in theta over which log det H is differenced: its float32 noise is about 1e-4."""
SETTLED = 0.03
"""Distance to the inner mode, in posterior standard deviations, below what float32 sums can tell."""
STRAIGHT = 1e-4
"""Curvature, relative to the prior's, below which a direction counts as not curved and is repaired."""


class Inner(NamedTuple):
    """The inner problem at one theta: potential, mode z (d,), Cholesky factor of the Hessian, log det / 2."""

    potential: float
    mode: np.ndarray
    factor: np.ndarray
    half_log_det: float

    @property
    def value(self) -> float:
        """F(theta) in nats."""
        return self.potential + self.half_log_det


class Nested(NamedTuple):
    """The whole approximation: outer points (k, q), their log-density, an inner normal at each."""

    outer: np.ndarray
    outer_log_density: np.ndarray
    inner: list[Inner]
    unravel_outer: Callable
    unravel_inner: Callable
    mode: dict[str, Array]
    evaluations: int

    def draw(self, key: Array, size: int) -> tuple[dict[str, Array], np.ndarray]:
        """`size` draws, name -> (size, ...) in unconstrained space, and their log-density."""
        which = np.arange(size) % len(self.inner)
        noise = np.asarray(jax.random.normal(key, (size, len(self.inner[0].mode))), np.float64)
        points, log_q = np.empty_like(noise), np.empty(size)
        for index, inner in enumerate(self.inner):
            mine = which == index
            points[mine] = inner.mode + scipy.linalg.solve_triangular(inner.factor.T, noise[mine].T).T
            log_q[mine] = inner.half_log_det - 0.5 * np.sum(noise[mine] ** 2, 1)
        log_q += self.outer_log_density[which] - 0.5 * noise.shape[1] * np.log(2 * np.pi)
        outer = jax.vmap(self.unravel_outer)(jnp.asarray(self.outer[which], jnp.float32))
        return outer | jax.vmap(self.unravel_inner)(jnp.asarray(points, jnp.float32)), log_q


@functools.partial(jax.jit, static_argnums=0)
def _slopes(model: Model, theta: Any, z: Any, comparisons: Comparisons):
    """Potential and its gradients in theta and z, flattened."""
    value, (outer, inner) = jax.value_and_grad(_potential, argnums=(1, 2))(model, theta, z, comparisons)
    return value, ravel_pytree(outer)[0], ravel_pytree(inner)[0]


@functools.partial(jax.jit, static_argnums=0)
def _hessian(model: Model, theta: Any, z: Any, comparisons: Comparisons) -> Array:
    vector, unravel = ravel_pytree(z)

    def slope(x: Array) -> Array:
        return jax.grad(lambda x: _potential(model, theta, unravel(x), comparisons))(x)

    _, column = jax.linearize(slope, vector)
    return jax.lax.map(column, jnp.eye(len(vector), dtype=vector.dtype), batch_size=CHUNK)


@functools.partial(jax.jit, static_argnums=0)
def _mixed(model: Model, theta: Any, z: Any, comparisons: Comparisons) -> Array:
    """(d, q) mixed derivatives of the potential."""
    vector, unravel = ravel_pytree(theta)

    def slope(outer: Array) -> Array:
        return ravel_pytree(jax.grad(_potential, argnums=2)(model, unravel(outer), z, comparisons))[0]

    return jax.jacfwd(slope)(vector)


def _potential(model: Model, theta: Any, z: Any, comparisons: Comparisons) -> Array:
    return jnp.asarray(potential_energy(model, (comparisons,), {}, {**theta, **z}))


class _Problem:
    """One model and its data, with vectors for theta and z; counts what it evaluates."""

    def __init__(self, model: Model, comparisons: Comparisons, start: dict[str, Array], outer: set[str]):
        self.model, self.comparisons = model, comparisons
        theta = {name: value for name, value in start.items() if name in outer}
        z = {name: value for name, value in start.items() if name not in outer}
        (self.theta, self.unravel_theta), (self.z, self.unravel_z) = ravel_pytree(theta), ravel_pytree(z)
        self.evaluations = 0

    def _args(self, theta: np.ndarray, z: np.ndarray):
        self.evaluations += 1
        theta32, z32 = jnp.asarray(theta, jnp.float32), jnp.asarray(z, jnp.float32)
        return self.model, self.unravel_theta(theta32), self.unravel_z(z32)

    def slopes(self, theta: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Potential and gradients in double precision; infinite where not finite."""
        value, outer, inner = _slopes(*self._args(theta, z), self.comparisons)
        value = float(value) if np.isfinite(value) else np.inf
        return value, np.asarray(outer, np.float64), np.asarray(inner, np.float64)

    def factor(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Cholesky factor of the Hessian in z, directions without curvature repaired."""
        hessian = np.asarray(_hessian(*self._args(theta, z), self.comparisons), np.float64)
        hessian = (hessian + hessian.T) / 2
        try:
            return np.linalg.cholesky(hessian)
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(hessian)
            values = np.maximum(np.abs(values), STRAIGHT * np.median(np.abs(values)))
            return np.linalg.cholesky((vectors * values) @ vectors.T)

    def solve(self, theta: np.ndarray, *guesses: np.ndarray) -> Inner:
        """The inner mode at theta, from the best guess; from the prior's medians if that fails."""
        best = min(guesses, key=lambda z: self.slopes(theta, z)[0])
        inner = self._newton(theta, best) or self._newton(theta, np.asarray(self.z, np.float64))
        if inner is None:
            raise refuse(
                "Laplace's approximation needs a mode of the weights given the scales",
                f"none within {STEPS} Newton steps",
                remedy="Something is not identified by data and priors: fit with nuts.",
            )
        return inner

    def _newton(self, theta: np.ndarray, z: np.ndarray) -> Inner | None:
        """Newton's method; a factor is kept while it still brings the mode closer."""
        value, _, slope = self.slopes(theta, z)
        factor, fresh, last = self.factor(theta, z), True, np.inf
        for _ in range(STEPS):
            step = scipy.linalg.cho_solve((factor, True), slope)
            distance = float(np.sqrt(max(slope @ step, 0.0)))
            if distance < SETTLED or (fresh and distance > 0.5 * last and distance < 3 * SETTLED):
                half_log_det = float(np.log(np.diag(factor)).sum())
                return Inner(value - 0.5 * distance**2, z - step, factor, half_log_det)
            if distance > 0.3 * last and not fresh:
                factor, fresh, last = self.factor(theta, z), True, np.inf
                continue
            size, found = self._downhill(theta, z, step, value)
            if found is None:
                return None
            z, value, slope = z - size * step, found[0], found[2]
            if distance > 2 or size < 1:  # far from the mode the curvature changes with every step
                factor, fresh, last = self.factor(theta, z), True, np.inf
            else:
                fresh, last = False, distance
        return None

    def _downhill(self, theta: np.ndarray, z: np.ndarray, step: np.ndarray, value: float):
        """Halve a step until the potential does not rise beyond float32 noise."""
        size = 1.0
        while size > 1e-4:
            trial = self.slopes(theta, z - size * step)
            if trial[0] <= value + 1e-6 * abs(value):
                return size, trial
            size /= 2
        return size, None

    def slope_of_value(self, theta: np.ndarray, inner: Inner) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of F in theta, and dz*/dtheta (d, q) to predict the next inner mode.

        U's part is exact (the envelope theorem), that of log det H a difference along the path of modes.
        """
        mixed = np.asarray(_mixed(*self._args(theta, inner.mode), self.comparisons), np.float64)
        moves = -scipy.linalg.cho_solve((inner.factor, True), mixed)
        _, slope, _ = self.slopes(theta, inner.mode)
        here = np.log(np.diag(self.factor(theta, inner.mode))).sum()
        for axis in range(len(theta)):
            there = theta + STEP * np.eye(len(theta))[axis]
            factor = self.factor(there, inner.mode + STEP * moves[:, axis])
            slope[axis] += (np.log(np.diag(factor)).sum() - here) / STEP
        return slope, moves


def approximate(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    start: dict[str, Array],
    outer: set[str],
    *,
    points: int,
) -> Nested:
    """Approximate a posterior: a t-distribution for the outer sites, a normal for the rest at each point.

    Args:
        key: places the outer points (scrambled Sobol).
        model: the declared model.
        comparisons: the data.
        start: unconstrained values to start from.
        outer: names of the sites to integrate over from outside.
        points: number of outer points, a power of two.

    Raises:
        ValueError: where the inner mode is not found, or F has no minimum.
    """
    problem = _Problem(model, comparisons, start, outer)
    found = _minimise(problem)
    centre, inner = found.theta, found.inner
    spread = np.linalg.cholesky(_covariance(problem, found))
    scaled, log_density = _t_points(key, points, len(centre))
    outer_points = centre + scaled @ spread.T
    log_density = log_density - np.log(np.diag(spread)).sum()
    inners = [problem.solve(theta, inner.mode + found.moves @ (theta - centre)) for theta in outer_points]
    unravels = problem.unravel_theta, problem.unravel_z
    mode = unravels[0](jnp.asarray(centre, jnp.float32)) | unravels[1](jnp.asarray(inner.mode, jnp.float32))
    return Nested(outer_points, log_density, inners, *unravels, mode, problem.evaluations)


class _Found(NamedTuple):
    """The minimum of F: theta (q,), its inner problem, dF/dtheta, dz*/dtheta and a rough covariance."""

    theta: np.ndarray
    inner: Inner
    slope: np.ndarray
    moves: np.ndarray
    covariance: np.ndarray


def _minimise(problem: _Problem) -> _Found:
    """BFGS on F; each inner mode is predicted from the last one."""
    q = len(problem.theta)
    last: dict[str, np.ndarray] = {"theta": np.asarray(problem.theta, np.float64), "z": np.asarray(problem.z)}
    last["moves"] = np.zeros((len(last["z"]), q))
    best: list[_Found] = []

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        predicted = last["z"] + last["moves"] @ (theta - last["theta"])
        inner = problem.solve(theta, predicted, last["z"])
        slope, moves = problem.slope_of_value(theta, inner)
        last.update(theta=theta.copy(), z=inner.mode, moves=moves)
        if not best or inner.value < best[0].inner.value:
            best[:] = [_Found(theta.copy(), inner, slope, moves, np.eye(q))]
        return inner.value, slope

    result = scipy.optimize.minimize(
        objective, last["theta"], jac=True, method="BFGS", options={"gtol": 0.1, "maxiter": 40}
    )
    return best[0]._replace(covariance=np.asarray(result.hess_inv))


def _covariance(problem: _Problem, found: _Found) -> np.ndarray:
    """Inverse Hessian of F at its minimum, by differences of gradients about one standard deviation away."""
    q = len(found.theta)
    steps = np.clip(np.sqrt(np.diag(found.covariance)), 0.02, 0.5)
    hessian = np.empty((q, q))
    for axis in range(q):
        theta = found.theta + steps[axis] * np.eye(q)[axis]
        inner = problem.solve(theta, found.inner.mode + found.moves @ (theta - found.theta))
        hessian[axis] = (problem.slope_of_value(theta, inner)[0] - found.slope) / steps[axis]
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    # A standard deviation of 2 in logs is as far as a scale is let roam where F hardly curves.
    return (vectors / np.maximum(values, 0.25)) @ vectors.T


def _t_points(key: Array, points: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (points, q) spread like a standard t-distribution, and its log-density there."""
    sobol = scipy.stats.qmc.Sobol(q, rng=int(jax.random.bits(key, dtype=jnp.uint32)))
    normal = scipy.stats.norm.ppf(np.clip(sobol.random(points), 1e-4, 1 - 1e-4))
    squared = np.sum(normal**2, 1)
    # Same directions, radii of a t: radius^2 / q of a t is F(q, freedom), of a normal chi-square(q) / q.
    wide = q * scipy.stats.f.ppf(scipy.stats.chi2.cdf(squared, q), q, FREEDOM)
    scaled = normal * np.sqrt(wide / squared)[:, None]
    t = scipy.stats.multivariate_t(np.zeros(q), np.eye(q), df=FREEDOM)
    return scaled, np.atleast_1d(t.logpdf(scaled))
