"""Heat maps of p(x_A preferred to x_B), side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bayespref.comparisons import refuse


def preferences(
    probabilities: Mapping[str, np.ndarray], grid: np.ndarray, *, name: str = "x", columns: int = 4
) -> np.ndarray:
    """Draw probabilities that the point on the vertical axis is chosen over the one on the horizontal axis.

    Args:
        probabilities: title -> (g, g) matrix, row over column; from `limits.choice_probabilities`, or
            `preference_matrix` of a fit.
        grid: (g,) equidistant points of both axes.
        name: of the coordinate.
        columns: panels in a row.

    Returns:
        (panels,) Axes.

    Raises:
        ValueError: for matrices that do not fit the grid, or hold no probabilities.

    Example:
        >>> preferences({"truth": limits.choice_probabilities(population)}, grid)  # doctest: +SKIP
    """
    size = len(grid)
    for title, matrix in probabilities.items():
        if np.shape(matrix) != (size, size) or not (np.min(matrix) >= 0 and np.max(matrix) <= 1):
            raise refuse(f"{title!r} holds ({size}, {size}) probabilities", f"shape {np.shape(matrix)}")
    panels = len(probabilities)
    across = min(panels, columns)
    down = -(-panels // across)
    figure, axes = plt.subplots(
        down, across, figsize=(2.9 * across + 0.9, 2.9 * down + 0.3), layout="constrained", squeeze=False
    )
    flat: list[Axes] = list(axes.flat)
    extent = (grid[0], grid[-1], grid[0], grid[-1])
    image = None
    for ax, (title, matrix) in zip(flat, probabilities.items(), strict=False):
        image = ax.imshow(matrix, origin="lower", extent=extent, cmap="RdBu", vmin=0, vmax=1)
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel(f"${name}_B$")
        ax.set_ylabel(f"${name}_A$")
    for ax in flat[panels:]:
        ax.set_axis_off()
    if image is not None:
        figure.colorbar(image, ax=flat, label=f"P(${name}_A$ preferred to ${name}_B$)", shrink=0.8)
    return np.asarray(flat[:panels])
