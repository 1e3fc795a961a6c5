"""What parametrisations read of the data: computed once, on the full data (`comparisons.Design`)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from bayespref.arrays import device_array
from bayespref.comparisons import Comparisons, Design, refuse

BLOCK = 1 << 18
"""Numbers of features looked at at a time: few enough for the cache of a core."""


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
        mean, scale = _feature_spread(data)
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


def _feature_spread(data: Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """Mean over everything shown, and standard deviation within comparisons, of the (n, k, d) features.

    A block of rows at a time: a million answers about texts would be gigabytes.
    """
    on_shown = "features" in data.shown_columns
    table = np.asarray(data.shown_columns["features"] if on_shown else data.items.features)
    shown, count = np.asarray(data.shown), np.asarray(data.count, np.float64)
    width = table.shape[-1]
    mass, total, squares = 0.0, np.zeros(width), np.zeros(width)
    differs = np.zeros(width, bool)
    size = max(1, BLOCK // (data.k * width))
    for rows in (slice(start, start + size) for start in range(0, len(data), size)):
        features = np.asarray(table[rows] if on_shown else table[shown[rows]], np.float64)
        seen, times = shown[rows] >= 0, count[rows]
        first = features[np.arange(len(seen)), seen.argmax(1)]
        # From the first thing shown: exactly 0 where all are alike, and sums of squares do not cancel.
        features -= first[:, None]
        features[~seen] = 0
        number, off = seen.sum(1), features.sum(1)
        differs |= features.any((0, 1))
        mass += times @ number
        total += (times * number) @ first + times @ off
        squares += np.einsum("n,nkf,nkf->f", times, features, features) - (times / number) @ off**2
    mass = max(mass, 1.0)
    return total / mass, np.where(differs, np.sqrt(np.maximum(squares, 0.0) / mass), 0.0)
