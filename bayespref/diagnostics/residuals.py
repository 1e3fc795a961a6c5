"""What a fit leaves unexplained: of every pair of items, and of every two annotators alike."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from bayespref.checks.design import _parts
from bayespref.comparisons import Comparisons, refuse
from bayespref.elpd import thin
from bayespref.inference.fit import check_same_model, data_of, latent_of
from bayespref.inference.program import Model, Values, run
from bayespref.losses import refuse_loss
from bayespref.populations import LatentClasses
from bayespref.ranks import _check_size

DRAWS = 200
"""Posterior draws that an expected answer is the mean of."""


def pair_residuals(model: Model, fit: xr.DataTree) -> xr.Dataset:
    """How often items won against each other, next to how often the fit expects it.

    Expected are posterior mean probabilities, of the annotators who answered. A tie, none of them, or a third
    item chosen counts half a win for either; of graded answers, any level on an item's side is a win. The fit
    saw these answers, so residuals scatter a little less than chance: most lie within -2 and 2.

    Args:
        model: the model that made the fit.
        fit: what an inference function returned.

    Returns:
        A dataset over (item, item_other), the worthiest first: `observed` and `expected` shares of wins of
        the first against the second, `residual`, their difference in standard deviations of chance, and
        `answers`. NaN where two were never compared.

    Raises:
        ValueError: for rankings, losses, another model than the fit's, or more than 500 items.

    Example:
        >>> pair_residuals(bradley_terry, fit)["residual"].sel(item="ash")  # doctest: +SKIP
    """
    data, probs, credit = _expected(model, fit)
    m = data.items.size
    _check_size(m)
    shown, count = np.asarray(data.shown), np.asarray(data.count, np.float64)
    sums = np.zeros((4, m, m))  # answers, wins, expected wins, their variance
    for i, j in zip(*np.triu_indices(data.k, 1), strict=True):
        lead = (1 + credit[:, i] - credit[:, j]) / 2
        mean = probs @ lead
        each = np.stack([np.ones(len(data)), lead[np.asarray(data.outcome)], mean, probs @ lead**2 - mean**2])
        there = (shown[:, i] >= 0) & (shown[:, j] >= 0)
        a, b, each = shown[there, i], shown[there, j], (count * each)[:, there]
        for total, own, other in zip(sums, each, each * [[1], [-1], [-1], [1]], strict=True):
            np.add.at(total, (a, b), own)
            np.add.at(total, (b, a), other)
        for total in sums[1:3]:
            np.add.at(total, (b, a), count[there])
    answers, wins, mean, variance = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        observed, expected = wins / answers, mean / answers
        residual = np.where(variance > 0, (wins - mean) / np.sqrt(variance), np.nan)
    order = _best_first(fit, expected)
    values = {"observed": observed, "expected": expected, "residual": residual, "answers": answers}
    dims, labels = ("item", "item_other"), _labels(data.items.labels, m)[order]
    return xr.Dataset(
        {name: (dims, value[np.ix_(order, order)]) for name, value in values.items()},
        coords={dim: labels for dim in dims},
        attrs={"model": fit.attrs["model"]},
    )


def annotator_agreement(model: Model, fit: xr.DataTree, *, most: int = 150) -> xr.DataArray:
    """How much every two annotators agree in what the fit does not expect of them.

    An annotator's residual is a vector: over their answers, what was chosen less its probability, summed by
    item (the 64 shown most often; by feature or region where there are more). Two annotators agree by the
    product of their vectors, in standard deviations of chance: a correlation would be 1 or -1 by chance alone
    for people with few answers. Camps are blocks; a fit that knows the camps leaves none.

    Args:
        model: the model that made the fit.
        fit: what an inference function returned, of answers by annotators.
        most: how many annotators at most, those with the most answers.

    Returns:
        (annotator, annotator_other) agreement, ordered along its leading eigenvector, which is the coordinate
        `leading`; NaN on the diagonal and for two who never saw a thing in common. `attrs` say of how
        many annotators these are.

    Raises:
        ValueError: for rankings, losses, another model than the fit's, or fewer than two annotators.

    Example:
        >>> annotator_agreement(bradley_terry, fit).sel(annotator="ann")  # doctest: +SKIP
    """
    data, probs, credit = _expected(model, fit)
    who, count = np.asarray(data.by_annotator()), np.asarray(data.count, np.float64)
    assert data.annotators is not None
    each = np.bincount(who, count, data.annotators.size)
    chosen = np.argsort(-each, kind="stable")[: min(most, int((each > 0).sum()))]
    if len(chosen) < 2:
        raise refuse("agreement is between two annotators or more", f"{len(chosen)}")
    parts = np.asarray(_parts(data, np.asarray(data.count))[0], np.float64)
    left = credit[np.asarray(data.outcome)] - probs @ credit
    vectors = np.zeros((len(chosen), parts.shape[-1]))
    spread = np.zeros((len(chosen), parts.shape[-1] ** 2))
    for place, annotator in enumerate(chosen):
        rows = np.flatnonzero(who == annotator)
        own, weight = parts[rows], count[rows]
        vectors[place] = np.einsum("n,nk,nkq->q", weight, left[rows], own)
        within = _covariance(probs[rows], credit) * weight[:, None, None]
        spread[place] = np.einsum("nkp,nkq->pq", own, within @ own).reshape(-1)
    scale = np.sqrt(np.maximum(spread @ spread.T, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = np.where(scale > 1e-9 * scale.max(), vectors @ vectors.T / scale, np.nan)
    np.fill_diagonal(agreement, np.nan)
    leading = np.linalg.eigh(np.nan_to_num(agreement))[1][:, -1]
    order = np.argsort(-leading, kind="stable")
    labels = _labels(data.annotators.labels, data.annotators.size)[chosen][order]
    return xr.DataArray(
        agreement[np.ix_(order, order)],
        dims=("annotator", "annotator_other"),
        coords={"annotator": labels, "annotator_other": labels, "leading": ("annotator", leading[order])},
        name="agreement",
        attrs={"model": fit.attrs["model"], "annotators": int((each > 0).sum())},
    )


def _expected(model: Model, fit: xr.DataTree) -> tuple[Comparisons, np.ndarray, np.ndarray]:
    """The data, (n, outcomes) posterior mean probabilities, (outcomes, k) what an outcome credits."""
    check_same_model(model, fit)
    refuse_loss(fit, "residuals of answers")
    data = data_of(fit)
    if data.response == "ranking":
        raise refuse(
            "residuals are of choices and graded answers",
            "rankings",
            remedy="Read them as choices of the best of what was shown.",
        )
    latent = thin(latent_of(fit), DRAWS)

    @jax.jit
    def mean(data: Comparisons, latent: Values) -> Array:
        def one(values: Values) -> Array:
            answers = run(model, data, values)["outcome"]["fn"]
            if isinstance(answers, LatentClasses):
                assert data.outcome is not None
                answers = answers.given(answers.membership(data.outcome))
            return jnp.exp(answers.outcome_log_probs())

        first = jax.tree.map(lambda value: value[0], latent)
        total = jnp.zeros(jax.eval_shape(one, first).shape)
        total, _ = jax.lax.scan(lambda total, values: (total + one(values), None), total, latent)
        return total / len(jax.tree.leaves(latent)[0])

    probs = np.asarray(mean(data, latent), np.float64)
    return data, probs, _credit(data, probs.shape[1])


def _credit(data: Comparisons, outcomes: int) -> np.ndarray:
    """(outcomes, k) share of a win that each outcome gives to each thing shown."""
    if data.response == "graded":
        first = np.clip(np.sign(outcomes - 1 - 2 * np.arange(outcomes)) / 2 + 0.5, 0, 1)
        return np.stack([first, 1 - first], 1)
    credit = np.zeros((outcomes, data.k))
    credit[: data.k] = np.eye(data.k)
    credit[data.k : data.k + 1] = 1 / data.k
    return credit


def _covariance(probs: np.ndarray, credit: np.ndarray) -> np.ndarray:
    """(n, k, k) covariance of the credits of an answer."""
    mean = probs @ credit
    return np.einsum("no,oi,oj->nij", probs, credit, credit) - mean[:, :, None] * mean[:, None, :]


def _best_first(fit: xr.DataTree, expected: np.ndarray) -> np.ndarray:
    """Items by posterior mean worth; where a fit has no single one, by the mean of their expected shares."""
    worth = fit["posterior"].to_dataset().get("log_density")
    if worth is not None and set(worth.dims) == {"chain", "draw", "item"}:
        return np.argsort(-worth.mean(("chain", "draw")).values, kind="stable")
    known = ~np.isnan(expected)
    mean = np.where(known, expected, 0).sum(1) / np.maximum(known.sum(1), 1)
    return np.argsort(-mean, kind="stable")


def _labels(labels: np.ndarray | None, size: int) -> np.ndarray:
    return np.arange(size).astype(str) if labels is None else labels.astype(str)
