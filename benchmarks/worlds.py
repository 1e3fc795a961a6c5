"""Worlds of annotators with one defect each, or none: what is shown to whom, and how they answer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special
import scipy.stats

import bayespref as bp
from bayespref import toys


class Design(NamedTuple):
    """Pairs shown to annotators: (n, 2) items, (n,) annotators, times and (n, 2) lengths, standardised."""

    shown: np.ndarray
    who: np.ndarray | None
    time: np.ndarray
    length: np.ndarray
    items: int
    annotators: int


class World(NamedTuple):
    """A design, and (n,) P(first) or (n, outcomes) from a generator: all but the answers themselves."""

    design: Callable[[], Design]
    truth: Callable[[np.random.Generator, Design], np.ndarray]
    story: str


def sigma(x):
    """The logistic function."""
    return scipy.special.expit(x)


@functools.cache
def crowd(annotators: int, each: int, items: int, *, ids: bool = True) -> Design:
    """Everyone judges `each` random ordered pairs; the same design in every simulation."""
    rng = np.random.default_rng(annotators + each + items)
    n = annotators * each
    shown = np.stack([rng.permutation(items)[:2] for _ in range(n)])
    time = np.tile(np.linspace(-1, 1, each), annotators)
    who = np.repeat(np.arange(annotators), each)
    return Design(
        shown,
        who if ids else None,
        time / time.std(),
        rng.normal(size=(n, 2)) / np.sqrt(2),
        items,
        annotators,
    )


@functools.cache
def sparse() -> Design:
    """Thin and uneven: 20 items of Zipf popularity, 60 annotators with 2 to 40 answers."""
    rng = np.random.default_rng(3)
    each = rng.integers(2, 41, size=60)
    share = 1 / np.arange(1, 21)
    shown = np.stack([rng.choice(20, 2, replace=False, p=share / share.sum()) for _ in range(each.sum())])
    time = np.concatenate([np.linspace(-1, 1, size) for size in each])
    length = rng.normal(size=shown.shape) / np.sqrt(2)
    return Design(shown, np.repeat(np.arange(60), each), time / time.std(), length, 20, 60)


@functools.cache
def toy(answers: int) -> np.ndarray:
    """(n, 2) points of the paper's toy, the same in every simulation."""
    import jax

    data = toys.answers(jax.random.key(0), [toys.preference], answers=answers)
    return np.asarray(data.items.features)[np.asarray(data.shown), 0]


LARGE = functools.partial(crowd, 200, 25, 12)
SMALL = functools.partial(crowd, 60, 20, 8)
FEW = functools.partial(crowd, 6, 100, 8)


def gap(design: Design, worths: np.ndarray) -> np.ndarray:
    """(n,) worth of the first less that of the second; worths (m,), or (a, m) by annotator."""
    if worths.ndim == 1:
        return worths[design.shown[:, 0]] - worths[design.shown[:, 1]]
    who = np.arange(len(design.shown)) if design.who is None else design.who
    return worths[who, design.shown[:, 0]] - worths[who, design.shown[:, 1]]


def common(rng, design: Design, sd: float = 1.0) -> np.ndarray:
    """(n,) gaps of one set of worths."""
    return gap(design, sd * rng.normal(size=design.items))


def homogeneous(rng, d):
    """One set of worths."""
    return sigma(common(rng, d))


def camps(rng, d, share=0.5, sd=0.45):
    """Two camps on either side of the common worths."""
    mean, side = rng.normal(size=d.items), sd * rng.normal(size=d.items)
    camp = np.where(rng.random(d.annotators) < share, 1, -1)
    return sigma(gap(d, mean + camp[:, None] * side))


def independent_camps(rng, d):
    """Two camps, 35 to 65, with worths of their own."""
    worths = 1.5 * rng.normal(size=(2, d.items))
    return sigma(gap(d, worths[(rng.random(d.annotators) < 0.35).astype(int)]))


def personal(rng, d):
    """Everyone has worths of their own around the common ones."""
    return sigma(gap(d, rng.normal(size=d.items) + 0.5 * rng.normal(size=(d.annotators, d.items))))


def rationality(rng, d, sd=0.5):
    """Log rationality spreads over annotators."""
    return sigma(np.exp(sd * rng.normal(size=d.annotators))[d.who] * common(rng, d))


def adversaries(rng, d):
    """One annotator in eight answers in reverse."""
    return sigma(np.where(rng.random(d.annotators) < 0.125, -1, 1)[d.who] * common(rng, d))


def careless(rng, d, sd=1.0):
    """Annotators guess, each as often as suits them: logit lapse ~ Normal(-1.5, 1)."""
    lapse = sigma(-1.5 + sd * rng.normal(size=d.annotators))[d.who]
    return lapse / 2 + (1 - lapse) * sigma(common(rng, d, 2.0))


def lapses(rng, d, rate=0.15, sd=2.0):
    """Every answer is a guess now and then."""
    return rate / 2 + (1 - rate) * sigma(common(rng, d, sd))


def heavy_link(rng, d):
    """Noise with heavy tails: a Cauchy curve instead of the logistic one."""
    return scipy.stats.cauchy.cdf(common(rng, d, 2.5))


def probit(rng, d):
    """Normal noise."""
    return scipy.stats.norm.cdf(common(rng, d))


def position(rng, d, size=0.25):
    """What is shown first has an advantage."""
    return sigma(common(rng, d) + size)


def position_by_annotator(rng, d):
    """An advantage for some, a disadvantage for others."""
    return sigma(common(rng, d) + 0.45 * rng.normal(size=d.annotators)[d.who])


def length(rng, d, size=0.2):
    """The longer pulls answers."""
    return sigma(common(rng, d) + size * (d.length[:, 0] - d.length[:, 1]))


def length_by_annotator(rng, d):
    """The longer pulls some annotators and repels others."""
    return sigma(
        common(rng, d) + 0.45 * rng.normal(size=d.annotators)[d.who] * (d.length[:, 0] - d.length[:, 1])
    )


def tastes(rng, d, mean=0.8, sd=0.6):
    """Length is all that counts, for some more than for others."""
    return sigma((mean + sd * rng.normal(size=d.annotators))[d.who] * (d.length[:, 0] - d.length[:, 1]))


def drift(rng, d):
    """Worths move with time."""
    return sigma(common(rng, d) + d.time * common(rng, d, 0.3))


def fatigue(rng, d):
    """Differences count less with time."""
    return sigma(common(rng, d) * np.exp(-0.25 * d.time))


def cycles(rng, d):
    """Everyone shares a term that goes round in circles."""
    skew = 0.25 * rng.normal(size=(d.items, d.items))
    return sigma(common(rng, d) + (skew - skew.T)[d.shown[:, 0], d.shown[:, 1]])


def own_cycles(rng, d):
    """Everyone has such a term of their own."""
    skew = 0.9 * rng.normal(size=(d.annotators, d.items, d.items)) / np.sqrt(2)
    return sigma(common(rng, d) + (skew - skew.transpose(0, 2, 1))[d.who, d.shown[:, 0], d.shown[:, 1]])


def davidson(rng, d, nu=0.8):
    """Ties by Davidson."""
    half = common(rng, d, 1.5) / 2
    each = np.stack([np.exp(half), np.exp(-half), np.full(len(half), nu)], 1)
    return each / each.sum(1, keepdims=True)


def rao_kupper(rng, d, threshold=0.9, sd=2.0):
    """Ties by Rao and Kupper."""
    x = common(rng, d, sd)
    wins = np.stack([sigma(x - threshold), sigma(-x - threshold)], 1)
    return np.concatenate([wins, 1 - wins.sum(1, keepdims=True)], 1)


def clones(rng, d):
    """Two kinds whose answers together are exactly Bradley-Terry (B2): (.80, .19, .01) and its mirror."""
    kinds = np.log([[0.80, 0.19, 0.01], [0.01, 0.19, 0.80]])
    each = len(d.shown) if d.who is None else d.annotators
    return sigma(gap(d, kinds[(rng.random(each) < 0.5).astype(int)]))


def mirrored(rng, d):
    """Half of the answers come from annotators who want the opposite (B3)."""
    side = np.where(rng.random(len(d.shown)) < 0.5, 1, -1)
    return sigma(side * common(rng, d, 1.5))


def toy_density(rng, points):
    """One annotator whose density has two modes."""
    first, second = toys.preference(points).T
    return sigma(first - second)


def toy_annotators(rng, points):
    """Two annotators, a density each, 40 to 60."""
    which = rng.random(len(points)) < toys.SHARES[0]
    first, second = np.where(which[:, None], toys.narrow(points), toys.wide(points)).T
    return sigma(first - second)


WORLDS = {
    "homogeneous": World(SMALL, homogeneous, "one set of worths"),
    "sparse": World(sparse, homogeneous, "one set of worths, thin and uneven data"),
    "position_small": World(SMALL, position, "first shown +.25"),
    "length_small": World(SMALL, length, "length .2 a sd"),
    "probit_small": World(SMALL, probit, "normal noise"),
    "ties_small": World(SMALL, davidson, "ties by Davidson"),
    "few": World(FEW, homogeneous, "one set of worths, 6 annotators"),
    "position_few": World(FEW, functools.partial(position, size=0.7), "first shown +.7, 6 annotators"),
    "camps_small": World(SMALL, independent_camps, "two camps, 35 to 65"),
    "rationality_small": World(SMALL, rationality, "sd of log rationality .5"),
    "tastes_small": World(SMALL, tastes, "length .8 a sd, spread .6 over annotators"),
    "careless_small": World(SMALL, careless, "logit lapse ~ Normal(-1.5, 1)"),
    "toy_density": World(functools.partial(toy, 2000), toy_density, "the paper's density mixture"),
    "toy_annotators": World(
        functools.partial(toy, 2000), toy_annotators, "the paper's two annotators, no ids"
    ),
    "toy_annotators_large": World(
        functools.partial(toy, 5000), toy_annotators, "the paper's two annotators, no ids, 5,000 answers"
    ),
    "clones_without_ids": World(functools.partial(crowd, 400, 3, 3, ids=False), clones, "B2, no ids"),
    "mirrored_without_ids": World(functools.partial(crowd, 60, 20, 8, ids=False), mirrored, "B3, no ids"),
    "clones_with_two": World(functools.partial(crowd, 1000, 2, 3), clones, "B2, two answers each"),
    "camps": World(LARGE, camps, "two camps, +-.45"),
    "personal": World(LARGE, personal, "own worths, sd .5"),
    "rationality": World(LARGE, rationality, "sd of log rationality .5"),
    "adversaries": World(LARGE, adversaries, "1 in 8 in reverse"),
    "careless": World(LARGE, careless, "logit lapse ~ Normal(-1.5, 1), worths sd 2"),
    "lapses": World(LARGE, lapses, "15 % guesses, worths sd 2"),
    "lapses_weak": World(LARGE, functools.partial(lapses, rate=0.1, sd=1.0), "10 % guesses, worths sd 1"),
    "heavy_link": World(LARGE, heavy_link, "Cauchy curve, worths sd 2.5"),
    "position": World(LARGE, position, "first shown +.25"),
    "position_by_annotator": World(LARGE, position_by_annotator, "position effect by annotator, sd .45"),
    "length": World(LARGE, length, "length .2 a sd"),
    "length_by_annotator": World(LARGE, length_by_annotator, "pull of length by annotator, sd .45"),
    "drift": World(LARGE, drift, "worths move .3 a sd of time"),
    "fatigue": World(LARGE, fatigue, "differences x exp(-.25 sd of time)"),
    "cycles": World(LARGE, cycles, "common skew term, sd .35"),
    "own_cycles": World(LARGE, own_cycles, "own skew terms, sd .9"),
    "rao_kupper": World(LARGE, rao_kupper, "ties by Rao and Kupper, worths sd 2"),
}


def answers_of(world: World, rng: np.random.Generator):
    """Simulated comparisons, and the (n, outcomes) probabilities behind them."""
    design = world.design()
    truth = world.truth(rng, design)
    truth = np.stack([truth, 1 - truth], 1) if truth.ndim == 1 else truth
    outcome = (rng.random((len(truth), 1)) > np.cumsum(truth, 1)[:, :-1]).sum(1)
    if not isinstance(design, Design):
        return bp.Comparisons.from_points(design, outcome, merge=False), truth
    who = {} if design.who is None else {"annotator": design.who, "annotators": design.annotators}
    data = bp.Comparisons.from_arrays(
        design.shown,
        outcome,
        items=[f"item {index}" for index in range(design.items)],
        row_columns={"time": design.time},
        shown_columns={"features": design.length[..., None]},
        feature_names=("length",),
        merge=False,
        **who,
    )
    return data, truth


def oracle(world: World, truths: list[np.ndarray], *, draws: int = 400) -> float | None:
    """Power at 5 % of the likelihood ratio of the truth against the nearest Bradley-Terry model, both known.

    A ceiling: no test knows the truth. Worlds of points or with ties have none here.
    """
    design, rng, power = world.design(), np.random.default_rng(0), []
    if not isinstance(design, Design) or truths[0].shape[1] > 2:
        return None
    for truth in (one[:, 0] for one in truths[:20]):
        null = _nearest(design, truth)
        ratio = np.log(truth / null), np.log((1 - truth) / (1 - null))
        under = [np.where(rng.random((draws, len(p))) < p, *ratio).sum(1) for p in (null, truth)]
        power.append(np.mean(under[1] > np.quantile(under[0], 0.95)))
    return float(np.mean(power))


def _nearest(design: Design, truth: np.ndarray) -> np.ndarray:
    """P(first) of the Bradley-Terry model that is nearest in Kullback-Leibler divergence."""
    x = np.eye(design.items)[design.shown[:, 0]] - np.eye(design.items)[design.shown[:, 1]]
    u = np.zeros(design.items)
    for _ in range(30):
        p = sigma(x @ u)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(design.items)
        u = u + np.linalg.solve(hessian, x.T @ (truth - p))
    return sigma(x @ u)
