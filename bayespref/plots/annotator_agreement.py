"""Camps among annotators that a fit does not know of."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._heat import UNKNOWN, ends, heat_map


def annotator_agreement(result: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw how much every two annotators agree in what a fit does not expect of them.

    Blue: two agree with each other more than the fit says; red: they contradict each other. Camps are blue
    blocks on the diagonal with red between them. Two who never saw a thing in common are grey.

    Args:
        result: what `diagnostics.annotator_agreement` returned.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for something else.

    Example:
        >>> annotator_agreement(diagnostics.annotator_agreement(bradley_terry, fit))  # doctest: +SKIP
    """
    if not isinstance(result, xr.DataArray) or set(result.dims) != {"annotator", "annotator_other"}:
        got = f"a {type(result).__name__}"
        raise refuse("the picture takes what diagnostics.annotator_agreement returned", got)
    values = result.transpose("annotator", "annotator_other").values
    ax, _ = heat_map(
        ax,
        values,
        [str(label) for label in result["annotator"].values],
        limits=ends(values),
        ticks=None,
        meaning="agreement beyond the model (standard deviations of chance)",
        blank=UNKNOWN,
    )
    total = int(result.attrs.get("annotators", len(values)))
    if total > len(values):
        ax.set_title(f"the {len(values)} most active of {total:,} annotators", fontsize="medium")
    if np.isnan(values[~np.eye(len(values), dtype=bool)]).any():
        ax.set_xlabel("grey: saw nothing in common")
    return ax
