"""Readers in a hurry: they differ in rationality, and sometimes slip."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards


def hurried_readers(comparisons, *, scale=None, spread=0.5):
    """One shared reward; readers differ in rationality, and now and then guess.

    P(i) = lapse / k + (1 - lapse) softmax(b_a r)_i. A lapse bounds how sure any answer can be, which a low
    rationality does not. With two attributes, a priori 95 % of pairs have a win probability between .02 and
    .98. Source: Wichmann and Hill (2001) for lapses.

    Args:
        comparisons: answers with annotators, without ties.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        spread: prior scale of the standard deviation of log b over readers.
    """
    reward = rewards.from_columns(comparisons, scale=scale)
    rationality = jnp.exp(populations.by_annotator("log_rationality", comparisons, spread=spread))
    lapse = numpyro.sample("lapse", dist.Beta(1, 9))
    score = behaviours.boltzmann(reward, rationality[comparisons.annotator])
    bp.observe(comparisons, choices.lapse(choices.logit(score), lapse))
