"""Segments: every annotator belongs to one of K classes, each with tastes of its own."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import choices, populations, rewards


def latent_class_logit(comparisons, *, classes=2, scale=1.0, concentration=2.0):
    """K sets of tastes; each annotator chooses by one of them, in all their choices.

    p(choices of a) = sum_h weight_h prod_i P_h(y_i), P_h the conditional logit with the coefficients (and
    constants, for named items) of class h. Classes are numbered from the largest, after the fact
    (`populations.latent_classes`). With two attributes, a priori 95 % of pairs have a win probability, over
    both classes, between .02 and .98. Source: Kamakura and Russell (1989), Greene and Hensher (2003).

    Args:
        comparisons: choices with annotators and attributes (features) of the items or of what was shown.
        classes: how many; 1 is the conditional logit.
        scale: prior standard deviation of a standardised coefficient, and of constants, in log-odds.
        concentration: of the Dirichlet prior of the weights; 2 keeps them off zero.
    """
    utility = rewards.from_columns(comparisons, scale=scale, classes=classes)
    prior = dist.Dirichlet(jnp.full(classes, concentration))
    weight = numpyro.sample("weight", prior, infer={"event_dims": ["class"]}) if classes > 1 else jnp.ones(1)
    bp.observe(
        comparisons,
        populations.latent_classes([choices.logit(u) for u in utility], jnp.log(weight), comparisons),
    )
