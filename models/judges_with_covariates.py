"""Judges with covariates: who someone is moves what they prefer."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards


def judges_with_covariates(
    comparisons, *, covariates=None, scale=None, slope_scale=0.5, dimensions=1, spread=0.5
):
    """Worths shift with columns of the annotators, and along a dimension of taste that they do not explain.

    r_a(x) = r(x) + slope(x) . z_a + taste_a(x). `slope` (covariate, item) is in log-odds for one unit of the
    user's column and sums to zero over items; without the last term, answers of one judge would count as
    those of many, and slopes would look surer than they are. With two columns, a priori 95 % of pairs have a
    win probability between .006 and .994. Source: Dittrich, Hatzinger and Katzenbeisser (1998).

    Args:
        comparisons: answers without ties, annotators with numeric columns.
        covariates: names of those columns; None takes all.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        slope_scale: prior standard deviation of an item's shift for a standard deviation of a column.
        dimensions: of tastes beside them; 0 for none.
        spread: prior scale of how far annotators differ about a typical item, in log-odds.
    """
    log_density = rewards.item_table(comparisons, scale=scale)
    z, unit, names = populations.covariates(comparisons, covariates)
    m = comparisons.items.size
    with numpyro.plate("covariate", len(names), dim=-1):
        raw = numpyro.sample(
            "_slope", dist.ZeroSumNormal(slope_scale, (m,)), infer={"coords": {"covariate": names}}
        )
    with numpyro.plate("covariate", len(names), dim=-2), numpyro.plate("item", m, dim=-1):
        numpyro.deterministic("slope", raw / unit[:, None])
    shift = z @ raw if comparisons.items.index is None else (z @ raw)[:, comparisons.items.index]
    worth = behaviours.luce(log_density) + shift
    score = jnp.take_along_axis(worth[comparisons.annotator], comparisons.shown, axis=1)
    if dimensions:
        score = score + populations.tastes("taste", comparisons, dimensions=dimensions, spread=spread)
    bp.observe(comparisons, choices.logit(score))
