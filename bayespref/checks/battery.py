"""The battery: answers replicated from the fit, each fitted again, and every statistic of all of them."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr
from jax import Array

from bayespref.arrays import device_array
from bayespref.checks.design import Plan, counts_of, design_of, rows_of
from bayespref.checks.orthogonal import Numbers, Task, fixed_at, halves, information_at, point_at
from bayespref.checks.problem import CLOSE, whitener
from bayespref.checks.programs import alike, chunk_of, hessian, in_chunks, judged, modes, prepare, pushed
from bayespref.checks.replicates import drawn_counts, draws_of, expected, outcomes_of
from bayespref.checks.statistics import Fixed
from bayespref.choices import Choice
from bayespref.choices.base import Around
from bayespref.choices.links import LaplaceNoise, Probit
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import data_of
from bayespref.inference.program import Model, observed
from bayespref.losses import refuse_loss

LOST = 0.02
"""Share of replicates that may fail to be fitted."""
NEAR, NEWTON = 0.1, 20
"""Nats from a mode that are near enough, and Hessians until it is."""
FEW, STEPS = 15, 40
"""Steps with the Hessian that all share, beyond which another serves better; and with another."""


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
    design, plan = design_of(data, rows, total, time)
    task = Task(problem, rows, design._replace(half=device_array(np.zeros(len(rows)), np.float32)))
    outcomes = outcomes_of(problem, rows, z, h)
    prepare(task, plan, class_key, z, h, outcomes)
    counts = counts_of(data, row, len(rows), outcomes).astype(np.float32)
    probs, heights = expected(problem, rows, z, h, counts, class_key)
    drawn = drawn_counts(answer_key, np.asarray(probs, np.float64), total)
    z, h = np.asarray(z), np.asarray(h)
    middle = h.mean(0)
    here = _mode(task, plan, z[np.argmax(heights)], middle, counts)
    task = task._replace(design=design._replace(half=halves(task, plan, here, middle, counts)))
    known = information_at(task, plan, here, middle, counts)
    fixed, held = fixed_at(task, plan, here, middle, counts, known)
    pairs = ((here, z), (middle, h), (counts, drawn))
    every = (np.concatenate([a[None], b]) for a, b in pairs)
    found, left = _judge(task, plan, fixed, known.whitener(), *every)
    result = _result(found, left, plan, held)
    moves = _moves(task, fixed, here, middle, {n: found[n][1][0] for n in plan.scalars})
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


def _mode(task: Task, plan: Plan, z: np.ndarray, h: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mode (d,) of z for counted answers (n, o)."""
    own = information_at(task, plan, z, h, counts).whitener()
    return _modes(task, own, z[None], h[None], counts[None])[0][0]


def _judge(task: Task, plan: Plan, fixed: Fixed, factor: np.ndarray, z, h, counts):
    """Check -> (statistics (s,), effects (s,)) at the modes for counted answers (s, n, o), and nats left."""
    found, left = _modes(task, factor, z, h, counts)
    judge = functools.partial(judged, *task, plan, fixed)
    return in_chunks(judge, (found, h, counts), chunk_of(*counts.shape[1:])), left


def _modes(task: Task, factor: np.ndarray, z, h, counts) -> tuple[np.ndarray, np.ndarray]:
    """Modes (s, d), and the nats left to them.

    One Hessian serves all where scales are much alike; else a few with like scales share one, and those far
    even so have their own, taken anew until they are near.
    """
    problem, rows, _ = task
    chunk = chunk_of(*counts.shape[1:])

    def near(at: np.ndarray, factor: np.ndarray, steps: int):
        program = functools.partial(modes, problem, rows, device_array(factor), np.int32(steps))
        return in_chunks(program, (found[at], h[at], counts[at]), chunk)

    found = z
    found, left = near(np.arange(len(z)), factor, FEW)
    for size in (chunk, *[1] * NEWTON):
        if (left < NEAR).all():
            break
        rest = np.flatnonzero(~(left <= (CLOSE if size > 1 else NEAR)))
        for group in alike(h[rest], size):
            at, one = rest[group], rest[group[len(group) // 2]]
            own = whitener(hessian(problem, rows, found[one], h[one], counts[one]))
            found[at], left[at] = near(at, own, STEPS)
    return found, left


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


def _moves(task: Task, fixed: Fixed, z, h, effects: dict[str, float]) -> dict[str, float]:
    """Scalar check -> the largest move of an item's worth, in log-odds, when the nudge is allowed for."""
    found = {}
    shifts = np.asarray(pushed(task.problem, task.rows, z, h, fixed.scalars), np.float64)
    for name, shift in zip(effects, shifts, strict=True):
        # Guesses and links bend worths far apart, which no linear step tells.
        if shift.size and name not in ("lapse", "link"):
            found[name] = float(np.abs(shift - shift.mean()).max() * np.abs(effects[name]))
    return found


def _against(task: Task, plan: Plan, z: Numbers, h: Numbers, counts: Numbers) -> np.ndarray:
    """(a,) sum of the scores of what each annotator chose, over its standard deviation for a guess."""
    if not plan.annotators or task.rows.response != "choice":
        return np.zeros(0)
    point = point_at(task, plan, z, h, counts)
    score, chosen = np.asarray(point.score), np.asarray(counts)[:, : task.rows.k]
    who = np.asarray(task.rows.annotator)
    agree = np.bincount(who, (score * chosen).sum(1), plan.annotators)
    guessed = np.square(score).sum(1) / (np.asarray(task.rows.shown) >= 0).sum(1)
    variance = np.bincount(who, guessed * chosen.sum(1), plan.annotators)
    return agree / np.sqrt(np.maximum(variance, 1e-12))
