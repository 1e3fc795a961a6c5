"""Laplace inside an integral over scales: for models whose joint mode says little about them.

A Gaussian process has hundreds of weights z and a few scales theta. The joint mode of (z, theta) is not where
the mass is, but given theta the weights are nearly normal. So: the mode of
F(theta) = U(theta, z*(theta)) + log det H(theta) / 2, a t-distribution around it, and at each of a few dozen
points of theta a normal distribution for z (Rue, Martino and Chopin, 2009). What the approximation misses is
left to the importance weights.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.stats
from jax import Array
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer.util import constrain_fn, potential_energy

from bayespref.choices import Choice
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.program import Model, run
from bayespref.losses import Loss
from bayespref.observation import Counted

CHUNK, STEPS, FREEDOM = 64, 60, 7
STEP = 0.02
"""Step in theta over which log det H is differenced: its float32 noise is about 1e-4."""
FARTHEST, OUTER_STEPS, GAIN = 0.7, 40, 0.1
"""Steps in theta (mostly logs of scales): the longest, how many, nats not worth another."""
SETTLED = 0.03
"""Distance to the inner mode, in posterior standard deviations, below what float32 sums can tell."""
STALE = 4.0
"""How far, in posterior standard deviations, the mode may lie from where its Hessian was taken."""
NUDGE = 0.1
STRAIGHT = 0.05
"""Least curvature of a direction; the weights' priors have 1. Mixtures have some with none, or negative."""


class Inner(NamedTuple):
    """The inner problem at one theta: potential, mode z (d,), Hessian's Cholesky factor, log det / 2.

    The Hessian is that at `place`, near the mode.
    """

    potential: float
    mode: np.ndarray
    place: np.ndarray
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
    """Gauss-Newton Hessian in z: J' W J + that of the prior, J of what an answer depends on.

    Exact where scores are linear in z, as a Gaussian process's are. W holds each row's second derivatives.
    """
    vector, unravel = ravel_pytree(z)

    if not _by_rows(model, theta, z, comparisons):
        return jax.hessian(lambda x: _potential(model, theta, unravel(x), comparisons))(vector)

    def rows(x: Array) -> Array:
        return _rows(model, theta, unravel(x), comparisons)[0]

    at, push = jax.linearize(rows, vector)
    log_prob = _rows(model, theta, z, comparisons)[1]
    d = len(vector)
    jacobian = jax.vmap(push, out_axes=-1)(jnp.eye(d, dtype=vector.dtype))
    slope = jax.grad(lambda x: -log_prob(x).sum())
    units = jnp.eye(at.shape[1], dtype=at.dtype)
    curvature = [jax.jvp(slope, (at,), (jnp.broadcast_to(unit, at.shape),))[1] for unit in units]
    weighted = sum(curvature[p][:, :, None] * jacobian[:, p, None, :] for p in range(len(units)))
    likelihood = jacobian.reshape(-1, d).T @ jnp.asarray(weighted).reshape(-1, d)
    return likelihood + jax.hessian(lambda x: _prior(model, theta, unravel(x), comparisons))(vector)


def _by_rows(model: Model, theta: Any, z: Any, comparisons: Comparisons) -> bool:
    """Whether rows tell the whole curvature: not so for losses and for NumPyro's own."""
    values = constrain_fn(model, (comparisons,), {}, {**theta, **z})
    choice = run(model, comparisons, values)["outcome"]["fn"].choice
    return isinstance(choice, Choice) and not isinstance(choice, Loss)


def _rows(model: Model, theta: Any, z: Any, comparisons: Comparisons):
    """(n, p) numbers that each row's answer depends on (scores, tie rates), and log_prob (n,) of them."""
    values = constrain_fn(model, (comparisons,), {}, {**theta, **z})
    answers = run(model, comparisons, values)["outcome"]["fn"]
    leaves, tree = jax.tree.flatten(answers.choice)
    n = len(comparisons)
    whole = [x if x.shape[:1] == (n,) else jnp.broadcast_to(x, (n, *x.shape)) for x in leaves]
    ends = np.cumsum([math.prod(x.shape[1:]) for x in whole])[:-1]

    def log_prob(rows: Array) -> Array:
        parts = jnp.split(rows, ends, axis=1)
        choice = jax.tree.unflatten(
            tree, [part.reshape(x.shape) for part, x in zip(parts, whole, strict=True)]
        )
        return Counted(choice, answers.count, answers.weight, answers.available).log_prob(comparisons.outcome)

    return jnp.concatenate([x.reshape(n, -1) for x in whole], 1), log_prob


def _prior(model: Model, theta: Any, z: Any, comparisons: Comparisons) -> Array:
    """Negative log-density of the prior in unconstrained space, without the answers."""
    silent = handlers.block(model, hide=["outcome"])
    return jnp.asarray(potential_energy(silent, (comparisons,), {}, {**theta, **z}))


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

    def __init__(
        self, key: Array, model: Model, comparisons: Comparisons, start: dict[str, Array], outer: set[str]
    ):
        self.model, self.comparisons = model, comparisons
        theta = {name: value for name, value in start.items() if name in outer}
        z = {name: value for name, value in start.items() if name not in outer}
        (self.theta, self.unravel_theta), (self.z, self.unravel_z) = ravel_pytree(theta), ravel_pytree(z)
        # Exchangeable components start at a saddle; a little noise lets Newton's method leave it.
        self.z = self.z + NUDGE * jax.random.normal(key, self.z.shape)
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
        """Cholesky factor of the Hessian in z, directions of little or negative curvature repaired."""
        hessian = np.asarray(_hessian(*self._args(theta, z), self.comparisons), np.float64)
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        return np.linalg.cholesky((vectors * np.maximum(np.abs(values), STRAIGHT)) @ vectors.T)

    def solve(self, theta: np.ndarray, *guesses: np.ndarray) -> Inner:
        """The inner mode at theta, from the first guess that leads there, the prior's medians last."""
        if (inner := self.attempt(theta, *guesses)) is None:
            raise refuse(
                "Laplace's approximation needs a mode of the weights given the scales",
                f"none within {STEPS} Newton steps",
                remedy="Something is not identified by data and priors: fit with nuts.",
            )
        return inner

    def attempt(self, theta: np.ndarray, *guesses: np.ndarray) -> Inner | None:
        """`solve`, but None where no mode is found."""
        for guess in (*guesses, np.asarray(self.z, np.float64)):
            if (inner := self._newton(theta, guess)) is not None:
                return inner
        return None

    def _newton(self, theta: np.ndarray, z: np.ndarray) -> Inner | None:
        """Newton's method; a factor is kept while it still brings the mode closer."""
        value, _, slope = self.slopes(theta, z)
        place, factor, moved, last = z, self.factor(theta, z), 0.0, np.inf
        for _ in range(STEPS):
            step = scipy.linalg.cho_solve((factor, True), slope)
            distance = float(np.sqrt(max(slope @ step, 0.0)))
            near = distance < SETTLED or (moved == 0 and distance > 0.5 * last and distance < 3 * SETTLED)
            if near and moved < STALE:
                half_log_det = float(np.log(np.diag(factor)).sum())
                return Inner(value - 0.5 * distance**2, z - step, place, factor, half_log_det)
            if moved > 0 and (near or distance > 0.3 * last):
                place, factor, moved, last = z, self.factor(theta, z), 0.0, np.inf
                continue
            size, found = self._downhill(theta, z, step, value)
            if found is None:
                return None
            z, value, slope = z - size * step, found[0], found[2]
            moved, last = moved + size * distance, distance
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

        U's part is exact, that of log det H a difference along the path of modes.
        """
        mixed = np.asarray(_mixed(*self._args(theta, inner.mode), self.comparisons), np.float64)
        moves = -scipy.linalg.cho_solve((inner.factor, True), mixed)
        _, outer, residual = self.slopes(theta, inner.mode)
        # Along the path of modes: what is left of U's slope in z counts, as z may move far with theta.
        slope = outer + moves.T @ residual
        for axis in range(len(theta)):
            there = theta + STEP * np.eye(len(theta))[axis]
            factor = self.factor(there, inner.place + STEP * moves[:, axis])
            slope[axis] += (np.log(np.diag(factor)).sum() - inner.half_log_det) / STEP
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
    nudge, place = jax.random.split(key)
    problem = _Problem(nudge, model, comparisons, start, outer)
    found, rough = _minimise(problem)
    covariance = _covariance(problem, found, rough)
    spread = np.linalg.cholesky(covariance)
    # The last step of Newton's method costs nothing here.
    step = -covariance @ found.slope
    centre = found.theta + step * min(1.0, 1 / np.linalg.norm(np.linalg.solve(spread, step)))
    scaled, log_density = _t_points(place, points, len(centre))
    outer_points = centre + scaled @ spread.T
    log_density = log_density - np.log(np.diag(spread)).sum()
    inners = [problem.solve(theta, found.predict(theta), found.inner.mode) for theta in outer_points]
    unravels = problem.unravel_theta, problem.unravel_z
    mode = unravels[0](jnp.asarray(found.theta, jnp.float32))
    mode |= unravels[1](jnp.asarray(found.inner.mode, jnp.float32))
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
    inner = problem.solve(theta, np.asarray(problem.z, np.float64))
    at = _Found(theta, inner, *problem.slope_of_value(theta, inner))
    inverse = 0.1 * np.eye(len(theta))
    for _ in range(OUTER_STEPS):
        step = -inverse @ at.slope
        if -step @ at.slope < 2 * GAIN:
            break
        step *= min(1.0, FARTHEST / np.linalg.norm(step))
        inner = None
        while inner is None and np.linalg.norm(step) > 0.01:
            inner = problem.attempt(at.theta + step, at.predict(at.theta + step), at.inner.mode)
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
        inner = problem.solve(found.theta + step, found.predict(found.theta + step), found.inner.mode)
        slope, _ = problem.slope_of_value(found.theta + step, inner)
        hessian[axis] = spread.T @ (slope - found.slope)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    # Noise may hide a direction's curvature: proposals roam at most three times as far as it was explored.
    return spread @ (vectors / np.maximum(values, 1 / 9)) @ vectors.T @ spread.T


def _t_points(key: Array, points: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (points, q) spread like a standard t-distribution, and its log-density there."""
    sobol = scipy.stats.qmc.Sobol(q, rng=int(jax.random.bits(key, dtype=jnp.uint32)))
    normal = scipy.stats.norm.ppf(np.clip(sobol.random(points), 1e-4, 1 - 1e-4))
    squared = np.sum(normal**2, 1)
    # Same directions, radii of a t: radius^2 / q of a t is F(q, freedom), of a normal chi-square(q) / q.
    wide = q * scipy.stats.f.ppf(scipy.stats.chi2.cdf(squared, q), q, FREEDOM)
    scaled = normal * np.sqrt(wide / squared)[:, None]
    t = scipy.stats.multivariate_t(np.zeros(q), np.eye(q), df=FREEDOM)  # pyright: ignore[reportArgumentType]
    return scaled, np.atleast_1d(t.logpdf(scaled))
