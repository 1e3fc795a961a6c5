"""A Bayesian reward model: linear on embeddings of what was shown, annotators of their own reliability."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards


def bayesian_reward(comparisons, *, scale=1.0, spread=0.5):
    """One reward r(x) = coefficient . x on features of texts, perhaps seen once: P_a(i) ~ exp(b_a r(x_i)).

    Annotators differ in rationality b_a; without annotators everyone has rationality 1. The coefficients
    share a prior standard deviation, learned, so that hundreds of features shrink as far as the answers ask
    for. The Bayesian last layer of a reward model; arXiv 2311.14115 for the reward as a density. With two
    features, a priori 95 % of pairs have a win probability between .01 and .99.

    Args:
        comparisons: answers with features (embeddings) of the items or of what was shown.
        scale: prior scale of the reward's standard deviation over typical differences, in log-odds.
        spread: prior scale of the standard deviation of log b over annotators.
    """
    size = len(comparisons.feature_names)
    total = numpyro.sample("reward_scale", dist.HalfNormal(scale))
    reward = rewards.linear(comparisons, scale=total / jnp.sqrt(size))
    if "features" in comparisons.items.columns:
        score = reward(comparisons.items.features)[comparisons.shown]
    else:
        score = reward(comparisons.features)
    if comparisons.annotator is not None:
        rationality = jnp.exp(populations.by_annotator("log_rationality", comparisons, spread=spread))
        score = behaviours.boltzmann(score, rationality[comparisons.annotator])
    bp.observe(comparisons, choices.logit(score))
