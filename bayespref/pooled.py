"""Bradley-Terry's optimum for given choice probabilities, however they come about, and designs of pairs."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from bayespref.comparisons import refuse

STEPS, SETTLED = 200, 1e-12


def bradley_terry(probability: np.ndarray, *, design: np.ndarray | None = None) -> np.ndarray:
    """The limit of pooled Bradley-Terry: r with sum_b M_ab (sigmoid(r_a - r_b) - P_ab) = 0 for every a.

    Weighted expected wins match, whoever the wins are of; with independent pairs r has the order of the Borda
    score. Source: Siththaranjan, Laidlaw and Hadfield-Menell (2024).

    Args:
        probability: (m, m) P_ab that the row is chosen over the column, P_ab + P_ba = 1, none 0 or 1.
        design: how often pairs are asked, M: (m,) probabilities of independent points, (m, m) weights of
            pairs, or None for all pairs alike.

    Returns:
        (m,) scores in log-odds, mean zero.

    Raises:
        ValueError: for a design that does not connect the points, or where Newton's method does not settle.

    Example:
        >>> bradley_terry(np.array([[0.5, 0.75], [0.25, 0.5]])).round(4).tolist()
        [0.5493, -0.5493]
    """
    weight = connected_weights(design, len(probability))
    wins = (weight * probability).sum(1)
    # Start at the log-odds of winning against the design's opponent, which have the right order.
    share = np.clip(wins / weight.sum(1), 1e-9, 1 - 1e-9)
    r = np.log(share / (1 - share))
    return _newton(weight, wins, r - r.mean(), probability)


def _newton(weight: np.ndarray, wins: np.ndarray, r: np.ndarray, probability: np.ndarray) -> np.ndarray:
    def loss(r: np.ndarray) -> float:
        difference = r[:, None] - r
        return float(np.sum(weight * probability * np.logaddexp(0.0, -difference)))

    value = loss(r)
    for _ in range(STEPS):
        win = expit(r[:, None] - r)
        slope = (weight * win).sum(1) - wins
        if np.abs(slope).max() < SETTLED * weight.sum():
            return r - r.mean()
        curvature = weight * win * win.T
        laplacian = np.diag(curvature.sum(1)) - curvature
        # The constant direction is free; a point that hardly ever differs keeps a little curvature.
        laplacian += curvature.sum() / len(r) ** 2 + 1e-14 * np.eye(len(r)) * curvature.sum()
        step = np.linalg.solve(laplacian, slope)
        size = 1.0
        while size > 1e-10 and not (trial := loss(r - size * step)) <= value + 1e-15 * abs(value):
            size /= 2
        if size <= 1e-10:
            return r - r.mean()
        r, value = r - size * step, trial
    raise refuse("Newton's method settles", f"none after {STEPS} steps", remedy="Some point always wins.")


def connected_weights(design: np.ndarray | None, size: int) -> np.ndarray:
    """(m, m) weights of pairs, refused where they fall into groups that are never compared.

    Args:
        design: as in `bradley_terry`.
        size: m.

    Example:
        >>> connected_weights(None, 2).tolist()
        [[0.0, 0.5], [0.5, 0.0]]
    """
    weight = pair_weights(design, size)
    parts, label = connected_components(weight > 0, directed=False)
    if parts > 1:
        other = np.flatnonzero(label != label[0])
        raise refuse(
            "the pairs asked connect all points",
            f"{parts} groups that are never compared",
            rows=other,
            remedy="Scores are free up to a constant in each group: ask pairs across them.",
        )
    return weight


def opponents(design: np.ndarray | None, size: int) -> np.ndarray:
    """(m,) probabilities of independent points, summing to one.

    Args:
        design: (m,) their weights; None for all alike.
        size: m.

    Example:
        >>> opponents(None, 2).tolist()
        [0.5, 0.5]
    """
    mass = np.ones(size) if design is None else np.asarray(design, np.float64)
    if mass.shape != (size,) or not ((mass >= 0).all() and mass.sum() > 0):
        raise refuse(f"independent points have ({size},) probabilities", f"shape {mass.shape}")
    return mass / mass.sum()


def pair_weights(design: np.ndarray | None, size: int, *, diagonal: bool = False) -> np.ndarray:
    """(m, m) symmetric weights of pairs, summing to one.

    Args:
        design: as in `bradley_terry`.
        size: m.
        diagonal: keep pairs of a point with itself.

    Example:
        >>> pair_weights(np.array([[0.0, 3.0], [1.0, 0.0]]), 2).tolist()
        [[0.0, 0.5], [0.5, 0.0]]
    """
    if design is None or np.ndim(design) == 1:
        mass = opponents(design, size)
        weight = mass[:, None] * mass
    else:
        weight = np.asarray(design, np.float64)
        if weight.shape != (size, size) or not (weight >= 0).all():
            raise refuse(f"a design is ({size}, {size}) weights of pairs", f"shape {weight.shape}")
        weight = weight + weight.T
    if not diagonal:
        weight = weight - np.diag(np.diag(weight))
    if weight.sum() == 0:
        raise refuse("a design asks about some pair of points", "none")
    return weight / weight.sum()
