"""Tastes: a consensus, and a few dimensions along which annotators depart from it."""

import bayespref as bp
from bayespref import choices, populations, rewards


def crowd_tastes(comparisons, *, dimensions=1, scale=None, spread=0.5):
    """A shared reward plus low-rank tastes: r_a(x) = r(x) + sum_c s_c u_ac v_c(x).

    Items by name have a taste vector each; items with attributes have one that is linear in them, so that
    new items can be predicted. With two attributes, a priori half of pairs have a win probability between
    .12 and .88. Source: Simpson and Gurevych (2020), crowdGPPL.

    Args:
        comparisons: answers with annotators, without ties.
        dimensions: of tastes.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        spread: prior scale of how far annotators differ about a typical item, in log-odds.
    """
    reward = rewards.from_columns(comparisons, scale=scale)
    by_features = bool(comparisons.feature_names)
    taste = populations.tastes(
        "taste", comparisons, dimensions=dimensions, spread=spread, features=by_features
    )
    bp.observe(comparisons, choices.logit(reward + taste))
