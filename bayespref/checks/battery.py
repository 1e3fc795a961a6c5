"""The battery: answers replicated from the fit, each fitted again, and every statistic of all of them."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr
from jax import Array

from bayespref.arrays import device_array
from bayespref.checks.answers import answered, by_question, drawn, of_rows
from bayespref.checks.design import Plan, design_of
from bayespref.checks.orthogonal import Fit, Nudges, Task, fixed_at, halves, nudges_at
from bayespref.checks.problem import CLOSE, whitener
from bayespref.checks.programs import (
    alike,
    chunk_of,
    expected,
    hessian,
    in_chunks,
    information_at,
    judged,
    modes,
    point_at,
    prepare,
    pushed,
)
from bayespref.checks.replicates import draws_of
from bayespref.checks.residuals import At
from bayespref.checks.rows import apart, rows_of, totals_of
from bayespref.checks.statistics import Fixed, Statistics, statistics
from bayespref.choices import Choice
from bayespref.choices.base import Around
from bayespref.choices.links import LaplaceNoise, Probit
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import data_of
from bayespref.inference.program import Model, generator, run
from bayespref.losses import refuse_loss
from bayespref.observation import Counted
from bayespref.populations import LatentClasses

LOST = 0.02
"""Share of replicates that may fail to be fitted."""
NEAR, NEWTON = 0.1, 20
"""Nats from a mode that are near enough, and Hessians until it is."""
FEW, STEPS = 30, 40
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
    outcomes, logit, latent = _answers(model, fit, data)
    rows, row = rows_of(data)
    total = totals_of(data, row, len(rows))
    of_draws, of_answers = generator(key).spawn(2)
    few, asked = apart(model, rows)
    problem, z, h = draws_of(of_draws, model, fit, data, few, replicates)
    design, plan = design_of(data, rows, total, few, asked, time)
    task = Task(problem, few, design, chunk_of(len(few), outcomes, len(rows)))
    z, h, classes = np.asarray(z), np.asarray(h), key if latent else None
    prepare(task, plan, classes, z, h, outcomes)
    own = answered(data, row, asked, total, outcomes)
    counts = by_question(own, asked, outcomes)
    probs, heights = expected(task, classes, z, h, counts[0])
    again = drawn(of_answers, probs, asked, total)
    middle = h.mean(0)
    here = _mode(task, plan, z[heights.argmax()], middle, counts[0])
    point = point_at(task, here, middle, counts[0])
    task = task._replace(design=design._replace(half=halves(point, design.asked)))
    nudges = nudges_at(point, task.design, plan)
    known = information_at(task, plan, here, middle, counts[0], point, nudges)
    around, fixed, held = fixed_at(task, plan, point, nudges, known)
    drawn_counts = by_question(again, asked, outcomes)
    pairs = ((here[None], z), (middle[None], h), (counts, drawn_counts), (own, again))
    every = tuple(np.concatenate(pair) for pair in pairs)
    found, left = _judge(task, plan, (around, fixed), known.whitener(), every)
    result = _result(found, left, plan, held)
    moves = _moves(task, around, here, middle, {n: found[n][1][0] for n in plan.scalars})
    against = _against(task, point, own)
    return result._replace(moves=moves, against=against, k=data.k, logit=logit)


def _answers(model: Model, fit: xr.DataTree, data: Comparisons) -> tuple[int, bool, bool]:
    """How many answers a row can have, whether scores are log-odds, and classes latent; refuses the rest."""
    refuse_loss(fit, "checks of an annotator population")
    if data.response == "ranking":
        raise refuse(
            "checks judge choices and graded answers",
            "rankings",
            remedy="Read them as choices of the best of what was shown, and check a model of those.",
        )
    found: list[Counted | LatentClasses] = []

    def log_probs() -> Array:
        answers = run(model, data, {})["outcome"]["fn"]
        if not isinstance(answers.choice, Choice):
            kind = type(answers.choice).__name__
            raise refuse("checks need a distribution from bayespref.choices", f"a {kind}")
        found.append(answers)
        return answers.outcome_log_probs()

    outcomes = jax.eval_shape(log_probs).shape[-1]
    inner = found[0].choice
    while isinstance(inner, Around):
        inner = inner.inner
    return outcomes, not isinstance(inner, Probit | LaplaceNoise), isinstance(found[0], LatentClasses)


def _mode(task: Task, plan: Plan, z: np.ndarray, h: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mode (d,) of z for counted answers (m, o)."""
    point, none = point_at(task, z, h, counts), Nudges(*np.zeros((3, 0, 1), np.float32))
    own = information_at(task, plan, z, h, counts, point, none).whitener()
    return _modes(task, own, z[None], h[None], counts[None])[0][0]


def _judge(task: Task, plan: Plan, at_fit: tuple[Fit, Fixed], factor: np.ndarray, draws: tuple):
    """Check -> (statistics (s,), effects (s,)) at the modes for counted answers, and the nats left.

    `draws` are where modes are looked for, (s, d) and (s, e), answers counted (s, m, o), and those of rows.
    """
    z, h, counts, own = draws
    around, fixed = at_fit
    found, left = _modes(task, factor, z, h, counts)

    def judge(*draws: np.ndarray) -> Statistics:
        return statistics(judged(task, plan, around, *draws), task.design, plan, fixed)

    return in_chunks(judge, (found, h, counts, own), task.chunk), left


def _modes(task: Task, factor: np.ndarray, z, h, counts) -> tuple[np.ndarray, np.ndarray]:
    """Modes (s, d) for counted answers (s, m, o), and the nats left to them.

    One Hessian serves all where scales are much alike; else a few with like scales share one, and those far
    even so have their own, taken anew until they are near.
    """
    problem, rows, _, chunk = task

    def near(at: np.ndarray, factor: np.ndarray, steps: int):
        program = functools.partial(modes, problem, rows, device_array(factor), np.int32(steps))
        found_at, _, left = in_chunks(program, (found[at], h[at], counts[at]), chunk)
        return found_at, left

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


def _moves(task: Task, fit: Fit, z, h, effects: dict[str, float]) -> dict[str, float]:
    """Scalar check -> the largest move of an item's worth, in log-odds, when the nudge is allowed for."""
    found = {}
    shifts = np.asarray(pushed(task.problem, task.rows, z, h, fit.scalars), np.float64)
    for name, shift in zip(effects, shifts, strict=True):
        # Guesses and links bend worths far apart, which no linear step tells.
        if shift.size and name not in ("lapse", "link"):
            found[name] = float(np.abs(shift - shift.mean()).max() * np.abs(effects[name]))
    return found


def _against(task: Task, point: At, own: np.ndarray) -> np.ndarray:
    """(a,) sum of the scores of what each annotator chose, over its standard deviation for a guess."""
    who = task.design.annotator
    if who is None or task.rows.response != "choice":
        return np.zeros(0)
    shown = (np.asarray(task.rows.shown) >= 0).sum(1)
    score = np.asarray(point.score, np.float64)
    guessed = np.broadcast_to(np.square(score).sum(0) / shown, score.shape)
    of_each = np.zeros((1, 2, *point.probs.shape))  # of what was shown; nothing of a tie
    of_each[0, :, : task.rows.k] = score, guessed
    agree, variance = who.sums(of_rows(of_each, own, task.design.row.of))[0]
    return agree / np.sqrt(np.maximum(variance, 1e-12))
