"""A careless crowd: everyone guesses now and then, some far more than others."""

import jax
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import choices, populations, rewards


def careless_crowd(comparisons, *, scale=None, spread=1.0):
    """One shared reward; annotator a guesses with probability lapse_a, else answers by Luce's rule.

    logit lapse_a ~ Normal(typical, sd). A guess leaves a floor under the errors, even for pairs that are far
    apart, which low rationality does not: that is how the two are told apart. With two attributes, a priori
    95 % of pairs have a win probability between .025 and .975. Source: Wichmann and Hill (2001).

    Args:
        comparisons: answers with annotators, without ties.
        scale: prior scale of worths or of standardised coefficients in log-odds; None takes the reward's.
        spread: prior scale of the standard deviation of logit lapse over annotators; the typical one is
            between .01 and .49 a priori (95 %).
    """
    reward = rewards.from_columns(comparisons, scale=scale)
    typical = numpyro.sample("typical_logit_lapse", dist.Normal(-2.2, 1.1))
    effect = populations.by_annotator("logit_lapse", comparisons, spread=spread)
    lapse = jax.nn.sigmoid(typical + effect)
    with numpyro.plate("annotator", len(comparisons.annotators)):
        numpyro.deterministic("lapse", lapse)
    bp.observe(comparisons, choices.lapse(choices.logit(reward), lapse[comparisons.annotator]))
