"""What every picture shares: an Axes to draw on, labels that fit, colours that everyone can tell apart."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties

from bayespref.comparisons import refuse

# Okabe and Ito's colours, without the yellow that white paper swallows.
BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
GREY, BAND = "0.55", "0.90"

MAX_LABEL = 28
MIN_FONT = 5.0
ROW, MARGIN, MAX_HEIGHT, PANEL = 0.24, 1.0, 14.0, 4.5
"""Inches: height of a row, of what surrounds rows, of the tallest figure; width of what rows are drawn in."""
DENSE = 6.0
"""Points between rows below which lines and dots are thin."""
CHARACTER = 0.085
"""Inches of a character at the usual size."""


def canvas(ax: Axes | None, *, width: float, height: float) -> Axes:
    """The Axes given, or the only one of a new figure of this size in inches."""
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def rows_canvas(ax: Axes | None, labels: Sequence[object], *, row: float = ROW) -> Axes:
    """A canvas with a row of `row` inches for each label, and room for the labels."""
    room = CHARACTER * max(map(len, shortened(labels)))
    return canvas(ax, width=PANEL + room + 0.3, height=min(row * max(len(labels), 3) + MARGIN, MAX_HEIGHT))


def caption(ax: Axes, *lines: str) -> None:
    """Write what the horizontal axis shows below it, no wider than the Axes."""
    size = FontProperties(size=rcParams["axes.labelsize"]).get_size_in_points()
    width = int(min(inches_of(ax)[0], PANEL) / (CHARACTER * size / 10))
    ax.set_xlabel("\n".join(textwrap.fill(line, max(width, 20), break_on_hyphens=False) for line in lines))


def shortened(labels: Sequence[object], *, width: int = MAX_LABEL) -> list[str]:
    """Labels of at most `width` characters: the middle goes, since names differ at either end."""
    texts = [str(label) for label in labels]
    head = (width - 1) * 2 // 3
    tail = width - 1 - head
    return [text if len(text) <= width else f"{text[:head]}…{text[-tail:]}" for text in texts]


def label_ticks(axis: Axis, labels: Sequence[object], *, inches: float, rotation: float = 0) -> None:
    """Label places 0, 1, ... along `inches`; the type shrinks to fit, then only every n-th is labelled."""
    pitch = 72 * inches / max(len(labels), 1)
    usual = FontProperties(size=rcParams["ytick.labelsize"]).get_size_in_points()
    size = max(min(usual, 0.8 * pitch), MIN_FONT)
    every = math.ceil(MIN_FONT / (0.8 * pitch)) if 0.8 * pitch < MIN_FONT else 1
    places = np.arange(0, len(labels), every)
    texts = shortened(labels)
    axis.set_ticks(places, [texts[place] for place in places], fontsize=size, rotation=rotation)
    axis.set_tick_params(length=0)


def draw_rows(
    ax: Axes,
    centre: np.ndarray,
    intervals: Sequence[tuple[np.ndarray, np.ndarray, str]],
    *,
    labels: Sequence[object] | None,
) -> None:
    """Draw points with at most two (lower, upper, name) intervals, wider first, in rows from the top."""
    pitch, place = 72 * inches_of(ax)[1] / len(centre), np.arange(len(centre))
    dense = pitch < DENSE
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    for (lower, upper, name), width in zip(intervals, (1.2, 3.5), strict=False):
        width, alpha = (0.2 * pitch * width, 0.45) if dense else (width, 1.0)
        ax.hlines(place, lower, upper, color=BLUE, linewidth=width, alpha=alpha, label=name)
    size, fill = (2.0, BLUE) if dense else (5.0, "white")
    ax.plot(centre, place, "o", color=fill, markeredgecolor=BLUE, markersize=size, label="centre", zorder=3)
    ax.set_ylim(len(centre) - 0.5, -0.5)
    if labels is None:
        ax.set_yticks([])
    else:
        label_ticks(ax.yaxis, labels, inches=inches_of(ax)[1])


def inches_of(ax: Axes) -> tuple[float, float]:
    """Width and height of an Axes."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def check_prob(prob: float, *, above: float = 0.0) -> None:
    """Refuse what is not the probability of an interval."""
    if not above < prob < 1:
        raise refuse(f"the probability of an interval lies between {above:g} and 1", f"{prob}")


def posterior_of(fit: xr.DataTree) -> xr.Dataset:
    """The posterior of a fit."""
    if not isinstance(fit, xr.DataTree) or "posterior" not in fit.children:
        raise refuse(
            "the picture takes a fit, a DataTree with the group 'posterior'",
            f"a {type(fit).__name__}",
            remedy="Pass what bayespref.nuts, laplace or svi returned.",
        )
    return fit["posterior"].to_dataset()


def draws_of(posterior: xr.Dataset, name: str) -> xr.DataArray:
    """Draws of one quantity, chains joined into the leading dimension `sample`."""
    return posterior[name].stack(sample=("chain", "draw")).transpose("sample", ...)


def percent(prob: float) -> str:
    """0.89 -> '89 %'."""
    return f"{100 * prob:g} %"
