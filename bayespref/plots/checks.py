"""Which assumptions about the annotators fail, at a glance."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes

from bayespref.checks.verdict import INTERVAL, Check
from bayespref.comparisons import refuse
from bayespref.plots._canvas import (
    BLUE,
    CHARACTER,
    GREY,
    PANEL,
    VERMILION,
    canvas,
    caption,
    inches_of,
    percent,
)

LINE, LABEL = 0.42, 31
"""Inches of a row, characters of a line of its label."""
SMALL = 0.85
"""Size of the small type, next to the usual one."""


def checks(check: Check, *, ax: Axes | None = None) -> Axes:
    """Draw every check of a fit: what was observed against what the model expects.

    A row is an assumption; its dot is the observed statistic, its band what replicated answers give, both in
    standard deviations from their mean. What fails is vermilion, with its p-value adjusted for all checks.
    Hollow dots are statistics that tell of a misfit but not of its cause, and are not judged. Grey rows were
    not tested, and say why.

    Args:
        check: what `bayespref.check` returned.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for something else.

    Example:
        >>> checks(bayespref.check(jax.random.key(0), bradley_terry, fit))  # doctest: +SKIP
    """
    require_check(check)
    names, words = [str(name) for name in check.table.index], check.words()
    ax = canvas(ax, width=PANEL + CHARACTER * LABEL + 0.4, height=LINE * max(len(names), 3) + 1.1)
    rows = np.array([names.index(name) for name in check.tested()], int)
    dots, low, high = standardised(check)
    adjusted, failing = check.table["adjusted_p"].to_numpy(float), check.failing()
    wrong = dots[np.isin(check.tested(), failing)]
    _set_view(ax, np.concatenate([dots, low, high]), len(names), wrong)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    ax.barh(rows, high - low, left=low, height=0.56, color=BLUE, alpha=0.2, linewidth=0, zorder=2)
    for row, dot in zip(rows, dots, strict=True):
        fails, judged = names[row] in failing, np.isfinite(adjusted[row])
        colour = VERMILION if fails else BLUE
        fill = colour if judged else "white"
        ax.plot(dot, row, "o", color=fill, markeredgecolor=colour, markersize=6, zorder=3)
        if fails:
            _beside(ax, dot, row, f"adjusted p {adjusted[row]:.3f}")
    for row in set(range(len(names))) - set(rows):
        _say_why(ax, row, str(check.table["needs"].iloc[row]))
    ax.set_yticks(range(len(names)), [textwrap.fill(words[name], LABEL) for name in names], fontsize="small")
    ax.tick_params(axis="y", length=0)
    for row, label in enumerate(ax.get_yticklabels()):
        label.set_color(VERMILION if names[row] in failing else "black" if row in rows else GREY)
    hollow = "" if np.isfinite(adjusted[rows]).all() else "; hollow: not judged by itself"
    caption(
        ax,
        "standard deviations from what the model expects",
        f"dot: observed, band: {percent(INTERVAL)} of replicated answers{hollow}",
    )
    return ax


def require_check(check: Check) -> None:
    """Refuse what is not the result of a check."""
    if not isinstance(check, Check):
        raise refuse("the picture takes what bayespref.check returned", f"a {type(check).__name__}")


def standardised(check: Check) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(c,) observed statistics, and both ends of the central band of replicates, in standard deviations.

    Mean and deviation are of observed and replicated together, as in the table's `surprise`.
    """
    joint = np.concatenate([check.observed[None], check.replicated])
    spread = joint.std(0)
    z = (joint - joint.mean(0)) / np.where(spread > 0, spread, 1.0)
    low, high = np.quantile(z[1:], [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    return z[0], low, high


def _set_view(ax: Axes, drawn: np.ndarray, rows: int, wrong: np.ndarray) -> None:
    """Show all that is drawn, with room beside the dots that are labelled, on the side away from zero."""
    low, high = min(drawn.min(initial=0.0), -3.0), max(drawn.max(initial=0.0), 3.0)
    room = 0.05 * (high - low)
    left, right = (8 if (side * wrong > 0).any() else 1 for side in (-1, 1))
    ax.set_xlim(low - left * room, high + right * room)
    ax.set_ylim(rows - 0.5, -0.5)


def _beside(ax: Axes, dot: float, row: int, text: str) -> None:
    side = 1 if dot > 0 else -1
    ax.annotate(
        *(text, (dot, row), (7 * side, 0)),
        textcoords="offset points",
        color=VERMILION,
        fontsize="small",
        ha="left" if side > 0 else "right",
        va="center",
    )


def _say_why(ax: Axes, row: int, needs: str) -> None:
    """Write into a row why it was not tested."""
    held = needs.removeprefix("nothing: ")
    text = f"not tested: {held}" if held != needs else f"not testable: needs {needs}"
    width = max(int(0.96 * inches_of(ax)[0] / (SMALL * 0.8 * CHARACTER)), 20)
    ax.text(
        *(0.02, row, textwrap.fill(text, width)),
        transform=ax.get_yaxis_transform(),
        color=GREY,
        fontsize="x-small",
        va="center",
        bbox={"facecolor": "white", "linewidth": 0, "pad": 1},
        zorder=4,
    )
