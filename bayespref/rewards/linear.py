"""A reward linear in features."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from bayespref.comparisons import Comparisons, refuse
from bayespref.rewards.density import by_class, normalised
from bayespref.supports import Support


def linear(
    comparisons: Comparisons,
    *,
    name: str = "log_density",
    coefficient: str = "coefficient",
    scale: ArrayLike = 1.0,
    support: Support | None = None,
    classes: int | None = None,
) -> Callable[[Array], Array]:
    """A reward linear in features: r(x) = (x - mean) . coefficient.

    Inside, features are standardised by their spread within comparisons; outside, `coefficient` (feature)
    is in log-odds for one unit of the user's feature. Also known as part-worths, or taste parameters.
    When the features belong to items, `{name}` (item) registers log p(x) = r(x) - log sum exp r; with a
    support the features are coordinates on it, and `{name}` is the log-density there.

    Args:
        comparisons: the data, with features of items or of what was shown.
        name: name of the log-density site.
        coefficient: name of the coefficients' site.
        scale: prior standard deviation of a standardised coefficient, in log-odds. With 1, two things
            that differ typically in one feature have log-odds of standard deviation 2.
        support: where features live, for the density of a continuous space; None takes the items.
        classes: coefficients for each of so many classes; dimension `class`.

    Returns:
        A function from features (..., d), in the user's units, to rewards (...,) in nats, (classes, ...) with
        classes; with a support, to normalised log-densities, and points outside it raise.

    Raises:
        ValueError: for data without features, a support of another dimension, or one with classes.

    Example:
        >>> def model(comparisons):
        ...     reward = linear(comparisons)
        ...     score = reward(comparisons.features)
    """
    mean, unit = comparisons.design.feature_mean, comparisons.design.feature_scale
    if mean is None or unit is None:
        raise refuse(
            "a linear reward needs features",
            "data without features",
            remedy="Read the table with attributes=(...), or join item features.",
        )
    if support is not None and support.points.shape[1] != len(unit):
        raise refuse(f"the support has the {len(unit)} features as coordinates", f"{support!r}")
    if support is not None and classes is not None:
        raise refuse("classes have rewards over items", f"{support!r} with classes={classes}")
    with by_class(classes, dim=-2), numpyro.plate("feature", len(unit), dim=-1):
        raw = numpyro.sample(f"_{coefficient}", dist.Normal(0.0, scale), infer={"support": support})
        weights = numpyro.deterministic(coefficient, raw / unit)

    def reward(features: Array) -> Array:
        standard = (features - mean) / unit
        if classes is None:
            return standard @ (weights * unit)
        return jnp.moveaxis(standard @ (weights * unit).T, -1, 0)

    if support is not None:
        return normalised(name, support, reward)
    items = comparisons.items
    if "features" in items.columns and items.index is None:
        with by_class(classes, dim=-2), numpyro.plate("item", items.size, dim=-1):
            numpyro.deterministic(name, jax.nn.log_softmax(reward(items.features), -1))
    return reward
