"""How annotators differ."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.plots._canvas import (
    BAND,
    BLUE,
    GREY,
    PANEL,
    VERMILION,
    canvas,
    caption,
    check_prob,
    draw_rows,
    draws_of,
    inches_of,
    label_ticks,
    percent,
    posterior_of,
    rows_canvas,
    shortened,
)

LABELLED = 60
"""Annotators up to which each row is labelled."""


def annotators(
    fit: xr.DataTree,
    *,
    name: str | None = None,
    prob: float = 0.89,
    standardise: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the effects by annotator, and the population they come from where the fit has its `{name}_sd`.

    One number for each annotator: posterior means and equal-tailed intervals, sorted. A vector for each:
    a row for each component, a dot for each annotator's posterior mean. Means shrink towards the
    population: those that fall short of its spread say how little single annotators' answers tell.

    Args:
        fit: what an inference function returned.
        name: the effect; None takes the only one.
        prob: probability of the intervals.
        standardise: divide each component by its population standard deviation (posterior mean), for
            components in very different units.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a fit without effects by annotator, or with several and none named.

    Example:
        >>> annotators(fit, name="log_rationality")  # doctest: +SKIP
    """
    check_prob(prob)
    posterior = posterior_of(fit)
    name = _effect(posterior, name)
    draws = draws_of(posterior, name).transpose("sample", "annotator", ...)
    if draws.ndim > 3:
        raise refuse("effects are numbers or vectors by annotator", f"{name!r} over {draws.dims[1:]}")
    spread = _spread(posterior, name, draws)
    values = draws.values.astype(np.float64)
    if standardise:
        if spread is None or not np.all(spread > 0):
            raise refuse(f"standardising takes the population's {name}_sd", "a fit without it")
        values, spread = values / spread, np.ones_like(spread)
    unit = " in population standard deviations" if standardise else ""
    title = f"{shortened([name])[0]}{unit}"
    if values.ndim == 2:
        return _caterpillar(values, draws["annotator"].values, spread, title, prob, ax)
    return _strips(values, draws[draws.dims[2]].values, spread, title, ax)


def _effect(posterior: xr.Dataset, name: str | None) -> str:
    """The name of the effect to draw."""
    candidates = sorted(str(other) for other in posterior.data_vars if "annotator" in posterior[other].dims)
    if not candidates:
        raise refuse(
            "the fit has effects by annotator",
            f"only {sorted(map(str, posterior.data_vars))}",
            remedy="Fit a model with populations.by_annotator.",
        )
    if name is None and len(candidates) > 1:
        raise refuse(
            "name says which effect is drawn", f"a fit with {candidates}", remedy="Pass one as name=..."
        )
    if name is not None and name not in candidates:
        raise refuse(f"name is an effect by annotator, one of {candidates}", repr(name))
    return name or candidates[0]


def _spread(posterior: xr.Dataset, name: str, draws: xr.DataArray) -> np.ndarray | None:
    """Posterior mean of the population's standard deviation, one for each component."""
    site = f"{name}_sd"
    if site not in posterior or posterior[site].dims[2:] != draws.dims[2:]:
        return None
    return posterior[site].mean(("chain", "draw")).values.astype(np.float64)


def _caterpillar(values, labels, spread, title: str, prob: float, ax: Axes | None) -> Axes:
    tail = (1 - prob) / 2
    mean = values.mean(0)
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=0)
    rows = np.argsort(-mean, kind="stable")
    few = len(mean) <= LABELLED

    ax = rows_canvas(ax, labels) if few else canvas(ax, width=PANEL + 0.5, height=6.5)
    if spread is not None:
        ax.axvspan(-float(spread), float(spread), color=BAND, linewidth=0, zorder=0, label="population ± sd")
    draw_rows(
        ax, mean[rows], [(lower[rows], upper[rows], percent(prob))], labels=labels[rows] if few else None
    )
    if not few:
        ax.set_ylabel(f"{len(mean):,} annotators, sorted")
    shade = ["shaded: population, 0 ± sd"] if spread is not None else []
    caption(ax, title, f"mean and {percent(prob)} equal-tailed interval", *shade)
    return ax


def _strips(values, labels, spread, title: str, ax: Axes | None) -> Axes:
    mean = values.mean(0)  # (annotator, component)
    people, components = mean.shape
    ax = rows_canvas(ax, labels, row=0.7)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    size = float(np.clip(2000 / people, 4, 22))
    for place in range(components):
        ax.scatter(
            mean[:, place], place + 0.36 * _swarm(mean[:, place]),
            s=size, color=BLUE, alpha=0.6, linewidth=0, zorder=2, label="annotators" if place == 0 else None,
        )  # fmt: skip
    if spread is not None:
        ax.errorbar(
            np.zeros(components), np.arange(components), xerr=spread, fmt="D", color=VERMILION, markersize=4,
            elinewidth=1.5, capsize=4, label="population", zorder=3,
        )  # fmt: skip
    ax.set_ylim(components - 0.5, -0.5)
    label_ticks(ax.yaxis, labels, inches=inches_of(ax)[1])
    bar = ["bars: population, 0 ± sd"] if spread is not None else []
    caption(ax, title, f"dots: posterior means of {people:,} annotators", *bar)
    return ax


def _swarm(values: np.ndarray) -> np.ndarray:
    """Offsets in [-1, 1] that spread points where they are dense; always the same for the same values."""
    count, edges = np.histogram(values, bins=max(int(np.sqrt(len(values))), 1))
    middle = (edges[:-1] + edges[1:]) / 2
    density = np.interp(values, middle, (count - 1).clip(0) / max(count.max() - 1, 6))
    turn = np.empty(len(values))
    turn[np.argsort(values, kind="stable")] = np.arange(len(values)) * 0.6180339887 % 1
    return (2 * turn - 1) * density
