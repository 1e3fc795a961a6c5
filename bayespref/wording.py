"""Results as rows and sentences: what the command line prints and the report writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayespref.checks.verdict import Check
from bayespref.elpd import UNITS, Elpd

PROB = 0.89
"""Probability of intervals, as in `ranking`."""
SMALL = 20
"""Elements up to which a quantity is listed."""

Rows = list[dict[str, str]]


def unit_of(fits: Iterable[xr.DataTree]) -> str:
    """The unit to compare fits by: annotators where all the data know them."""
    return "annotator" if all("answered_by" in fit["constant_data"] for fit in fits) else "comparison"


def quantities(fit: xr.DataTree) -> Rows:
    """Mean, standard deviation and interval of the fit's small quantities, none of them by annotator."""
    from arviz_stats.summary import summary

    small = _small(fit["posterior"].to_dataset())
    if not small:
        return []
    posterior = xr.DataTree.from_dict({"posterior": small})
    table = summary(posterior, ci_prob=PROB, ci_kind="eti", round_to="none")
    assert isinstance(table, pd.DataFrame)
    lower, upper = table.columns[2:4]
    sampled = fit.attrs.get("method") == "nuts"
    rows = []
    for label, row in zip(table.index, table.to_dict("records"), strict=True):
        decimals = decimals_of(row["sd"])
        interval = f"[{number(row[lower], decimals)}, {number(row[upper], decimals)}]"
        known = {
            "quantity": str(label),
            "mean": number(row["mean"], decimals),
            "sd": number(row["sd"], decimals),
        }
        trust = {"ESS": f"{row['ess_bulk']:,.0f}", "R-hat": f"{row['r_hat']:.3f}"} if sampled else {}
        rows.append({**known, f"{PROB:.0%} interval": interval, **trust})
    return rows


def _small(posterior: xr.Dataset) -> xr.Dataset:
    """Quantities of few elements that vary: of correlations each pair once, no worths by item."""
    kept = {}
    for name, value in posterior.data_vars.items():
        if "annotator" in value.dims or (name == "log_density" and "item" in value.dims):
            continue
        if value.ndim == 4 and value.dims[3] == f"{value.dims[2]}_other":
            value = _pairs(value)
        if math.prod(value.shape[2:]) <= SMALL and bool((value.std(("chain", "draw")) > 0).all()):
            kept[name] = value
    return xr.Dataset(kept)


def _pairs(matrix: xr.DataArray) -> xr.DataArray:
    """The elements above the diagonal of a (chain, draw, x, x_other) matrix."""
    dim = matrix.dims[2]
    first, second = np.triu_indices(matrix.sizes[dim], 1)
    labels = matrix[dim].values
    names = [f"{labels[i]}, {labels[j]}" for i, j in zip(first, second, strict=True)]
    values = matrix.values[:, :, first, second]
    return xr.DataArray(values, dims=("chain", "draw", f"{dim}_pair"), coords={f"{dim}_pair": names})


def decimals_of(sd: float) -> int:
    """Decimals that show two digits of a standard deviation."""
    return int(np.clip(1 - math.floor(math.log10(sd)), 0, 6)) if sd > 0 and math.isfinite(sd) else 2


def number(value: float, decimals: int) -> str:
    """A number with that many decimals, and no negative zero."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def probability(value: float) -> str:
    """Two digits; what would round to certainty is said to be short of it."""
    if value < 0.005:
        return "<0.01"
    return ">0.99" if value >= 0.995 else f"{value:.2f}"


def ranking_rows(table: pd.DataFrame) -> Rows:
    """A ranking as text, shared ranks marked with =."""
    decimals = 0 if table.attrs["scale"] == "elo" else 2
    shared = table["rank"].duplicated(keep=False)
    rows = []
    for item, row, tied in zip(table.index, table.to_dict("records"), shared, strict=True):
        low, high = int(row["rank_lower"]), int(row["rank_upper"])
        rows.append(
            {
                "rank": f"{'=' if tied else ''}{row['rank']:.0f}",
                "item": str(item),
                "worth": number(row["worth"], decimals),
                "interval": f"[{number(row['lower'], decimals)}, {number(row['upper'], decimals)}]",
                "rank interval": f"{low}" if low == high else f"{low} to {high}",
                "P(best)": probability(row["p_best"]),
            }
        )
    return rows


def ranking_note(table: pd.DataFrame) -> str:
    """What the columns of a ranking mean."""
    attrs = table.attrs
    unit = "Elo points (400 / ln 10 per unit of log-odds)" if attrs["scale"] == "elo" else attrs["scale"]
    origin = "the mean of items" if attrs["origin"] == "mean of items" else attrs["origin"]
    at = f"with {origin} at 1000" if attrs["scale"] == "elo" else f"relative to {origin}"
    interval = str(attrs["interval"]).replace(", ", " with probability ")
    return (
        f"Worth in {unit}, {at}. Intervals are {interval}. An item's rank is 1 + the number of items better "
        f"than it with probability {attrs['separation']:g} or more; a shared rank (=) is a tie that the "
        "posterior cannot separate. P(best) is the posterior probability that the item is the best of all, "
        "not that it wins an answer."
    )


def check_note(check: Check) -> str:
    """What the columns of a table of checks mean."""
    return (
        "surprise: how far out a check is among answers replicated from the fit, in standard deviations. p: "
        "share of those that are as far out. adjusted p: the same for all checks together; a check fails at "
        f"{check.alpha:g} or less. What is in line has an estimated size that chance explains. What has p "
        "alone tells of a misfit, but not of its cause."
    )


def comparison_rows(table: pd.DataFrame) -> Rows:
    """A comparison of fits as text, best first."""
    rows = []
    for place, (name, row) in enumerate(zip(table.index, table.to_dict("records"), strict=True)):
        rows.append(
            {
                "fit": str(name),
                "elpd": number(row["elpd"], 1),
                "SE": number(row["se"], 1),
                "difference": number(row["elpd_diff"], 1) if place else "",
                "SE of it": number(row["dse"], 1) if place else "",
                "p": number(row["p"], 1),
                "weight": number(row["weight"], 2),
            }
        )
    return rows


def comparison_note(judged: Mapping[str, Elpd]) -> str:
    """What the columns of a comparison mean, and how it was computed."""
    first = next(iter(judged.values()))
    text = (
        f"elpd: expected log predictive density in nats, leaving out each {first.unit} in turn "
        f"({UNITS[first.unit]}); {first.n_data_points:,} in all. difference: to the best. p: effective "
        "number of parameters. weight: stacking."
    )
    if refitted := {name: one.refitted for name, one in judged.items() if one.refitted}:
        units = ", ".join(f"{count} of {name}" for name, count in refitted.items())
        text += f" Fitted again without them, importance weights being unreliable: {units}."
    if error := max(one.integration_se for one in judged.values()):
        text += f" Annotators' effects are integrated out, with an error of at most {error:.2f} nats."
    return text
