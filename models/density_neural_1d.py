"""A density on a line: one annotator, a small neural network as the reward."""

import bayespref as bp
from bayespref import behaviours, choices, rewards, supports


def density_neural_1d(comparisons, *, low=-10.0, high=10.0, width=8, depth=1, steepness=10.0, scale=1.0):
    """One density p(x) on [low, high], exp of a network normalised, and Luce's choice rule.

    The paper's parametrisation with priors on the weights. Fit with svi, or nuts for small data; the
    weights' posterior has as many modes as the network has symmetries, and R-hat is meant for the density,
    which is the same in all of them. `density_gp_1d` is the safer choice. A priori half of pairs, some units
    apart, have a win probability between .07 and .94. Source: arXiv 2311.14115, the reward experiment.

    Args:
        comparisons: answers about points of a line (`Comparisons.from_points`), without ties.
        low: lower bound of the support; points outside are refused.
        high: upper bound.
        width: tanh units of a layer.
        depth: hidden layers.
        steepness: largest typical slope, see `rewards.neural`.
        scale: factor of the weights' prior standard deviations.
    """
    support = supports.interval(low, high)
    log_density = rewards.neural(support, width=width, depth=depth, steepness=steepness, scale=scale)
    score = behaviours.luce(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
