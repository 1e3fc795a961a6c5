"""Rankings: what the posterior says about who is better, and what it cannot separate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from jax import Array

from bayespref.comparisons import refuse
from bayespref.inference.fit import data_of
from bayespref.inference.program import Model
from bayespref.predictive import pairs_of, predict

ELO = 400 / np.log(10)
ELO_ORIGIN = 1000.0
MAX_MATRIX = 500


def worths(
    fit: xr.DataTree, *, name: str = "log_density", at: Mapping[str, int] | None = None
) -> xr.DataArray:
    """(sample, item) log-densities of a fit, chains joined; raises a ValueError where it has none.

    `at` picks one of several, {"class": 0} say.
    """
    if name not in fit["posterior"] or "item" not in fit["posterior"][name].dims:
        raise refuse(
            f"a ranking needs worths by item, site {name!r}",
            f"a fit of {fit.attrs.get('model')!r} with {sorted(map(str, fit['posterior'].data_vars))}",
            remedy="Rank a fit whose reward is over items.",
        )
    draws = fit["posterior"][name]
    several = [str(dim) for dim in draws.dims if dim not in ("chain", "draw", "item")]
    if set(at or {}) != set(several):
        raise refuse(
            f"a ranking is of one worth for each item, and {name!r} has one for each {' and '.join(several)}"
            if several
            else f"{name!r} has one worth for each item",
            f"at={dict(at or {})}",
            remedy=f"Rank one of them: at={{{several[0]!r}: 0}}." if several else "Leave at out.",
        )
    draws = draws.isel(at) if at else draws
    return draws.stack(sample=("chain", "draw")).transpose("sample", "item")


def ranking(
    fit: xr.DataTree,
    *,
    anchor: str | None = None,
    scale: str = "log-odds",
    prob: float = 0.89,
    separation: float = 0.95,
    name: str = "log_density",
    at: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Rank items by worth, with what the joint posterior says of each place.

    Args:
        fit: a fit whose reward is over items.
        anchor: the item whose worth is the origin; None centres worths on their mean.
        scale: "log-odds" (natural; probit units for probit models) or "elo" (400 / ln 10 points per unit of
            log-odds, the origin at 1000).
        prob: probability of the equal-tailed intervals.
        separation: items share a rank unless one is better with at least this posterior probability.
        name: the log-density site.
        at: which of several rankings a fit has: {"class": 0}, the largest class.

    Returns:
        A data frame by item, best first: `rank` (1 + number of items better with probability >=
        `separation`; ties are what the posterior cannot separate), `worth` (posterior mean), `lower`,
        `upper`, `rank_lower`, `rank_upper`, `p_best`; `attrs` state the intervals.

    Raises:
        ValueError: for an unknown anchor or scale, Elo points of a probit model, or a fit without worths.

    Example:
        >>> ranking(fit, scale="elo")  # doctest: +SKIP
    """
    draws = worths(fit, name=name, at=at)
    labels, values = draws["item"].values, draws.values.astype(np.float64)
    if scale not in ("log-odds", "elo"):
        raise refuse("a scale is 'log-odds' or 'elo'", repr(scale))
    if scale == "elo" and fit.attrs.get("choice") == "probit":
        raise refuse("Elo points count log-odds", "a probit model, whose worths are in units of its noise")
    if anchor is not None and anchor not in labels:
        raise refuse(
            "the anchor is an item of the fit",
            repr(anchor),
            remedy=f"Items: {', '.join(map(str, labels[:8]))}, ...",
        )
    origin = values.mean(1) if anchor is None else values[:, list(labels).index(anchor)]
    relative = values - origin[:, None]
    if scale == "elo":
        relative = ELO * relative + ELO_ORIGIN
    better = _better(values)
    rank_of = (-values).argsort(1).argsort(1) + 1
    tail = (1 - prob) / 2
    lower, upper = np.quantile(relative, [tail, 1 - tail], axis=0)
    rank_lower, rank_upper = np.quantile(rank_of, [tail, 1 - tail], axis=0, method="nearest")
    table = pd.DataFrame(
        {
            "rank": 1 + (better >= separation).sum(0),
            "worth": relative.mean(0),
            "lower": lower,
            "upper": upper,
            "rank_lower": rank_lower.astype(int),
            "rank_upper": rank_upper.astype(int),
            "p_best": np.bincount(values.argmax(1), minlength=len(labels)) / len(values),
        },
        index=pd.Index(labels, name="item"),
    )
    table.attrs = {
        "scale": scale,
        "origin": anchor or "mean of items",
        "interval": f"equal-tailed, {prob:g}",
        "separation": separation,
    }
    return table.sort_values(["worth"], ascending=False)


def _better(values: np.ndarray) -> np.ndarray:
    """(m, m) share of draws in which the row's item is worth more than the column's."""
    return np.stack([(values[:, [index]] > values).mean(0) for index in range(values.shape[1])])


def superiority(
    fit: xr.DataTree, *, name: str = "log_density", at: Mapping[str, int] | None = None
) -> xr.DataArray:
    """(item, item_other) posterior probability that A is better than B: P(r_A > r_B | answers).

    Not the probability that A wins the next answer: that is `win_probability`.

    Args:
        fit: a fit whose reward is over items.
        name: the log-density site.
        at: which of several a fit has: {"class": 0}.

    Raises:
        ValueError: for a fit without worths, or more than 500 items.

    Example:
        >>> superiority(fit).sel(item="a", item_other="b")  # doctest: +SKIP
    """
    draws = worths(fit, name=name, at=at)
    labels = draws["item"].values
    _check_size(len(labels))
    better = _better(draws.values)
    np.fill_diagonal(better, np.nan)
    return xr.DataArray(
        better,
        dims=("item", "item_other"),
        coords={"item": labels, "item_other": labels},
        name="p_better",
    )


def win_probability(key: Array, model: Model, fit: xr.DataTree) -> xr.Dataset:
    """(item, item_other) predictive probability that A wins the next answer against B.

    Averaged over the posterior, over both orders of presentation, and over new annotators where they
    differ. Of graded answers, any level on A's side is a win, and the middle level a tie. Not the
    probability that A is better: that is `superiority`.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit.
        fit: what an inference function returned.

    Returns:
        A dataset: `win`, and `tie` for models with ties.

    Raises:
        ValueError: for another model than the fit's, or more than 500 items.

    Example:
        >>> win_probability(jax.random.key(0), davidson, fit)["tie"]  # doctest: +SKIP
    """
    _check_size(fit["constant_data"].sizes["item"])
    pairs = pairs_of(fit)
    m, labels = pairs.items.size, pairs.items.labels
    predicted = predict(key, model, fit, pairs)["probability"].values
    if (levels := data_of(fit).levels) > 0:
        sides = predicted[:, : levels // 2].sum(1), predicted[:, (levels + 1) // 2 :].sum(1)
        predicted = np.stack([*sides, *([predicted[:, levels // 2]] if levels % 2 else [])], 1)
    assert labels is not None  # predict refuses items without labels
    first, second = np.asarray(pairs.shown).T
    chosen = np.full((2, m, m), np.nan)
    chosen[0, first, second] = predicted[:, 0]
    chosen[1, second, first] = predicted[:, 1]
    dims, coords = ("item", "item_other"), {"item": labels.astype(str), "item_other": labels.astype(str)}
    variables = {"win": (dims, chosen.mean(0))}
    if predicted.shape[1] > 2:
        tied = np.full((m, m), np.nan)
        tied[first, second] = predicted[:, 2]
        variables["tie"] = (dims, (tied + tied.T) / 2)
    return xr.Dataset(variables, coords=coords)


def _check_size(items: int) -> None:
    if items > MAX_MATRIX:
        raise refuse(
            f"a matrix of pairs has at most {MAX_MATRIX} items",
            f"{items}",
            remedy="Use bayespref.predict on the pairs of interest.",
        )
