"""The compiled programs of a battery, each for a chunk of replicates, and their compilation side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.stages import Lowered
from numpyro.infer.util import constrain_fn

from bayespref.checks.design import Design, Plan
from bayespref.checks.explained import explained
from bayespref.checks.nudges import Point
from bayespref.checks.orthogonal import Fit, Nudges, Task, own_parts
from bayespref.checks.problem import Information, Problem
from bayespref.checks.replicates import by_drawn_class
from bayespref.checks.residuals import At, guess_rate, over_answers, single
from bayespref.checks.statistics import Judged
from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import Ahead, cores, like

CHUNK, NUMBERS, LESS = 25, 100_000, 4
"""Replicates judged at a time, and numbers of counted answers of theirs: beyond a cache each takes longer.
Rows are read that much less often than questions."""


@functools.partial(jax.jit, static_argnames=("problem",))
def modes(
    problem: Problem, rows: Comparisons, factor: Array, most: Array, z: Array, h: Array, counts: Array
) -> tuple[Array, Array, Array]:
    """(c, d) modes of z for counted answers (c, m, o); (c,) negative log posteriors, and nats left."""
    return jax.vmap(lambda z, h, counts: problem.mode(rows, z, h, counts, factor, most))(z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem",))
def hessian(problem: Problem, rows: Comparisons, z: Array, h: Array, counts: Array) -> Array:
    """(d, d) Fisher's information in z, plus the prior's curvature."""
    return problem.hessian(rows, z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem",))
def points(problem: Problem, rows: Comparisons, z: Array, h: Array, counts: Array) -> Point[Array]:
    """What a model says (c, ..., m) at parameters z (c, d) and h (c, e) of counted answers (c, m, o)."""
    return jax.vmap(lambda *draw: problem.point(rows, *draw))(z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem",))
def fisher(
    problem: Problem, rows: Comparisons, z: Array, h: Array, counts: Array, steps: Array, more: Array
) -> tuple[Array, Array]:
    """Log-probabilities (c, s, m, o) moved by steps (c, s, D), and slopes J'(E J s + more) (c, s, D).

    E are expected answers: slopes are the information of steps, with `more` (c, s, m, o) answers.
    """

    def one(z: Array, h: Array, counts: Array, steps: Array, more: Array) -> tuple[Array, Array]:
        push, pull, expected = problem.linear(rows, z, h, counts)
        moved = jax.vmap(push)(steps)
        return moved, jax.vmap(pull)(expected * moved + more)

    return jax.vmap(one)(z, h, counts, steps, more)


@functools.partial(jax.jit, static_argnames=("problem",))
def curvature(problem: Problem, rows: Comparisons, z: Array, h: Array) -> Array:
    """(d, d) Hessian of the negative log prior density in z."""
    return jax.hessian(lambda z: problem.prior(rows, z, h))(z)


@functools.partial(jax.jit, static_argnames=("problem",))
def prior_slope(problem: Problem, rows: Comparisons, z: Array, h: Array) -> Array:
    """(c, d) slopes of the log prior density in z."""
    return jax.vmap(jax.grad(lambda z, h: -problem.prior(rows, z, h)))(z, h)


@functools.partial(jax.jit, static_argnames=("problem",))
def pushed(problem: Problem, rows: Comparisons, z: Array, h: Array, changes: Array) -> Array:
    """(s, items) what changes (s, d + e) of the parameters do to worths; (s, 0) where items have none."""

    def worths(theta: Array) -> Array:
        sites = problem.sites(theta[: len(z)], theta[len(z) :])
        values = constrain_fn(problem.model, (rows,), {}, sites, return_deterministic=True)
        found = values.get("log_density", jnp.zeros(0))
        return found if found.ndim == 1 else jnp.zeros(0)

    return jax.vmap(jax.linearize(worths, jnp.concatenate([z, h]))[1])(changes)


def point_at(task: Task, z: np.ndarray, h: np.ndarray, counts: np.ndarray) -> At:
    """What the model says of every question at parameters (d,) and (e,), given counted answers (m, o)."""
    program = functools.partial(points, task.problem, task.rows)
    found = in_chunks(program, (z[None], h[None], counts[None]), task.chunk)
    return Point(*(each[0] for each in found))


def expected(task: Task, classes: Array | None, z, h, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every draw: probabilities of answers (s, m, o), and (s,) its log posterior density, h given.

    With latent classes, probabilities are those of annotators drawn into them with the key `classes`.
    """
    problem, rows, _, chunk = task
    draws = (z, h, np.broadcast_to(counts, (len(z), *counts.shape)))
    nothing = np.zeros((z.shape[1],) * 2, np.float32)
    heights = -in_chunks(functools.partial(modes, problem, rows, nothing, np.int32(-1)), draws, chunk)[1]
    if classes is not None:
        return np.asarray(by_drawn_class(problem, rows, z, h, classes)), heights
    return in_chunks(functools.partial(points, problem, rows), draws, chunk).probs.swapaxes(1, 2), heights


def judged(task: Task, plan: Plan, fit: Fit, z, h, counts: np.ndarray, own: np.ndarray) -> Judged:
    """What statistics are computed from, at modes z (c, d), of answers (c, m, o) and `own` of each row."""
    problem, rows, design, _ = task
    point = Point(*map(np.asarray, points(problem, rows, z, h, counts)))
    along = single(point, design, plan)
    nudges = np.stack([along[name] for name in plan.scalars], 1)
    by_outcome = np.ascontiguousarray(counts.swapaxes(1, 2))
    weighed = (by_outcome.sum(1, keepdims=True) * point.probs)[:, None] * nudges
    of_fisher = functools.partial(fisher, problem, rows, z, h, counts)
    part, slope = explained(of_fisher, fit, counts, weighed.swapaxes(-1, -2))
    if any(problem.shrunk):
        of_prior = np.where(problem.shrunk, np.asarray(prior_slope(problem, rows, z, h)), 0.0)
        slope = slope + np.concatenate([of_prior, np.zeros_like(h)], 1)
    clean = nudges - part.swapaxes(-1, -2)
    return Judged(point, by_outcome, own, along, clean, slope, guess_rate(point, by_outcome))


def information_at(
    task: Task, plan: Plan, z: np.ndarray, h: np.ndarray, counts: np.ndarray, point: At, nudges: Nudges
) -> Information:
    """Fisher information at one value of the parameters, and of nudges, for answers (m, o)."""
    problem, rows, design, chunk = task
    theta, columns, cells = len(z) + len(h), len(plan.scalars) + 1, counts.size
    units = np.zeros((-(-theta // columns), columns, theta), np.float32)
    units.reshape(-1, theta)[:theta] = np.eye(theta)
    same = tuple(np.broadcast_to(each, (len(units), *each.shape)) for each in (z, h, counts))
    nothing = np.broadcast_to(np.float32(0), (len(units), columns, *counts.shape))
    parts = nudges.parts if own_parts(plan, len(nudges.parts), theta) else nudges.parts[:0]

    def of_units(*draws: np.ndarray) -> tuple[np.ndarray, ...]:
        moved, found = map(np.asarray, fisher(problem, rows, *draws))
        answers = point.probs * moved.swapaxes(-1, -2)
        flat = (design.asked * answers).reshape(-1, columns, cells)
        crossed = flat @ nudges.shared.reshape(-1, cells).T
        return found, crossed, _of_annotators(answers, design, point, nudges.effects, parts)

    found = in_chunks(of_units, (*same, units, nothing), chunk)
    whole = len(units) * columns
    information, crossed, own = (each.reshape(whole, *each.shape[2:])[:theta] for each in found)
    fields = information, crossed.T, own.transpose(1, 2, 0), curvature(problem, rows, z, h)
    return Information(*(np.asarray(field, np.float64) for field in fields))


def _of_annotators(answers: np.ndarray, design: Design, point: At, effects, parts: np.ndarray) -> np.ndarray:
    """(c, s, p, a) answers (c, s, o, m) along effects (e, o, m), then parts (q, o, m), by annotator."""
    if design.annotator is None:
        return np.zeros((*answers.shape[:2], len(effects) + len(parts), 0), np.float32)
    together = [*effects, *parts] if design.own_part is None else effects
    each = [design.by_annotator((answers * nudge).sum(-2)) for nudge in together]
    found = [np.stack(each, 2)] if each else []
    if design.own_part is not None and len(parts):
        found.append(design.by_own_part(over_answers(answers, point)))
    none = np.zeros((*answers.shape[:2], 0, design.annotator.size), np.float32)
    return np.concatenate([none, *found], 2)


def chunk_of(questions: int, outcomes: int, rows: int) -> int:
    """Replicates at a time."""
    return int(np.clip(NUMBERS // max(questions * outcomes, rows // LESS), 1, CHUNK))


def in_chunks(program: Callable, draws: tuple[np.ndarray, ...], chunk: int):
    """A program of a chunk of draws, applied to all of them (s, ...); the last draw fills the last chunk.

    A chunk for each core at a time, as neither NumPy nor XLA keeps all of them busy with so little; the first
    alone, as models are not traced side by side.
    """
    size = len(draws[0])
    index = np.minimum(np.arange(size + -size % chunk), size - 1).reshape(-1, chunk)

    def of_chunk(at: np.ndarray):
        return jax.tree.map(np.asarray, program(*(draw[at] for draw in draws)))

    first = of_chunk(index[0])
    with ThreadPoolExecutor(cores()) as pool:
        parts = [first, *pool.map(of_chunk, index[1:])]
    return jax.tree.map(lambda *each: np.concatenate(each)[:size], *parts)


def alike(h: np.ndarray, size: int) -> list[np.ndarray]:
    """Indices of h (r, e) in groups of at most `size` with like values: halved along what varies most."""

    def halved(index: np.ndarray) -> list[np.ndarray]:
        if len(index) <= size:
            return [index]
        index = index[np.argsort(h[index, h[index].std(0).argmax()])] if h.shape[1] else index
        half = -(-len(index) // size) // 2 * size
        return halved(index[:half]) + halved(index[half:])

    return halved(np.arange(len(h)))


def prepare(task: Task, plan: Plan, classes: Array | None, z, h, outcomes: int) -> None:
    """Compile what a battery of draws z (s, d) and h (s, e) runs: what is traced soonest, then the longest.

    `classes` is a key to draw classes with, None where there are none.
    """
    with Ahead() as ahead:
        ahead(_lowered(task, plan, classes, z, h, outcomes))


def _lowered(task: Task, plan: Plan, classes: Array | None, z, h, outcomes: int) -> Iterator[Lowered]:
    problem, rows, _, chunk = task
    d, theta, m, columns = z.shape[1], z.shape[1] + h.shape[1], len(rows), len(plan.scalars) + 1
    here = (like((d,), z.dtype), like((theta - d,), h.dtype))
    several = tuple(like((chunk, *one.shape), one.dtype) for one in here)
    counts = like((chunk, m, outcomes))
    yield points.lower(problem, rows, *several, counts)
    yield modes.lower(problem, rows, like((d, d)), like((), np.int32), *several, counts)
    steps = like((chunk, columns, theta)), like((chunk, columns, m, outcomes))
    yield fisher.lower(problem, rows, *several, counts, *steps)
    if classes is not None:
        yield by_drawn_class.lower(problem, rows, z, h, classes)
    if any(problem.shrunk):
        yield prior_slope.lower(problem, rows, *several)
    yield curvature.lower(problem, rows, *here)
    yield pushed.lower(problem, rows, *here, like((len(plan.scalars), theta)))
