"""The reward that the columns of a table call for."""

from __future__ import annotations

from jax import Array

from bayespref.comparisons import Comparisons
from bayespref.rewards.item_table import item_table
from bayespref.rewards.linear import linear


def from_columns(comparisons: Comparisons, *, scale: float | None = None) -> Array:
    """Reward of what was shown, from what the table knows about it.

    Items with features: `linear`, r = x . coefficient. Items known by name only: `item_table`. Named items
    shown with features (brands with prices): the sum of both, `constant` being the items' part
    (alternative-specific constants).

    Args:
        comparisons: the data.
        scale: prior scale passed on: worths' standard deviation in log-odds, or that of standardised
            coefficients; None takes each reward's default.

    Returns:
        (n, k) rewards in nats.

    Example:
        >>> def model(comparisons):
        ...     score = from_columns(comparisons)
    """
    weights = 1.0 if scale is None else scale
    if "features" in comparisons.items.columns:
        return linear(comparisons, scale=weights)(comparisons.items.features)[comparisons.shown]
    if "features" in comparisons.shown_columns:
        constant = item_table(comparisons, name="constant", scale=scale)
        return constant[comparisons.shown] + linear(comparisons, scale=weights)(comparisons.features)
    return item_table(comparisons, scale=scale)[comparisons.shown]
