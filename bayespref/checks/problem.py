"""A model and its rows as functions of a vector: priors, answers, information, the mode for other answers.

Sites with real support are fitted again to replicated answers. Scales, rates and shares are held at their
draw: their joint mode with what they scale says little, and statistics are made orthogonal to them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array
from numpyro import handlers
from numpyro.distributions import biject_to, constraints

from bayespref.checks.nudges import Point, given_answers, log_likelihood, point
from bayespref.comparisons import Comparisons
from bayespref.inference.flat import ravel
from bayespref.inference.hoisting import ahead_of_loop
from bayespref.inference.program import Model, Values, map_draws, run, sites_of

CLOSE = 1e-4
"""Nats from a mode that are near enough (.014 standard deviations)."""
LITTLE, LEAST, COLUMNS = 1e-5, 1e-3, 16
"""Information of a direction, next to that of its coordinates, that rounding cannot tell from none; the
least curvature of a Hessian; columns of one computed at a time."""


class Problem(NamedTuple):
    """A model, and how unconstrained vectors z (d,), refitted, and h (e,), held, make its sites.

    `shrunk` (d,) marks effects of single annotators: few answers each, and a population around them.
    """

    model: Model
    unravel_free: Callable
    unravel_held: Callable
    shrunk: tuple[bool, ...]

    def sites(self, z: Array, h: Array) -> Values:
        """Every sampled site, unconstrained."""
        return self.unravel_free(z) | self.unravel_held(h)

    def trace(self, rows: Comparisons, z: Array, h: Array) -> tuple[dict[str, dict], list[Array]]:
        """Sites of the model, and log-Jacobians of those that are constrained."""
        sites, bent = self.sites(z, h), []

        def place(site: dict) -> Array | None:
            if site["name"] not in sites:
                return None
            to, x = biject_to(site["fn"].support), sites[site["name"]]
            value = to(x)
            if is_held(site["fn"].support):
                bent.append(to.log_abs_det_jacobian(x, value))
            return value

        placed = handlers.substitute(self.model, substitute_fn=place)
        return handlers.trace(handlers.seed(placed, jax.random.key(0))).get_trace(rows), bent

    def read(self, rows: Comparisons, z: Array, h: Array) -> tuple[Array, Any]:
        """Negative log prior density in unconstrained space, and what the model observes."""
        trace, bent = self.trace(rows, z, h)
        sampled = [site for site in trace.values() if site["type"] == "sample" and site["name"] != "outcome"]
        found = [log_prior(site).sum() for site in sampled] + [each.sum() for each in bent]
        return -sum(found, jnp.zeros(())), trace["outcome"]["fn"]

    def prior(self, rows: Comparisons, z: Array, h: Array) -> Array:
        """Negative log prior density in unconstrained space."""
        return self.read(rows, z, h)[0]

    def answers(self, rows: Comparisons, z: Array, h: Array):
        """What the model observes."""
        return self.trace(rows, z, h)[0]["outcome"]["fn"]

    def log_probs(self, rows: Comparisons, z: Array, h: Array, counts: Array) -> Array:
        """(n, o) log-probability of every outcome; classes as the counted answers say who is who."""
        return given_answers(self.answers(rows, z, h), counts).outcome_log_probs()

    def point(self, rows: Comparisons, z: Array, h: Array, counts: Array) -> Point[Array]:
        """Probabilities, residuals and scores."""
        return point(given_answers(self.answers(rows, z, h), counts), rows)

    def mode(
        self, rows: Comparisons, z: Array, h: Array, counts: Array, factor: Array, most: Array
    ) -> tuple[Array, Array, Array]:
        """The mode of z given h for counted answers, its negative log posterior, and the nats left to it.

        Newton's steps, `most` of them after the first, with one Hessian: `factor` (d, d) is its inverse's
        root, W W' = H^-1. None are taken where `most` is negative.
        """

        def potential(z: Array) -> Array:
            prior, answers = self.read(rows, z, h)
            return prior - log_likelihood(answers, counts)

        value_and_slope = ahead_of_loop(jax.value_and_grad(potential), z)

        def gain(slope: Array) -> Array:
            return 0.5 * jnp.square(factor.T @ slope).sum()

        def step(state):
            z, value, slope, size, steps = state
            trial = z - size * (factor @ (factor.T @ slope))
            new, new_slope = value_and_slope(trial)
            # Near the mode rounding hides what a step gains. The first is to where it starts.
            better = (new <= value + 8 * jnp.finfo(z.dtype).eps * jnp.abs(value)) | (steps == 0)
            z, value, slope = jax.tree.map(
                lambda a, b: jnp.where(better, a, b), (trial, new, new_slope), (z, value, slope)
            )
            size = jnp.where(better, jnp.minimum(1.0, 1.5 * size), size / 3)
            return z, value, slope, size, steps + 1

        def unfinished(state) -> Array:
            _, _, slope, _, steps = state
            return (steps == 0) | (gain(slope) > CLOSE) & (steps <= most)

        one = jnp.ones((), z.dtype)
        state = jax.lax.while_loop(unfinished, step, (z, one, jnp.zeros_like(z), one, 0))
        return state[0], state[1], gain(state[2])

    def linear(
        self, rows: Comparisons, z: Array, h: Array, counts: Array
    ) -> tuple[Callable, Callable, Array]:
        """How log-probabilities move with (d + e,) parameters, its transpose, and expected answers (m, o)."""

        def log_probs(theta: Array) -> tuple[Array, Array]:
            found = self.log_probs(rows, theta[: len(z)], theta[len(z) :], counts)
            return jnp.where(jnp.isfinite(found), found, 0.0), jnp.isfinite(found)

        theta = jnp.concatenate([z, h])
        here, push, possible = jax.linearize(log_probs, theta, has_aux=True)
        pull = jax.linear_transpose(push, theta)
        expected = jnp.where(possible, jnp.exp(here), 0.0) * counts.sum(-1, keepdims=True)
        return push, lambda answers: pull(answers)[0], expected

    def hessian(self, rows: Comparisons, z: Array, h: Array, counts: Array) -> Array:
        """(d, d) Fisher's information in z, plus the prior's curvature."""
        push, pull, expected = self.linear(rows, z, h, counts)
        bend = jax.linearize(jax.grad(lambda z: self.prior(rows, z, h)), z)[1]

        def column(unit: Array) -> Array:
            moved = push(jnp.concatenate([unit, jnp.zeros_like(h)]))
            return pull(expected * moved)[: len(z)] + bend(unit)

        columns = map_draws(column, jnp.eye(len(z)), chunk=COLUMNS)
        return (columns + columns.T) / 2


def log_prior(site: dict) -> Array:
    """Log-density of a site of a trace, as its handlers scale it."""
    value = site["fn"].log_prob(site["value"])
    return value if site["scale"] is None else site["scale"] * value


def whitener(hessian: np.ndarray) -> np.ndarray:
    """(d, d) W with W W' the inverse of a Hessian."""
    values, vectors = np.linalg.eigh(np.asarray(hessian, np.float64))
    return (vectors / np.sqrt(np.maximum(np.abs(values), LEAST))).astype(np.float32)


def is_held(support: constraints.Constraint) -> bool:
    """Whether a site of this support is a scale, a rate or a share, rather than a real number."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return not isinstance(support, type(constraints.real) | type(constraints.zero_sum(1)))


@functools.lru_cache(maxsize=64)
def problem_of(
    model: Model, unravel_free: Callable, unravel_held: Callable, shrunk: tuple[bool, ...]
) -> Problem:
    """One object for each model and shape, so that compilations are found again."""
    return Problem(model, unravel_free, unravel_held, shrunk)


def split(model: Model, rows: Comparisons, sites: dict[str, Any]) -> tuple[Problem, Any, Any]:
    """The problem, and the vectors z (s, d) and h (s, e) of draws (s, ...) of unconstrained sites."""
    found: dict[str, bool] = {}

    def record() -> None:
        trace = run(model, rows, {})
        found.update({name: is_held(trace[name]["fn"].support) for name in sites})

    jax.eval_shape(record)
    parts = [{name: value for name, value in sites.items() if found[name] == held} for held in (False, True)]
    (z, free), (h, held) = (ravel(part, draws=len(next(iter(sites.values())))) for part in parts)
    known = sites_of(model, rows)
    marks = ravel({n: np.full(v.shape[1:], known[n].annotator_axis is not None) for n, v in parts[0].items()})
    return problem_of(model, free, held, tuple(map(bool, marks[0]))), z, h


class Information(NamedTuple):
    """Fisher information of expected answers at one point, by parameter theta = (z, h) and by direction.

    Attributes:
        theta: (d + e, d + e). crossed: (q, d + e) of each direction's nudge with each parameter.
        annotators: (p, a, d + e) of each annotator's nudge along p directions, or (p, 0, d + e).
        prior: (d, d) Hessian of the negative log prior in z.
    """

    theta: np.ndarray
    crossed: np.ndarray
    annotators: np.ndarray
    prior: np.ndarray

    def whitener(self) -> np.ndarray:
        """(d, d) W with W W' the inverse of information plus prior in z."""
        d = len(self.prior)
        hessian = self.theta[:d, :d] + self.prior
        return whitener((hessian + hessian.T) / 2)

    def projector(self, shrunk: tuple[bool, ...] = ()) -> np.ndarray:
        """(d + e, d + e) pseudo-inverse of the information, without the prior: shrinkage must not leak in.

        With `shrunk`, effects of annotators keep their prior, as in the marginal likelihood: the answers of
        one annotator alone say too little of them.
        """
        theta = self.theta + (self.ridge(shrunk) if any(shrunk) else 0.0)
        unit = np.sqrt(np.maximum(np.diag(theta), 1e-12))
        values, vectors = scipy.linalg.eigh(theta / np.outer(unit, unit))
        kept = values > LITTLE
        scaled = vectors[:, kept] / unit[:, None]
        return (scaled / values[kept]) @ scaled.T

    def ridge(self, shrunk: tuple[bool, ...]) -> np.ndarray:
        """(d + e, d + e) the prior of annotators' effects, zero elsewhere; (0, 0) where there are none."""
        if not any(shrunk):
            return np.zeros((0, 0))
        matrix, at = np.zeros_like(self.theta), np.flatnonzero(shrunk)
        matrix[np.ix_(at, at)] = self.prior[np.ix_(at, at)]
        return matrix
