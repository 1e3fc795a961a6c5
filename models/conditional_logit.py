"""Conditional logit: choices explained by the attributes of what was shown."""

import bayespref as bp
from bayespref import choices, rewards


def conditional_logit(comparisons, *, scale=1.0):
    """One set of tastes for everyone: P(i) ~ exp(coefficient . x_i), plus a constant for named items.

    `coefficient` is in log-odds for one unit of each attribute; ratios of coefficients are willingness to
    trade one for another. With two attributes of named items, a priori half of pairs have a win probability
    between .14 and .86. Source: McFadden (1974).

    Args:
        comparisons: choices with attributes (features) of the items or of what was shown.
        scale: prior standard deviation of a standardised coefficient, and of constants, in log-odds.
    """
    utility = rewards.from_columns(comparisons, scale=scale)
    bp.observe(comparisons, choices.logit(utility))
