"""Judge a fit: which assumption about the annotators fails."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax import Array

from bayespref.checks.battery import battery
from bayespref.checks.verdict import Check, conclude
from bayespref.comparisons import Comparisons, refuse
from bayespref.inference.ahead import like
from bayespref.inference.fit import check_same_model, data_of
from bayespref.inference.program import Model, response_of, sites_of, unwrap

ANSWERS_PER_ITEM = 5
"""From which a worth of its own for each item is worth trying."""
FOR_FEATURES = ("conditional_logit", "mixed_logit", "latent_class_logit")
"""Models that say nothing new of things known by name alone."""


def check(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    *,
    replicates: int = 199,
    alpha: float = 0.05,
    time: str | None = None,
) -> Check:
    """Which assumption about the annotators fails, how sure that is, what to try, what data cannot tell.

    Each check is a statistic aimed at one assumption: mostly Rao's score of a nudge that the model does not
    have, made orthogonal to its parameters (Rao, 1948; Neyman, 1959). Answers are replicated from posterior
    draws, the model is fitted again to each replicate (its mode, scales held at the draw), and p = (1 +
    #{T_rep >= T}) / (1 + replicates): calibrated, unlike plain posterior predictive p-values (Robins, van
    der Vaart and Ventura, 2000). Adjusted p-values hold for all checks together (Westfall and Young, 1993).

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit, the gallery's or yours.
        fit: what an inference function returned.
        replicates: replicated data sets; p-values are multiples of 1 / (1 + replicates).
        alpha: probability of saying "fails" about a model that is right.
        time: name of the row column that holds the time of answers; "time" where that is there.

    Returns:
        A `Check`, which prints as a paragraph and a table.

    Raises:
        ValueError: for rankings, losses, distributions that are not from `choices`, models of more than
            2,000 parameters, a column that is not there, or a posterior that cannot be fitted again.

    Example:
        >>> print(check(jax.random.key(0), bradley_terry, fit))  # doctest: +SKIP
    """
    check_same_model(model, fit)
    if replicates < 39 or not 0 < alpha < 1:
        raise refuse("a check takes 39 replicates or more and alpha in (0, 1)", f"{replicates} and {alpha}")
    if alpha * (replicates + 1) < 1:
        raise refuse(
            f"alpha is no smaller than 1 / ({replicates} + 1)", str(alpha), remedy="Use more replicates."
        )
    data = data_of(fit)
    if time is not None and time not in data.row_columns:
        raise refuse(f"time is a row column, one of {sorted(data.row_columns)}", repr(time))
    found = battery(key, model, fit, replicates=replicates, time=time)
    spec = (str(fit.attrs["model"]), unwrap(model)[1])
    said = conclude(found, spec, alpha, takes(model, data))
    return dataclasses.replace(said, replicates=replicates, time=time)


def takes(model: Model, data: Comparisons) -> Callable[[str, dict], bool]:
    """A function of a gallery model's name and options: whether it can be tried instead of the model.

    A worth for each item is not tried on items answered about a few times each, unless the model has it too.
    """
    kind, has_table = response_of(model, data), _has_table(model, data)
    sparse = data.answers < ANSWERS_PER_ITEM * len(set(np.unique(data.shown)) - {-1})
    leaves, structure = jax.tree.flatten(data)
    shapes = tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves)

    def allowed(name: str, options: dict) -> bool:
        if name in FOR_FEATURES and not data.feature_names:
            return False
        found = _read(name, tuple(sorted(options.items())), structure, shapes)
        return found is not None and found[0] == kind and (has_table or not (sparse and found[1]))

    return allowed


@functools.lru_cache(maxsize=1024)
def _read(name: str, options: tuple, structure: Any, shapes: tuple) -> tuple[tuple[str, int], bool] | None:
    """The answers that a gallery model is of, and whether items have worths of their own; None if it refuses.

    Of data of these shapes: numbers make no difference, and reading a model takes some 20 ms.
    """
    from bayespref import models

    candidate, found = functools.partial(getattr(models, name), **dict(options)), []

    def read(data: Comparisons) -> None:
        found.append((response_of(candidate, data), _has_table(candidate, data)))

    try:
        jax.eval_shape(read, jax.tree.unflatten(structure, [like(*shape) for shape in shapes]))
    except ValueError:
        return None
    return found[0]


def _has_table(model: Model, data: Comparisons) -> bool:
    """Whether items have worths of their own."""
    sites = sites_of(model, data).values()
    return any(site.latent and site.shape[-1:] == (data.items.size,) for site in sites)
