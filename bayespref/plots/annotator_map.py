"""Where annotators stand in the space of their tastes."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import BLUE, GREY, VERMILION, canvas, shortened


def annotator_map(fit: xr.DataTree, *, name: str = "taste", most: int = 12, ax: Axes | None = None) -> Axes:
    """Draw low-rank tastes on their two principal axes: annotators as dots, what pulls them as arrows.

    The matrix of annotators by items (or features), averaged over draws, does not depend on what the sampler
    called its axes; its singular vectors are the map. An annotator far out along an arrow likes that item
    more than the consensus does.

    Args:
        fit: what an inference function returned, of a model with `populations.tastes`.
        name: of the tastes.
        most: how many arrows are drawn, the longest.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a fit without such tastes.

    Example:
        >>> annotator_map(fit)  # doctest: +SKIP
    """
    latent = fit["latent"].to_dataset() if "latent" in getattr(fit, "children", {}) else xr.Dataset()
    needed = [f"_{name}", f"_{name}_items", f"_{name}_strength"]
    if missing := [one for one in needed if one not in latent]:
        raise refuse("the map is of populations.tastes", f"a fit without {missing}")
    place, loading, strength = (latent[one].values.reshape(-1, *latent[one].shape[2:]) for one in needed)
    matrix = np.einsum("sac,sc,scj->aj", place, strength, loading) / len(place)
    left, size, right = np.linalg.svd(matrix, full_matrices=False)
    dims = min(2, strength.shape[1])
    people = (left * size)[:, :dims]
    pulls = right[:dims].T * size[:dims] / np.sqrt(len(matrix))
    if dims == 1:
        people, pulls = (np.pad(x, ((0, 0), (0, 1))) for x in (people, pulls))
    ax = canvas(ax, width=5.6, height=5.0)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.axvline(0, color=GREY, linewidth=0.6)
    ax.scatter(people[:, 0], people[:, 1], s=16, color=BLUE, alpha=0.7, linewidth=0, label="annotators")
    reach = np.abs(people).max() / max(np.abs(pulls).max(), 1e-9)
    labels = _labels(fit, pulls)
    for row, index in enumerate(np.argsort(-np.linalg.norm(pulls, axis=1))[:most], 1):
        x, y = reach * pulls[index]
        y = row if dims == 1 else y  # on one axis, arrows stand above each other
        ax.annotate(
            "", (x, y), (0, y if dims == 1 else 0), arrowprops={"arrowstyle": "->", "color": VERMILION}
        )
        side = "left" if x >= 0 else "right"
        ax.annotate(
            f" {shortened([labels[index]])[0]} ",
            (x, y),
            fontsize="x-small",
            color=VERMILION,
            ha=side,
            va="center",
        )
    ax.margins(0.18)
    if dims == 1:
        ax.set_yticks([])
        ax.set_ylim(-1, min(most, len(pulls)) + 1)
    share = size[:dims] ** 2 / max((size**2).sum(), 1e-30)
    ax.set_xlabel(f"first principal axis ({share[0]:.0%} of what tastes explain)")
    ax.set_ylabel(f"second ({share[1]:.0%})" if dims == 2 else "")
    return ax


def _labels(fit: xr.DataTree, pulls: np.ndarray) -> list[str]:
    """Names of the items, or of the features, that the arrows are."""
    constant = fit["constant_data"].to_dataset() if "constant_data" in fit.children else xr.Dataset()
    for dim in ("item", "feature"):
        if dim in constant.coords and constant.sizes[dim] == len(pulls):
            return [str(label) for label in constant[dim].values]
    return [str(index) for index in range(len(pulls))]
