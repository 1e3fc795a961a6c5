"""How often near-equals tie."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import BLUE, VERMILION, canvas, percent


def ties(shares: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the share of ties against the difference of worths: observed dots, replicated band.

    Args:
        shares: what `diagnostics.ties` returned.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for something else.

    Example:
        >>> ties(diagnostics.ties(key, davidson, fit))  # doctest: +SKIP
    """
    if not isinstance(shares, xr.Dataset) or not {"difference", "observed"} <= set(shares.data_vars):
        raise refuse("the picture takes what diagnostics.ties returned", f"a {type(shares).__name__}")
    ax = canvas(ax, width=5.6, height=3.6)
    at = shares["difference"].values
    band = f"{shares.attrs['model']}: {percent(shares.attrs['prob'])} of replicates"
    ax.fill_between(
        at, shares["lower"].values, shares["upper"].values, color=BLUE, alpha=0.2, linewidth=0, label=band
    )
    ax.plot(at, shares["predicted"].values, color=BLUE, linewidth=1.5)
    if len(at) == 1:
        ax.plot(at, shares["predicted"].values, "_", color=BLUE)
        ax.vlines(at, shares["lower"].values, shares["upper"].values, color=BLUE, alpha=0.2, linewidth=8)
    size = shares["answers"].values
    ax.scatter(
        at, shares["observed"].values, s=36 * size / size.max(), color=VERMILION, zorder=3, label="observed"
    )
    ax.set_xlim(0, None)
    ax.set_ylim(0, None)
    ax.set_xlabel("difference of worths (log-odds)")
    ax.set_ylabel("share of ties")
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax
