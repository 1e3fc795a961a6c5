"""One check: the statistic observed, among those of replicated answers."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bayespref.checks.verdict import Check
from bayespref.comparisons import refuse
from bayespref.plots._canvas import BLUE, CHARACTER, VERMILION, canvas, inches_of
from bayespref.plots.checks import SMALL, require_check

BINS = 30


def check(check: Check, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw one check: a histogram of the statistic over replicated answers, a line at the observed one.

    Args:
        check: what `bayespref.check` returned.
        name: of the check, as in the index of its table: "rationality", say.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for a name that is no check, or one that was not tested.

    Example:
        >>> check(bayespref.check(jax.random.key(0), bradley_terry, fit), "rationality")  # doctest: +SKIP
    """
    require_check(check)
    tested = check.tested()
    if name not in tested:
        raise refuse(f"name is a check that was made, one of {tested}", repr(name))
    ax = canvas(ax, width=4.2, height=2.8)
    place = tested.index(name)
    colour = VERMILION if name in check.failing() else "black"
    ax.hist(check.replicated[:, place], bins=BINS, color=BLUE, alpha=0.35, linewidth=0, label="replicated")
    ax.axvline(check.observed[place], color=colour, linewidth=1.5, label="observed")
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])
    row = check.table.loc[name]
    adjusted = f", adjusted {row['adjusted_p']:.3f}" if np.isfinite(row["adjusted_p"]) else ""
    ax.set_title(f"p {row['p_value']:.3f}{adjusted}", fontsize="medium", loc="left", color=colour)
    ax.locator_params(axis="x", nbins=5)
    width = max(int(inches_of(ax)[0] / (SMALL * CHARACTER)), 20)
    ax.set_xlabel(textwrap.fill(f"statistic: whether {check.words()[name]}", width), fontsize="small")
    return ax


def check_panels(result: Check, *, columns: int = 3) -> np.ndarray:
    """Draw every check that was made, a panel each.

    Args:
        result: what `bayespref.check` returned.
        columns: panels in a row.

    Returns:
        (panels,) Axes, in the order of the table.

    Raises:
        ValueError: for something else.

    Example:
        >>> check_panels(bayespref.check(jax.random.key(0), bradley_terry, fit))  # doctest: +SKIP
    """
    require_check(result)
    if not result.tested():
        raise refuse(
            "panels show the checks that were made", "none", remedy="Draw plots.checks: it says why."
        )
    tested = result.tested()
    across = min(len(tested), columns)
    down = -(-len(tested) // across)
    size = (3.0 * across, 1.9 * down)
    _, axes = plt.subplots(down, across, figsize=size, layout="constrained", squeeze=False)
    for name, ax in zip(tested, axes.flat, strict=False):
        check(result, name, ax=ax)
    for ax in axes.flat[len(tested) :]:
        ax.set_axis_off()
    return axes.reshape(-1)[: len(tested)]
