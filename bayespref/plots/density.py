"""Posterior densities over a support, as bands, against known ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from bayespref import supports
from bayespref.comparisons import refuse
from bayespref.plots._canvas import COLOURS, canvas, check_prob, percent, posterior_of


def density(
    fit: xr.DataTree,
    *,
    references: Mapping[str, np.ndarray | Callable] | None = None,
    log: bool = False,
    probs: Sequence[float] = (0.5, 0.89),
    site: str = "log_density",
    ax: Axes | None = None,
) -> Axes:
    """Draw the posterior of a density: pointwise bands, the mean density, and reference curves.

    On a line, with one colour for each component where the density has several (viewpoints); over a plane,
    the posterior mean as a map, with the contours of references around the smallest regions that hold 50 and
    90 % of their mass.

    Args:
        fit: what an inference function returned.
        references: name -> log-density, an array on the support or a function of points (g,).
        log: logarithmic scale.
        probs: probabilities of the equal-tailed pointwise bands.
        site: name of the log-density.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a density over items (see `forest`), or in more than two dimensions.

    Example:
        >>> density(fit, references={"truth": toys.preference})  # doctest: +SKIP
    """
    for prob in probs:
        check_prob(prob)
    values = posterior_of(fit)[site]
    support = supports.of(values)
    if support.low is None or len(support.dims) > 2:
        raise refuse("a density is drawn over an interval or a plane", f"{support!r}")
    extra = [d for d in values.dims if d not in ("chain", "draw", *support.dims)]
    draws = values.transpose("chain", "draw", *extra, *support.dims).values
    draws = draws.reshape(draws.shape[0] * draws.shape[1], -1, *support.shape)
    if len(support.dims) == 2:
        return _map(draws, support, references or {}, ax)
    ax = canvas(ax, width=6.5, height=3.8)
    x = support.points[:, 0]
    names = [f"{extra[0]} {label}" for label in _labels(values, extra)] if extra else [""]
    for index, name in enumerate(names):
        _bands(ax, x, draws[:, index], probs, COLOURS[index], name)
    for index, (name, curve) in enumerate((references or {}).items()):
        log_curve = np.asarray(curve(x) if callable(curve) else curve, np.float64)
        style = ("--", ":", "-.")[index % 3]
        ax.plot(x, np.exp(log_curve), style, color="black", linewidth=1.2, label=name, zorder=4)
    if log:
        ax.set_yscale("log")
        top = np.exp(draws).mean(0).max()
        ax.set_ylim(max(np.exp(draws).mean(0).min(), 1e-8 * top) / 3, 3 * top)
    else:
        ax.set_ylim(0, None)
    ax.set_xlabel(support.names[0])
    ax.set_ylabel("density")
    ax.set_xlim(x[0], x[-1])
    ax.legend(frameon=False)
    return ax


def _labels(values: xr.DataArray, extra: Sequence) -> list:
    return list(values[extra[0]].values) if extra[0] in values.coords else list(range(values.sizes[extra[0]]))


def _bands(ax: Axes, x: np.ndarray, draws: np.ndarray, probs, colour: str, name: str) -> None:
    prefix = f"{name}: " if name else ""
    for prob, alpha in zip(sorted(probs, reverse=True), (0.2, 0.35, 0.5), strict=False):
        lower, upper = np.exp(np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0))
        label = f"{prefix}{percent(prob)} band"
        ax.fill_between(x, lower, upper, color=colour, alpha=alpha, linewidth=0, label=label)
    ax.plot(x, np.exp(draws).mean(0), color=colour, linewidth=1.5, label=f"{prefix}posterior mean", zorder=3)


def _map(draws: np.ndarray, support: supports.Support, references: Mapping, ax: Axes | None) -> Axes:
    ax = canvas(ax, width=5.2, height=4.4)
    assert support.low is not None and support.high is not None
    extent = (support.low[0], support.high[0], support.low[1], support.high[1])
    image = ax.imshow(
        np.exp(draws).mean((0, 1)).T, origin="lower", extent=extent, aspect="auto", cmap="Blues", vmin=0
    )
    for index, (name, surface) in enumerate(references.items()):
        values = np.asarray(surface(support.points) if callable(surface) else surface, np.float64)
        mass = support.mass(values.reshape(-1))
        height = mass / np.exp(support.log_weight)
        order = np.argsort(height)
        levels = np.interp([0.1, 0.5], np.cumsum(mass[order]), height[order])
        style = ("--", ":", "-.")[index % 3]
        axes = [np.linspace(*ends) for ends in zip(support.low, support.high, support.shape, strict=True)]
        ax.contour(
            *axes,
            height.reshape(support.shape).T,
            levels=levels,
            colors="black",
            linestyles=style,
            linewidths=1.0,
        )
        ax.plot([], [], style, color="black", linewidth=1.0, label=f"{name}: 50 and 90 % of its mass")
    if references:
        ax.legend(frameon=True, framealpha=0.9, loc="upper left", fontsize="small")
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(image, ax=ax, label="posterior mean density")
    ax.set_xlabel(support.names[0])
    ax.set_ylabel(support.names[1])
    return ax
