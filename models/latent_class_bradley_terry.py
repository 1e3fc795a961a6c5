"""Camps: every annotator belongs to one of K classes, each with worths of its own."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards


def latent_class_bradley_terry(comparisons, *, classes=2, scale=None, concentration=2.0):
    """K densities over items; each annotator acts on one of them, in all their answers.

    p(answers of a) = sum_h weight_h prod_i P_h(y_i), by Luce's rule with the worths of class h. Classes are
    numbered from the largest, after the fact (`populations.latent_classes`); `bp.memberships` says who
    belongs where. A priori 95 % of pairs have a win probability, over both classes, between .06 and .94.
    Source: Dillon, Kumar and De Borrero (1993).

    Args:
        comparisons: answers with annotators, two or better five of each, without ties.
        classes: how many; 1 is Bradley-Terry.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        concentration: of the Dirichlet prior of the weights; 2 keeps them off zero.
    """
    log_density = rewards.item_table(comparisons, scale=scale, classes=classes)
    prior = dist.Dirichlet(jnp.full(classes, concentration))
    weight = numpyro.sample("weight", prior, infer={"event_dims": ["class"]}) if classes > 1 else jnp.ones(1)
    score = behaviours.luce(log_density)[:, comparisons.shown]
    bp.observe(
        comparisons,
        populations.latent_classes([choices.logit(s) for s in score], jnp.log(weight), comparisons),
    )
