"""What of a nudge the parameters explain, where other answers put them: conjugate gradients from the fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayespref.checks.orthogonal import Fit

PROJECTIONS, TINY = 4, 1e-8
"""Steps from the part at the fit; information that is none."""


def explained(
    fisher: Callable, fit: Fit, counts: np.ndarray, weighed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The parameters' part (c, s, m, o) in nudges, and slopes (c, D) of the log-likelihood.

    Conjugate gradients from the part that they have at the fit, preconditioned by its information (steps of
    Newton's run away along what answers hardly inform). The part at the fit itself would leave replicates
    more information than the fit has: a check then rejected up to three times too often on a few hundred
    answers.

    Args:
        fisher: steps (c, s + 1, D) and answers (c, s + 1, m, o) -> `programs.fisher` of them.
        fit: the parts at the fit.
        counts: (c, m, o) answers.
        weighed: (c, s, m, o) nudges times the expected number of answers.
    """
    none = np.zeros((len(counts), 1, len(fit.inverse)), np.float32)
    nothing = np.zeros((len(counts), 1 + len(fit.scalars), *counts.shape[1:]), np.float32)

    def along(step: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        moved, slopes = map(np.asarray, fisher(np.concatenate([none, step], 1), more))
        ridge = step @ fit.ridge if fit.ridge.size else np.float32(0)
        return moved[:, 1:], slopes[:, 1:] + ridge, slopes[:, 0]

    step = np.broadcast_to(fit.scalars, (len(counts), *fit.scalars.shape))  # whole, the first time
    part, over, slope = along(step, np.concatenate([counts[:, None], -weighed], 1))
    left = -over
    step = left @ fit.inverse
    size = _inner(left, step)
    for _ in range(PROJECTIONS):
        moved, bent, _ = along(step, nothing)
        length = _share(size, _inner(step, bent))
        part, left = part + length[..., None] * moved, left - length * bent
        ahead = left @ fit.inverse
        size, before = _inner(left, ahead), size
        step = ahead + _share(size, before) * step
    return part, slope


def _inner(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(-1, keepdims=True)


def _share(size: np.ndarray, of: np.ndarray) -> np.ndarray:
    """One over the other, 0 where nothing is left."""
    return np.where(size > TINY, size / np.maximum(of, TINY), 0.0)
