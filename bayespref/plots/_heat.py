"""Square heat maps: everything against everything of one kind."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from bayespref.plots._canvas import CHARACTER, MAX_HEIGHT, canvas, inches_of, label_ticks, shortened

NUMBERED = 15
"""Rows up to which cells carry their number."""
UNKNOWN = "0.82"
"""Grey of cells without a value, where white would read as zero."""
LEAST, REST = 4.0, 0.02
"""Standard deviations at the ends of the colours, at least: chance is pale; share of cells beyond them."""


def ends(values: np.ndarray) -> tuple[float, float]:
    """Limits of the colours for numbers in standard deviations: even about 0, outliers beyond them."""
    size = np.abs(values[np.isfinite(values)])
    limit = max(float(np.quantile(size, 1 - REST)) if len(size) else 0.0, LEAST)
    return -limit, limit


def heat_map(
    ax: Axes | None,
    values: np.ndarray,
    labels: list[str],
    *,
    limits: tuple[float, float],
    ticks: list[float] | None,
    meaning: str,
    blank: str,
) -> tuple[Axes, float]:
    """Draw a square matrix with its rows' labels on both sides, and a bar that says what colours mean.

    Args:
        ax: where to draw; None makes a figure.
        values: (m, m) numbers; what is not a number is drawn in the colour `blank`.
        labels: of rows and of columns.
        limits: values at the ends of the colours.
        ticks: of the bar, or None for the usual ones.
        meaning: of the bar.
        blank: colour, or "none".

    Returns:
        The Axes drawn on, and the length of a side in inches.
    """
    m = len(labels)
    side = min(max(m * (0.46 if m <= NUMBERED else 0.2), 2.2), MAX_HEIGHT - 4)
    longest = max(map(len, shortened(labels)))
    room = CHARACTER * longest + 0.4
    ax = canvas(ax, width=side + room + 1.4, height=side + room)
    colours = colormaps["RdBu"].with_extremes(bad=blank)
    image = ax.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    ax.spines[:].set_visible(False)
    inches = min(*inches_of(ax), side)
    label_ticks(ax.yaxis, labels, inches=inches)
    label_ticks(ax.xaxis, labels, inches=inches, rotation=90 if longest > 3 else 0)
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, min(0.16 / inches, 0.08), 1.0)))
    bar.outline.set_visible(False)
    if ticks is not None:
        bar.set_ticks(ticks)
    bar.set_label(textwrap.fill(meaning, max(int(0.8 * inches / CHARACTER), 14)))
    return ax, inches
