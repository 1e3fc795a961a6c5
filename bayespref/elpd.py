"""Expected log predictive density at the right unit, and comparisons of it.

A new answer by a known annotator and a new annotator are different questions; every result says which it
answers, and results on different units or data are not compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.loo import compare as arviz_compare
from arviz_stats.utils import ELPDDataLOO
from jax import Array
from scipy.special import logsumexp
from tqdm.auto import tqdm

from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.fit import check_same_model, data_of, latent_of, log_likelihood_of
from bayespref.inference.marginal import effects_of, integrated_log_likelihood
from bayespref.inference.program import Model, Values, answer_log_likelihood, map_draws
from bayespref.inference.refit import refitter
from bayespref.inference.trust import FitWarning
from bayespref.inference.weights import smooth
from bayespref.losses import refuse_loss

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
    refit: bool = True,
    progress: bool = True,
) -> Elpd:
    """Leave-one-out expected log predictive density: sum over units of log p(unit | all other units).

    By comparison, the unit is one answer, and the question a new answer by a known annotator; identical
    answers share one computation and are weighted by their count. By annotator, the unit is everything an
    annotator said, effects integrated out, and the question a new annotator: the one to compare
    populations by. Annotator effects are exactly the model's latent sites in plate `annotator`.

    Pareto-smoothed importance sampling (Vehtari, Gelman and Gabry, 2017); units with unreliable weights are
    judged by fitting again without them, one by one up to 10, else in 10 folds.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit, with its options.
        fit: what an inference function returned.
        by: "comparison" or "annotator".
        draws: posterior draws used by annotator (evenly thinned).
        points: integration points for an annotator's effects, a power of two.
        proposal: "student" or "normal", for the same integral.
        refit: fit again without units whose weights are unreliable; False keeps them, with a warning.
        progress: show a progress bar while fitting again.

    Returns:
        An `Elpd`, which `compare` and `arviz.compare` take.

    Raises:
        ValueError: for another model than the fit's, an unknown unit, or answers without annotators.

    Warns:
        FitWarning: for unreliable units that are not refitted.

    Example:
        >>> loo(jax.random.key(0), bradley_terry, fit, by="annotator")  # doctest: +SKIP
    """
    if by not in UNITS:
        raise refuse(f"a unit is one of {sorted(UNITS)}", repr(by))
    refuse_loss(fit, "leave-one-out predictive densities")
    check_same_model(model, fit)
    comparisons = data_of(fit)
    integrate_key, refit_key = jax.random.split(key)
    if by == "annotator":
        units = _annotators(integrate_key, model, fit, comparisons, draws, points, proposal)
    else:
        units = _answers(model, fit, comparisons)
    elpd, khat, lpd = _psis(units.values)
    bad = np.flatnonzero(khat > _good_k(len(units.values)))
    if len(bad) and refit:
        _refit(refit_key, model, fit, comparisons, units, bad, elpd, progress=progress)
        khat[bad] = 0.0
    elif len(bad):
        warnings.warn(
            f"{fit.attrs['model']}: {len(bad)} of {len(elpd)} units have k-hat > "
            f"{_good_k(len(units.values)):.2f}, so the elpd is unreliable: call loo with refit=True.",
            FitWarning,
            stacklevel=2,
        )
    result = _result(by, comparisons, units, elpd, khat, lpd)
    result.refitted = len(bad) if refit else 0
    return result


class Units(NamedTuple):
    """What is left out: (s, u) log-likelihoods of u units, and how to leave some out and score them.

    `left_out(fold)` is how many answers of each row go with those units, `score(latent)` their (s, u)
    log-likelihoods at other draws; `count` (u,) is how many identical units each stands for, `labels` name
    them, `errors` (s, u) are standard errors of the integral.
    """

    values: np.ndarray
    left_out: Callable[[np.ndarray], np.ndarray]
    score: Callable[[Values], np.ndarray]
    count: np.ndarray
    labels: np.ndarray | None = None
    errors: np.ndarray | None = None


def _answers(model: Model, fit: xr.DataTree, comparisons: Comparisons) -> Units:
    """Single answers; a row's identical answers share one computation."""

    @jax.jit
    def compute(comparisons: Comparisons, latent: Values) -> Array:
        return map_draws(lambda draw: answer_log_likelihood(model, comparisons, draw), latent)

    def left_out(fold: np.ndarray) -> np.ndarray:
        return np.bincount(fold, minlength=len(comparisons))

    values = log_likelihood_of(model, fit)
    count = np.asarray(comparisons.count)
    return Units(values, left_out, lambda latent: np.asarray(compute(comparisons, latent)), count)


def _annotators(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    comparisons: Comparisons,
    draws: int,
    points: int,
    proposal: str,
) -> Units:
    """All that each annotator said, effects integrated out; annotators without answers are no units."""
    annotator = np.asarray(comparisons.by_annotator())
    assert comparisons.annotators is not None
    count = np.asarray(comparisons.count)
    answered = np.unique(annotator)
    effects = effects_of(model, comparisons, fit)

    def integrate(latent: Values) -> tuple[np.ndarray, np.ndarray]:
        shared = thin(latent, draws)
        return integrated_log_likelihood(
            key, model, comparisons, shared, effects, points=points, proposal=proposal
        )

    values, errors = integrate(latent_of(fit))
    labels = comparisons.annotators.labels
    return Units(
        values[:, answered],
        lambda fold: np.where(np.isin(annotator, answered[fold]), count, 0),
        lambda latent: integrate(latent)[0][:, answered],
        np.ones(len(answered), int),
        None if labels is None else labels[answered].astype(str),
        errors[:, answered],
    )


def _refit(key, model, fit, comparisons, units: Units, bad: np.ndarray, elpd: np.ndarray, *, progress: bool):
    """Replace the elpd of unreliable units by that of fits without them."""
    again = refitter(model, fit, comparisons)
    folds = np.array_split(bad, min(len(bad), MAX_SINGLE_REFITS))
    bar = tqdm(folds, disable=not progress, desc=f"fitting without {len(bad)} unreliable units")
    for index, fold in enumerate(bar):
        latent = again(jax.random.fold_in(key, index), units.left_out(fold))
        elpd[fold] = _log_mean(units.score(latent)[:, fold])


def _psis(log_likelihood: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pointwise elpd, k-hat and log predictive density of (s, u) log-likelihoods."""
    values = log_likelihood.astype(np.float64)
    log_weights, khat = smooth(-values)
    return np.asarray(logsumexp(log_weights + values, axis=0)), khat, _log_mean(values)


def _good_k(draws: int) -> float:
    return min(1 - 1 / math.log10(draws), 0.7)


def thin(latent: Values, wanted: int) -> Values:
    """Evenly spaced draws, at most `wanted`."""
    total = len(next(iter(latent.values())))
    index = np.unique(np.linspace(0, total - 1, min(wanted, total)).astype(int))
    return {name: value[index] for name, value in latent.items()}


def _log_mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(logsumexp(values.astype(np.float64, copy=False), axis=0)) - math.log(len(values))


def _result(by: str, comparisons: Comparisons, units: Units, elpd, khat, lpd) -> Elpd:
    """The figures, one entry for each unit, identical ones repeated."""
    elpd, khat, lpd = (np.repeat(values, units.count) for values in (elpd, khat, lpd))
    n, draws = len(elpd), len(units.values)
    dim = "answer" if by == "comparison" else "annotator"
    coords = {} if units.labels is None else {dim: units.labels}
    error = 0.0 if units.errors is None else float(np.sqrt(np.mean(units.errors**2, 0).sum()))
    return Elpd(
        elpd=float(elpd.sum()),
        se=float(np.sqrt(n * elpd.var())),
        p=float((lpd - elpd).sum()),
        n_samples=draws,
        n_data_points=n,
        scale="log",
        warning=False,
        good_k=_good_k(draws),
        elpd_i=xr.DataArray(elpd, dims=dim, coords=coords, name="elpd_i"),
        pareto_k=xr.DataArray(khat, dims=dim, coords=coords, name="pareto_k"),
        unit=by,
        data=data_digest(comparisons),
        integration_se=error,
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
