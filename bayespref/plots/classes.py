"""What each class of annotators prefers."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import (
    COLOURS,
    GREY,
    caption,
    check_prob,
    draws_of,
    inches_of,
    label_ticks,
    percent,
    posterior_of,
    rows_canvas,
)


def classes(
    fit: xr.DataTree, *, name: str = "log_density", prob: float = 0.89, ax: Axes | None = None
) -> Axes:
    """Draw a quantity of each class side by side: worths by item, coefficients by feature.

    Log-densities over items are centred on the mean item. Rows stand in the order of the largest class.

    Args:
        fit: what an inference function returned, of a model with latent classes (or viewpoints).
        name: a quantity by class and one more dimension.
        prob: probability of the equal-tailed intervals.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a quantity that is not by class, or more classes than colours.

    Example:
        >>> classes(fit)  # doctest: +SKIP
    """
    check_prob(prob)
    posterior = posterior_of(fit)
    by_class = sorted(str(x) for x in posterior if "class" in posterior[x].dims and posterior[x].ndim == 4)
    if name not in by_class:
        raise refuse(
            "name is a quantity by class and one more dimension", f"{name!r}", remedy=f"One of {by_class}."
        )
    draws = draws_of(posterior, name).transpose("sample", "class", ...)
    values = draws.values.astype(np.float64)
    if values.shape[1] > len(COLOURS):
        raise refuse(f"at most {len(COLOURS)} classes fit in one picture", f"{values.shape[1]}")
    if draws.dims[2] == "item":
        values = values - values.mean(2, keepdims=True)
    tail = (1 - prob) / 2
    mean, (lower, upper) = values.mean(0), np.quantile(values, [tail, 1 - tail], axis=0)
    rows = np.argsort(-mean[0], kind="stable")
    labels = [str(label) for label in draws[draws.dims[2]].values[rows]]
    weight = posterior["weight"].mean(("chain", "draw")).values if "weight" in posterior else None
    ax = rows_canvas(ax, labels, row=0.18 + 0.1 * len(mean))
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    for index in range(len(mean)):
        place = np.arange(len(rows)) + (index - (len(mean) - 1) / 2) * 0.6 / len(mean)
        share = "" if weight is None else f" ({weight[index]:.0%})"
        ax.hlines(place, lower[index, rows], upper[index, rows], color=COLOURS[index], linewidth=1.5)
        ax.plot(
            mean[index, rows], place, "o", color=COLOURS[index], markersize=4, label=f"class {index}{share}"
        )
    ax.set_ylim(len(rows) - 0.5, -0.5)
    label_ticks(ax.yaxis, labels, inches=inches_of(ax)[1])
    origin = ", relative to the mean item (log-odds)" if draws.dims[2] == "item" else ""
    caption(ax, f"{'worth' if origin else name}{origin}", f"mean and {percent(prob)} equal-tailed interval")
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax
