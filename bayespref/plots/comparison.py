"""How far fits are apart in predicting what they have not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayespref.comparisons import refuse
from bayespref.elpd import UNITS
from bayespref.plots._canvas import caption, draw_rows, rows_canvas


def comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw differences in expected log predictive density to the best fit, best first.

    Thick lines are one standard error of the difference to either side, thin ones two. A difference counts
    when it exceeds two standard errors and 4 nats (`bayespref.conclusion`).

    Args:
        table: what `bayespref.compare` returned.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: for another table, or differences that are not finite.

    Example:
        >>> comparison(compare({"pooled": pooled_loo, "hurried": hurried_loo}))  # doctest: +SKIP
    """
    _check(table)
    table = table.sort_values("elpd_diff", ascending=False, kind="stable")
    difference, error = table["elpd_diff"].to_numpy(float), table["dse"].to_numpy(float)
    unit = str(table["unit"].iloc[0])

    ax = rows_canvas(ax, list(table.index))
    intervals = [(difference - n * error, difference + n * error, f"±{n} SE") for n in (2, 1)]
    draw_rows(ax, difference, intervals, labels=list(table.index))
    caption(
        ax,
        "elpd difference to the best (nats)",
        "±1 and ±2 standard errors of the difference",
        f"by {unit}{f': {UNITS[unit]}' if unit in UNITS else ''}",
    )
    return ax


def _check(table: pd.DataFrame) -> None:
    needed = ["elpd_diff", "dse", "unit"]
    if not isinstance(table, pd.DataFrame) or (missing := [name for name in needed if name not in table]):
        got = f"a table without {missing}" if isinstance(table, pd.DataFrame) else f"a {type(table).__name__}"
        raise refuse(
            "a comparison is drawn from a table of bayespref.compare", got, remedy="Pass compare({...})."
        )
    if len(table) < 2:
        raise refuse("a comparison has at least two fits", f"{len(table)}")
    if not np.isfinite(table["elpd_diff"].to_numpy(float)).all():
        raise refuse("differences in elpd are finite", f"{table['elpd_diff'].to_dict()}")
