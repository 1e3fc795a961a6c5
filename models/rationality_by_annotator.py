"""Annotators agree on what is better, and differ in how reliably they act on it."""

import jax.numpy as jnp

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards


def rationality_by_annotator(comparisons, *, scale=None, spread=0.5):
    """One shared reward; annotator a answers with rationality b_a: P(i) ~ exp(b_a r(x_i)).

    Items by name have worths, items with attributes a linear reward. Also known as the scale-heterogeneity
    logit, or Boltzmann rationality. With two attributes, a priori half of pairs have a win probability
    between .13 and .87.

    Args:
        comparisons: answers with annotators, without ties.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        spread: prior scale of the standard deviation of log b; with 0.5, a priori the middle 95 % of
            annotators differ in rationality by a factor of less than 4 in half of all populations, of less
            than 50 in 95 % of them.
    """
    reward = rewards.from_columns(comparisons, scale=scale)
    rationality = jnp.exp(populations.by_annotator("log_rationality", comparisons, spread=spread))
    bp.observe(comparisons, choices.logit(behaviours.boltzmann(reward, rationality[comparisons.annotator])))
