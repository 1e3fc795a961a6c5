"""The compiled programs of a battery, each for a chunk of replicates, and their compilation side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.infer.util import constrain_fn

from bayespref.checks.design import Plan
from bayespref.checks.orthogonal import Task, residuals, shapes_of_fixed
from bayespref.checks.problem import Problem, information
from bayespref.checks.replicates import expected
from bayespref.checks.statistics import statistics
from bayespref.comparisons import Comparisons
from bayespref.inference.ahead import Ahead, like

CHUNK, NUMBERS = 25, 50_000
"""Replicates judged at a time, and numbers of counted answers of theirs: beyond a cache each takes longer."""


@functools.partial(jax.jit, static_argnames=("problem",))
def modes(
    problem: Problem, rows: Comparisons, factor: Array, most: Array, z: Array, h: Array, counts: Array
) -> tuple[Array, Array]:
    """(c, d) modes of z for counted answers (c, n, o), and (c,) the nats left to them."""
    return jax.vmap(lambda z, h, counts: problem.mode(rows, z, h, counts, factor, most))(z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem",))
def hessian(problem: Problem, rows: Comparisons, z: Array, h: Array, counts: Array) -> Array:
    """(d, d) Fisher's information in z, plus the prior's curvature."""
    return problem.hessian(rows, z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem", "plan"))
def judged(problem, rows, design, plan, fixed, z, h, counts):
    """Check -> (statistics (c,), effects (c,)) at modes z (c, d)."""
    return jax.vmap(lambda *draw: statistics(problem, rows, design, plan, fixed, *draw))(z, h, counts)


@functools.partial(jax.jit, static_argnames=("problem",))
def pushed(problem: Problem, rows: Comparisons, z: Array, h: Array, changes: Array) -> Array:
    """(s, items) what changes (s, d + e) of the parameters do to worths; (s, 0) where items have none."""

    def worths(theta: Array) -> Array:
        sites = problem.sites(theta[: len(z)], theta[len(z) :])
        values = constrain_fn(problem.model, (rows,), {}, sites, return_deterministic=True)
        found = values.get("log_density", jnp.zeros(0))
        return found if found.ndim == 1 else jnp.zeros(0)

    return jax.vmap(jax.linearize(worths, jnp.concatenate([z, h]))[1])(changes)


def chunk_of(rows: int, outcomes: int) -> int:
    """Replicates at a time."""
    return int(np.clip(NUMBERS // (rows * outcomes), 1, CHUNK))


def in_chunks(program: Callable, draws: tuple[np.ndarray, ...], chunk: int):
    """A program of a chunk of draws, applied to all of them (s, ...); the last draw fills the last chunk."""
    size = len(draws[0])
    index = np.minimum(np.arange(size + -size % chunk), size - 1).reshape(-1, chunk)
    parts = [jax.tree.map(np.asarray, program(*(draw[at] for draw in draws))) for at in index]
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


def prepare(task: Task, plan: Plan, key: Array, z: np.ndarray, h: np.ndarray, outcomes: int) -> None:
    """Compile what a battery of draws z (s, d) and h (s, e) runs, longest first."""
    with Ahead() as ahead:
        ahead(_lowered(task, plan, key, z, h, outcomes))


def _lowered(task: Task, plan: Plan, key: Array, z, h, outcomes: int) -> Iterator[jax.stages.Lowered]:
    problem, rows, design = task
    d, theta = z.shape[1], z.shape[1] + h.shape[1]
    counts = like((len(rows), outcomes))
    chunk = chunk_of(*counts.shape)
    here = (like((d,), z.dtype), like((theta - d,), h.dtype), counts)
    several = tuple(like((chunk, *one.shape), one.dtype) for one in here)
    nudges = residuals.eval_shape(problem, rows, design, plan, *here)
    fixed = shapes_of_fixed(task, plan, nudges, theta)
    _, together, effects, _ = nudges
    own = like((len(effects) + len(fixed.tastes), *counts.shape))
    yield judged.lower(problem, rows, design, plan, fixed, *several)
    yield modes.lower(problem, rows, like((d, d)), like((), np.int32), *several)
    yield information.lower(problem, rows, *here, together, own, annotators=plan.annotators)
    yield expected.lower(problem, rows, z, h, counts, key)
    yield residuals.lower(problem, rows, design, plan, *here)
    yield pushed.lower(problem, rows, *here[:2], fixed.scalars)
