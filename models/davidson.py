"""Davidson: Bradley-Terry with ties."""

import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, rewards


def davidson(comparisons, *, scale=None, tie_spread=1.5):
    """One shared density over items; near-equals tie: P(tie) ~ nu sqrt(p(a) p(b)).

    Two equal items tie with probability nu / (2 + nu). Where they do not tie, a priori 95 % of pairs have a
    win probability between .01 and .99. Source: Davidson (1970).

    Args:
        comparisons: answers with ties (without any, nu is near 0).
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        tie_spread: prior standard deviation of log nu; with 1.5, a priori equals tie with probability
            between .03 and .90 (95 %).
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    log_tie = numpyro.sample("log_tie", dist.Normal(0, tie_spread))
    score = behaviours.luce(log_density)[comparisons.shown]
    bp.observe(comparisons, choices.davidson(score, log_tie))
