"""Both bad: ties between equals, and "neither" where nothing shown is good enough."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, rewards


def both_bad(comparisons, *, scale=None, tie_spread=1.5, bar_spread=1.5):
    """One shared density over items, with ties by Davidson; nothing is chosen if all that is shown is bad.

    P(neither) = bar / (bar + what was shown), in units of the mean worth m p(x) = 1: a bar of 1 is as high
    as one average item. "Both bad" speaks of levels where a tie speaks of differences; `bar` places worths
    on an absolute scale. Where one of two is chosen, a priori 95 % of pairs have a win probability between
    .01 and .99. Source: Davidson (1970) for ties; the outside option of discrete choice.

    Args:
        comparisons: answers with "none", perhaps with ties.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        tie_spread: prior standard deviation of log nu, as in `davidson`.
        bar_spread: prior standard deviation of log bar around 0; with 1.5, two average items are both bad
            with probability between .03 and .90 (95 %).
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    log_tie = numpyro.sample("log_tie", dist.Normal(0, tie_spread))
    log_bar = numpyro.sample("log_bar", dist.Normal(0, bar_spread))
    worth = behaviours.luce(log_density + jnp.log(comparisons.items.size))
    score = worth[comparisons.shown]
    bp.observe(comparisons, choices.or_none(choices.davidson(score, log_tie), score, log_bar))
