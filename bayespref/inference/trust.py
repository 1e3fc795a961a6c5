"""How far to trust a fit: one plain sentence for each thing that is wrong, with the remedy."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr
from scipy.special import ndtri
from scipy.stats import rankdata

MIN_ESS, MAX_RHAT, MAX_KHAT = 400, 1.01, 0.7
TOGETHER = 1000
"""Numbers whose draws are ranked at a time, to bound memory."""


class FitWarning(UserWarning):
    """A fit that should not be trusted as it is."""


def convergence(fit: xr.DataTree) -> dict[str, float]:
    """The figures behind the verdict: divergences, worst R-hat and bulk ESS, k-hat; what the method has.

    Args:
        fit: what an inference function returned.

    Returns:
        name -> figure; R-hat and ESS over every sampled site that varies, but for those that may turn
        without changing any answer (`populations.tastes`): documented quantities stand in for them.

    Example:
        >>> convergence(fit)["rhat"]  # doctest: +SKIP
    """
    figures: dict[str, float] = {}
    if "diverging" in fit["sample_stats"]:
        figures["divergences"] = float(fit["sample_stats"].to_dataset()["diverging"].sum())
        rhat, ess = _rhat_and_ess(_elements(_sampled(fit)))
        figures |= {"rhat": float(rhat.max()), "ess": float(ess.min())}
    for name in ("khat", "importance_ess", "elbo_drift"):
        if name in fit.attrs:
            figures[name] = float(fit.attrs[name])
    return figures


def _sampled(fit: xr.DataTree) -> xr.Dataset:
    """What chains should agree on: every sampled site, documented quantities in place of those that turn."""
    latent = fit["latent"].to_dataset()
    turning = json.loads(fit.attrs.get("turns", "[]"))
    if not turning:
        return latent
    return latent.drop_vars(turning).merge(fit["posterior"].to_dataset().drop_vars(latent, errors="ignore"))


def _elements(latent: xr.Dataset) -> np.ndarray:
    """(chain, draw, element) of every sampled number that varies (a Cholesky factor's corner does not)."""
    values = [latent[name].values.reshape(*latent[name].shape[:2], -1) for name in latent]
    draws = np.concatenate(values, -1).astype(np.float64)
    return draws[..., np.ptp(draws, axis=(0, 1)) > 0]


def _rhat_and_ess(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(element,) R-hat and bulk ESS of draws (chain, draw, element), of ranks (Vehtari et al., 2021).

    ArviZ's figures; by itself it ranks one number at a time, which takes three times as long.
    """
    parts = [draws[..., start : start + TOGETHER] for start in range(0, draws.shape[-1], TOGETHER)]
    rhat, ess = zip(*(_of_ranks(part) for part in parts), strict=True)
    return np.concatenate(rhat), np.concatenate(ess)


def _of_ranks(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from arviz_stats.base.array import array_stats

    half = draws.shape[1] // 2
    split = np.concatenate([draws[:, :half], draws[:, -half:]])
    axes = {"chain_axis": 0, "draw_axis": 1, "method": "identity"}
    with ThreadPoolExecutor(2) as pool:
        bulk, tail = pool.map(_normal_scores, (split, np.abs(split - np.median(split, (0, 1)))))
        ess = pool.submit(array_stats.ess, bulk, **axes)
        rhat = np.maximum(array_stats.rhat(bulk, **axes), array_stats.rhat(tail, **axes))
    return rhat if len(draws) > 1 else np.full(len(rhat), np.nan), np.asarray(ess.result())


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Each number's normal quantile by its rank among all draws (chain, draw, element) of its element."""
    rank = rankdata(draws.reshape(-1, draws.shape[-1]), axis=0)
    return ndtri((rank - 3 / 8) / (len(rank) + 1 / 4)).reshape(draws.shape)


def verdict(fit: xr.DataTree) -> list[str]:
    """Say in plain sentences what is wrong with a fit, and what to do; an empty list is a good fit.

    Args:
        fit: what an inference function returned.

    Returns:
        One sentence for each problem: divergences, a single chain, R-hat > 1.01, bulk ESS < 400, k-hat > 0.7.

    Example:
        >>> for sentence in verdict(fit):  # doctest: +SKIP
        ...     print(sentence)
    """
    figures, sentences = convergence(fit), []
    settings = json.loads(fit.attrs.get("settings", "{}"))
    if (count := figures.get("divergences", 0)) > 0:
        target = settings.get("target_accept")
        sentences.append(
            f"{count:.0f} transitions diverged, so parts of the posterior were not reached: raise "
            f"target_accept (now {target}) or tighten the priors."
        )
    if fit["latent"].sizes.get("chain") == 1 and "rhat" in figures:
        sentences.append(
            "One chain cannot show that it has converged (R-hat compares chains): raise chains (now 1)."
        )
    elif not figures.get("rhat", 1.0) <= MAX_RHAT:
        sentences.append(
            f"The chains disagree (R-hat {figures['rhat']:.3f}, should be at most {MAX_RHAT}): draw longer "
            f"(warmup and draws, now {settings.get('warmup')} and {settings.get('draws')})."
        )
    if not figures.get("ess", MIN_ESS) >= MIN_ESS:
        sentences.append(
            f"Only {figures['ess']:.0f} effective draws for some quantity (should be at least {MIN_ESS}): "
            f"raise draws (now {settings.get('draws')})."
        )
    if not figures.get("khat", 0.0) <= MAX_KHAT:
        sentences.append(
            f"The {fit.attrs['method']} approximation does not fit the posterior (k-hat "
            f"{figures['khat']:.2f}, should be at most {MAX_KHAT}): fit with nuts."
        )
    if figures.get("elbo_drift", 0.0) > 1.0:
        sentences.append(
            f"The optimisation had not converged: the ELBO still rose by {figures['elbo_drift']:.1f} nats "
            f"over the last quarter of the steps: raise steps (now {settings.get('steps')})."
        )
    return sentences


def trust(fit: xr.DataTree) -> str:
    """How far to trust a fit, in one line: its problems and their remedies, or the figures that show none.

    Args:
        fit: what an inference function returned.

    Example:
        >>> print(trust(fit))  # doctest: +SKIP
        No problems found: R-hat 1.002, ESS 1,234, no divergences.
    """
    if problems := verdict(fit):
        return " ".join(problems)
    figures, said = convergence(fit), []
    if "rhat" in figures:
        said += [f"R-hat {figures['rhat']:.3f}", f"ESS {figures['ess']:,.0f}", "no divergences"]
    if "khat" in figures:
        said.append(f"k-hat {figures['khat']:.2f}")
    if "importance_ess" in figures:
        said.append(f"importance ESS {figures['importance_ess']:,.0f}")
    if "elbo_drift" in figures:
        said.append("ELBO settled")
    return f"No problems found: {', '.join(said)}."


def warn(fit: xr.DataTree) -> xr.DataTree:
    """Issue the verdict as warnings and return the fit."""
    for sentence in verdict(fit):
        warnings.warn(f"{fit.attrs['model']}: {sentence}", FitWarning, stacklevel=3)
    return fit
