"""Crowd-BT: annotators differ in how often they say the opposite of what is so."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import choices, populations, rewards


def crowd_bt(comparisons, *, scale=None, spread=1.0):
    """One shared reward; annotator a answers by Luce's rule with probability reliability_a, else in reverse.

    P_a(i over j) = eta_a sigma(r_i - r_j) + (1 - eta_a) sigma(r_j - r_i), logit eta_a ~ Normal(typical, sd).
    (eta, r) and (1 - eta, -r) answer alike: typical > 0, most annotators being more right than wrong, is
    what tells them apart. eta above one half is a lapse of 2 (1 - eta), so no lapse is added. A priori 95 %
    of pairs have a win probability between .05 and .95. Source: Chen et al. (2013).

    Args:
        comparisons: answers to pairs with annotators, without ties.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        spread: prior scale of the standard deviation of logit eta over annotators; a priori the typical one
            has eta between .52 and .99 (95 %).
    """
    reward = rewards.from_columns(comparisons, scale=scale)
    typical = numpyro.sample("typical_logit_reliability", dist.HalfNormal(2.0))
    effect = populations.by_annotator("logit_reliability", comparisons, spread=spread)
    with numpyro.plate("annotator", len(comparisons.annotators)):
        numpyro.deterministic("reliability", jax.nn.sigmoid(typical + effect))
    sure = (typical + effect)[comparisons.annotator]
    log_weight = jax.nn.log_sigmoid(jnp.stack([sure, -sure], -1))
    bp.observe(comparisons, populations.mixture([choices.logit(reward), choices.logit(-reward)], log_weight))
