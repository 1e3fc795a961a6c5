"""From a statistic and its replicates to p-values: one of its own, one for the whole family."""

from __future__ import annotations

import numpy as np


def surprise(observed: np.ndarray, replicated: np.ndarray, two_sided: np.ndarray) -> np.ndarray:
    """(r + 1, c) how far out each is, in standard deviations; the observed comes first.

    Mean and standard deviation are those of observed and replicates together: under the model they are
    exchangeable, which makes ranks of these numbers exact tests.

    Args:
        observed: (c,) statistics.
        replicated: (r, c) of replicated answers.
        two_sided: (c,) whether small values are as strange as large ones.

    Example:
        >>> surprise(np.array([9.0]), np.zeros((3, 1)), np.array([False]))[:, 0].round(2).tolist()
        [1.73, -0.58, -0.58, -0.58]
    """
    joint = np.concatenate([observed[None], replicated])
    spread = joint.std(0)
    z = (joint - joint.mean(0)) / np.where(spread > 0, spread, 1.0)
    return np.where(two_sided, np.abs(z), z)


def p_values(out: np.ndarray) -> np.ndarray:
    """(c,) share of observed and replicates that are as far out as the observed."""
    return (out >= out[0]).mean(0)


def family_wise(out: np.ndarray) -> np.ndarray:
    """(c,) p-values adjusted for all checks: how often the largest surprise is as large.

    Args:
        out: (r + 1, c) surprises, the observed first. Source: Westfall and Young (1993).
    """
    if not out.shape[1]:
        return np.ones(0)
    largest = out.max(1)
    return (largest[:, None] >= out[0][None]).mean(0)
