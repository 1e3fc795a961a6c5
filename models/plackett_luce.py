"""Plackett-Luce: rankings, full or of the first few."""

import bayespref as bp
from bayespref import choices, rewards


def plackett_luce(comparisons, *, scale=None):
    """One shared reward; the best is chosen, then the best of the rest, and so on as far as was ranked.

    P(order) = prod_r exp(s_(r)) / sum of exp(s) over what is left. Items by name have worths, items with
    attributes a linear reward (rank-ordered or exploded logit). With two attributes, a priori half of pairs
    are ranked in order with a probability between .15 and .85. Source: Luce (1959), Plackett (1975).

    Args:
        comparisons: rankings of what was shown.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
    """
    bp.observe(comparisons, choices.plackett_luce(rewards.from_columns(comparisons, scale=scale)))
