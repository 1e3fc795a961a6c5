"""Intransitive: worths, and cycles that no worths explain."""

import bayespref as bp
from bayespref import behaviours, choices, rewards


def intransitive(comparisons, *, dimensions=1, scale=None, spread=0.5):
    """One annotator, perhaps going in circles: logit P(a over b) = log p(a) - log p(b) + A_ab, A_ba = -A_ab.

    Mixtures of transitive annotators make cycles in pooled answers too: compare with latent classes before
    calling anybody intransitive. A priori 95 % of pairs have a win probability between .01 and .99. Source:
    Chen and Joachims (2016); Zhang et al. (2024).

    Args:
        comparisons: answers to pairs, without ties.
        dimensions: of blades and chests.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        spread: prior scale of the standard deviation of A in log-odds, see `rewards.cycles`.
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    score = behaviours.luce(log_density)[comparisons.shown]
    cycles = rewards.cycles(comparisons, dimensions=dimensions, spread=spread)
    bp.observe(comparisons, choices.logit(score + cycles))
