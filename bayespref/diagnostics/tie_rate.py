"""How often near-equals tie, and how often a model says they would."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jax import Array

from bayespref.comparisons import refuse
from bayespref.inference.fit import check_same_model, data_of
from bayespref.inference.program import Model
from bayespref.predictive import posterior_predictive


def ties(
    key: Array, model: Model, fit: xr.DataTree, *, bins: int = 8, draws: int = 200, prob: float = 0.89
) -> xr.Dataset:
    """Share of ties by how far apart two items are, |log p(a) - log p(b)|: observed and replicated.

    Ties that stay frequent far from equality, or that jump where a threshold ends, tell rules for ties
    apart: Davidson's falls off exponentially, Rao and Kupper's has a shoulder, habits of some annotators have
    a floor. Differences are of posterior mean worths, in log-odds; bins hold about equally many answers.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit, with worths by item and ties.
        fit: what an inference function returned.
        bins: how many.
        draws: replicated tables.
        prob: probability of the equal-tailed interval of replicated shares.

    Returns:
        A dataset over `bin`: `difference` (mean, log-odds), `answers`, `observed`, the share that tied,
        `predicted`, the mean of replicated shares, and `lower` and `upper`, their interval.

    Raises:
        ValueError: for answers about more than two items, or without ties, or worths by class.

    Example:
        >>> ties(key, davidson, fit).to_dataframe()  # doctest: +SKIP
    """
    check_same_model(model, fit)
    if bins < 1 or draws < 1 or not 0 < prob < 1:
        got = f"{bins} bins, {draws} draws, prob {prob}"
        raise refuse("bins and draws are 1 or more, prob lies between 0 and 1", got)
    data = data_of(fit).expanded()
    if data.k != 2 or data.response != "choice" or not data.has_ties:
        kind = f"{data.response} of {data.k}" if data.has_ties else "answers without a tie"
        raise refuse("shares of ties are of choices between two items, some tied", kind)
    worth = fit["posterior"].to_dataset().get("log_density")
    if worth is None or set(worth.dims) != {"chain", "draw", "item"}:
        found = "no log_density" if worth is None else f"log_density over {worth.dims[2:]}"
        raise refuse(
            "differences are of worths by item", found, remedy="Fit a model with one table of items."
        )
    mean = worth.mean(("chain", "draw")).values[np.asarray(data.shown)]
    difference = np.abs(mean[:, 0] - mean[:, 1])
    # Counted answers share a difference: distinct edges, as many as there can be.
    edges = np.unique(np.quantile(difference, np.linspace(0, 1, bins + 1)[1:-1]))
    where = np.searchsorted(edges, difference, side="right")
    kept, where, answers = np.unique(where, return_inverse=True, return_counts=True)
    replicated = posterior_predictive(key, model, fit, draws=draws, answers=len(data))
    tied = np.asarray(replicated["posterior_predictive"]["outcome"])[0] == data.k

    def share(happened: np.ndarray) -> np.ndarray:
        return np.bincount(where, weights=happened, minlength=len(kept)) / answers

    each = np.stack([share(row) for row in tied])
    lower, upper = np.quantile(each, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    values = {
        "difference": share(difference),
        "answers": answers,
        "observed": share(np.asarray(data.outcome) == data.k),
        "predicted": each.mean(0),
        "lower": lower,
        "upper": upper,
    }
    return xr.Dataset(
        {name: ("bin", value) for name, value in values.items()},
        attrs={"model": fit.attrs["model"], "prob": prob},
    )
