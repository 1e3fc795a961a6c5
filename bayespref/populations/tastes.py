"""What annotators like beside the consensus, in a few dimensions."""

from __future__ import annotations

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from bayespref.comparisons import Comparisons, refuse


def tastes(
    name: str,
    comparisons: Comparisons,
    *,
    dimensions: int = 1,
    spread: ArrayLike = 1.0,
    features: bool = False,
) -> Array:
    """Low-rank tastes: score_a(x) = sum_c s_c u_ac v_c(x), to be added to a consensus.

    Annotators have u ~ Normal(0, 1), dimensions a strength s_c ~ HalfNormal(spread), items v ~ Normal(0, 1),
    one for each item (summing to zero), or linear in their standardised features. What u and v are called is
    arbitrary: signs and axes can turn without changing any answer. `{name}_disagreement` (item), the standard
    deviation over annotators of an item's score, and `{name}_strength`, its root mean square over items, do
    not depend on that: convergence is judged by them, and `plots.annotator_map` turns the axes to the
    principal ones. Source: Simpson and Gurevych (2020), crowdGPPL.

    Args:
        name: name of the effect.
        comparisons: the data, with annotators.
        dimensions: how many.
        spread: prior scale of a dimension's strength, in log-odds.
        features: tastes for the items' features rather than for each item, so that new items have them too.

    Returns:
        (n, k) scores in log-odds of what was shown, by who answered.

    Raises:
        ValueError: for answers without annotators, or no features where they are asked for.

    Example:
        >>> def model(comparisons):
        ...     score = log_density[comparisons.shown] + tastes("taste", comparisons, dimensions=2)
    """
    who = comparisons.by_annotator()
    assert comparisons.annotators is not None
    if dimensions < 1:
        raise refuse("tastes have at least one dimension", f"{dimensions}")
    with numpyro.plate(f"{name}_dimension", dimensions):
        strength = numpyro.sample(f"_{name}_strength", dist.HalfNormal(spread), infer={"turns": True})
    v = strength * (_of_features if features else _of_items)(name, comparisons, dimensions)
    with numpyro.plate("annotator", len(comparisons.annotators)):
        prior = dist.Normal(0.0, 1.0).expand((dimensions,)).to_event(1)
        u = jnp.asarray(numpyro.sample(f"_{name}", prior, infer={"turns": True}))
    if v.ndim == 3:
        return jnp.einsum("nkc,nc->nk", v, u[who])
    if comparisons.items.index is None:
        variance = jnp.square(v).sum(-1)
        with numpyro.plate("item", comparisons.items.size):
            numpyro.deterministic(f"{name}_disagreement", jnp.sqrt(variance))
        numpyro.deterministic(f"{name}_strength", jnp.sqrt(variance.mean()))
    return jnp.einsum("nkc,nc->nk", v[comparisons.shown], u[who])


def _of_items(name: str, comparisons: Comparisons, dimensions: int) -> Array:
    """(m, c) a number for each item and dimension."""
    items = comparisons.items
    with numpyro.plate(f"{name}_dimension", dimensions):
        v = numpyro.sample(f"_{name}_items", dist.ZeroSumNormal(1.0, (items.size,)), infer={"turns": True})
    v = jnp.asarray(v).T
    return v if items.index is None else v[items.index]


def _of_features(name: str, comparisons: Comparisons, dimensions: int) -> Array:
    """(m, c) or, where features belong to what was shown, (n, k, c)."""
    mean, unit = comparisons.design.feature_mean, comparisons.design.feature_scale
    if mean is None or unit is None:
        raise refuse("tastes for features need features", "data without features")
    prior = dist.Normal(0.0, len(unit) ** -0.5).expand((len(unit),)).to_event(1)
    with numpyro.plate(f"{name}_dimension", dimensions):
        weights = jnp.asarray(numpyro.sample(f"_{name}_items", prior, infer={"turns": True}))
    on_items = "features" in comparisons.items.columns
    features = comparisons.items.features if on_items else comparisons.features
    return ((features - mean) / unit) @ weights.T
