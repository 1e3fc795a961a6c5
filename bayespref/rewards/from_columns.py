"""The reward that the columns of a table call for."""

from __future__ import annotations

from jax import Array

from bayespref.comparisons import Comparisons
from bayespref.rewards.item_table import item_table
from bayespref.rewards.linear import linear


def from_columns(
    comparisons: Comparisons, *, scale: float | None = None, classes: int | None = None
) -> Array:
    """Reward of what was shown, from what the table knows about it.

    Items with features: `linear`, r = x . coefficient. Items known by name only: `item_table`. Named items
    shown with features (brands with prices): the sum of both, `constant` being the items' part
    (alternative-specific constants).

    Args:
        comparisons: the data.
        scale: prior scale passed on: worths' standard deviation in log-odds, or that of standardised
            coefficients; None takes each reward's default.
        classes: a reward for each of so many classes; dimension `class`.

    Returns:
        (n, k) rewards in nats, (classes, n, k) with classes.

    Example:
        >>> def model(comparisons):
        ...     score = from_columns(comparisons)
    """
    weights = 1.0 if scale is None else scale
    if "features" in comparisons.items.columns:
        reward = linear(comparisons, scale=weights, classes=classes)
        return reward(comparisons.items.features)[..., comparisons.shown]
    if "features" in comparisons.shown_columns:
        constant = item_table(comparisons, name="constant", scale=scale, classes=classes)
        reward = linear(comparisons, scale=weights, classes=classes)
        return constant[..., comparisons.shown] + reward(comparisons.features)
    return item_table(comparisons, scale=scale, classes=classes)[..., comparisons.shown]
