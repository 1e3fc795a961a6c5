"""Are fits calibrated? The ECDF of ranks, less the diagonal, within bands."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.calibration import bands
from bayespref.plots._canvas import COLOURS, canvas


def sbc(result: xr.Dataset, *, prob: float = 0.99, most: int = 6, ax: Axes | None = None) -> Axes:
    """Draw the ECDF of the ranks of each quantity, less that of uniform ranks, and their simultaneous band.

    A curve that leaves the band is a quantity whose posterior is off: above then below the middle, too
    narrow; below then above, too wide; to one side, shifted. Those furthest off are drawn in colour.

    Args:
        result: what `bayespref.sbc` returned.
        prob: probability that a curve of uniform ranks stays inside the band everywhere.
        most: how many are named; the rest is grey.
        ax: where to draw; None makes a figure.

    Returns:
        The axes.

    Example:
        >>> sbc(result)  # doctest: +SKIP
    """
    ax = canvas(ax, width=6.0, height=3.6)
    draws, simulations = int(result.attrs["draws"]), int(result.attrs["simulations"])
    at = np.arange(1, draws + 2) / (draws + 1)
    lower, upper = bands(simulations, draws, prob)
    ax.fill_between(at, lower - at, upper - at, color="0.85", label=f"{prob:.0%} band, everywhere at once")
    order = np.argsort(result["p_value"].values)
    for place, index in enumerate(order[::-1]):
        ranks = result["rank"].values[:, index]
        curve = np.cumsum(np.bincount(ranks, minlength=draws + 1)) / simulations - at
        named = place >= len(order) - min(most, len(COLOURS))
        name = f"{result['quantity'].values[index]} (p = {float(result['p_value'][index]):.2g})"
        colour = COLOURS[len(order) - 1 - place] if named else "0.6"
        ax.step(at, curve, where="mid", color=colour, linewidth=1.0, label=name if named else None)
    ax.set(xlabel="rank of the truth among the draws", ylabel="ECDF less the diagonal", xlim=(0, 1))
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
