"""Geometric averaging with a reference, as an assumption about the annotator, on a line."""

import bayespref as bp
from bayespref import behaviours, choices, rewards, supports


def geometric_1d(comparisons, *, alpha=0.5, low=-10.0, high=10.0, kernel="matern52", length=None, basis=64):
    """One density p(x) that is the geometric average of what the annotator prefers and a reference.

    logit P(a over b) = difference of log p / alpha + (1 - 1 / alpha) log reference. Answers of a Luce
    annotator with density p* lead it to reference^(1 - alpha) p*^alpha / Z. A priori half of pairs, some
    units apart, have a win probability between .001 and .999. Source: arXiv 2311.14115.

    Args:
        comparisons: answers about points of a line without ties; items have a column `log_reference`
            (`answers.with_item_columns({"log_reference": ...})`), the reference's log-density there.
        alpha: share of the annotator's density in the average.
        low: lower bound of the support; points outside are refused.
        high: upper bound.
        kernel: of the Gaussian process.
        length: prior of the length-scale, in units of x; None takes the reward's.
        basis: number of basis functions.
    """
    support = supports.interval(low, high)
    log_density = rewards.gp(support, kernel=kernel, length=length, basis=basis)
    behaviour = behaviours.geometric(alpha, comparisons.items.column("log_reference"))
    score = behaviour(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
