"""The battery: answers replicated from the fit, each fitted again, and every statistic of all of them."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro.infer.util import constrain_fn

from bayespref.arrays import device_array
from bayespref.checks.design import Plan, counts_of, design_of, rows_of
from bayespref.checks.orthogonal import Task, fixed_at, halves, information_at, mode_at, point_at
from bayespref.checks.replicates import drawn_counts, draws_of, likeliest, probabilities
from bayespref.checks.statistics import Fixed, statistics
from bayespref.choices import Choice
from bayespref.choices.base import Around
from bayespref.choices.links import LaplaceNoise, Probit
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import data_of
from bayespref.inference.program import Model, map_draws, observed
from bayespref.losses import refuse_loss

LOST = 0.02
"""Share of replicates that may fail to be fitted."""
NEAR, NEWTON = 0.1, 20
"""Nats from a mode that are near enough, and Hessians until it is."""
CHUNK, NUMBERS = 25, 50_000
"""Replicates judged at a time, and numbers of counted answers of theirs: beyond a cache each takes longer."""


class Battery(NamedTuple):
    """Statistics of observed and replicated answers.

    Attributes:
        names: (c,) checks made. observed, effect: (c,) statistics, and what they say in plain units.
        replicated: (r, c) statistics of answers that the fit expects.
        missing: check -> what data lack for it. held: checks of what the model already lets vary.
        moves: check -> how far allowing for it moves the worth of any item, in log-odds.
        k, logit: how many things are shown; whether scores are log-odds.
        against: (a,) how much each annotator agrees with the fit, in standard deviations of guessing; (0,)
            where annotators are not known.
    """

    names: tuple[str, ...]
    observed: np.ndarray
    effect: np.ndarray
    replicated: np.ndarray
    missing: dict[str, str]
    held: tuple[str, ...]
    plan: Plan
    moves: dict[str, float]
    against: np.ndarray
    k: int = 2
    logit: bool = True

    @property
    def unit(self) -> str:
        """What sizes are in."""
        return "in log-odds" if self.logit else "in the model's scores"


def battery(key: Array, model: Model, fit: xr.DataTree, *, replicates: int, time: str | None) -> Battery:
    """Every statistic of the observed answers, and of answers replicated from the fit and fitted again."""
    data = data_of(fit)
    logit = _check(model, fit, data)
    rows, row = rows_of(data)
    total = np.bincount(row, minlength=len(rows)) if len(row) == data.answers else None
    total = np.bincount(row, np.asarray(data.count), len(rows)) if total is None else total
    draw_key, class_key, answer_key = jax.random.split(key, 3)
    problem, z, h = draws_of(draw_key, model, fit, data, rows, replicates)
    probs = probabilities(problem, rows, z, h, class_key)
    drawn = drawn_counts(answer_key, np.asarray(probs, np.float64), total)
    counts = device_array(counts_of(data, row, len(rows), probs.shape[-1]), np.float32)
    design, plan = design_of(data, rows, total, time)
    task = Task(problem, rows, design._replace(half=device_array(np.zeros(len(rows)), np.float32)))
    here, middle = likeliest(problem, rows, z, h, counts), h.mean(0)
    here, _ = _by_newton(task, plan, here, middle, counts)
    task = task._replace(design=design._replace(half=halves(task, here, middle, counts)))
    known = information_at(task, plan, here, middle, counts)
    fixed, held = fixed_at(task, plan, here, middle, counts, known)
    factor = device_array(known.whitener(), np.float32)
    pairs = ((here, z), (middle, h), (counts, drawn))
    every = (device_array(np.concatenate([np.asarray(a)[None], b])) for a, b in pairs)
    found, left = _judge(task, plan, fixed, factor, *every)
    result = _result(found, left, plan, held)
    moves = _moves(task, plan, fixed, here, middle, {n: found[n][1][0] for n in plan.scalars})
    against = _against(task, plan, here, middle, counts)
    return result._replace(moves=moves, against=against, k=data.k, logit=logit)


def _check(model: Model, fit: xr.DataTree, data: Comparisons) -> bool:
    """Refuse what cannot be judged; whether scores are log-odds."""
    refuse_loss(fit, "checks of an annotator population")
    if data.response == "ranking":
        raise refuse(
            "checks judge choices and graded answers",
            "rankings",
            remedy="Read them as choices of the best of what was shown, and check a model of those.",
        )
    if not isinstance(inner := observed(model, data).choice, Choice):
        raise refuse("checks need a distribution from bayespref.choices", f"a {type(inner).__name__}")
    while isinstance(inner, Around):
        inner = inner.inner
    return not isinstance(inner, Probit | LaplaceNoise)


@functools.partial(jax.jit, static_argnames=("plan", "problem"))
def _judged(problem, rows, design, plan, fixed, factor, z, h, counts):
    def one(draw):
        z, h, counts = draw
        mode, left = problem.mode(rows, z, h, counts, factor)
        return statistics(problem, rows, design, plan, fixed, mode, h, counts), mode, left

    chunk = int(np.clip(NUMBERS // counts[0].size, 1, CHUNK))
    return map_draws(one, (z, h, counts), chunk=chunk)


def _judge(task: Task, plan: Plan, fixed: Fixed, factor, z, h, counts):
    """Check -> (statistics (s,), effects (s,)) at the modes for counted answers (s, n, o), and nats left.

    One Hessian serves all where scales are much alike; quasi-Newton steps from it reach the others, and a
    Hessian of their own those few that are far even so (networks).
    """
    found, modes, left = _judged(*task, plan, fixed, factor, z, h, counts)
    if (np.asarray(left) < NEAR).all():
        return found, np.asarray(left)
    order = np.argsort(-np.nan_to_num(np.asarray(left), nan=np.inf))  # so that chunks finish together
    moved, rest = _descended(task.problem, task.rows, modes[order], h[order], counts[order], factor)
    modes, left = modes.at[order].set(moved), np.array(left)
    left[order] = rest
    for index in np.flatnonzero(~(left < NEAR)):
        mode, left[index] = _by_newton(task, plan, modes[index], h[index], counts[index])
        modes = modes.at[index].set(mode)
    return _judged(*task, plan, fixed, factor, modes, h, counts)[0], left


@functools.partial(jax.jit, static_argnames=("problem",))
def _descended(problem, rows, z, h, counts, factor):
    return map_draws(lambda draw: problem.descended(rows, *draw, factor), (z, h, counts), chunk=CHUNK)


def _by_newton(task: Task, plan: Plan, z: Array, h: Array, counts: Array) -> tuple[Array, float]:
    """The mode, by a Hessian taken anew until it is near, and the nats that are left."""
    for _ in range(NEWTON):
        z, left = mode_at(task, z, h, counts, information_at(task, plan, z, h, counts))
        if float(left) < NEAR:
            break
    return z, float(left)


def _result(found, left: np.ndarray, plan: Plan, held: tuple[str, ...]) -> Battery:
    """The battery from statistics (r + 1,) of observed answers and of replicated ones."""
    names = tuple(name for name in plan.names if name not in held)
    values, effects = (
        np.array([np.asarray(found[name][i], np.float64) for name in names]).reshape(len(names), len(left)).T
        for i in (0, 1)
    )
    fitted = (left < NEAR) & np.isfinite(values).all(1)
    if not fitted[0] or fitted.mean() < 1 - LOST:
        raise refuse(
            "observed and replicated answers are fitted again, all but a few",
            f"{(~fitted).sum()} of {len(fitted)} that were not",
            remedy="The posterior has a shape that Newton's steps do not descend: check a simpler model.",
        )
    return Battery(
        names, values[0], effects[0], values[1:][fitted[1:]], dict(plan.missing), held, plan, {}, np.zeros(0)
    )


@functools.partial(jax.jit, static_argnames=("problem",))
def _pushed(problem, rows, z, h, changes):
    """(s, items) what changes (s, d + e) of the parameters do to worths; (s, 0) where items have none."""

    def worths(theta: Array) -> Array:
        sites = problem.sites(theta[: len(z)], theta[len(z) :])
        values = constrain_fn(problem.model, (rows,), {}, sites, return_deterministic=True)
        found = values.get("log_density", jnp.zeros(0))
        return found if found.ndim == 1 else jnp.zeros(0)

    return jax.vmap(jax.linearize(worths, jnp.concatenate([z, h]))[1])(changes)


def _moves(task: Task, plan: Plan, fixed: Fixed, z: Array, h: Array, effects) -> dict[str, float]:
    """Scalar check -> the largest move of an item's worth, in log-odds, when the nudge is allowed for."""
    found = {}
    shifts = np.asarray(_pushed(task.problem, task.rows, z, h, fixed.scalars), np.float64)
    for name, shift in zip(plan.scalars, shifts, strict=True):
        # Guesses and links bend worths far apart, which no linear step tells.
        if shift.size and name not in ("lapse", "link"):
            found[name] = float(np.abs(shift - shift.mean()).max() * np.abs(effects[name]))
    return found


def _against(task: Task, plan: Plan, z: Array, h: Array, counts: Array) -> np.ndarray:
    """(a,) sum of the scores of what each annotator chose, over its standard deviation for a guess."""
    if not plan.annotators or task.rows.response != "choice":
        return np.zeros(0)
    point = point_at(task.problem, task.rows, z, h, counts)
    score, chosen = np.asarray(point.score), np.asarray(counts)[:, : task.rows.k]
    who = np.asarray(task.rows.annotator)
    agree = np.bincount(who, (score * chosen).sum(1), plan.annotators)
    guessed = np.square(score).sum(1) / (np.asarray(task.rows.shown) >= 0).sum(1)
    variance = np.bincount(who, guessed * chosen.sum(1), plan.annotators)
    return agree / np.sqrt(np.maximum(variance, 1e-12))
