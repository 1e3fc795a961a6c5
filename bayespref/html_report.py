"""A report of fits: one HTML file that needs nothing else to be read, printed or sent."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import xarray as xr
from jax import Array

from bayespref import elpd, plots, ranks
from bayespref.comparisons import refuse
from bayespref.diagnostics.summary import Summary
from bayespref.gallery import options_of, story
from bayespref.inference.fit import VERSIONED, check_same_model, data_of
from bayespref.inference.program import Model
from bayespref.inference.trust import trust, verdict
from bayespref.predictive import posterior_predictive
from bayespref.wording import (
    PROB,
    comparison_note,
    comparison_rows,
    probability,
    quantities,
    ranking_note,
    ranking_rows,
    unit_of,
)

MATRIX_ITEMS, FOREST_ROWS, RANKED = 30, 60, 500
DOTS = 160
"""Dots an inch of the pictures."""

Fits = Mapping[str, tuple[Model, xr.DataTree]]


def report(
    key: Array,
    fits: Fits,
    path: str | os.PathLike,
    *,
    by: str | None = None,
    judged: Mapping[str, elpd.Elpd] | None = None,
    title: str | None = None,
) -> None:
    """Write one self-contained HTML file: the answer in words, data, fits, their comparison, the ranking.

    Args:
        key: a `jax.random.key`, for predictive draws and integration.
        fits: name -> (model, fit), all to the same answers; the first two or more are compared.
        path: where to; an existing file is replaced, the new one appears whole or not at all.
        by: unit of the comparison, "comparison" or "annotator"; None takes annotators where they are known.
        judged: name -> result of `loo`, where that has been computed; None computes it.
        title: title of the report.

    Raises:
        ValueError: for no fits, fits to different answers, or another model than a fit's own.

    Example:
        >>> report(jax.random.key(0), {"pooled": (bradley_terry, fit)}, "report.html")  # doctest: +SKIP
    """
    _check(fits)
    loo_key, check_key, win_key = jax.random.split(key, 3)
    unit = by or unit_of(fit for _, fit in fits.values())
    if len(fits) > 1 and judged is None:
        judged = {name: elpd.loo(loo_key, model, fit, by=unit) for name, (model, fit) in fits.items()}
    table = elpd.compare(judged) if judged and len(fits) > 1 else None
    order = list(fits) if table is None else list(table.index)
    ranked = next((name for name in order if _rankable(fits[name][1])), None)
    ranking = None if ranked is None else ranks.ranking(fits[ranked][1], prob=PROB)
    data = data_of(next(iter(fits.values()))[1])
    parts = [
        _answer(fits, order[0], table, ranked, ranking),
        _data(data.summary()),
        *(_fit(check_key, name, *fits[name]) for name in fits),
    ]
    if table is not None and judged is not None:
        parts.append(_comparison(table, judged))
    if ranked is not None and ranking is not None:
        parts.append(_ranking(win_key, ranked, *fits[ranked], ranking))
    parts.append(_foot(fits))
    _write(Path(path), _page(title or f"Preferences in {data.answers:,} answers", parts))


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


def _answer(fits: Fits, best: str, table: pd.DataFrame | None, ranked: str | None, ranking) -> str:
    model, fit = fits[best]
    lead = trust(fit) if table is None else elpd.conclusion(table)
    said = story(model)
    parts = [f"<p class='lead'>{_text(lead)}</p>"]
    if said:
        known = best if best == fit.attrs["model"] else f"{best} ({fit.attrs['model']})"
        parts.append(f"<p><b>{_text(known)}</b> says: {_prose(said[0])}</p>")
    if ranking is not None and ranked is not None:
        parts.append(f"<p>{_text(_top(ranked, ranking))}</p>")
    doubtful = [name for name, (_, fit) in fits.items() if verdict(fit)]
    if doubtful and table is not None:
        names = ", ".join(doubtful)
        parts.append(
            f"<p class='warn'>Read with care: {_text(names)} did not pass its checks; see below.</p>"
        )
    elif table is not None:
        parts.append("<p>Every fit passed its checks of convergence.</p>")
    return _section("The answer", *parts)


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
        f"<tr><th scope='row'>{_text(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in summary.lines()
    )
    notes = "".join(f"<p class='warn'>{_text(note)}</p>" for note in summary.notes)
    return _section("The data", f"<div class='wide'><table class='facts'>{rows}</table></div>{notes}")


def _fit(key: Array, name: str, model: Model, fit: xr.DataTree) -> str:
    kind = "warn" if verdict(fit) else "good"
    parts = [
        "".join(f"<p>{_prose(paragraph)}</p>" for paragraph in story(model)),
        f"<p class='{kind}'><b>Verdict.</b> {_text(trust(fit))}</p>",
        f"<p class='small'>{_text(_made(model, fit))}</p>",
    ]
    if rows := quantities(fit):
        parts.append(
            _table(rows, f"Posterior of {name}: means, standard deviations, equal-tailed intervals.")
        )
    parts += _pictures(key, name, model, fit)
    return _section(f"Fit: {name}", *parts)


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
            _figure(lambda: plots.forest(fit, name="coefficient", unit="log-odds for one unit"), caption)
        )
    elif _rankable(fit) and posterior.sizes["item"] <= FOREST_ROWS:
        caption = f"Worths of the items under {name}: posterior means and intervals."
        pictures.append(_figure(lambda: plots.forest(fit), caption))
    for effect in map(str, posterior.data_vars):
        if "annotator" not in posterior[effect].dims:
            continue
        caption = f"How annotators differ under {name}: {effect}, shrunk towards the population."
        vector = posterior[effect].ndim > 3
        pictures.append(
            _figure(lambda effect=effect, vector=vector: _effects(fit, effect, vector=vector), caption)
        )
    replicated = posterior_predictive(key, model, fit, annotators="new")
    caption = (
        f"Calibration of {name}: how often answers were given against how probable they were held to be, for "
        "annotators drawn from the population. A curve outside the band tells of wrong probabilities; one "
        "inside it does not tell that the population is right."
    )
    return [*pictures, _figure(lambda: plots.calibration(replicated), caption)]


def _effects(fit: xr.DataTree, effect: str, *, vector: bool):
    return plots.annotators(fit, name=effect, standardise=vector and f"{effect}_sd" in fit["posterior"])


def _comparison(table: pd.DataFrame, judged: Mapping[str, elpd.Elpd]) -> str:
    unit = str(table["unit"].iloc[0])
    return _section(
        f"The comparison, by {unit}",
        f"<p>The question is how well each fit predicts {_text(elpd.UNITS[unit])}.</p>",
        _table(comparison_rows(table), comparison_note(judged)),
        _figure(
            lambda: plots.comparison(table), "Differences in predictive density to the best fit, in nats."
        ),
    )


def _ranking(key: Array, name: str, model: Model, fit: xr.DataTree, ranking: pd.DataFrame) -> str:
    parts = [_table(ranking_rows(ranking), ranking_note(ranking))]
    if len(ranking) <= MATRIX_ITEMS:
        better, wins = ranks.superiority(fit), ranks.win_probability(key, model, fit)
        parts += [
            "<p>Two probabilities that are easily confused: that one item <em>is better</em> than another, "
            "which more answers make certain, and that it <em>wins the next answer</em>, which stays "
            "uncertain however many answers there are.</p>",
            _figure(lambda: plots.win_matrix(better), "P(A is better than B), of the posterior."),
            _figure(
                lambda: plots.win_matrix(wins["win"]), "P(A wins the next answer against B), predictive."
            ),
        ]
    return _section(f"The ranking, under {name}", *parts)


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
    return f"<footer><h2>How it was made</h2>{_table(rows, notes)}</footer>"


# ---- HTML ------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    """Text of a docstring, `code` marked."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", _text(text))


def _section(heading: str, *parts: str) -> str:
    return f"<section><h2>{_text(heading)}</h2>{''.join(parts)}</section>"


def _table(rows: list[dict[str, str]], note: str) -> str:
    """A table of text, numbers set flush right, with a note below."""
    titles = list(rows[0])
    flush = {title: _numeric([row[title] for row in rows]) for title in titles}
    head = "".join(
        f"<th scope='col'{' class=n' if flush[title] else ''}>{_text(title)}</th>" for title in titles
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if flush[t] else ''}>{_text(row[t])}</td>" for t in titles)
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{table}</div><p class='small'>{_text(note)}</p>"


def _numeric(cells: list[str]) -> bool:
    return all(cell.strip("[]=<>") == "" or cell.lstrip("[=<>-")[:1].isdigit() for cell in cells)


def _figure(draw: Callable[[], Any], caption: str) -> str:
    """A picture inside the page; where it cannot be drawn, the reason."""
    from matplotlib import pyplot as plt

    try:
        figure = draw().figure
    except ValueError as error:
        return f"<p class='small'>{_text(caption)} Not drawn: {_text(error)}</p>"
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS, bbox_inches="tight", facecolor="white")
    width = round(figure.get_figwidth() * 96)
    plt.close(figure)
    picture = base64.b64encode(buffer.getvalue()).decode()
    image = f"<img src='data:image/png;base64,{picture}' alt='{_text(caption)}' style='width:{width}px'>"
    return f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>"


def _page(title: str, parts: list[str]) -> str:
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{_text(title)}</h1>\n{'\n'.join(parts)}\n</main></body></html>\n"
    )


def _write(path: Path, text: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)


STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6168; --paper: #fff; --line: #d9dce0;
  --good: #e7f3ec; --warn: #fdf0dc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7e9; --soft: #a3a9b0; --paper: #16181b; --line: #3a3f45; --good: #1b3326;
    --warn: #44330f; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h1 + section h2 { border: 0; padding: 0; margin-top: 0; font-size: 1rem; color: var(--soft); }
p { margin: .6rem 0; max-width: 44rem; }
.lead { font-size: 1.25rem; line-height: 1.45; }
.small, figcaption { font-size: .85rem; color: var(--soft); }
.good, .warn { padding: .55rem .8rem; border-radius: 6px; background: var(--good); }
.warn { background: var(--warn); }
.wide { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid var(--ink); white-space: nowrap; }
tbody td, .facts th, .facts td { border-bottom: 1px solid var(--line); }
.facts th { font-weight: 600; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
figure { margin: 1.5rem 0; break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; background: #fff; border-radius: 6px; }
figcaption { margin-top: .4rem; }
footer table { font-size: .78rem; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } .wide { overflow: visible; }
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --good: #fff; --warn: #fff; } }
"""
