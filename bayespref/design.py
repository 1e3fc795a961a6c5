"""What parametrisations read of the data: computed once, on the full data (`comparisons.Design`)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons, Design, refuse


def with_design(data: Comparisons, *, fitted: bool = True) -> Comparisons:
    """Count answers per item and annotator, and measure the features' spread within comparisons.

    A feature that never differs between the things shown is refused in data that will be fitted. In data
    to predict or to simulate (no outcomes, or `fitted=False`) its unit is 1.
    """
    shown, count = np.asarray(data.shown), np.asarray(data.count, np.float64)
    there = shown >= 0
    item_answers = np.bincount(shown[there], np.repeat(count[:, None], data.k, 1)[there], data.items.size)
    annotator_answers = mean = scale = None
    if data.annotator is not None and data.annotators is not None:
        annotator_answers = np.bincount(np.asarray(data.annotator), count, len(data.annotators))
    if "features" in data.shown_columns or "features" in data.items.columns:
        mean, scale = _feature_spread(_features64(data), there, count)
        flat = np.flatnonzero(scale == 0)
        if len(flat) and fitted and data.outcome is not None:
            raise refuse(
                "every feature differs between the things shown in some comparison",
                f"feature {data.feature_names[flat[0]]!r}, the same for everything shown together",
                remedy="Choices cannot depend on it: leave it out of features.",
            )
        scale[flat] = 1.0
    float32 = [None if x is None else device_array(x, jnp.float32) for x in (annotator_answers, mean, scale)]
    mean_of, scale_of = _annotator_columns(data)
    answers = device_array(item_answers, jnp.float32)
    return data.replace(design=Design(answers, *float32, column_mean=mean_of, column_scale=scale_of))


def _annotator_columns(data: Comparisons) -> tuple[dict | None, dict | None]:
    """Mean and standard deviation over annotators of their one-number columns; constant ones have unit 1."""
    table = {} if data.annotators is None else data.annotators.columns
    values = {name: np.asarray(x, np.float64) for name, x in table.items() if np.ndim(x) == 1}
    if not values:
        return None, None
    mean = {name: device_array(x.mean(), jnp.float32) for name, x in values.items()}
    return mean, {name: device_array(x.std() or 1.0, jnp.float32) for name, x in values.items()}


def _features64(data: Comparisons) -> np.ndarray:
    if "features" in data.shown_columns:
        return np.asarray(data.shown_columns["features"], np.float64)
    return np.asarray(data.items.features, np.float64)[np.asarray(data.shown)]


def _feature_spread(features: np.ndarray, there: np.ndarray, count: np.ndarray):
    """Mean over everything shown, and standard deviation within comparisons, of (n, k, d) features."""
    seen = there[..., None]
    mass = seen * count[:, None, None]
    within = features - (seen * features).sum(1, keepdims=True) / there.sum(1)[:, None, None]
    low = np.where(seen, features, np.inf).min(1)
    differs = (np.where(seen, features, -np.inf).max(1) > low).any(0)
    total = max(mass.sum(), 1.0)
    variance = (mass * within**2).sum((0, 1)) / total
    return (mass * features).sum((0, 1)) / total, np.where(differs, np.sqrt(variance), 0.0)
