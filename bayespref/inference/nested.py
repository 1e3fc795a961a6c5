"""Laplace inside an integral over scales: for models whose joint mode says little about them.

A Gaussian process has hundreds of weights z and a few scales theta. The joint mode of (z, theta) is not where
the mass is, but given theta the weights are nearly normal. So: the mode of
F(theta) = U(theta, z*(theta)) + log det H(theta) / 2, a t-distribution around it, and at each of a few dozen
points of theta a normal distribution for z (Rue, Martino and Chopin, 2009). What the approximation misses is
left to the importance weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array
from jax.flatten_util import ravel_pytree

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.curvature import declared, multiply
from bayespref.inference.hoisting import hoist
from bayespref.inference.program import Model

ROUNDS, STEPS, FREEDOM = 12, 40, 7
STEP = 0.02
"""Step in theta over which slopes and log det H are differenced; float32 leaves 0.1 sd, 0.01 nats a unit."""
FARTHEST, OUTER_STEPS, GAIN = 0.7, 40, 0.1
"""Steps in theta (mostly logs of scales): the longest, how many, nats not worth another."""
LITTLE = 0.005
"""Nats from the inner mode (a tenth of a standard deviation) from which one Newton step is enough."""
STRAIGHT = 0.05
"""Least curvature of a direction; the weights' priors have 1. Mixtures have some with none, or negative."""


class Inner(NamedTuple):
    """The inner problem at one theta: potential, mode z (d,), Hessian's Cholesky factor, log det / 2."""

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

    def draw(self, random: np.random.Generator, size: int) -> tuple[dict[str, Array], np.ndarray]:
        """`size` draws, name -> (size, ...) in unconstrained space, and their log-density."""
        which = np.arange(size) % len(self.inner)
        noise = random.standard_normal((size, len(self.inner[0].mode)))
        points, log_q = np.empty_like(noise), np.empty(size)
        for index, inner in enumerate(self.inner):
            mine = which == index
            points[mine] = inner.mode + scipy.linalg.solve_triangular(inner.factor.T, noise[mine].T).T
            log_q[mine] = inner.half_log_det - 0.5 * np.sum(noise[mine] ** 2, 1)
        log_q += self.outer_log_density[which] - 0.5 * noise.shape[1] * np.log(2 * np.pi)
        outer = jax.vmap(self.unravel_outer)(jnp.asarray(self.outer[which], float))
        return outer | jax.vmap(self.unravel_inner)(jnp.asarray(points, float)), log_q


def _epsilon() -> float:
    """What rounding leaves of one: of float32, or of float64 where a user enabled it."""
    return float(jnp.finfo(jnp.result_type(float)).eps)


class _Problem:
    """One model and its data at given theta and z; counts what it evaluates."""

    def __init__(self, model: Model, comparisons: Comparisons, start: dict[str, np.ndarray], outer: set[str]):
        theta = {name: value for name, value in start.items() if name in outer}
        z = {name: value for name, value in start.items() if name not in outer}
        (self.theta, self.unravel_theta), (self.z, self.unravel_z) = ravel_pytree(theta), ravel_pytree(z)
        posterior = declared(model, self.unravel_theta, self.unravel_z)
        self._slopes = hoist(posterior.slopes, comparisons, self.theta, self.z)
        self._curvature = hoist(posterior.curvature, comparisons, self.theta, self.z)
        self.evaluations = 0

    def slopes(self, theta: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Potential and gradients in double precision; an infinite potential where any is not finite."""
        self.evaluations += 1
        value, (outer, inner) = self._slopes(theta, z)
        outer, inner = np.asarray(outer, np.float64), np.asarray(inner, np.float64)
        finite = np.isfinite(value) and np.isfinite(outer).all() and np.isfinite(inner).all()
        return float(value) if finite else np.inf, outer, inner

    def factor(self, theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Cholesky factor of the Hessian in z, directions of little or negative curvature repaired."""
        self.evaluations += 1
        rows, rest = self._curvature(theta, z)
        hessian = np.asarray(rest, np.float64)
        if rows is not None:
            hessian = hessian + np.asarray(multiply(rows), np.float64)
        hessian = (hessian + hessian.T) / 2
        try:
            np.linalg.cholesky(hessian - STRAIGHT * np.eye(len(z)))
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(hessian)
            hessian = (vectors * np.maximum(np.abs(values), STRAIGHT)) @ vectors.T
        return np.linalg.cholesky(hessian)

    def solve(self, theta: np.ndarray, near: _Found | None = None) -> Inner:
        """The inner mode at theta, from the prediction of a point nearby, else from the start."""
        if (inner := self.attempt(theta, near)) is None:
            raise refuse(
                "Laplace's approximation needs a mode of the weights given the scales",
                f"none within {ROUNDS} Hessians",
                remedy="Something is not identified by data and priors: fit with nuts.",
            )
        return inner

    def attempt(self, theta: np.ndarray, near: _Found | None = None) -> Inner | None:
        """`solve`, but None where no mode is found."""
        if near is not None:
            for guess in (near.predict(theta), near.inner.mode):
                if (inner := self._settle(theta, guess, near.inner.factor)) is not None:
                    return inner
        start = np.asarray(self.z, np.float64)
        return self._settle(theta, start, self.factor(theta, start))

    def _settle(self, theta: np.ndarray, z: np.ndarray, factor: np.ndarray) -> Inner | None:
        """Descend in coordinates that a Hessian whitens, take the Hessian there, until it moves little."""
        for _ in range(ROUNDS):
            z = self._descend(theta, z, factor)
            value, _, slope = self.slopes(theta, z)
            if not np.isfinite(value):
                return None
            factor = self.factor(theta, z)
            step = scipy.linalg.cho_solve((factor, True), slope)
            squared = float(slope @ step)
            if 0.5 * squared < max(LITTLE, 2 * _epsilon() * abs(value)):
                return Inner(value - 0.5 * squared, z - step, factor, float(np.log(np.diag(factor)).sum()))
        return None

    def _descend(self, theta: np.ndarray, z: np.ndarray, factor: np.ndarray) -> np.ndarray:
        def whitened(u: np.ndarray) -> tuple[float, np.ndarray]:
            value, _, slope = self.slopes(theta, z + scipy.linalg.solve_triangular(factor.T, u))
            if not np.isfinite(value):
                return 1e30, np.zeros_like(u)
            return value, scipy.linalg.solve_triangular(factor, slope, lower=True)

        options = {"maxiter": STEPS, "ftol": _epsilon(), "gtol": 0.01, "maxls": 8}
        found = scipy.optimize.minimize(
            whitened, np.zeros_like(z), jac=True, method="L-BFGS-B", options=options
        )
        return z + scipy.linalg.solve_triangular(factor.T, found.x)

    def slope_of_value(self, theta: np.ndarray, inner: Inner) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of F in theta, and dz*/dtheta (d, q) to predict the next inner mode.

        U's part is exact, that of log det H a difference along the path of modes.
        """
        _, outer, residual = self.slopes(theta, inner.mode)
        steps = STEP * np.eye(len(theta))
        ends = [[self.slopes(theta + half * step, inner.mode)[2] for half in (0.5, -0.5)] for step in steps]
        mixed = [(there - back) / STEP for there, back in ends]
        moves = -scipy.linalg.cho_solve((inner.factor, True), np.stack(mixed, 1))
        # Along the path of modes: what is left of U's slope in z counts, as z may move far with theta.
        slope = outer + moves.T @ residual
        for axis, step in enumerate(steps):
            factor = self.factor(theta + step, inner.mode + STEP * moves[:, axis])
            slope[axis] += (np.log(np.diag(factor)).sum() - inner.half_log_det) / STEP
        return slope, moves


def approximate(
    random: np.random.Generator,
    model: Model,
    comparisons: Comparisons,
    start: dict[str, np.ndarray],
    outer: set[str],
    *,
    points: int,
) -> Nested:
    """Approximate a posterior: a t-distribution for the outer sites, a normal for the rest at each point.

    Args:
        random: places the outer points (scrambled Sobol).
        model: the declared model.
        comparisons: the data.
        start: unconstrained values to start from.
        outer: names of the sites to integrate over from outside.
        points: number of outer points, a power of two.

    Raises:
        ValueError: where the inner mode is not found, or F has no minimum.
    """
    problem = _Problem(model, comparisons, start, outer)
    found, rough = _minimise(problem)
    covariance = _covariance(problem, found, rough)
    spread = np.linalg.cholesky(covariance)
    # The last step of Newton's method costs nothing here.
    step = -covariance @ found.slope
    centre = found.theta + step * min(1.0, 1 / np.linalg.norm(np.linalg.solve(spread, step)))
    scaled, log_density = _t_points(random, points, len(centre))
    outer_points = centre + scaled @ spread.T
    log_density = log_density - np.log(np.diag(spread)).sum()
    inners = [problem.solve(theta, found) for theta in outer_points]
    unravels = problem.unravel_theta, problem.unravel_z
    mode = unravels[0](jnp.asarray(found.theta, float))
    mode |= unravels[1](jnp.asarray(found.inner.mode, float))
    return Nested(outer_points, log_density, inners, *unravels, mode, problem.evaluations)


class _Found(NamedTuple):
    """A point theta (q,) with its inner problem, dF/dtheta and dz*/dtheta (d, q)."""

    theta: np.ndarray
    inner: Inner
    slope: np.ndarray
    moves: np.ndarray

    def predict(self, theta: np.ndarray) -> np.ndarray:
        """The inner mode at another theta, to first order."""
        return self.inner.mode + self.moves @ (theta - self.theta)


def _minimise(problem: _Problem) -> tuple[_Found, np.ndarray]:
    """Quasi-Newton steps (BFGS) on F, none longer than `FARTHEST`, until little is left to gain.

    Returns the minimum and the inverse Hessian that the steps suggest.
    """
    theta = np.asarray(problem.theta, np.float64)
    inner = problem.solve(theta)
    at = _Found(theta, inner, *problem.slope_of_value(theta, inner))
    inverse = 0.1 * np.eye(len(theta))
    for _ in range(OUTER_STEPS):
        step = -inverse @ at.slope
        if -step @ at.slope < 2 * GAIN:
            break
        step *= min(1.0, FARTHEST / np.linalg.norm(step))
        inner = None
        while inner is None and np.linalg.norm(step) > 0.01:
            inner = problem.attempt(at.theta + step, at)
            if inner is None or inner.value > at.inner.value:
                inner, step = None, step / 3
        if inner is None:
            break
        theta = at.theta + step
        new = _Found(theta, inner, *problem.slope_of_value(theta, inner))
        inverse, at = _bfgs(inverse, step, new.slope - at.slope), new
    return at, inverse


def _bfgs(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Update an inverse Hessian by one step and the gradient's change along it."""
    if step @ change <= 1e-6:
        return inverse
    across = np.eye(len(step)) - np.outer(step, change) / (step @ change)
    return across @ inverse @ across.T + np.outer(step, step) / (step @ change)


def _covariance(problem: _Problem, found: _Found, rough: np.ndarray) -> np.ndarray:
    """Inverse Hessian of F at its minimum, by differences of gradients one rough standard deviation away."""
    spread = np.linalg.cholesky(rough)
    hessian = np.empty_like(rough)
    for axis, step in enumerate(spread.T):
        inner = problem.solve(found.theta + step, found)
        slope, _ = problem.slope_of_value(found.theta + step, inner)
        hessian[axis] = spread.T @ (slope - found.slope)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    # Noise may hide a direction's curvature: proposals roam at most three times as far as it was explored.
    return spread @ (vectors / np.maximum(values, 1 / 9)) @ vectors.T @ spread.T


def _t_points(random: np.random.Generator, points: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (points, q) spread like a standard t-distribution, and its log-density there."""
    from scipy import stats

    sobol = stats.qmc.Sobol(q, rng=random)
    normal = stats.norm.ppf(np.clip(sobol.random(points), 1e-4, 1 - 1e-4))
    squared = np.sum(normal**2, 1)
    # Same directions, radii of a t: radius^2 / q of a t is F(q, freedom), of a normal chi-square(q) / q.
    wide = q * stats.f.ppf(stats.chi2.cdf(squared, q), q, FREEDOM)
    scaled = normal * np.sqrt(wide / squared)[:, None]
    t = stats.multivariate_t(np.zeros(q), np.eye(q), df=FREEDOM)  # pyright: ignore[reportArgumentType]
    return scaled, np.atleast_1d(t.logpdf(scaled))
