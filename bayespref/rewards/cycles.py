"""Advantages that no worths explain: rock, paper, scissors."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from bayespref.comparisons import Comparisons, refuse


def cycles(
    comparisons: Comparisons,
    *,
    name: str = "cycles",
    dimensions: int = 1,
    scale: ArrayLike | None = None,
    spread: float = 0.5,
) -> Array:
    """Skew-symmetric advantages: logit P(i over j) = r_i - r_j + A_ij, A_ij ~ b_i . c_j - b_j . c_i.

    Every item has a blade b and a chest c in D dimensions (Chen and Joachims, 2016; the general preference
    model of Zhang et al., 2024, in 2 D dimensions is the same). Both sum to zero over items, so the rows of A
    do: A is what worths cannot say, its curl, and worths stay what they are without it. Sites: `{name}`
    (item, item_other), A in log-odds, and, unless fixed, `{name}_scale`, the standard deviation s of A_ij.
    Blades and chests can turn without changing A. Shrinks toward transitivity: s ~ HalfNormal(spread).

    Args:
        comparisons: pairs.
        name: name of the site that holds A.
        dimensions: D; one already has room for a cycle of any length.
        scale: s in log-odds; None learns it.
        spread: prior scale of s in log-odds; with 0.5, a priori half of all pairs gain or lose less than
            0.13 in log-odds, 95 % less than 1.06.

    Returns:
        (n, 2) scores to be added to those of a reward: A / 2 for the first, -A / 2 for the second.

    Raises:
        ValueError: for more than two things at a time, fewer than three items, or no dimension.

    Example:
        >>> def model(comparisons):
        ...     score = item_table(comparisons)[comparisons.shown] + cycles(comparisons)
    """
    items = comparisons.items
    if comparisons.k != 2:
        raise refuse("cycles are of pairs", f"k = {comparisons.k} shown")
    if items.size < 3 or dimensions < 1:
        raise refuse(
            "cycles have at least three items and one dimension",
            f"{items.size} items, {dimensions} dimensions",
        )
    if scale is None:
        scale = numpyro.sample(f"{name}_scale", dist.HalfNormal(spread))
    with numpyro.plate(f"{name}_dimension", 2 * dimensions):
        vectors = numpyro.sample(f"_{name}", dist.ZeroSumNormal(1.0, (items.size,)), infer={"turns": True})
    blade, chest = jnp.split(jnp.asarray(vectors), 2)
    advantage = blade.T @ chest
    # Zero-sum items have variance 1 - 1 / m: s is the standard deviation of A_ij for i other than j.
    share = 1 - 1 / items.size
    unit = jnp.sqrt(2 * dimensions * (share**2 - 1 / items.size**2))
    with numpyro.plate("item", items.size, dim=-2), numpyro.plate("item_other", items.size, dim=-1):
        advantage = numpyro.deterministic(name, scale * (advantage - advantage.T) / unit)
    shown = comparisons.shown if items.index is None else items.index[comparisons.shown]
    half = jnp.asarray(advantage)[shown[:, 0], shown[:, 1]] / 2
    return jnp.stack([half, -half], -1)
