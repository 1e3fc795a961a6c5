"""The toy experiments of arXiv 2311.14115: known densities on a line (one on a plane), simulated answers.

Two annotators on [-10, 10], one narrow (mean -2.5, sd 0.25, share 0.4), one wide (mean 2.5, sd 1, share 0.6);
pairs of points come from a reference distribution, normal with sd 5. Settings as in the authors' notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
import scipy.special
import scipy.stats
from jax import Array

from bayespref.comparisons import Comparisons, refuse
from bayespref.supports import Support

LOW, HIGH, GRID, ANSWERS = -10.0, 10.0, 2**16, 2**15
SHARES = (0.4, 0.6)


def narrow(x: np.ndarray) -> np.ndarray:
    """Log-density (...,) of the first annotator at points (...,): normal(-2.5, 0.25) on [-10, 10].

    Args:
        x: (...,) points in [-10, 10].

    Example:
        >>> round(float(np.exp(narrow(np.array(-2.5)))), 4)
        1.5958
    """
    return _truncated_normal(x, -2.5, 0.25)


def wide(x: np.ndarray) -> np.ndarray:
    """Log-density (...,) of the second annotator at points (...,): normal(2.5, 1) on [-10, 10].

    Args:
        x: (...,) points in [-10, 10].

    Example:
        >>> round(float(np.exp(wide(np.array(2.5)))), 4)
        0.3989
    """
    return _truncated_normal(x, 2.5, 1.0)


def preference(x: np.ndarray) -> np.ndarray:
    """Log-density (...,) of one annotator who likes both: log(0.4 narrow + 0.6 wide), the paper's p*.

    Args:
        x: (...,) points in [-10, 10].

    Example:
        >>> round(float(np.exp(preference(np.array(-2.5)))), 4)
        0.6383
    """
    return np.logaddexp(np.log(SHARES[0]) + narrow(x), np.log(SHARES[1]) + wide(x))


def reference(x: np.ndarray) -> np.ndarray:
    """Log-density (...,) of the reference, where pairs come from: normal(0, 5) on [-10, 10].

    Args:
        x: (...,) points in [-10, 10].

    Example:
        >>> round(float(np.exp(reference(np.array(0.0)))), 4)
        0.0836
    """
    return _truncated_normal(x, 0.0, 5.0)


def two_moons(points: np.ndarray) -> np.ndarray:
    """Log-density (...,) of two crescents at points (..., 2), up to a constant.

    log p = -((|x| - 2) / 0.4)^2 / 2 + log sum over both signs of exp(-((x_1 -+ 2) / 0.6)^2 / 2). Source:
    Rezende and Mohamed (2015), table 1.

    Args:
        points: (..., 2).

    Example:
        >>> round(float(two_moons(np.array([2.0, 0.0]))), 6)
        0.0
    """
    radius = np.linalg.norm(points, axis=-1)
    sides = [-0.5 * ((points[..., 0] + side) / 0.6) ** 2 for side in (2.0, -2.0)]
    return -0.5 * ((radius - 2) / 0.4) ** 2 + np.logaddexp(*sides)


def answers(
    key: Array,
    scores: Callable | Sequence[Callable] = preference,
    *,
    shares: Sequence[float] = SHARES,
    answers: int = ANSWERS,
    support: Support | None = None,
) -> Comparisons:
    """Simulate answers about pairs of points: logit P(a over b) = score(a) - score(b).

    With several scores each answer comes from annotator h with probability shares[h], and nothing records
    which one it was. Points come from the reference on [-10, 10], or evenly from a support.

    Args:
        key: a `jax.random.key`.
        scores: from points (...,) on a line, (..., d) elsewhere, to scores (...,) in log-odds; one annotator,
            or several.
        shares: of the answers, one for each of several annotators.
        answers: how many.
        support: an interval or box whose every point is as likely to be shown; None takes the reference.

    Returns:
        Comparisons whose items have the columns `features` (the point) and `log_reference`.

    Raises:
        ValueError: where shares and scores differ in number, or the support has no bounds.

    Example:
        >>> answers(jax.random.key(0), [narrow, wide], answers=100).answers
        100
    """
    several = [scores] if callable(scores) else list(scores)
    probability = np.ones(1) if len(several) == 1 else np.asarray(shares, np.float64)
    if len(probability) != len(several):
        raise refuse(f"{len(several)} annotators have a share each", f"{len(probability)} shares")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    points = _pairs(rng, answers) if support is None else _even_pairs(rng, answers, support)
    who = rng.choice(len(several), size=answers, p=probability / probability.sum())
    each = np.stack([score(points) for score in several])
    difference = (each[..., 0] - each[..., 1])[who, np.arange(answers)]
    outcome = (rng.random(answers) >= scipy.special.expit(difference)).astype(int)
    data = Comparisons.from_points(points, outcome)
    if support is None:
        log_reference = reference(np.asarray(data.items.features)[:, 0])
    else:
        log_reference = np.full(data.items.size, -np.log(np.prod(_width(support))))
    return data.with_item_columns({"log_reference": log_reference})


def _pairs(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, 2) different points of the grid, drawn from the reference."""
    grid = np.linspace(LOW, HIGH, GRID)
    mass = np.exp(reference(grid))
    points = rng.choice(grid, size=(size, 2), p=mass / mass.sum())
    while len(same := np.flatnonzero(points[:, 0] == points[:, 1])):
        points[same] = rng.choice(grid, size=(len(same), 2), p=mass / mass.sum())
    return points


def _even_pairs(rng: np.random.Generator, size: int, support: Support) -> np.ndarray:
    """(size, 2, d) points, (size, 2) on a line."""
    width = _width(support)
    points = support.points.min(0) + width * rng.random((size, 2, len(width)))
    return points[..., 0] if points.shape[-1] == 1 else points


def _width(support: Support) -> np.ndarray:
    if support.low is None or support.high is None:
        raise refuse("points are drawn evenly from an interval or a box", f"{support!r}")
    return support.high - support.low


def _truncated_normal(x, loc: float, scale: float) -> np.ndarray:
    ends = (np.array([LOW, HIGH]) - loc) / scale
    return scipy.stats.truncnorm.logpdf(np.clip(x, LOW, HIGH), *ends, loc, scale)
