"""What unlimited answers teach: the density a fit converges to when one behaviour is assumed of others.

A population of annotators, each with a density and a behaviour, answers; a model with a single annotator and
an assumed behaviour is fitted. These are the limits of that fit, in double precision on finitely many points
(items, or a support's points with their quadrature weights). Source: arXiv 2311.14115.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.optimize
from scipy.special import expit, logsumexp, softmax

from bayespref import behaviours
from bayespref.comparisons import refuse
from bayespref.pooled import bradley_terry, connected_weights, opponents, pair_weights


class Annotator(NamedTuple):
    """One kind of annotator.

    Attributes:
        log_density: (m,) log p at the points, in nats.
        behaviour: from log-densities to scores; see `behaviours`.
        share: of the answers; shares of a population are normalised.
    """

    log_density: np.ndarray
    behaviour: Callable = behaviours.luce
    share: float = 1.0

    @property
    def score(self) -> np.ndarray:
        """(m,) scores in log-odds."""
        f, g = affine(self.behaviour, len(self.log_density))
        return f * np.asarray(self.log_density, np.float64) + g


Population = Annotator | Sequence[Annotator]


def affine(behaviour: Callable, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both parts of a behaviour Omega = f log p + g, (m,) each: f = Omega(1) - Omega(0), g = Omega(0).

    Args:
        behaviour: from (m,) log-densities to (m,) scores.
        size: m.

    Example:
        >>> [x.tolist() for x in affine(behaviours.pbde(2.0, 1.0), 2)]
        [[2.0, 2.0], [1.0, 1.0]]
    """
    zero, one = (np.asarray(behaviour(np.full(size, x)), np.float64) for x in (0.0, 1.0))
    return np.broadcast_to(one - zero, (size,)), np.broadcast_to(zero, (size,))


def choice_probabilities(population: Population) -> np.ndarray:
    """Probability that a point is chosen over another: sum_k w_k sigmoid(Omega_k(a) - Omega_k(b)).

    Args:
        population: one annotator or several.

    Returns:
        (m, m) probabilities, of the row over the column; one half on the diagonal.

    Example:
        >>> choice_probabilities(Annotator(np.log([0.75, 0.25]))).round(2).tolist()
        [[0.5, 0.75], [0.25, 0.5]]
    """
    shares, scores = _scores(population)
    wins = [share * expit(s[:, None] - s) for share, s in zip(shares, scores, strict=True)]
    return np.sum(wins, axis=0)


def scores(population: Population, *, design: np.ndarray | None = None) -> np.ndarray:
    """The pooled Bradley-Terry optimum r: sum_b M_ab (sigmoid(r_a - r_b) - P_ab) = 0 for every a.

    For one annotator it is their own score whatever the design; for several it depends on which pairs are
    asked, and with independent pairs has the order of the Borda score.

    Args:
        population: one annotator or several.
        design: how often pairs are asked: (m,) probabilities of independent points, (m, m) weights of
            pairs, or None for all pairs alike.

    Returns:
        (m,) scores in log-odds, mean zero.

    Raises:
        ValueError: for a design that does not connect the points.

    Example:
        >>> opposed = [Annotator(np.log([0.8, 0.19, 0.01])), Annotator(np.log([0.01, 0.19, 0.8]))]
        >>> r = scores(opposed)
        >>> round(float(r[1] - r[0]), 6)
        0.285767
    """
    each = _scores(population)[1]
    weight = connected_weights(design, len(each[0]))
    if len(each) == 1:
        return each[0] - each[0].mean()
    return bradley_terry(choice_probabilities(population), design=weight)


def density(
    population: Population,
    assumed: Callable = behaviours.luce,
    *,
    log_weight: np.ndarray | None = None,
    design: np.ndarray | None = None,
) -> np.ndarray:
    """The density learnt: f log p + g = pooled score + c, with c so that p integrates to one.

    f and g belong to the assumed behaviour. Where f is constant c is a normaliser; elsewhere (length
    normalisation) it is found as a root.

    Args:
        population: the annotators who answer.
        assumed: the behaviour that the fit assumes.
        log_weight: (m,) log quadrature weights of a support (`support.log_weight`); None for items.
        design: how often pairs are asked, as in `scores`.

    Returns:
        (m,) log-density in nats.

    Raises:
        ValueError: for an assumed f that is not positive, or a design that does not connect the points.

    Example:
        >>> luce = Annotator(np.log([0.8, 0.2]))
        >>> np.exp(density(luce, behaviours.dpo(2.0, np.log([0.5, 0.5])))).round(4).tolist()
        [0.6667, 0.3333]
    """
    score = scores(population, design=design)
    f, g = affine(assumed, len(score))
    if not (f > 0).all():
        raise refuse("a behaviour has f > 0", f"{f.min()}")
    weight = np.zeros_like(score) if log_weight is None else np.asarray(log_weight, np.float64)
    excess = (score - g) / f

    def log_total(c: float) -> float:
        return float(logsumexp(excess + c / f + weight))

    if np.ptp(f) == 0:
        return excess - log_total(0.0)
    low = high = 0.0
    reach = 1.0
    while log_total(low) > 0:
        low, reach = low - reach, 2 * reach
    while log_total(high) < 0:
        high, reach = high + reach, 2 * reach
    c = low if low == high else scipy.optimize.brentq(log_total, low, high, xtol=1e-13)
    return excess + c / f


class Contrast(NamedTuple):
    """(m,) log-densities learnt under two designs of pairs, and the second less the first, in nats."""

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray


def hausman_contrast(
    population: Population,
    assumed: Callable = behaviours.luce,
    *,
    designs: tuple[np.ndarray | None, np.ndarray | None],
    log_weight: np.ndarray | None = None,
) -> Contrast:
    """What the fit would learn, had other pairs been asked: log p under design 2 - log p under design 1.

    Zero for one annotator, whatever behaviour is assumed of them: only that all answer alike is tested. Zero
    too where the answers of several happen to be those of one. Source: Hausman (1978), specification test.

    Args:
        population: the annotators who answer.
        assumed: the behaviour that the fit assumes.
        designs: two, each as in `scores`.
        log_weight: (m,) log quadrature weights; None for items.

    Raises:
        ValueError: as `density`.

    Example:
        >>> likes = [np.log([0.8, 0.19, 0.01]), np.log([0.01, 0.19, 0.8])]
        >>> camps = [Annotator(likes[0], share=0.4), Annotator(likes[1], share=0.6)]
        >>> hausman_contrast(camps, designs=(None, np.array([0.6, 0.2, 0.2]))).difference.round(3).tolist()
        [-0.001, 0.029, -0.031]
    """
    first, second = (density(population, assumed, log_weight=log_weight, design=one) for one in designs)
    return Contrast(first, second, second - first)


def clone_test(
    population: Population, *, item: int, copies: Sequence[int] = (0, 1, 6), design: np.ndarray | None = None
) -> np.ndarray:
    """Pooled scores of the items when one of them is there several times: r after c more copies of it.

    Differences between items stay for one annotator, and move for several, as the Borda score does: the
    optimum depends on what else there is to choose from. Source: independence of clones, Tideman (1987).

    Args:
        population: one annotator or several, over items.
        item: index of the item that is copied.
        copies: how many more there are of it.
        design: as in `scores`; a copy is asked about as often as the item.

    Returns:
        (c, m) scores in log-odds of the items themselves, mean zero over them.

    Raises:
        ValueError: for an item that is not there, or a negative number of copies.

    Example:
        >>> likes = [np.log([0.8, 0.15, 0.05]), np.log([0.02, 0.38, 0.6])]
        >>> r = clone_test([Annotator(likes[0], share=0.55), Annotator(likes[1], share=0.45)], item=2)
        >>> (r[:, 0] - r[:, 1]).round(6).tolist()
        [-0.111966, -0.139469, -0.185594]
    """
    shares, each = _scores(population)
    size = len(each[0])
    if not (0 <= item < size and min(copies) >= 0):
        raise refuse(f"copies, 0 or more, are of an item below {size}", f"item {item}, copies {copies}")
    found = []
    for number in copies:
        index = [*range(size), *[item] * number]
        cloned = [Annotator(s[index], share=share) for share, s in zip(shares, each, strict=True)]
        weight = pair_weights(design, size, diagonal=True)[np.ix_(index, index)]
        r = scores(cloned, design=weight)[:size]
        found.append(r - r.mean())
    return np.stack(found)


def borda(population: Population, *, design: np.ndarray | None = None) -> np.ndarray:
    """Expected wins against an opponent from the design: B(a) = E_b P(a over b), in (0, 1).

    Args:
        population: one annotator or several.
        design: (m,) probabilities of an opponent, who may be the point itself (one half); None for all alike.

    Returns:
        (m,) Borda scores.

    Example:
        >>> borda(Annotator(np.log([0.75, 0.25]))).tolist()
        [0.625, 0.375]
    """
    probability = choice_probabilities(population)
    return probability @ opponents(design, len(probability))


def ipo(
    population: Population,
    *,
    tau: float,
    log_reference: np.ndarray,
    log_weight: np.ndarray | None = None,
    design: np.ndarray | None = None,
) -> np.ndarray:
    """What IPO's loss leads to, pairs being independent: pi(x) = reference(x) exp(B(x) / tau) / Z.

    A tilt of the reference by the Borda score, at most exp(1 / tau) strong whatever the annotators like: no
    density of theirs is recovered. Source: Azar et al. (2023).

    Args:
        population: one annotator or several.
        tau: IPO's regularisation.
        log_reference: (m,) log-density of the reference.
        log_weight: (m,) log quadrature weights; None for items.
        design: (m,) probabilities of independent points; None for all alike.

    Returns:
        (m,) log-density in nats.

    Example:
        >>> np.exp(ipo(Annotator(np.log([0.75, 0.25])), tau=1.0, log_reference=np.zeros(2))).round(3).tolist()
        [0.562, 0.438]
    """
    tilted = np.asarray(log_reference, np.float64) + borda(population, design=design) / tau
    return tilted - logsumexp(tilted if log_weight is None else tilted + log_weight)


def slic_hf(
    population: Population,
    *,
    delta: float,
    weight: float = 0.0,
    smoothing: float = 0.1,
    log_reference: np.ndarray | None = None,
    log_weight: np.ndarray | None = None,
    design: np.ndarray | None = None,
) -> np.ndarray:
    """What SLiC-HF's loss leads to: argmin E[s softplus((delta - h) / s)] - weight E_reference[log p].

    Convex, solved numerically. As s = smoothing goes to zero only the majority's answer to a pair counts, and
    how far it is from a half; with delta = 0 the loss is Bradley-Terry's of h / s and the limit p^s. Where no
    answer is ever given against the majority by more than delta, any lower density is as good, and the one
    nearest the reference is taken.

    Args:
        population: one annotator or several.
        delta: margin, at least zero.
        weight: of the anchor, lambda.
        smoothing: as in `losses.slic_hf`.
        log_reference: (m,) log-density of the anchor's reference; None is flat.
        log_weight: (m,) log quadrature weights; None for items.
        design: how often pairs are asked, as in `scores`.

    Returns:
        (m,) log-density in nats.

    Raises:
        ValueError: for a smoothing that is not positive, or a negative delta or weight.

    Example:
        >>> luce = Annotator(np.log([0.8, 0.2]))
        >>> np.exp(slic_hf(luce, delta=0.0, smoothing=0.5)).round(4).tolist()
        [0.6667, 0.3333]
    """
    if not (delta >= 0 and weight >= 0 and smoothing > 0):
        raise refuse(
            "delta and weight are at least 0, smoothing is positive",
            f"delta {delta}, weight {weight}, smoothing {smoothing}",
        )
    win = choice_probabilities(population)
    chosen = 2 * pair_weights(design, len(win)) * win
    cell = np.zeros(len(win)) if log_weight is None else np.asarray(log_weight, np.float64)
    flat = np.zeros(len(win)) if log_reference is None else np.asarray(log_reference, np.float64)
    anchor = np.exp(flat + cell - logsumexp(flat + cell))

    def margins(r: np.ndarray) -> np.ndarray:
        return (delta - (r[:, None] - r)) / smoothing

    def value(r: np.ndarray) -> float:
        hinge = smoothing * np.sum(chosen * np.logaddexp(0.0, margins(r)))
        return float(hinge - weight * (anchor @ r - logsumexp(r + cell)))

    def slope(r: np.ndarray) -> np.ndarray:
        pull = chosen * expit(margins(r))
        return pull.sum(0) - pull.sum(1) - weight * (anchor - softmax(r + cell))

    def curvature(r: np.ndarray) -> np.ndarray:
        bend = chosen * expit(margins(r)) * expit(-margins(r)) / smoothing
        bend, mass = bend + bend.T, softmax(r + cell)
        return np.diag(bend.sum(1) + weight * mass) - bend - weight * mass[:, None] * mass

    found = scipy.optimize.minimize(
        value, flat, jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-8, "maxiter": 2000}
    )
    return found.x - logsumexp(found.x + cell)


def cross_entropy(
    population: Population, score: np.ndarray | None = None, *, design: np.ndarray | None = None
) -> float:
    """Expected log loss of an answer, in nats: -E[y log q + (1 - y) log(1 - q)], q = sigmoid(r_a - r_b).

    Args:
        population: who answers.
        score: (m,) scores r that predict; None predicts by the truth, the entropy that no model can beat.
        design: how often pairs are asked, as in `scores`.

    Example:
        >>> round(cross_entropy(Annotator(np.zeros(3)), np.zeros(3)), 6)
        0.693147
    """
    probability = choice_probabilities(population)
    weight = pair_weights(design, len(probability), diagonal=True)
    if score is None:
        log_win = np.log(np.maximum(probability, 1e-300))
    else:
        difference = np.asarray(score, np.float64)[:, None] - np.asarray(score, np.float64)
        log_win = -np.logaddexp(0.0, -difference)
    return float(-np.sum(weight * (probability * log_win + probability.T * log_win.T)) / weight.sum())


def _scores(population: Population) -> tuple[np.ndarray, list[np.ndarray]]:
    members = [population] if isinstance(population, Annotator) else list(population)
    if not members:
        raise refuse("a population has at least one annotator", "none")
    each = [member.score for member in members]
    if len({len(score) for score in each}) > 1:
        raise refuse("all annotators score the same points", f"{[len(score) for score in each]} points")
    if not all(np.isfinite(score).all() for score in each):
        raise refuse("scores are finite", "infinite ones", remedy="Give log-densities, finite everywhere.")
    shares = np.asarray([member.share for member in members], np.float64)
    if not (shares > 0).all():
        raise refuse("shares are positive", f"{shares.tolist()}")
    return shares / shares.sum(), each
