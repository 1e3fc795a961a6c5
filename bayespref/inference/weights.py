"""Pareto-smoothed importance weights."""

from __future__ import annotations

import math

import numpy as np
from arviz_stats.base.array import array_stats

EVEN = 10.0
"""Largest weight over the mean below which weights are even: a tail of k = 0.7 would reach hundreds."""


def smooth(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Pareto-smooth log-weights (Vehtari et al., 2024): normalised log-weights and k-hat.

    When an approximation is all but exact, weights follow the third Hermite polynomial, whose fold puts a
    spike at the edge of the tail, and the tail fit returns k-hat of 1 to 4. Weights within a factor
    `EVEN` of their mean are therefore left as they are, with k-hat = log(max / mean) / log(draws), the
    growth they do show.

    Args:
        log_weights: (s,) log posterior minus log proposal, up to a constant.

    Returns:
        (s,) log-weights that sum to one, and k-hat.
    """
    # ArviZ takes log-likelihoods, the negative of log-weights.
    smoothed, khat = array_stats.psislw(-np.asarray(log_weights, np.float64))
    relative = np.exp(log_weights - log_weights.max())
    unevenness = 1.0 / relative.mean()
    if unevenness < EVEN:
        return np.log(relative / relative.sum()), math.log(unevenness) / math.log(len(relative))
    return smoothed, float(khat)
