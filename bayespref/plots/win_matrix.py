"""Every item against every other."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._heat import NUMBERED, heat_map

MEANING = {
    "p_better": "P(row is better than column)",
    "win": "P(row wins the next answer against column)",
}


def win_matrix(matrix: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw a matrix of pairwise probabilities, the strongest item first.

    Rows and columns are ordered by the mean of the row. The bar says which of the two probabilities it is:
    that the row is better (`bayespref.superiority`), or that it wins the next answer
    (`bayespref.win_probability`), which ties and noise keep closer to one half.

    Args:
        matrix: (item, item_other) probabilities, as `superiority(fit)` or
            `win_probability(key, model, fit)["win"]` return them; NaN is left blank.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a matrix of something else.

    Example:
        >>> win_matrix(bayespref.superiority(fit))  # doctest: +SKIP
    """
    _check(matrix)
    square = matrix.transpose("item", "item_other").sel(item_other=matrix["item"].values)
    labels = np.asarray(matrix["item"].values)
    values = square.values.astype(np.float64)
    blank = np.isnan(values)
    mean = np.where(blank, 0, values).sum(1) / np.maximum((~blank).sum(1), 1)
    best = np.argsort(-mean, kind="stable")
    values, labels = values[np.ix_(best, best)], list(labels[best])
    ax, inches = heat_map(
        ax,
        values,
        labels,
        limits=(0, 1),
        ticks=[0, 0.25, 0.5, 0.75, 1],
        meaning=MEANING[str(matrix.name)],
        blank="none",
    )
    if len(labels) <= NUMBERED:
        _number(ax, values, size=min(9.0, 0.3 * 72 * inches / len(labels)))
    return ax


def _check(matrix: xr.DataArray) -> None:
    if not isinstance(matrix, xr.DataArray) or {"item", "item_other"} != set(matrix.dims):
        got = (
            f"dimensions {matrix.dims}" if isinstance(matrix, xr.DataArray) else f"a {type(matrix).__name__}"
        )
        raise refuse(
            "a matrix of pairs has dimensions (item, item_other)",
            got,
            remedy="Pass superiority(fit) or win_probability(key, model, fit)['win'].",
        )
    if matrix.name not in MEANING:
        raise refuse(
            f"the matrix's name says which probability it is, one of {sorted(MEANING)}",
            repr(matrix.name),
            remedy="Name it with .rename(...).",
        )
    if {*matrix["item"].values} != {*matrix["item_other"].values} or len(
        {*matrix["item"].values}
    ) != matrix.sizes["item"]:
        raise refuse("rows and columns are the same items, each once", "different or repeated ones")
    values = matrix.values[~np.isnan(matrix.values)]
    if len(values) == 0 or values.min() < 0 or values.max() > 1:
        raise refuse(
            "probabilities lie in [0, 1]", "none" if len(values) == 0 else f"{values.min()} to {values.max()}"
        )


def _number(ax: Axes, values: np.ndarray, *, size: float) -> None:
    """Write each probability in its cell, in a colour that stands out from it."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value - 0.5) > 0.32 else "black"
            ax.text(column, row, _rounded(value), ha="center", va="center", fontsize=size, color=colour)


def _rounded(value: float) -> str:
    """Two digits; what would round to certainty is said to be short of it."""
    if value < 0.005:
        return "<.01"
    return ">.99" if value >= 0.995 else f"{value:.2f}".lstrip("0")
