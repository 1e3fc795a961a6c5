"""Bradley-Terry with an advantage for what is shown first."""

import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, rewards


def bradley_terry_position(comparisons, *, scale=None, position_spread=0.5):
    """One shared density over items; what is shown first (or plays at home) has an advantage.

    logit P(first over second) = log p(first) - log p(second) + position. Source: Davidson and Beaver
    (1977); home advantage in Agresti (2002).

    Args:
        comparisons: answers without ties, order of presentation recorded.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        position_spread: prior standard deviation of the advantage in log-odds; with 0.5, a priori equals
            are chosen first between 27 % and 73 % of the time (95 %).
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    position = numpyro.sample("position", dist.Normal(0, position_spread))
    score = behaviours.luce(log_density)[comparisons.shown] + position * comparisons.first_shown
    bp.observe(comparisons, choices.logit(score))
