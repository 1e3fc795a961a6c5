"""Pareto-smoothed importance weights."""

from __future__ import annotations

import math

import numpy as np

EVEN = 10.0
"""Largest weight over the mean below which weights are even: a tail of k = 0.7 would reach hundreds."""


def smooth(log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pareto-smooth log-weights (Vehtari et al., 2024): normalised log-weights and k-hat.

    When an approximation is all but exact, weights follow the third Hermite polynomial, whose fold puts a
    spike at the edge of the tail, and the tail fit returns k-hat of 1 to 4. Weights within a factor
    `EVEN` of their mean are therefore left as they are, with k-hat = log(max / mean) / log(draws), the
    growth they do show.

    Args:
        log_weights: (s, u) log of target over proposal, up to a constant for each column.

    Returns:
        (s, u) log-weights, each column summing to one, and (u,) k-hat.
    """
    relative = np.asarray(log_weights, np.float64)
    relative = relative - relative.max(0)
    log_mean = np.log(np.exp(relative).mean(0))
    log_draws = math.log(len(relative))
    normalised, khat = relative - log_mean - log_draws, -log_mean / log_draws
    uneven = np.flatnonzero(-log_mean >= math.log(EVEN))
    if len(uneven):
        from arviz_stats.base.array import array_stats

        # ArviZ takes log-likelihoods, the negative of log-weights, and moves draws to the last axis.
        smoothed, tail = array_stats.psislw(-relative[:, uneven], axis=0)
        normalised[:, uneven], khat[uneven] = np.asarray(smoothed).T, np.where(np.isnan(tail), np.inf, tail)
    return normalised, khat
