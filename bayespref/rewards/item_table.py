"""One free worth for each item."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from bayespref.comparisons import Comparisons, refuse
from bayespref.parametrisation import centring
from bayespref.rewards.density import by_class


def item_table(
    comparisons: Comparisons,
    *,
    name: str = "log_density",
    scale: ArrayLike | None = None,
    spread: float = 1.5,
    classes: int | None = None,
) -> Array:
    """A worth for each item: r ~ ZeroSumNormal(s), log p(x) = r(x) - log sum exp r.

    Bradley-Terry worths are exp(r). How far r is centred is decided from the answers per item
    (`parametrisation.centring`). Sites: `{name}` (item) and, unless fixed, `{name}_scale`.

    Args:
        comparisons: the data: they say how many items there are and how often each was shown.
        name: name of the site that holds the normalised log-density.
        scale: prior standard deviation s of worths in log-odds; None learns it, s ~ HalfNormal(spread).
        spread: prior scale of s. With 1.5, a priori 95 % of pairs have a win probability between .01 and
            .99, half of them between .32 and .68.
        classes: a table for each of so many classes, independent given s; dimension `class`.

    Returns:
        (m,) log-densities in nats, normalised over all items; (classes, m) with classes.

    Raises:
        ValueError: for fewer than two items, or no classes.

    Example:
        >>> def model(comparisons):
        ...     log_density = item_table(comparisons)
    """
    items = comparisons.items
    if items.size < 2:
        raise refuse("a table of worths has at least two items", f"{items.size}")
    answers = jnp.mean(comparisons.design.item_answers) / (classes or 1)
    share = centring(answers, spread)
    if scale is None:
        scale = numpyro.sample(f"{name}_scale", dist.HalfNormal(spread))
    with by_class(classes, dim=-1):
        raw = numpyro.sample(f"_{name}", dist.ZeroSumNormal(jnp.power(scale, share), (items.size,)))
    with by_class(classes, dim=-2), numpyro.plate("item", items.size, dim=-1):
        worths = raw * jnp.power(scale, 1 - share)
        log_density = jnp.asarray(numpyro.deterministic(name, jax.nn.log_softmax(worths, -1)))
    return log_density if items.index is None else log_density[..., items.index]
