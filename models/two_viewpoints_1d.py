"""Two annotators with a density each, and no record of who answered."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards, supports


def two_viewpoints_1d(comparisons, *, low=-10.0, high=10.0, kernel="matern52", basis=64, concentration=2.0):
    """Each answer comes from one of two annotators, who act on densities of their own by Luce's rule.

    P(a over b) = sum_h w_h p_h(a) / (p_h(a) + p_h(b)), without annotator ids. The likelihood does not tell
    which annotator is called first: they are reported in the order of their means, so that chains agree.
    `log_density` (viewpoint, x), `weight` (viewpoint). A priori half of pairs, some units apart, have a win
    probability between .23 and .77. Source: arXiv 2311.14115, the two-annotator experiments.

    Args:
        comparisons: answers about points of a line, without ties.
        low: lower bound of the support; points outside are refused.
        high: upper bound.
        kernel: of the Gaussian processes.
        basis: number of basis functions of each.
        concentration: of the Beta prior of the weights; 2 keeps them off zero.
    """
    support = supports.interval(low, high)
    rewards_by_viewpoint = [
        rewards.gp(support, name=f"_viewpoint_{h}", kernel=kernel, basis=basis) for h in range(2)
    ]
    first = numpyro.sample("_weight", dist.Beta(concentration, concentration))
    weight = jnp.stack([first, 1 - first])
    scores = [
        behaviours.luce(reward(comparisons.items.features))[comparisons.shown]
        for reward in rewards_by_viewpoint
    ]
    bp.observe(comparisons, populations.mixture([choices.logit(s) for s in scores], jnp.log(weight)))

    grid = jnp.asarray(support.points, jnp.float32)
    log_density = jnp.stack([reward(grid) for reward in rewards_by_viewpoint])
    order = jnp.argsort(jnp.exp(log_density + jnp.asarray(support.log_weight)) @ grid[:, 0])
    with numpyro.plate("viewpoint", 2):
        numpyro.deterministic("weight", weight[order])
    with numpyro.plate("viewpoint", 2, dim=-2), numpyro.plate("x", len(support), dim=-1):
        numpyro.deterministic("log_density", log_density[order])
