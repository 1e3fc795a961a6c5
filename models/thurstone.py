"""Thurstone, case V: worths perceived with normal noise."""

import bayespref as bp
from bayespref import behaviours, choices, rewards


def thurstone(comparisons, *, scale=None):
    """One shared reward over items, each perceived with normal noise: P(a over b) = Phi(r(a) - r(b)).

    The unit of worth is the standard deviation of a comparison's noise. A priori half of pairs have a win
    probability between .22 and .78. Source: Thurstone (1927).

    Args:
        comparisons: answers to pairs, without ties.
        scale: prior standard deviation of worths in that unit; None learns it from the data.
    """
    reward = rewards.item_table(comparisons, scale=scale)
    score = behaviours.luce(reward)[comparisons.shown]
    bp.observe(comparisons, choices.probit(score))
