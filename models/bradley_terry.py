"""Bradley-Terry: one annotator, one worth for each item."""

import bayespref as bp
from bayespref import behaviours, choices, rewards


def bradley_terry(comparisons, *, scale=None):
    """One shared density over items, and Luce's choice rule: P(a over b) = p(a) / (p(a) + p(b)).

    Every answer comes from the same annotator, or from annotators who do not differ. Source: Bradley and
    Terry (1952), Luce (1959). With k > 2 shown this is the multinomial logit.

    Args:
        comparisons: answers without ties.
        scale: prior standard deviation of worths in log-odds; None learns it from the data, and then a
            priori 95 % of pairs have a win probability between .01 and .99.
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    score = behaviours.luce(log_density)[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
