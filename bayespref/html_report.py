"""A report of fits: one HTML file that needs nothing else to be read, printed or sent."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import jax
import pandas as pd
import xarray as xr
from jax import Array

from bayespref import elpd, plots, ranks
from bayespref import html_page as html
from bayespref.checks.judging import check
from bayespref.checks.verdict import Check
from bayespref.comparisons import refuse
from bayespref.diagnostics.summary import Summary
from bayespref.gallery import options_of, story
from bayespref.inference.fit import VERSIONED, check_same_model, data_of
from bayespref.inference.program import Model
from bayespref.inference.trust import trust, verdict
from bayespref.predictive import posterior_predictive
from bayespref.wording import (
    PROB,
    check_note,
    comparison_note,
    comparison_rows,
    probability,
    quantities,
    ranking_note,
    ranking_rows,
    unit_of,
)

MATRIX_ITEMS, FOREST_ROWS, RANKED = 30, 60, 500

Fits = Mapping[str, tuple[Model, xr.DataTree]]


def report(
    key: Array,
    fits: Fits,
    path: str | os.PathLike,
    *,
    by: str | None = None,
    judged: Mapping[str, elpd.Elpd] | None = None,
    checks: Mapping[str, Check] | None = None,
    title: str | None = None,
) -> None:
    """Write one self-contained HTML file: the answer, data, fits, their checks and comparison, the ranking.

    Args:
        key: a `jax.random.key`, for predictive draws, integration and checks.
        fits: name -> (model, fit), all to the same answers; the first two or more are compared.
        path: where to; an existing file is replaced, the new one appears whole or not at all.
        by: unit of the comparison, "comparison" or "annotator"; None takes annotators where they are known.
        judged: name -> result of `loo`, where that has been computed; None computes it.
        checks: name -> result of `check`, where that has been computed; None computes it, {} leaves it out.
        title: title of the report.

    Raises:
        ValueError: for no fits, fits to different answers, or another model than a fit's own.

    Example:
        >>> report(jax.random.key(0), {"pooled": (bradley_terry, fit)}, "report.html")  # doctest: +SKIP
    """
    _check(fits)
    loo_key, fit_key, win_key, check_key = jax.random.split(key, 4)
    unit = by or unit_of(fit for _, fit in fits.values())
    if len(fits) > 1 and judged is None:
        judged = {name: elpd.loo(loo_key, model, fit, by=unit) for name, (model, fit) in fits.items()}
    table = elpd.compare(judged) if judged and len(fits) > 1 else None
    order = list(fits) if table is None else list(table.index)
    ranked = next((name for name in order if _rankable(fits[name][1])), None)
    ranking = None if ranked is None else ranks.ranking(fits[ranked][1], prob=PROB)
    data = data_of(next(iter(fits.values()))[1])
    checked = _checked(check_key, fits, checks)
    parts = [
        _answer(fits, order[0], table, ranked, ranking, checked.get(order[0])),
        _data(data.summary()),
        *(_fit(fit_key, name, *fits[name]) for name in fits),
        *_checks(checked),
    ]
    if table is not None and judged is not None:
        parts.append(_comparison(table, judged))
    if ranked is not None and ranking is not None:
        parts.append(_ranking(win_key, ranked, *fits[ranked], ranking))
    parts.append(_foot(fits))
    html.write(Path(path), html.page(title or f"Preferences in {data.answers:,} answers", parts))


def _check(fits: Fits) -> None:
    if not fits:
        raise refuse("a report has at least one fit", "none")
    for name, entry in fits.items():
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], xr.DataTree):
            raise refuse("a report takes name -> (model, fit)", f"a {type(entry).__name__} for {name!r}")
        check_same_model(*entry)
    digests = {name: elpd.data_digest(data_of(fit)) for name, (_, fit) in fits.items()}
    if len(set(digests.values())) > 1:
        raise refuse(
            "fits in a report are of the same answers", f"data {digests}", remedy="Write two reports."
        )


def _rankable(fit: xr.DataTree) -> bool:
    """Whether items are things with names, not attribute vectors, and have worths."""
    posterior = fit["posterior"]
    worths = "log_density" in posterior and posterior["log_density"].dims == ("chain", "draw", "item")
    return worths and "item_features" not in fit["constant_data"] and posterior.sizes["item"] <= RANKED


# ---- sections --------------------------------------------------------------------------------------------


def _answer(
    fits: Fits,
    best: str,
    table: pd.DataFrame | None,
    ranked: str | None,
    ranking: pd.DataFrame | None,
    checked: Check | str | None,
) -> str:
    model, fit = fits[best]
    lead = trust(fit) if table is None else elpd.conclusion(table)
    said = story(model)
    parts = [f"<p class='lead'>{html.text(lead)}</p>"]
    if said:
        known = best if best == fit.attrs["model"] else f"{best} ({fit.attrs['model']})"
        parts.append(f"<p><b>{html.text(known)}</b> says: {html.prose(said[0])}</p>")
    if ranking is not None and ranked is not None:
        parts.append(f"<p>{html.text(_top(ranked, ranking))}</p>")
    doubtful = [name for name, (_, fit) in fits.items() if verdict(fit)]
    if doubtful and table is not None:
        names = ", ".join(doubtful)
        parts.append(
            f"<p class='warn'>Read with care: {html.text(names)} did not pass its checks; see below.</p>"
        )
    elif table is not None:
        parts.append("<p>Every fit passed its checks of convergence.</p>")
    if isinstance(checked, Check):
        parts.append(f"<p class='{_kind(checked)}'>{html.text(_assumed(best, checked))}</p>")
    return html.section("The answer", *parts)


def _assumed(name: str, checked: Check) -> str:
    """Whether what a fit assumes about annotators holds, in a sentence."""
    if checked.verdict == "fails":
        wrong = "; ".join(checked.words()[check] for check in checked.failing())
        return f"What {name} assumes about annotators does not hold: {wrong}. See below what that does."
    if checked.verdict == "passes":
        return f"What {name} assumes about annotators passed every check that these data allow."
    return f"Whether annotators are what {name} assumes, these data cannot tell: see below what is missing."


def _top(name: str, ranking: pd.DataFrame) -> str:
    """The best items in words."""
    first = ranking.index[0]
    p_best = probability(float(ranking["p_best"].iloc[0]))
    tied = [str(item) for item in ranking.index[ranking["rank"] == ranking["rank"].iloc[0]][1:]]
    text = f"Of {len(ranking)} items, {first} ranks first under {name} (P(best) {p_best})"
    if not tied:
        return f"{text}, ahead of {ranking.index[1]}."
    others = ", ".join(tied[:5]) + (f" and {len(tied) - 5} more" if len(tied) > 5 else "")
    return f"{text}; the posterior does not separate it from {others}."


def _data(summary: Summary) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{html.text(name)}</th><td>{html.text(value)}</td></tr>"
        for name, value in summary.lines()
    )
    notes = "".join(f"<p class='warn'>{html.text(note)}</p>" for note in summary.notes)
    return html.section("The data", f"<div class='wide'><table class='facts'>{rows}</table></div>{notes}")


def _fit(key: Array, name: str, model: Model, fit: xr.DataTree) -> str:
    kind = "warn" if verdict(fit) else "good"
    parts = [
        "".join(f"<p>{html.prose(paragraph)}</p>" for paragraph in story(model)),
        f"<p class='{kind}'><b>Verdict.</b> {html.text(trust(fit))}</p>",
        f"<p class='small'>{html.text(_made(model, fit))}</p>",
    ]
    if rows := quantities(fit):
        parts.append(
            html.table(rows, f"Posterior of {name}: means, standard deviations, equal-tailed intervals.")
        )
    parts += _pictures(key, name, model, fit)
    return html.section(f"Fit: {name}", *parts)


def _made(model: Model, fit: xr.DataTree) -> str:
    options = ", ".join(f"{option}={value!r}" for option, value in options_of(model).items())
    return f"Model {fit.attrs['model']}({options}), fitted by {fit.attrs['method']}."


def _pictures(key: Array, name: str, model: Model, fit: xr.DataTree) -> list[str]:
    posterior, pictures = fit["posterior"], []
    if (
        "coefficient" in posterior
        and posterior["coefficient"].sizes.get("feature", FOREST_ROWS + 1) <= FOREST_ROWS
    ):
        caption = f"Coefficients under {name}, in log-odds for one unit of each attribute."
        pictures.append(
            html.figure(lambda: plots.forest(fit, name="coefficient", unit="log-odds for one unit"), caption)
        )
    elif _rankable(fit) and posterior.sizes["item"] <= FOREST_ROWS:
        caption = f"Worths of the items under {name}: posterior means and intervals."
        pictures.append(html.figure(lambda: plots.forest(fit), caption))
    for effect in map(str, posterior.data_vars):
        if "annotator" not in posterior[effect].dims:
            continue
        caption = f"How annotators differ under {name}: {effect}, shrunk towards the population."
        vector = posterior[effect].ndim > 3
        pictures.append(
            html.figure(lambda effect=effect, vector=vector: _effects(fit, effect, vector=vector), caption)
        )
    replicated = posterior_predictive(key, model, fit, annotators="new")
    caption = (
        f"Calibration of {name}: how often answers were given against how probable they were held to be, for "
        "annotators drawn from the population. A curve outside the band tells of wrong probabilities; one "
        "inside it does not tell that the population is right."
    )
    return [*pictures, html.figure(lambda: plots.calibration(replicated), caption)]


def _effects(fit: xr.DataTree, effect: str, *, vector: bool):
    return plots.annotators(fit, name=effect, standardise=vector and f"{effect}_sd" in fit["posterior"])


def _checked(key: Array, fits: Fits, checks: Mapping[str, Check] | None) -> dict[str, Check | str]:
    """Name -> what was found, or why nothing was, of the fits whose annotators are judged."""
    if checks is not None:
        return {name: checks[name] for name in fits if name in checks}
    found: dict[str, Check | str] = {}
    for name, (model, fit) in fits.items():
        try:
            found[name] = check(key, model, fit)
        except ValueError as error:
            found[name] = str(error)
    return found


def _checks(checked: Mapping[str, Check | str]) -> list[str]:
    """What is wrong with each fit's annotators: a section, or none where nothing is asked for."""
    parts = []
    for name, found in checked.items():
        parts.append(f"<h3>{html.text(name)}</h3>" if len(checked) > 1 else "")
        if isinstance(found, str):
            parts.append(f"<p class='small'>Not checked: {html.text(found)}</p>")
            continue
        parts += [
            f"<p class='{_kind(found)}'>{html.text(found.paragraph)}</p>",
            html.figure(lambda found=found: plots.checks(found), f"Assumptions of {name} about annotators."),
            html.table(found.rows().to_dict("records"), check_note(found)),
        ]
    return [html.section("Do the annotators do what the model says?", *parts)] if parts else []


def _kind(found: Check) -> str:
    """The colour of a verdict."""
    return {"fails": "warn", "passes": "good"}.get(found.verdict, "small")


def _comparison(table: pd.DataFrame, judged: Mapping[str, elpd.Elpd]) -> str:
    unit = str(table["unit"].iloc[0])
    return html.section(
        f"The comparison, by {unit}",
        f"<p>The question is how well each fit predicts {html.text(elpd.UNITS[unit])}.</p>",
        html.table(comparison_rows(table), comparison_note(judged)),
        html.figure(
            lambda: plots.comparison(table), "Differences in predictive density to the best fit, in nats."
        ),
    )


def _ranking(key: Array, name: str, model: Model, fit: xr.DataTree, ranking: pd.DataFrame) -> str:
    parts = [html.table(ranking_rows(ranking), ranking_note(ranking))]
    if len(ranking) <= MATRIX_ITEMS:
        better, wins = ranks.superiority(fit), ranks.win_probability(key, model, fit)
        parts += [
            "<p>Two probabilities that are easily confused: that one item <em>is better</em> than another, "
            "which more answers make certain, and that it <em>wins the next answer</em>, which stays "
            "uncertain however many answers there are.</p>",
            html.figure(lambda: plots.win_matrix(better), "P(A is better than B), of the posterior."),
            html.figure(
                lambda: plots.win_matrix(wins["win"]), "P(A wins the next answer against B), predictive."
            ),
        ]
    return html.section(f"The ranking, under {name}", *parts)


def _foot(fits: Fits) -> str:
    rows = []
    for name, (_, fit) in fits.items():
        attrs = fit.attrs
        settings = json.loads(attrs.get("settings", "{}"))
        rows.append(
            {
                "fit": name,
                "method": str(attrs.get("method")),
                "seed": str(attrs.get("seed", "not recorded")),
                "settings": ", ".join(f"{setting} {value}" for setting, value in settings.items()),
                "versions": ", ".join(
                    f"{package} {attrs.get(f'{package}_version', '?')}" for package in VERSIONED
                ),
                "model digest": str(attrs.get("model_digest")),
            }
        )
    notes = (
        f"Intervals are equal-tailed with probability {PROB:g}, unless a picture says otherwise. Written by "
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    )
    return f"<footer><h2>How it was made</h2>{html.table(rows, notes)}</footer>"
