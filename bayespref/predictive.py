"""What a model expects: simulated answers, choice probabilities for new rows, replicated answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro import handlers

from bayespref.answers import as_deep
from bayespref.comparisons import Annotators, Comparisons, Items, refuse
from bayespref.design import with_design
from bayespref.inference.fit import check_same_model, data_of, latent_of
from bayespref.inference.program import Model, Site, Values, response_of, run, sites_of
from bayespref.populations import LatentClasses

CHUNK = 64


def simulate(
    key: Array, model: Model, comparisons: Comparisons, *, parameters: dict[str, Any] | None = None
) -> Comparisons:
    """Draw answers from a model: y ~ p(answers | parameters), parameters from the prior unless given.

    Counted rows are repeated first, so that every answer is drawn on its own, and counted again after.
    Rankings rank as many things as those they replace, or everything.

    Args:
        key: a `jax.random.key`.
        model: a function of comparisons that ends in `observe`.
        comparisons: what is shown to whom; outcomes, if any, are replaced.
        parameters: values of sites by name, sampled or computed: `log_density`, `coefficient`, ...

    Returns:
        The same comparisons with new outcomes.

    Raises:
        ValueError: for parameters that are no sites of the model.

    Example:
        >>> simulate(jax.random.key(0), bradley_terry, answers, parameters={"log_density": worths})
        ... # doctest: +SKIP
    """
    counted = comparisons.answers > len(comparisons)
    before = comparisons.expanded() if counted else comparisons
    blank = before.replace(outcome=None, has_ties=False, has_none=False, source_rows=None)
    sites, given = sites_of(model, blank), dict(parameters or {})
    if unknown := sorted(set(given) - set(sites)):
        raise refuse(f"parameters are sites of the model, {sorted(sites)}", f"{unknown}")
    values = {name: jnp.asarray(value, jnp.float32) for name, value in given.items()}
    for name, value in values.items():
        if value.shape != sites[name].shape:
            raise refuse(f"site {name!r} has shape {sites[name].shape}", f"shape {value.shape}")

    @jax.jit
    def draw(blank: Comparisons, values: Values, key: Array) -> Array:
        return run(model, blank, values, key)["outcome"]["value"]

    response, levels = response_of(model, blank)
    outcome = np.asarray(draw(blank, values, key))
    outcome = as_deep(outcome, before) if response == "ranking" else outcome
    drawn = blank.replace(
        outcome=jnp.asarray(outcome),
        response=response,
        levels=levels,
        has_ties=response == "choice" and bool((outcome == blank.k).any()),
        has_none=response == "choice" and bool((outcome == blank.k + 1).any()),
    )
    return drawn.counted() if counted else drawn


def predict(
    key: Array, model: Model, fit: xr.DataTree, new: Comparisons, *, prob: float = 0.89
) -> xr.Dataset:
    """Probability of every answer to new rows: E[p(outcome | parameters)] over the posterior.

    Items and annotators are aligned by label. Effects of annotators that the fit never saw are drawn from
    the population, so their predictions are those for a new annotator; rows without annotators are
    answered by one.

    Args:
        key: a `jax.random.key`, for new annotators' effects.
        model: the model that made the fit.
        fit: what an inference function returned.
        new: what is shown, to whom; its outcomes are ignored.
        prob: probability of the equal-tailed intervals.

    Returns:
        A dataset over (comparison, outcome): `probability`, and `lower` and `upper`, the interval of
        p(outcome | parameters). Outcomes are columns, "tie" and "none"; levels; or, of rankings, the column
        ranked first.

    Raises:
        ValueError: for items the fit never saw, unless the reward is a function of columns that are there.

    Example:
        >>> predict(jax.random.key(0), bradley_terry, fit, pairs)["probability"]  # doctest: +SKIP
    """
    check_same_model(model, fit)
    aligned = _aligned(model, fit, new)
    draws = _outcome_probabilities(key, model, fit, aligned)
    tail = (1 - prob) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    plain = draws.shape[-1] if response_of(model, aligned)[0] == "graded" else aligned.k
    names = [f"{index}" for index in range(plain)] + ["tie", "none"][: draws.shape[-1] - plain]
    dims = ("comparison", "outcome")
    return xr.Dataset(
        {"probability": (dims, draws.mean(0)), "lower": (dims, lower), "upper": (dims, upper)},
        coords={"outcome": names},
        attrs={"interval": f"equal-tailed, {prob:g}", "of": "p(outcome | parameters)"},
    )


def _outcome_probabilities(key: Array, model: Model, fit: xr.DataTree, aligned: Comparisons) -> np.ndarray:
    """(s, n, outcomes) probabilities at every posterior draw."""
    latent = latent_of(fit)
    sites = sites_of(model, aligned)
    keys = jax.random.split(key, len(next(iter(latent.values()))))

    @jax.jit
    def compute(known: Comparisons, aligned: Comparisons, latent: Values, keys: Array) -> Array:
        def one(draw: tuple[Values, Array]) -> Array:
            values, key = draw
            extended = with_new_annotators(model, sites, values, key)
            answers = handlers.trace(extended).get_trace(aligned)["outcome"]["fn"]
            return jnp.exp(_informed(model, known, values, answers).outcome_log_probs())

        return jax.lax.map(one, (latent, keys), batch_size=CHUNK)

    return np.asarray(compute(data_of(fit), aligned, latent, keys))


def _informed(model: Model, known: Comparisons, values: Values, answers):
    """Latent classes of annotators who have answered are known from that; other distributions stay."""
    if not isinstance(answers, LatentClasses):
        return answers
    belongs = run(model, known, values)["outcome"]["fn"].membership(known.outcome)
    weight = jnp.broadcast_to(answers.log_weight, (answers.annotators, belongs.shape[-1]))
    return answers.given(weight.at[: len(belongs)].set(belongs))


def with_new_annotators(model: Model, sites: dict[str, Site], values: Values, key: Array) -> Model:
    """The model at given values, annotators beyond the known ones drawn from the population."""

    def substitute(message: dict):
        value = values.get(message["name"])
        site = sites.get(message["name"])
        if value is None or site is None or message["type"] != "sample":
            return None
        if site.annotator_axis is None or value.shape == site.shape:
            return value
        drawn = message["fn"](rng_key=message["kwargs"]["rng_key"])
        known = (slice(None),) * site.annotator_axis + (slice(0, value.shape[site.annotator_axis]),)
        return drawn.at[known].set(value)

    return handlers.substitute(handlers.seed(model, key), substitute_fn=substitute)


def _aligned(model: Model, fit: xr.DataTree, new: Comparisons) -> Comparisons:
    """New rows on the fit's item and annotator tables, unseen ones appended, with the fit's design."""
    known = data_of(fit)
    if new.feature_names != known.feature_names:
        raise refuse(f"new rows have the fit's features, {known.feature_names}", f"{new.feature_names}")
    items, place, unseen = _union(known.items, new.items, Items, "item")
    shown = np.asarray(new.shown)
    aligned = new.replace(
        shown=jnp.asarray(np.where(shown < 0, -1, place[shown]), jnp.int32),
        items=items,
        outcome=None,
        response=known.response,
        levels=known.levels,
        has_ties=False,
        has_none=False,
        source_rows=None,
    )
    answers = known.design.annotator_answers
    if known.annotators is not None and known.annotator is not None and answers is not None:
        table, people, strangers = _annotators(known.annotators, new)
        aligned = aligned.replace(annotator=people, annotators=table)
        answers = jnp.concatenate([answers, jnp.zeros(len(strangers))])
    seen = jnp.concatenate([known.design.item_answers, jnp.zeros(len(unseen))])
    aligned = aligned.replace(design=known.design._replace(item_answers=seen, annotator_answers=answers))
    _check_latents(model, fit, aligned, unseen)
    return aligned


def _annotators(known: Annotators, new: Comparisons):
    n = len(new)
    if new.annotators is None or new.annotator is None:
        if known.columns:
            raise refuse(
                f"rows without annotators need none of the columns {sorted(known.columns)} of annotators",
                "a fit that may use them",
                remedy="Give the new rows annotators with these columns.",
            )
        stranger = Annotators(columns={}, size=1, labels=np.array(["(new annotator)"], dtype=object))
        table, place, strangers = _union(known, stranger, Annotators, "annotator")
        return table, jnp.full(n, place[0], jnp.int32), strangers
    table, place, strangers = _union(known, new.annotators, Annotators, "annotator")
    return table, jnp.asarray(place[np.asarray(new.annotator)], jnp.int32), strangers


def _union(known, new, kind, what: str):
    """The known table with unseen rows of the new one appended; place of each new row; unseen labels."""
    if known.labels is None or new.labels is None:
        raise refuse(f"tables of {what}s are aligned by label", "tables without labels")
    place = {label: index for index, label in enumerate(known.labels)}
    unseen = [label for label in new.labels if label not in place]
    rows = np.array([index for index, label in enumerate(new.labels) if label not in place], int)
    place.update({label: known.size + index for index, label in enumerate(unseen)})
    columns = {}
    for name, value in known.columns.items():
        if name not in new.columns and unseen:
            raise refuse(f"unseen {what}s have the column {name!r}", f"{unseen[:5]} without it")
        _check_unchanged(what, name, value, new, place)
        columns[name] = jnp.concatenate([value, new.columns[name][rows]]) if unseen else value
    labels = np.concatenate([known.labels, np.array(unseen, dtype=object)]) if unseen else known.labels
    extra = {"feature_names": known.feature_names} if kind is Items else {}
    table = kind(columns=columns, size=known.size + len(unseen), labels=labels, **extra)
    return table, np.array([place[label] for label in new.labels]), unseen


def _check_unchanged(what: str, name: str, value, new, place: dict[str, int]) -> None:
    """A label stands for the same thing in the fit and in the new rows."""
    if name not in new.columns:
        return
    rows = [row for row, label in enumerate(new.labels) if label in place and place[label] < len(value)]
    if not rows:
        return
    known = np.asarray(value)[[place[new.labels[row]] for row in rows]]
    changed = ~np.isclose(known, np.asarray(new.columns[name])[rows], rtol=1e-5).reshape(len(rows), -1).all(1)
    if changed.any():
        labels = [str(new.labels[rows[index]]) for index in np.flatnonzero(changed)[:5]]
        raise refuse(
            f"{what}s that the fit knows keep their column {name!r}",
            f"other values for {labels}",
            remedy=f"Give a changed {what} a new label.",
        )


def _check_latents(model: Model, fit: xr.DataTree, aligned: Comparisons, unseen: list[str]) -> None:
    """The model samples the same for the new rows; unseen items only where no latent grows with the table."""
    latent = latent_of(fit)
    sites = {name: site for name, site in sites_of(model, aligned).items() if site.latent}
    if set(sites) != set(latent):
        raise refuse(
            f"new rows have the columns that {fit.attrs.get('model')!r} was fitted with, so that it samples "
            f"{sorted(latent)}",
            f"rows for which it samples {sorted(sites)}",
            remedy="Give them the same features of items or of what is shown.",
        )
    for name, site in sites.items():
        if site.annotator_axis is None and site.shape != latent[name].shape[1:]:
            raise refuse(
                "new rows show items that the fit has seen, or items with the features its reward uses",
                f"unseen items {unseen[:5]}",
                remedy="Fit again with answers about them, or fit a reward over features.",
            )


def posterior_predictive(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    *,
    draws: int = 500,
    answers: int = 5000,
    annotators: str = "known",
) -> xr.DataTree:
    """Replicated answers y_rep ~ p(y | parameters), for ArviZ's checks (`az.plot_ppc_pava`, ...).

    Counted rows are repeated, one draw for each answer. Tables of more than `answers` answers are
    represented by a random sample of that many. With effects by annotator, known annotators' answers pull
    their own predictions, so a calibration curve of a good model bends; `annotators="new"` draws effects
    from the population instead, which checks the population.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit.
        fit: what an inference function returned.
        draws: posterior draws used.
        answers: answers replicated at most.
        annotators: "known", the annotators who answered; "new", others from their population.

    Returns:
        A DataTree with groups posterior_predictive and observed_data, `outcome` over dimension `answer`;
        attributes `answers` and `of_answers` say how many of how many answers it stands for.

    Example:
        >>> az.plot_ppc_pava(posterior_predictive(key, bradley_terry, fit))  # doctest: +SKIP
    """
    check_same_model(model, fit)
    if annotators not in ("known", "new"):
        raise refuse("annotators are 'known' or 'new'", repr(annotators))
    known = comparisons = data_of(fit)
    total_answers = comparisons.answers
    sample_key, draw_key = jax.random.split(key)
    if comparisons.answers > answers:
        rng = np.random.default_rng(np.asarray(jax.random.bits(sample_key, (4,))))
        from bayespref.subsetting import take

        kept = rng.multivariate_hypergeometric(np.asarray(comparisons.count, np.int64), answers)
        comparisons = take(comparisons, np.flatnonzero(kept), kept[kept > 0])
    expanded = comparisons.expanded()
    from bayespref.elpd import thin

    latent = thin(latent_of(fit), draws)
    total = len(next(iter(latent.values())))
    if annotators == "new":
        sites = sites_of(model, expanded)
        latent = {name: value for name, value in latent.items() if sites[name].annotator_axis is None}

    @jax.jit
    def replicate(known: Comparisons, blank: Comparisons, latent: Values, keys: Array) -> Array:
        def one(draw: tuple[Values, Array]) -> Array:
            values, key = draw
            own, again = jax.random.split(key)
            answers = run(model, blank, values, own)["outcome"]["fn"]
            if annotators == "known":
                answers = _informed(model, known, values, answers)
            return answers.sample(again)

        return jax.lax.map(one, (latent, keys), batch_size=CHUNK)

    blank = expanded.replace(outcome=None, has_ties=False, has_none=False)
    keys = jax.random.split(draw_key, total)
    replicated = np.asarray(replicate(known, blank, latent, keys))
    replicated = as_deep(replicated, expanded)
    dims = ("chain", "draw", "answer", "position")[: replicated.ndim + 1]
    tree = xr.DataTree.from_dict(
        {
            "posterior_predictive": xr.Dataset({"outcome": (dims, replicated[None])}),
            "observed_data": xr.Dataset({"outcome": (dims[2:], np.asarray(expanded.outcome))}),
        }
    )
    tree.attrs.update(answers=len(expanded), of_answers=total_answers)
    return tree


def pairs_of(fit: xr.DataTree) -> Comparisons:
    """Every ordered pair of the fit's items, shown in both orders, without outcomes."""
    known = data_of(fit)
    m = known.items.size
    first, second = np.divmod(np.arange(m * m), m)
    pairs = np.stack([first, second], 1)[first != second]
    new = Comparisons.from_arrays(pairs, items=known.items)
    return with_design(new).replace(presentation=known.presentation, feature_names=known.feature_names)


def preference_matrix(
    key: Array, model: Model, fit: xr.DataTree, grid, *, columns: Mapping[str, Callable] | None = None
) -> np.ndarray:
    """Posterior mean probability that the point of the row is chosen over that of the column.

    Args:
        key: a `jax.random.key`.
        model: the model that made the fit, a function of points.
        fit: what an inference function returned.
        grid: (g,) or (g, d) points.
        columns: the other columns of the fit's items, name -> function of points (g,) on a line, else (g, d).

    Returns:
        (g, g) probabilities, one half on the diagonal.

    Example:
        >>> preference_matrix(key, density_gp_1d, fit, np.linspace(-10, 10, 41))  # doctest: +SKIP
    """
    points = np.asarray(grid)
    points = points[:, None] if points.ndim == 1 else points
    first, second = np.triu_indices(len(points), 1)
    known = data_of(fit)
    pairs = np.stack([points[first], points[second]], 1)
    new = Comparisons.from_points(pairs, names=known.feature_names)
    at = np.asarray(new.items.features)
    added = {name: column(at[:, 0] if at.shape[1] == 1 else at) for name, column in (columns or {}).items()}
    new = new.with_item_columns(added) if added else new
    chosen = predict(key, model, fit, new)["probability"].values[:, 0]
    matrix = np.full((len(points), len(points)), 0.5)
    matrix[first, second], matrix[second, first] = chosen, 1 - chosen
    return matrix
