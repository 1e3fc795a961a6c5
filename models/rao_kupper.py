"""Rao-Kupper: Bradley-Terry with ties where two are too close to call."""

import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, rewards


def rao_kupper(comparisons, *, scale=None, threshold_spread=1.0):
    """One shared density over items; differences that annotators cannot tell from none are ties.

    P(a over b) = p(a) / (p(a) + theta p(b)), theta = exp(threshold); equals tie with probability (theta - 1)
    / (theta + 1). Where they do not tie, a priori 95 % of pairs have a win probability between .004 and
    .996. Source: Rao and Kupper (1967).

    Args:
        comparisons: answers to pairs, with ties.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        threshold_spread: prior scale of the threshold in log-odds; with 1, a priori equals tie with
            probability below .33 in half of all populations, below .76 in 95 %.
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    threshold = numpyro.sample("threshold", dist.HalfNormal(threshold_spread))
    score = behaviours.luce(log_density)[comparisons.shown]
    bp.observe(comparisons, choices.rao_kupper(score, threshold))
