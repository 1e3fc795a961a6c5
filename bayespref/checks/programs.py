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

from bayespref.checks.design import Plan
from bayespref.checks.explained import explained_by
from bayespref.checks.nudges import Point
from bayespref.checks.orthogonal import Fit, Task, own_parts, places, shapes_of_fit, shapes_of_nudges
from bayespref.checks.problem import Problem, information
from bayespref.checks.replicates import by_drawn_class
from bayespref.checks.residuals import At, guess_rate, single
from bayespref.checks.statistics import Judged
from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import Ahead, cores, like

CHUNK, NUMBERS, LESS = 25, 50_000, 4
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
def explained(
    problem: Problem, rows: Comparisons, fit: Fit, z: Array, h: Array, counts: Array, weighed: Array
) -> tuple[Array, Array]:
    """The parameters' part (c, s, m, o) in nudges, `weighed` (c, s, m, o), and slopes (c, d + e)."""
    return jax.vmap(lambda *draw: explained_by(problem, rows, fit, *draw))(z, h, counts, weighed)


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
    found = explained(problem, rows, fit, z, h, counts, weighed.swapaxes(-1, -2))
    part, slope = map(np.asarray, found)
    clean = nudges - part.swapaxes(-1, -2)
    return Judged(point, by_outcome, own, along, clean, slope, guess_rate(point, by_outcome))


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
    problem, rows, design, chunk = task
    d, theta, m = z.shape[1], z.shape[1] + h.shape[1], len(rows)
    here = (like((d,), z.dtype), like((theta - d,), h.dtype))
    shared, effects, parts = shapes_of_nudges(design, plan)
    fit = shapes_of_fit(task, plan, theta)
    own = effects + own_parts(plan, parts, theta) * parts
    several = tuple(like((chunk, *one.shape), one.dtype) for one in here)
    few, weighed = like((chunk, m, outcomes)), like((chunk, len(plan.scalars), m, outcomes))
    yield points.lower(problem, rows, *several, few)
    yield modes.lower(problem, rows, like((d, d)), like((), np.int32), *several, few)
    yield explained.lower(problem, rows, fit, *several, few, weighed)
    nudges = (like((number, m, outcomes)) for number in (shared, own))
    given = (*places(design), *here, like((m, outcomes)), *nudges)
    yield information.lower(problem, rows, *given, annotators=plan.annotators)
    if classes is not None:
        yield by_drawn_class.lower(problem, rows, z, h, classes)
    yield pushed.lower(problem, rows, *here, fit.scalars)
