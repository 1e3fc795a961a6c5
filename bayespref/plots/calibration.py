"""Do outcomes happen as often as they are predicted?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from scipy.optimize import isotonic_regression

from bayespref.comparisons import refuse
from bayespref.plots._canvas import COLOURS, GREY, canvas, check_prob, percent

MIN_DRAWS, BAND = 20, 0.18


def calibration(
    replicated: xr.DataTree, *, outcome: int | None = None, prob: float = 0.89, ax: Axes | None = None
) -> Axes:
    """Draw observed shares of an outcome against its predicted probability.

    The curve is the isotonic regression of what was answered on what was predicted (pool adjacent
    violators; Dimitriadis, Gneiting and Jordan, 2021). The band is where the same curve lies for answers
    that the model replicates: a curve that leaves it tells of wrong probabilities. That holds where single
    answers hardly move the fit. Where effects by annotator rest on few answers each, every answer pulls its
    own prediction along, and the curve of a good model is too steep; `bayespref.loo` judges those.

    Of two outcomes the larger is drawn (for pairs, 1: the second shown was chosen); of more, each against
    the rest. Unlike ArviZ's `plot_ppc_pava`, equal predictions are pooled, and no replicate helps to order
    its own answers; with few different predictions, a good model looks wrong otherwise.

    Args:
        replicated: what `bayespref.posterior_predictive` returned.
        outcome: draw this outcome against the rest.
        prob: probability of the band, pointwise.
        ax: where to draw; None makes a figure.

    Returns:
        The Axes drawn on.

    Raises:
        ValueError: without replicated answers, for rankings, or for more outcomes than colours.

    Example:
        >>> calibration(posterior_predictive(key, davidson, fit), outcome=2)  # doctest: +SKIP
    """
    check_prob(prob)
    draws, observed = _answers(replicated)
    outcomes = [int(value) for value in np.union1d(draws, observed)]
    drawn = _chosen(outcomes, outcome)

    ax = canvas(ax, width=4.6, height=4.6)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="calibrated", zorder=1)
    for value, colour in zip(drawn, COLOURS, strict=False):
        predicted, share, lower, upper = _curve(draws == value, observed == value, prob)
        name = "observed" if len(drawn) == 1 else f"outcome {value}"
        ax.fill_between(predicted, lower, upper, color=colour, alpha=BAND, linewidth=0)
        ax.plot(predicted, share, color=colour, linewidth=1.5, label=name, zorder=3)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    of = f"outcome {drawn[0]}" if len(drawn) == 1 else "each outcome"
    ax.set_xlabel(f"predicted probability of {of}")
    ax.set_ylabel("observed share")
    band = Patch(
        color=COLOURS[0] if len(drawn) == 1 else GREY, alpha=BAND, label=f"{percent(prob)} of replicates"
    )
    ax.legend(handles=[*ax.lines, band], loc="upper left", frameon=False, fontsize="small")
    return ax


def _answers(replicated: xr.DataTree) -> tuple[np.ndarray, np.ndarray]:
    """(sample, answer) replicated outcomes and (answer,) observed ones."""
    try:
        draws = replicated["posterior_predictive"].to_dataset()["outcome"].stack(sample=("chain", "draw"))
        observed = replicated["observed_data"].to_dataset()["outcome"]
    except (KeyError, TypeError, AttributeError) as error:
        raise refuse(
            "a calibration takes replicated and observed outcomes",
            f"a {type(replicated).__name__} without them",
            remedy="Pass what bayespref.posterior_predictive returned.",
        ) from error
    if observed.ndim != 1:
        raise refuse(
            "calibration is of outcomes that are one number for each answer", f"outcomes over {observed.dims}"
        )
    if draws.sizes["sample"] < MIN_DRAWS:
        raise refuse(f"a band takes at least {MIN_DRAWS} replicates", f"{draws.sizes['sample']}")
    return draws.transpose("sample", *observed.dims).to_numpy(), observed.to_numpy()


def _chosen(outcomes: list[int], outcome: int | None) -> list[int]:
    """The outcomes drawn."""
    if outcome is not None and outcome not in outcomes:
        raise refuse(f"outcome is one of {outcomes}", f"{outcome}")
    if len(outcomes) < 2:
        raise refuse("a calibration is of at least two outcomes", f"{outcomes}")
    if outcome is not None:
        return [outcome]
    if len(outcomes) > len(COLOURS):
        raise refuse(
            f"at most {len(COLOURS)} outcomes fit in one picture",
            f"{len(outcomes)}",
            remedy="Draw one at a time with outcome=...",
        )
    return outcomes[-1:] if len(outcomes) == 2 else outcomes


def _curve(draws: np.ndarray, observed: np.ndarray, prob: float) -> tuple[np.ndarray, ...]:
    """Predicted probabilities in order, observed share at each, and the band of replicates' shares.

    A replicate is ordered by the mean of all others: by its own answers it would look better calibrated
    than any data can.
    """
    total = draws.sum(0)
    replicates = np.stack([_isotonic(total - draw, draw) for draw in draws])
    lower, upper = np.quantile(replicates, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return np.sort(total) / len(draws), _isotonic(total, observed), lower, upper


def _isotonic(forecast: np.ndarray, happened: np.ndarray) -> np.ndarray:
    """Share of what happened, non-decreasing in the forecast; equal forecasts are one point. Sorted."""
    _, place, count = np.unique(forecast, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=happened) / count
    return np.repeat(isotonic_regression(share, weights=count).x, count)
