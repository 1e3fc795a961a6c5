"""A density on a plane: one annotator, a normalising flow."""

import bayespref as bp
from bayespref import behaviours, choices, rewards, supports


def density_flow_2d(
    comparisons, *, low=(-3.0, -3.0), high=(3.0, 3.0), layers=4, knots=8, width=16, scale=1.0
):
    """One density p(x, y) on a rectangle, a uniform one bent by a flow, and Luce's choice rule.

    Fit with svi and guide "normal", in minibatches: a flow has thousands of weights, and what a mean-field
    guide says about its uncertainty is rough (see `rewards.flow`). A priori half of pairs, some units apart,
    have a win probability between .04 and .97. Source: arXiv 2311.14115; Durkan et al. (2019) for the flow.

    Args:
        comparisons: answers about points of a plane (`Comparisons.from_points`), without ties.
        low: lower bounds of the support; points outside are refused.
        high: upper bounds.
        layers: coupling layers of the flow.
        knots: of each layer's splines.
        width: hidden units of each layer's network.
        scale: factor of the weights' prior standard deviations.
    """
    support = supports.box(low, high)
    log_density = rewards.flow(support, layers=layers, knots=knots, width=width, scale=scale)
    score = behaviours.luce(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
