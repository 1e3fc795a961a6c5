"""Means and intervals of a quantity, row by row."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from scipy.special import logsumexp

from bayespref.comparisons import refuse
from bayespref.plots._canvas import (
    caption,
    check_prob,
    draw_rows,
    draws_of,
    percent,
    posterior_of,
    rows_canvas,
    shortened,
)

NORMALISED = 1e-3
"""A quantity by item whose exponentials sum to 1, up to this, is a log-density."""


def forest(
    fit: xr.DataTree,
    *,
    name: str = "log_density",
    anchor: str | None = None,
    prob: float = 0.89,
    order: bool = True,
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw posterior means and equal-tailed intervals of one quantity: worths, coefficients, scales.

    Log-densities over items are worths: they are drawn relative to the anchor, or to the mean of the items.
    Everything else is drawn as it is. Also known as a caterpillar plot.

    Args:
        fit: what an inference function returned.
        name: a quantity of the posterior with at most two dimensions; of a matrix such as correlations,
            each pair is drawn once.
        anchor: the item whose value is the origin; None centres worths on their mean.
        prob: probability of the outer interval, above .5; the inner one has .5.
        order: sort rows by mean, largest first; False keeps the fit's order.
        unit: unit written on the axis; None writes log-odds for worths. Worths of probit models are in
            standard deviations of the noise.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a quantity the fit does not have, an unknown anchor, or more than two dimensions.

    Example:
        >>> forest(fit, anchor="baseline")  # doctest: +SKIP
        >>> forest(fit, name="coefficient", unit="log-odds per unit")  # doctest: +SKIP
    """
    check_prob(prob, above=0.5)
    posterior = posterior_of(fit)
    if name not in posterior:
        raise refuse(
            "name is a quantity of the posterior",
            repr(name),
            remedy=f"This fit has {sorted(map(str, posterior.data_vars))}.",
        )
    draws = draws_of(posterior, name)
    values, origin = _relative(draws, anchor)
    labels, values = _rows(draws, values, name)
    tail = (1 - prob) / 2
    mean = values.mean(0)
    lower, inner_lower, inner_upper, upper = np.quantile(values, [tail, 0.25, 0.75, 1 - tail], axis=0)
    rows = np.argsort(-mean, kind="stable") if order else np.arange(len(mean))

    ax = rows_canvas(ax, labels)
    intervals = [
        (lower[rows], upper[rows], percent(prob)),
        (inner_lower[rows], inner_upper[rows], percent(0.5)),
    ]
    draw_rows(ax, mean[rows], intervals, labels=[labels[row] for row in rows])
    quantity = f"worth relative to {origin}" if origin else shortened([name])[0]
    unit = unit or ("log-odds" if origin and _is_log_density(draws) else None)
    caption(
        ax,
        f"{quantity}{f' ({unit})' if unit else ''}",
        f"mean, {percent(0.5)} and {percent(prob)} equal-tailed intervals",
    )
    return ax


def _is_log_density(draws: xr.DataArray) -> bool:
    """Whether the draws are log-densities normalised over items."""
    if draws.dims != ("sample", "item"):
        return False
    return bool(np.all(np.abs(np.asarray(logsumexp(draws.values.astype(np.float64), axis=1))) < NORMALISED))


def _relative(draws: xr.DataArray, anchor: str | None) -> tuple[np.ndarray, str]:
    """Draws relative to their origin, and what that is ("" for zero)."""
    values = draws.values.astype(np.float64)
    if anchor is None:
        if not _is_log_density(draws):
            return values, ""
        return values - values.mean(1, keepdims=True), "the mean item"
    if draws.dims != ("sample", "item"):
        raise refuse("an anchor is for quantities by item", f"{draws.name!r} with {draws.dims[1:]}")
    labels = [str(label) for label in draws["item"].values]
    if anchor not in labels:
        raise refuse("the anchor is an item of the fit", repr(anchor), remedy=f"Items: {labels[:8]}...")
    return values - values[:, [labels.index(anchor)]], shortened([anchor])[0]


def _rows(draws: xr.DataArray, values: np.ndarray, name: str) -> tuple[list[str], np.ndarray]:
    """Labels of rows, and (sample, row) values."""
    dims = draws.dims[1:]
    if len(dims) > 2:
        raise refuse("a forest has at most two dimensions", f"{name!r} over {dims}")
    names = [[str(label) for label in draws[dim].values] for dim in dims]
    if not dims:
        return [name], values[:, None]
    if len(dims) == 1:
        return names[0], values
    kept = np.ones(values.shape[1:], bool)
    if dims[1] == f"{dims[0]}_other":
        kept = np.triu(kept, 1)
    pairs = np.argwhere(kept)
    labels = ["{}, {}".format(*shortened([names[0][a], names[1][b]], width=13)) for a, b in pairs]
    return labels, values[:, kept]
