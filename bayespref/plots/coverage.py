"""Where on a support comparisons speak, and where the prior does."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import BLUE, GREY, VERMILION, canvas


def coverage(contraction: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw contraction along a line, how often points were shown, and the regions where the prior speaks.

    Args:
        contraction: what `diagnostics.contraction` returned, over an interval.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a support that is no interval, or several densities.

    Example:
        >>> coverage(diagnostics.contraction(key, density_gp_1d, fit))  # doctest: +SKIP
    """
    if contraction["contraction"].ndim != 1:
        raise refuse(
            "coverage is drawn along one line",
            f"contraction over {list(contraction['contraction'].dims)}",
            remedy="Select one: contraction.sel(viewpoint=0).",
        )
    ax = canvas(ax, width=6.5, height=3.2)
    name = str(contraction["contraction"].dims[0])
    x, shown = contraction[name].values, contraction["shown"].values
    width = max(len(x) // 80, 1)
    edge = len(x) // width * width
    bars = shown[:edge].reshape(-1, width).sum(1)
    ax.bar(
        x[:edge].reshape(-1, width).mean(1),
        bars / bars.max(),
        width=(x[1] - x[0]) * width,
        color="0.85",
        label=f"points shown (of {int(shown.sum()):,}, most = 1)",
    )
    value = np.clip(contraction["contraction"].values, 0, 1)
    ax.plot(x, value, color=BLUE, linewidth=1.8, label="contraction of the prior")
    weak = contraction["region"].values == "prior"
    ax.fill_between(x, 0, 1, where=weak, color=VERMILION, alpha=0.15, linewidth=0, label="the prior speaks")
    ax.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(name)
    ax.set_ylabel("share of the maximum")
    ax.legend(frameon=True, framealpha=0.9, loc="lower center")
    return ax
