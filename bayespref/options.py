"""How many classes, dimensions, levels of an option do the answers support?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import pandas as pd
import xarray as xr
from jax import Array

from bayespref.comparisons import Comparisons, refuse
from bayespref.elpd import Elpd, compare, loo
from bayespref.inference.nuts import nuts
from bayespref.inference.program import Model


class Sweep(NamedTuple):
    """Fits of one model at several values of an option, compared.

    Attributes:
        table: `compare` of them, best first; `bayespref.conclusion` says it in words.
        fits: name ("classes=2") -> fit. models: name -> the model with its option bound.
        results: name -> `Elpd`.
    """

    table: pd.DataFrame
    fits: dict[str, xr.DataTree]
    models: dict[str, Model]
    results: dict[str, Elpd]


def sweep(
    key: Array,
    model: Model,
    comparisons: Comparisons,
    *,
    values: Sequence[Any] = (1, 2, 3),
    option: str = "classes",
    by: str = "annotator",
    method: Callable[..., xr.DataTree] = nuts,
    settings: Mapping[str, Any] | None = None,
    loo_settings: Mapping[str, Any] | None = None,
) -> Sweep:
    """Fit a model at each value of one of its options, and judge the fits by leave-one-annotator-out.

    How many classes of annotators there are is a question about new annotators: would three describe one
    better than two? So units are annotators, all their effects and classes integrated out.

    Args:
        key: a `jax.random.key`.
        model: a declaration with the option, `latent_class_bradley_terry` say.
        comparisons: the data.
        values: of the option.
        option: its name.
        by: unit left out, as in `loo`.
        method: `nuts`, `laplace` or `svi`.
        settings: its keywords.
        loo_settings: keywords of `loo`, other than `by`.

    Returns:
        A `Sweep`: the table, and the fits behind it.

    Raises:
        ValueError: for fewer than two values.

    Example:
        >>> found = sweep(jax.random.key(0), latent_class_bradley_terry, answers)  # doctest: +SKIP
        >>> print(bp.conclusion(found.table))  # doctest: +SKIP
    """
    if len(values) < 2:
        raise refuse(f"a sweep takes at least two values of {option!r}", repr(list(values)))
    named = {f"{option}={value}": functools.partial(model, **{option: value}) for value in values}
    fits, results = {}, {}
    for index, (name, bound) in enumerate(named.items()):
        fit_key, loo_key = jax.random.split(jax.random.fold_in(key, index))
        fits[name] = method(fit_key, bound, comparisons, **(settings or {}))
        results[name] = loo(loo_key, bound, fits[name], by=by, **(loo_settings or {}))
    return Sweep(compare(results), fits, named, results)
