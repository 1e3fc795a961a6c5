"""A density on a line: one annotator, a Gaussian-process reward."""

import bayespref as bp
from bayespref import behaviours, choices, rewards, supports


def density_gp_1d(comparisons, *, low=-10.0, high=10.0, kernel="matern52", length=None, basis=64):
    """One density p(x) on [low, high], and Luce's choice rule: P(a over b) = p(a) / (p(a) + p(b)).

    The reward is a Gaussian process whose length-scale and amplitude are learnt; exp(reward), normalised, is
    the density the annotator acts on. Fit with laplace, or, where its k-hat exceeds .7 (4 of 10 simulated
    tables of 60 answers), with nuts: Laplace's draws are then not calibrated. A priori half of pairs, some
    units apart, have a win probability between .03 and .97. Source: arXiv 2311.14115, the reward experiment.

    Args:
        comparisons: answers about points of a line (`Comparisons.from_points`), without ties.
        low: lower bound of the support; points outside are refused.
        high: upper bound.
        kernel: of the Gaussian process.
        length: prior of the length-scale, in units of x; None takes the reward's.
        basis: number of basis functions.
    """
    support = supports.interval(low, high)
    log_density = rewards.gp(support, kernel=kernel, length=length, basis=basis)
    score = behaviours.luce(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))
