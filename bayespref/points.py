"""Answers about points of a space: each point that was shown becomes an item."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from bayespref.comparisons import Comparisons, Items, refuse


def from_points(points, outcome=None, *, names: Sequence[str] = (), **options) -> Comparisons:
    """Build comparisons from the points that were shown (see `Comparisons.from_points`)."""
    shown = np.asarray(points, np.float32)
    shown = shown[..., None] if shown.ndim == 2 else shown
    if shown.ndim != 3 or shown.shape[1] < 2:
        raise refuse("points are (n, k) numbers, or (n, k, d), with k >= 2", f"shape {np.shape(points)}")
    if (bad := np.flatnonzero(~np.isfinite(shown).all((1, 2)))).size:
        raise refuse("points are finite", f"{shown[bad[0]].tolist()}", rows=bad, remedy="Drop these rows.")
    n, k, d = shown.shape
    names = tuple(names) or (("x", "y", "z")[:d] if d <= 3 else tuple(f"x{axis}" for axis in range(d)))
    # In order of first appearance: neighbours in the table are neighbours in memory.
    _, first, inverse = np.unique(shown.reshape(-1, d), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)[inverse.reshape(-1)].reshape(n, k)
    unique = shown.reshape(-1, d)[first[order]]
    labels = np.asarray([", ".join(map(str, row)) for row in unique.tolist()])
    items = Items({"features": jnp.asarray(unique)}, len(unique), feature_names=names, labels=labels)
    return Comparisons.from_arrays(place, outcome, items=items, **options)
