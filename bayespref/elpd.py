"""Expected log predictive density at the right unit, and comparisons of it.

A new answer by a known annotator and a new annotator are different questions; every result says which it
answers, and results on different units or data are not compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import warnings
from collections.abc import Mapping

import jax
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base.array import array_stats
from arviz_stats.loo import compare as arviz_compare
from arviz_stats.utils import ELPDDataLOO
from jax import Array
from scipy.special import logsumexp

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import check_same_model, data_of, latent_of, log_likelihood_of
from bayespref.inference.marginal import effects_of, integrated_log_likelihood
from bayespref.inference.program import Model, Values, answer_log_likelihood, map_draws
from bayespref.inference.refit import refitter

UNITS = {
    "comparison": "a new answer by a known annotator",
    "annotator": "all answers of a new annotator",
}
MAX_SINGLE_REFITS = 10
"""Units refitted one by one; more are left out in as many folds."""


@dataclasses.dataclass(kw_only=True, repr=False)
class Elpd(ELPDDataLOO):
    """An ArviZ ELPD with its unit: `elpd_i` has one entry for each unit, counted answers one by one.

    Attributes:
        unit: "comparison" or "annotator". data: digest of the answers judged.
        refitted: units whose smoothed weights were unreliable, judged by fitting without them.
        integration_se: standard error of `elpd` from integrating annotator effects, in nats.
    """

    unit: str = "comparison"
    data: str = ""
    refitted: int = 0
    integration_se: float = 0.0

    def __str__(self) -> str:
        """The figures and the question they answer."""
        text = (
            f"elpd {self.elpd:.1f} (SE {self.se:.1f}) in nats, {self.n_data_points:,} units\n"
            f"unit: {self.unit} ({UNITS[self.unit]})\n"
            f"effective parameters: {self.p:.1f}"
        )
        if self.refitted:
            text += f"\nrefitted without: {self.refitted} unit(s) with k-hat > {self.good_k:.2f}"
        if self.integration_se:
            text += f"\nintegration error: {self.integration_se:.2f}"
        return text

    __repr__ = __str__


def loo(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    *,
    by: str = "comparison",
    draws: int = 1000,
    points: int = 256,
    proposal: str = "student",
) -> Elpd:
    """Leave-one-out expected log predictive density: sum over units of log p(unit | all other units).

    By comparison, the unit is one answer, and the question a new answer by a known annotator; identical
    answers share one computation and are weighted by their count. By annotator, the unit is everything an
    annotator said, effects integrated out, and the question a new annotator: the one to compare
    populations by. Pareto-smoothed importance sampling (Vehtari, Gelman and Gabry, 2017); units with
    unreliable weights are judged by fitting again without them, one by one up to 10, else in 10 folds.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit, with its options.
        fit: what an inference function returned.
        by: "comparison" or "annotator".
        draws: posterior draws used by annotator (evenly thinned).
        points: integration points for an annotator's effects, a power of two.
        proposal: "student" or "normal", for the same integral.

    Returns:
        An `Elpd`, which `compare` and `arviz.compare` take.

    Raises:
        ValueError: for another model than the fit's, an unknown unit, or answers without annotators.

    Example:
        >>> loo(jax.random.key(0), bradley_terry, fit, by="annotator")  # doctest: +SKIP
    """
    if by not in UNITS:
        raise refuse(f"a unit is one of {sorted(UNITS)}", repr(by))
    check_same_model(model, fit)
    comparisons = data_of(fit)
    if by == "comparison":
        return _by_comparison(key, model, fit, comparisons)
    comparisons.by_annotator()
    return _by_annotator(key, model, fit, comparisons, draws=draws, points=points, proposal=proposal)


def _psis(log_likelihood: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pointwise elpd, k-hat and log predictive density of (s, u) log-likelihoods."""
    values = log_likelihood.astype(np.float64)
    log_weights, khat = array_stats.psislw(values, axis=0)  # draws move to the last axis
    elpd = np.asarray(logsumexp(log_weights + values.T, axis=-1))
    return elpd, np.asarray(khat), _log_mean(values)


def _good_k(draws: int) -> float:
    return min(1 - 1 / math.log10(draws), 0.7)


def _by_comparison(key: Array, model: Model, fit: xr.DataTree, comparisons: Comparisons) -> Elpd:
    values = log_likelihood_of(model, fit)
    elpd, khat, lpd = _psis(values)
    bad = np.flatnonzero(khat > _good_k(len(values)))
    if len(bad):

        @jax.jit
        def score(comparisons: Comparisons, latent: Values) -> Array:
            return map_draws(lambda draw: answer_log_likelihood(model, comparisons, draw), latent)

        refit = refitter(model, fit, comparisons)
        for index, fold in enumerate(_folds(bad)):
            left_out = np.zeros(len(comparisons))
            left_out[fold] = 1
            latent = refit(jax.random.fold_in(key, index), left_out)
            elpd[fold] = _log_mean(np.asarray(score(comparisons, latent))[:, fold])
    count = np.asarray(comparisons.count)
    spread = [np.repeat(x, count) for x in (elpd, np.where(khat > _good_k(len(values)), 0.0, khat), lpd)]
    return _result("comparison", comparisons, *spread, draws=len(values), refitted=len(bad))


def _by_annotator(key, model, fit, comparisons, *, draws: int, points: int, proposal: str) -> Elpd:
    integrate_key, refit_key = jax.random.split(key)
    effects = effects_of(model, comparisons, fit)

    def integrated(latent: Values, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        return integrated_log_likelihood(
            integrate_key, model, comparisons, thin(latent, wanted), effects, points=points, proposal=proposal
        )

    values, errors = integrated(latent_of(fit), draws)
    elpd, khat, lpd = _psis(values)
    bad = np.flatnonzero(khat > _good_k(len(values)))
    if len(bad):
        refit = refitter(model, fit, comparisons)
        annotator, count = np.asarray(comparisons.annotator), np.asarray(comparisons.count)
        for index, fold in enumerate(_folds(bad)):
            latent = refit(jax.random.fold_in(refit_key, index), np.where(np.isin(annotator, fold), count, 0))
            elpd[fold] = _log_mean(integrated(latent, draws)[0][:, fold])
    khat = np.where(np.isin(np.arange(len(khat)), bad), 0.0, khat)
    answered = np.bincount(np.asarray(comparisons.annotator), minlength=len(khat)) > 0
    result = _result(
        "annotator",
        comparisons,
        *(x[answered] for x in (elpd, khat, lpd)),
        draws=len(values),
        refitted=len(bad),
    )
    result.integration_se = float(np.sqrt(np.sum(np.mean(errors**2, 0))))
    if comparisons.annotators.labels is not None:
        result.elpd_i = result.elpd_i.assign_coords(
            annotator=comparisons.annotators.labels[answered].astype(str)
        )
    return result


def thin(latent: Values, wanted: int) -> Values:
    """Evenly spaced draws, at most `wanted`."""
    total = len(next(iter(latent.values())))
    index = np.unique(np.linspace(0, total - 1, min(wanted, total)).astype(int))
    return {name: value[index] for name, value in latent.items()}


def _folds(bad: np.ndarray) -> list[np.ndarray]:
    """Units left out together: alone if they are few, else in folds."""
    return np.array_split(bad, min(len(bad), MAX_SINGLE_REFITS))


def _log_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(logsumexp(values.astype(np.float64, copy=False), axis=0)) - math.log(len(values))


def _result(unit: str, comparisons: Comparisons, elpd, khat, lpd, *, draws: int, refitted: int) -> Elpd:
    n = len(elpd)
    dim = "answer" if unit == "comparison" else "annotator"
    return Elpd(
        elpd=float(elpd.sum()),
        se=float(np.sqrt(n * elpd.var())),
        p=float((lpd - elpd).sum()),
        n_samples=draws,
        n_data_points=n,
        scale="log",
        warning=False,
        good_k=_good_k(draws),
        elpd_i=xr.DataArray(elpd, dims=dim, name="elpd_i"),
        pareto_k=xr.DataArray(khat, dims=dim, name="pareto_k"),
        unit=unit,
        data=data_digest(comparisons),
        refitted=refitted,
    )


def data_digest(comparisons: Comparisons) -> str:
    """A digest of the answers: equal for fits to the same data."""
    digest = hashlib.sha256()
    for value in jax.tree.leaves(
        (comparisons.shown, comparisons.outcome, comparisons.annotator, comparisons.count)
    ):
        digest.update(np.ascontiguousarray(np.asarray(value, np.int64)).tobytes())
    return digest.hexdigest()[:16]


def compare(results: Mapping[str, Elpd]) -> pd.DataFrame:
    """Rank fits by expected log predictive density, with the standard error of each difference.

    Args:
        results: name -> result of `loo`, all at one unit on the same answers.

    Returns:
        A data frame, best first: elpd, se, elpd_diff (to the best), dse (its standard error), p (effective
        parameters), weight (stacking), unit. `conclusion` says it in words.

    Raises:
        ValueError: for fewer than two results, different units, or different data.

    Example:
        >>> compare({"pooled": pooled_loo, "hurried": hurried_loo})  # doctest: +SKIP
    """
    if len(results) < 2:
        raise refuse("a comparison takes at least two fits", str(len(results)))
    for name, result in results.items():
        if not isinstance(result, Elpd):
            raise refuse("compare takes results of bayespref.loo", f"a {type(result).__name__} for {name!r}")
    for what in ("unit", "data"):
        kinds = {name: getattr(result, what) for name, result in results.items()}
        if len(set(kinds.values())) > 1:
            raise refuse(
                f"results that are compared share one {what}",
                str(kinds),
                remedy="Call loo with the same by=..."
                if what == "unit"
                else "Fit all models to the same answers.",
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # order-statistics advice for 11 models and more
        table = arviz_compare(dict(results), round_to="none")
    table = table[["rank", "elpd", "se", "elpd_diff", "dse", "p", "weight"]].copy()
    table["unit"] = next(iter(results.values())).unit
    return table


def conclusion(table: pd.DataFrame) -> str:
    """Say in words which fit the answers support, and by how much.

    A difference counts when it exceeds 4 nats and 2 standard errors (Sivula et al., 2025).

    Args:
        table: what `compare` returned.

    Example:
        >>> conclusion(compare({"pooled": pooled_loo, "hurried": hurried_loo}))  # doctest: +SKIP
    """
    unit = str(table["unit"].iloc[0])
    best, others = table.index[0], table.iloc[1:]
    close = [name for name, row in others.iterrows() if not _separated(row)]
    question = f"Judged by {unit} ({UNITS[unit]})"
    second = others.iloc[0]
    gap = f"{-second['elpd_diff']:.1f} nats (SE {second['dse']:.1f})"
    if not close:
        ratio = -second["elpd_diff"] / max(second["dse"], 1e-12)
        return f"{question}, the answers support {best}: ahead of {others.index[0]} by {gap}, {ratio:.1f} SE."
    named = ", ".join(str(name) for name in close)
    return (
        f"{question}, the answers do not separate {best} from {named}: ahead of "
        f"{others.index[0]} by only {gap}. Prefer the simpler."
    )


def _separated(row: pd.Series) -> bool:
    return bool(-row["elpd_diff"] > 4 and -row["elpd_diff"] > 2 * row["dse"])
