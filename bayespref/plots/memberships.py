"""Who belongs to which class of annotators."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import PANEL, canvas, caption, inches_of, label_ticks, rows_canvas
from bayespref.plots.annotators import LABELLED


def memberships(belongs: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw the posterior probability of each class for every annotator, as a heat map.

    Annotators are sorted by the class they most likely belong to, the surest first; pale rows are those whose
    answers do not say.

    Args:
        belongs: what `bayespref.memberships` returned, or its mean over draws.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for something else than memberships.

    Example:
        >>> memberships(bp.memberships(latent_class_bradley_terry, fit))  # doctest: +SKIP
    """
    if not isinstance(belongs, xr.DataArray) or not {"annotator", "class"} <= set(map(str, belongs.dims)):
        raise refuse("the picture takes what bayespref.memberships returned", f"a {type(belongs).__name__}")
    mean = belongs.mean([dim for dim in belongs.dims if dim not in ("annotator", "class")])
    values = mean.transpose("annotator", "class").values
    order = np.lexsort((-values.max(1), values.argmax(1)))
    labels = [str(label) for label in mean["annotator"].values[order]]
    few = len(labels) <= LABELLED
    ax = rows_canvas(ax, labels) if few else canvas(ax, width=PANEL, height=6.0)
    image = ax.imshow(values[order], aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks(range(values.shape[1]), [f"class {index}" for index in range(values.shape[1])])
    if few:
        label_ticks(ax.yaxis, labels, inches=inches_of(ax)[1])
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{len(labels):,} annotators, sorted")
    caption(
        ax,
        "posterior probability of belonging, shares " + ", ".join(f"{share:.0%}" for share in values.mean(0)),
    )
    bar = ax.inset_axes((1.03, 0.0, 0.04, 1.0))
    ax.get_figure().colorbar(image, cax=bar)  # pyright: ignore[reportOptionalMemberAccess]
    return ax
