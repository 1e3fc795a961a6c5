"""What `bp.check` finds in worlds whose annotators are known: size, power, silence, and the cure it names.

Every cell is a world and a model assumed of it. In each simulated data set the model is fitted and checked as
a user would; a rate is the share of data sets with p <= .05. A cell is kept in
`operating_characteristics.csv` and not run again unless named, or of an earlier revision of the statistics;
the table and picture are written from there.

    python benchmarks/operating_characteristics.py                # hours
    python benchmarks/operating_characteristics.py --only camps --simulations 20
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from worlds import WORLDS, answers_of, oracle

import bayespref as bp
from bayespref import models

ALPHA, REPLICATES = 0.05, 199
REVISION = 3
"""Of the statistics; cells of an earlier one are run again. 3: the nudge of guesses is bounded."""
HERE = Path(__file__)
ROWS, REPORT = HERE.with_suffix(".csv"), HERE.with_suffix(".md")


class Cell(NamedTuple):
    """A world, the model assumed, whether it is right, checks aimed at what is wrong, models that cure."""

    world: str
    model: str
    options: dict
    right: bool
    aimed: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()
    simulations: int = 100
    method: str = "laplace"


def right(world: str, model: str, **options) -> Cell:
    """A cell on the diagonal: 400 data sets."""
    method = options.pop("method", "laplace")
    simulations = options.pop("simulations", 400)
    return Cell(world, model, options, True, simulations=simulations, method=method)


def wrong(
    world: str, aimed: str | tuple[str, ...], *cures: str, model: str = "bradley_terry", **options
) -> Cell:
    """A cell off the diagonal: 100 data sets."""
    return Cell(world, model, options, False, (aimed,) if isinstance(aimed, str) else aimed, cures)


TOY = {"basis": 48}
CELLS = [
    right("homogeneous", "bradley_terry"),
    right("sparse", "bradley_terry"),
    right("few", "bradley_terry", scale=1.0),
    right("position_small", "bradley_terry_position"),
    right("length_small", "bradley_terry_covariates"),
    right("probit_small", "thurstone"),
    right("ties_small", "davidson"),
    right("camps_small", "latent_class_bradley_terry"),
    right("rationality_small", "rationality_by_annotator", method="nuts"),
    right("tastes_small", "mixed_logit", method="nuts"),
    right("careless_small", "careless_crowd", method="nuts"),
    right("toy_density", "density_gp_1d", **TOY),
    right("toy_annotators", "two_viewpoints_1d", basis=32),
    right("clones_without_ids", "bradley_terry", scale=1.0),
    right("mirrored_without_ids", "bradley_terry", scale=1.0),
    wrong("camps", ("shared_tastes", "personal_tastes"), "latent_class_bradley_terry", "crowd_tastes"),
    wrong("personal", ("personal_tastes", "shared_tastes"), "crowd_tastes"),
    wrong("rationality", "rationality", "rationality_by_annotator"),
    wrong("adversaries", "rationality", "crowd_bt"),
    wrong("careless", ("lapse", "rationality"), "careless_crowd", "rationality_by_annotator"),
    wrong("lapses", ("lapse", "link"), "careless_crowd", "hurried_readers"),
    wrong("lapses_weak", ("lapse", "link"), "careless_crowd", "hurried_readers"),
    wrong("heavy_link", ("lapse", "link")),
    wrong("position", "position", "bradley_terry_position"),
    wrong("position_few", "position", "bradley_terry_position", scale=1.0),
    wrong("position_by_annotator", "position_by_annotator", "bradley_terry_position"),
    wrong("length", "covariate:length", "bradley_terry_covariates"),
    wrong("length_by_annotator", "covariate_by_annotator:length", "mixed_logit"),
    wrong("drift", "drift"),
    wrong("fatigue", "fatigue"),
    wrong("cycles", "cycles", "intransitive"),
    wrong("own_cycles", "self_consistency"),
    wrong("rao_kupper", "ties", "rao_kupper", model="davidson"),
    wrong("clones_with_two", ("shared_tastes", "personal_tastes"), "latent_class_bradley_terry"),
    wrong("toy_annotators", ("field", "design"), "two_viewpoints_1d", model="density_gp_1d", **TOY),
    wrong("toy_annotators_large", ("field", "design"), "two_viewpoints_1d", model="density_gp_1d", **TOY),
]


def main() -> None:
    """Run the cells asked for, keep their rows, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="*", help="worlds, even where their rows are there")
    parser.add_argument("--simulations", type=int, help="another number, for a look: no row is kept")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for every data set's checks, to go on from there")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    kept = pd.read_csv(ROWS) if ROWS.exists() else pd.DataFrame(columns=["world", "model"])
    new = kept[kept["revision"] == REVISION] if len(kept) else kept
    done = set(zip(new["world"], new["model"], strict=True))
    for cell in CELLS:
        if cell.world not in arguments.only if arguments.only else (cell.world, cell.model) in done:
            continue
        simulations = arguments.simulations or cell.simulations
        found = judged(cell, simulations, arguments.processes, arguments.keep)
        print(found.to_string(index=False), flush=True)
        if not arguments.simulations:
            kept = pd.read_csv(ROWS) if ROWS.exists() else kept
            others = kept[(kept["world"] != cell.world) | (kept["model"] != cell.model)]
            pd.concat([others, found] if len(others) else [found]).to_csv(ROWS, index=False)
    if not arguments.simulations and ROWS.exists():
        from operating_report import write

        write(pd.read_csv(ROWS), CELLS, REPORT, REVISION)


class Told(NamedTuple):
    """What a check says: p-values of what is testable, the verdict, the culprit, and models to try next."""

    p: dict[str, float]
    verdict: str
    culprit: str | None
    try_next: list[str]


def told(cell: Cell, indices: list[int], folder: Path | None) -> list[Told]:
    """What checks of simulated data sets say; what a folder holds already is not found again."""
    whole = getattr(models, cell.model)
    model = functools.partial(whole, **cell.options) if cell.options else whole
    found = []
    for index in indices:
        path = None if folder is None else folder / f"{cell.world}-{cell.model}-{REVISION}-{index}.json"
        if path is not None and path.exists():
            found.append(Told(*json.loads(path.read_text())))
            continue
        data, _ = simulated(cell, index)
        key = jax.random.fold_in(jax.random.key(1), index)
        check = bp.check(key, model, fitted(cell, model, data, index), replicates=REPLICATES, alpha=ALPHA)
        p = check.table.loc[check.table["testable"], "p_value"].to_dict()
        found.append(Told(p, check.verdict, check.culprit, [name for name, _ in check.try_next]))
        if path is not None:
            path.write_text(json.dumps(found[-1]))
    return found


def simulated(cell: Cell, index: int):
    """Answers of a world, and what an oracle knows of them."""
    return answers_of(WORLDS[cell.world], np.random.default_rng([7, index]))


def fitted(cell: Cell, model: Callable, data: bp.Comparisons, index: int):
    """A fit by Laplace, or by one short chain of NUTS, to which Laplace points where it refuses."""
    key = jax.random.key(index)
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        if cell.method == "laplace":
            try:
                return bp.laplace(key, model, data, draws=200, proposals=400)
            except ValueError as refusal:
                print(f"{cell.world}, data set {index}: {refusal}", flush=True)
        return bp.nuts(key, model, data, chains=1, warmup=250, draws=300, target_accept=0.9, progress=False)


def judged(cell: Cell, simulations: int, processes: int, folder: Path | None) -> pd.DataFrame:
    """One row for each check of a cell: how often it rejects; and for the family, the cure, the oracle."""
    start = time.perf_counter()
    shares = [list(range(first, simulations, processes)) for first in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        checks = [
            one for share in pool.map(told, [cell] * processes, shares, [folder] * processes) for one in share
        ]
    rows = []
    for name in dict.fromkeys(name for check in checks for name in check.p):
        p = [check.p[name] for check in checks if name in check.p]
        rows.append([name, np.mean(np.array(p) <= ALPHA), len(p)])
    rows.append(["verdict:fails", np.mean([c.verdict == "fails" for c in checks]), simulations])
    rows.append(["verdict:not testable", np.mean([c.verdict == "not testable" for c in checks]), simulations])
    named = pd.Series([c.culprit or "none" for c in checks]).value_counts(normalize=True)
    rows += [[f"named:{name}", share, simulations] for name, share in named.items()]
    if cell.cures:
        cured = [any(cure in cell.cures for cure in c.try_next[:2]) for c in checks]
        rows.append(["cured", np.mean(cured), simulations])
    truths = [] if cell.right else [simulated(cell, index)[1] for index in range(simulations)]
    if truths and (power := oracle(WORLDS[cell.world], truths)) is not None:
        rows.append(["oracle", power, simulations])
    rows.append(["seconds", time.perf_counter() - start, simulations])
    found = pd.DataFrame(rows, columns=["what", "rate", "simulations"])
    found.insert(0, "revision", REVISION)
    found.insert(0, "model", cell.model)
    found.insert(0, "world", cell.world)
    return found


if __name__ == "__main__":
    main()
