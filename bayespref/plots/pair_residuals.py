"""Where the worths of items miss what happened between two of them."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._heat import UNKNOWN, ends, heat_map


def pair_residuals(result: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how far the wins of each item against each other are from what a fit expects.

    Blue: the row won more often than expected; red: less often. Items stand with the worthiest first. Pairs
    that were never compared are grey, as is the diagonal.

    Args:
        result: what `diagnostics.pair_residuals` returned.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for something else.

    Example:
        >>> pair_residuals(diagnostics.pair_residuals(bradley_terry, fit))  # doctest: +SKIP
    """
    if not isinstance(result, xr.Dataset) or "residual" not in result:
        raise refuse(
            "the picture takes what diagnostics.pair_residuals returned", f"a {type(result).__name__}"
        )
    values = result["residual"].transpose("item", "item_other").values
    ax, _ = heat_map(
        ax,
        values,
        [str(label) for label in result["item"].values],
        limits=ends(values),
        ticks=None,
        meaning="wins of row against column less expected wins (standard deviations)",
        blank=UNKNOWN,
    )
    if np.isnan(values[~np.eye(len(values), dtype=bool)]).any():
        ax.set_xlabel("grey: never compared")
    return ax
