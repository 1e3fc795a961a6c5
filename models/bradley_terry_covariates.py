"""Bradley-Terry with covariates of what was shown: length, style, price, side of the table."""

import bayespref as bp
from bayespref import behaviours, choices, rewards


def bradley_terry_covariates(comparisons, *, scale=None, effect_scale=1.0):
    """One shared density over items; what was shown in the row (its length, its style) pulls answers too.

    logit P(a over b) = log p(a) - log p(b) + coefficient . (z_a - z_b), the behaviour Omega(x) = log p(x) +
    g(x). The worths are then those at equal covariates (a leaderboard with style controlled). With two
    covariates, a priori half of pairs have a win probability between .12 and .88. Source: Springall (1973);
    arena style control.

    Args:
        comparisons: answers without ties, items known by name, features of what was shown.
        scale: prior standard deviation of worths in log-odds; None learns it from the data.
        effect_scale: prior standard deviation of a standardised coefficient in log-odds; with 1, two shown
            that differ typically in one covariate have log-odds of standard deviation 2 from it.
    """
    if "features" not in comparisons.shown_columns:
        raise ValueError(
            "bradley_terry_covariates needs covariates of what was shown beside the items' names; got none. "
            "Read them with attributes=(...)."
        )
    log_density = rewards.item_table(comparisons, scale=scale)
    effect = rewards.linear(comparisons, scale=effect_scale)(comparisons.features)
    score = behaviours.luce(log_density)[comparisons.shown] + effect
    bp.observe(comparisons, choices.logit(score))
