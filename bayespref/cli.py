"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from bayespref.cli_check import check, try_next
from bayespref.cli_columns import Columns, read
from bayespref.cli_methods import (
    Json,
    ModelFiles,
    Output,
    Unit,
    check_folder,
    checked_sites,
    method_with,
    options_from,
    place_from,
)
from bayespref.cli_output import (
    comparison_table,
    console,
    pairs,
    plain_warnings,
    print_quantities,
    ranking_table,
    tell,
    trust_record,
    write_json,
)
from bayespref.gallery import MODEL_SPEC, find_model, gallery, model_of

REFUSED = 2
"""Exit code for input that is refused."""


def _version() -> str:
    import bayespref

    return bayespref.__version__


app = App(
    name="bayespref",
    help="Declare how annotators answer, fit, judge, compare, rank.",
    version=_version,
    help_format="plaintext",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Input that is refused ends with one paragraph on stderr and exit code 2."""
    try:
        _keep_programs()
        with plain_warnings():
            app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:  # printed by cyclopts
        sys.exit(REFUSED)
    except (ValueError, OSError) as error:
        tell(f"error: {error}")
        sys.exit(REFUSED)


def _keep_programs() -> None:
    """JAX's persistent cache in the folder that BAYESPREF_CACHE names; without importing JAX."""
    if folder := os.environ.get("BAYESPREF_CACHE"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(folder).expanduser()))
        for name in ("MIN_COMPILE_TIME_SECS", "MIN_ENTRY_SIZE_BYTES"):
            os.environ.setdefault(f"JAX_PERSISTENT_CACHE_{name}", "0")


# ---- commands --------------------------------------------------------------------------------------------


@app.command(sort_key=0)
def summarise(data: Path, /, *, columns: Columns | None = None, as_json: Json = False) -> None:
    """Describe a table of answers.

    Args:
        data: Table of answers: .csv, .parquet or .jsonl.
        columns: Which columns are what.
        as_json: Write JSON.
    """
    answers = read(data, columns)
    summary = answers.summary()
    if as_json:
        write_json(dataclasses.asdict(summary))
        return
    out = console()
    out.print(pairs(summary.lines()))
    for note in summary.notes:
        out.print(f"\n! {note}")


@app.command(sort_key=1)
def fit(
    model: str,
    data: Path,
    /,
    *,
    output: Output,
    method: Literal["nuts", "laplace", "svi"] | None = None,
    seed: int = 0,
    options: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    chains: int | None = None,
    warmup: int | None = None,
    draws: int | None = None,
    target_accept: float | None = None,
    steps: int | None = None,
    guide: str | None = None,
    checkpoint: str | None = None,
    progress: bool | None = None,
    columns: Columns | None = None,
) -> None:
    """Fit a model to a table of answers.

    Args:
        model: A name of the gallery (see `bayespref models`), or path.py:function.
        data: Table of answers: .csv, .parquet or .jsonl.
        output: Where to write the fit (netCDF).
        method: laplace where annotators do not differ, else nuts, unless said.
        seed: Seed of all that is random.
        options: Options of the model: --set scale=2.
        chains: Independent chains (nuts).
        warmup: Warm-up draws of a chain (nuts).
        draws: Draws to keep, of each chain for nuts.
        target_accept: Target acceptance, nearer 1 for smaller steps (nuts).
        steps: Steps of the optimiser (svi).
        guide: Family of the approximation (svi): normal for models with thousands of weights.
        checkpoint: A file to go on from if interrupted: run the same command again (nuts).
        progress: Show a progress bar; on a terminal unless said.
        columns: Which columns are what.
    """
    check_folder(output)
    given = options_from(options or [])
    found = find_model(model, given)
    answers = read(data, columns)
    sites = checked_sites(found, answers, given)

    from bayespref.inference.recommended import recommended

    suited, reason = recommended(sites)
    chosen, why = (method, "") if method else (suited, f" (chosen because {reason})")
    settings = {"chains": chains, "warmup": warmup, "draws": draws, "target_accept": target_accept}
    settings |= {"steps": steps, "guide": guide, "checkpoint": checkpoint}
    run = method_with(chosen, settings, progress=sys.stderr.isatty() if progress is None else progress)

    import jax

    from bayespref import save
    from bayespref.inference.trust import trust

    tell(f"fitting {model} by {chosen}{why} to {answers.answers:,} answers, seed {seed}")
    start = time.perf_counter()
    result = run(jax.random.key(seed), found, answers)
    seconds = time.perf_counter() - start
    result.attrs.update({MODEL_SPEC: model, "seed": seed})
    save(result, output)
    out = console()
    print_quantities(out, result)
    out.print(f"{trust(result)}\n\n{output} written after {seconds:.0f} s.")


@app.command(sort_key=2)
def rank(
    fit: Path,
    /,
    *,
    anchor: str | None = None,
    scale: Literal["log-odds", "elo"] = "log-odds",
    at: str | None = None,
    as_json: Json = False,
) -> None:
    """Rank the items of a fit.

    Args:
        fit: A fit that `bayespref fit` wrote.
        anchor: Item whose worth is the origin; the mean of all items unless said.
        scale: Unit of worth.
        at: Which of several rankings: class=0, the largest class of annotators.
        as_json: Write JSON.
    """
    from bayespref import load, ranking
    from bayespref.inference.trust import trust
    from bayespref.wording import ranking_note

    loaded = load(fit)
    table = ranking(loaded, anchor=anchor, scale=scale, at=place_from(at))
    if as_json:
        items = table.reset_index().to_dict("records")
        write_json({"fit": str(fit), **trust_record(loaded), **table.attrs, "items": items})
        return
    out = console()
    out.print(ranking_table(table))
    out.print(f"\n{ranking_note(table)}\n\n{trust(loaded)}")


app.command(check, sort_key=3)
app.command(try_next, sort_key=4)


@app.command(sort_key=5)
def compare(
    *fits: Path,
    by: Unit | None = None,
    seed: int = 0,
    model: ModelFiles = None,
    as_json: Json = False,
) -> None:
    """Compare fits to the same answers by how well they predict what was left out.

    Args:
        fits: Fits that `bayespref fit` wrote.
        by: What is left out: one answer, or all of an annotator's; annotators where they are known.
        seed: Seed of all that is random.
        model: path.py:function of a fit's model, where the fit cannot say.
        as_json: Write JSON.
    """
    from bayespref import compare as compare_all
    from bayespref import conclusion
    from bayespref.inference.trust import trust
    from bayespref.wording import comparison_note

    loaded = _load_all(fits, model or [], at_least=2)
    judged = _judge(loaded, by, seed)
    table = compare_all(judged)
    if as_json:
        rows = table.reset_index(names="fit").to_dict("records")
        trusted = {name: trust_record(fit) for name, (_, fit) in loaded.items()}
        write_json(
            {"unit": table["unit"].iloc[0], "conclusion": conclusion(table), "table": rows, "fits": trusted}
        )
        return
    out = console()
    out.print(f"{conclusion(table)}\n")
    out.print(comparison_table(table))
    out.print(f"\n{comparison_note(judged)}\n")
    out.print(pairs([(name, trust(fit)) for name, (_, fit) in loaded.items()]))


@app.command(sort_key=6)
def report(
    *fits: Path,
    output: Output,
    by: Unit | None = None,
    seed: int = 0,
    title: str | None = None,
    check: bool = True,
    model: ModelFiles = None,
) -> None:
    """Write a report of one or more fits: one HTML file with everything in it.

    Args:
        fits: Fits that `bayespref fit` wrote.
        output: Where to write the report (.html).
        by: What is left out: one answer, or all of an annotator's; annotators where they are known.
        seed: Seed of all that is random.
        title: Title of the report.
        check: Check each fit's assumptions about the annotators, which may take minutes.
        model: path.py:function of a fit's model, where the fit cannot say.
    """
    check_folder(output)
    import jax

    from bayespref.html_report import report as write
    from bayespref.inference.trust import trust

    loaded = _load_all(fits, model or [], at_least=1)
    write(jax.random.key(seed), loaded, output, by=by, checks=None if check else {}, title=title)
    out = console()
    out.print(pairs([(name, trust(fit)) for name, (_, fit) in loaded.items()]))
    out.print(f"\n{output} written.")


@app.command(sort_key=7)
def models() -> None:
    """List the models of the gallery, one line each."""
    console().print(pairs(list(gallery().items())))


# ---- from arguments to what they name --------------------------------------------------------------------


def _load_all(
    paths: Sequence[Path], specs: Sequence[str], *, at_least: int
) -> dict[str, tuple[Callable, Any]]:
    """Name -> (model, fit), by the shortest names that tell the files apart."""
    from bayespref import load

    if len(paths) < at_least:
        raise ValueError(
            f"this takes at least {at_least} fit(s); got {len(paths)}. Make them with bayespref fit."
        )
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(f"each fit is given once; got {', '.join(map(str, paths))}.")
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    fits = [load(path) for path in paths]
    return {name: (model_of(fit, specs), fit) for name, fit in zip(names, fits, strict=True)}


def _judge(loaded: Mapping[str, tuple[Callable, Any]], by: str | None, seed: int) -> dict[str, Any]:
    import jax

    from bayespref import FitWarning, loo
    from bayespref.wording import unit_of

    unit = by or unit_of([fit for _, fit in loaded.values()])
    judged = {}
    for name, (model, fit) in loaded.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            judged[name] = loo(jax.random.key(seed), model, fit, by=unit)
    return judged


if __name__ == "__main__":
    main()
