"""From a model that fails to one that does not: fit what a check suggests, keep what predicts better."""

from __future__ import annotations

import dataclasses
import functools
import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr
from jax import Array

from bayespref.checks.cures import spelled
from bayespref.checks.judging import check
from bayespref.checks.verdict import Check
from bayespref.comparisons import Comparisons, refuse
from bayespref.elpd import Elpd, compare, loo
from bayespref.inference.fit import check_same_model, data_of
from bayespref.inference.laplace import laplace
from bayespref.inference.nuts import nuts
from bayespref.inference.program import Model, sites_of, unwrap
from bayespref.inference.recommended import recommended
from bayespref.inference.trust import FitWarning, verdict

CLEAR = 4.0, 2.0
"""Nats, and standard errors, by which a gain counts (Sivula et al., 2025)."""
PEOPLE = 10
"""Annotators from which the standard error of a difference over them means something."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Search:
    """What `try_next` tried.

    Attributes:
        best: name of the model to go on with. steps: one sentence a round.
        table: `compare` of every model that was fitted, best first.
        models, fits, results, checks: by name; checks only of the models that were moved to.
        conclusion: the sentence it all ends in.
    """

    best: str
    steps: tuple[str, ...]
    table: pd.DataFrame
    models: dict[str, Model]
    fits: dict[str, xr.DataTree]
    results: dict[str, Elpd]
    checks: dict[str, Check]
    conclusion: str

    def __str__(self) -> str:
        """Every round, the table, the conclusion."""
        lines = [textwrap.fill(step, 100) for step in (*self.steps, self.conclusion)]
        columns = ["elpd", "se", "elpd_diff", "dse"]
        table = self.table[columns].round(1).to_string()
        return "\n\n".join([*lines[:-1], table, lines[-1]])

    __repr__ = __str__


def try_next(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    *,
    checked: Check | None = None,
    rounds: int = 3,
    width: int = 3,
    settings: Mapping[str, Any] | None = None,
) -> Search:
    """Fit the models that a check suggests, keep the one that predicts new annotators best, check it, go on.

    A round fits up to `width` models of the gallery that let what fails vary, and ranks them with the model
    at hand by leave-one-annotator-out elpd (by single answers where fewer than 10 annotators are known). It
    moves to the best of those that gain more than 4 nats and 2 standard errors of the difference, and stops
    when none does, when the check passes, or when the gallery has nothing left. Checks of what it moves to
    are made as the first was: the same alpha, replicates and time.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit.
        fit: what an inference function returned.
        checked: the fit's check, if it was made already.
        rounds: rounds at most.
        width: models fitted in a round at most.
        settings: keywords of `nuts`, for models fitted by it: chains, warmup, draws.

    Returns:
        A `Search`, which prints what it did and ends in a sentence.

    Raises:
        ValueError: as `check` and `loo`.

    Example:
        >>> print(try_next(jax.random.key(0), bradley_terry, fit))  # doctest: +SKIP
    """
    check_same_model(model, fit)
    if rounds < 1 or width < 1:
        raise refuse("a search has one round and one model or more", f"rounds={rounds}, width={width}")
    data = data_of(fit)
    by = _unit(data)
    keys = iter(jax.random.split(key, 2 + rounds * (2 * width + 1)))
    name = spelled((str(fit.attrs["model"]), unwrap(model)[1]))
    models, fits = {name: model}, {name: fit}
    checks = {name: check(next(keys), model, fit) if checked is None else checked}
    results = {name: _loo(next(keys), model, fit, by)}
    steps, best = [], name
    for _ in range(rounds):
        if not (specs := [s for s in checks[best].try_next if spelled(s) not in models][:width]):
            break
        for spec in specs:
            models[spelled(spec)], fits[spelled(spec)] = _fitted(next(keys), spec, data, settings or {})
            results[spelled(spec)] = _loo(next(keys), models[spelled(spec)], fits[spelled(spec)], by)
        step, ahead = _step(best, checks[best], [spelled(spec) for spec in specs], results)
        steps.append(step)
        if ahead is None:
            break
        best = ahead
        checks[best] = check(
            *(next(keys), models[best], fits[best]),
            replicates=checks[name].replicates,
            alpha=checks[name].alpha,
            time=checks[name].time,
        )
    table = compare(results) if len(results) > 1 else _alone(name, results[name])
    said = _conclusion(name, best, checks, results, [one for one, made in fits.items() if verdict(made)])
    return Search(best, tuple(steps), table, models, fits, results, checks, said)


def _unit(data: Comparisons) -> str:
    """What is left out at a time."""
    people = 0 if data.annotator is None else len(np.unique(np.asarray(data.annotator)))
    return "annotator" if people >= PEOPLE else "comparison"


def _fitted(key: Array, spec, data: Comparisons, settings: Mapping[str, Any]) -> tuple[Model, xr.DataTree]:
    """A gallery model with its options, and its fit by the method that suits it."""
    from bayespref import models

    name, options = spec
    model = functools.partial(getattr(models, name), **options) if options else getattr(models, name)
    with warnings.catch_warnings(action="ignore", category=FitWarning):
        if recommended(sites_of(model, data))[0] == "laplace":
            return model, laplace(key, model, data)
        return model, nuts(key, model, data, **{"progress": False, **settings})


def _loo(key: Array, model: Model, fit: xr.DataTree, by: str) -> Elpd:
    with warnings.catch_warnings(action="ignore", category=FitWarning):
        return loo(key, model, fit, by=by, progress=False)


def _gain(new: Elpd, old: Elpd) -> tuple[float, float]:
    """Difference of two elpds in nats, and its standard error."""
    table = compare({"new": new, "old": old})
    size, se = table[["elpd_diff", "dse"]].abs().to_numpy(float).max(0)
    return (size if table.index[0] == "new" else -size), se


def _clear(gain: tuple[float, float]) -> bool:
    return gain[0] > CLEAR[0] and gain[0] > CLEAR[1] * gain[1]


def _step(here: str, found: Check, tried: list[str], results: dict[str, Elpd]) -> tuple[str, str | None]:
    """A round in words, and the model that it moves to."""
    gains = {name: _gain(results[name], results[here]) for name in tried}
    ahead = [name for name, gain in gains.items() if _clear(gain)]
    listed = ", ".join(f"{name} {gain:+.1f} (SE {se:.1f})" for name, (gain, se) in gains.items())
    why = "fails" if found.verdict == "fails" else found.verdict
    text = f"{here} {why}; elpd gained over it, in nats: {listed}."
    if not ahead:
        return f"{text} None gains clearly: stay.", None
    best = max(ahead, key=lambda name: gains[name][0])
    return f"{text} On to {best}.", best


def _alone(name: str, result: Elpd) -> pd.DataFrame:
    row = {"rank": 0, "elpd": result.elpd, "se": result.se, "elpd_diff": 0.0, "dse": 0.0}
    return pd.DataFrame([row | {"p": result.p, "weight": 1.0, "unit": result.unit}], index=[name])


def _left(found: Check, results: dict[str, Elpd]) -> str:
    """What the check of the model arrived at says, and what was not tried."""
    untried = [spelled(spec) for spec in found.try_next if spelled(spec) not in results]
    more = f"try {', '.join(untried[:3])} next, or declare" if untried else "declare"
    return {
        "passes": "and nothing that these data can test speaks against it",
        "not testable": "and nothing speaks against it, but whether annotators differ cannot be tested here",
        "fails": f"but it fails still ({(found.culprit or '').replace('_', ' ')}): {more} what is missing",
    }[found.verdict]


def _conclusion(
    first: str, best: str, checks: dict[str, Check], results: dict[str, Elpd], doubtful: list[str]
) -> str:
    """Where to go on, how sure that is, what is left, and fits that are not to be trusted."""
    found = checks[best]
    doubt = f" Read with care: {', '.join(doubtful)} did not pass convergence checks." if doubtful else ""
    left = _left(found, results)
    if best == first:
        if found.verdict != "fails":
            return f"Stay with {best}: there is nothing to cure, {left}.{doubt}"
        if len(results) == 1:
            return f"Stay with {best}: the gallery has nothing to try, {left}.{doubt}"
        return f"Stay with {best}: nothing tried predicts clearly better, {left}.{doubt}"
    gain, se = _gain(results[best], results[first])
    unit = "new annotators" if results[best].unit == "annotator" else "new answers"
    return (
        f"Go on with {best}: it predicts {unit} better than {first} by {gain:.0f} nats (SE {se:.0f}), {left}."
        f"{doubt}"
    )
