"""A Gaussian-process reward on a line by Laplace's approximation, beside BoTorch's PairwiseGP.

Points of [-10, 10] are drawn, each in a part of its own, and answers given about pairs of them by the density
of two normals (sd 2, at -4 and 4). Both: a Matern 5/2 kernel with learnt length and amplitude, a logit
likelihood. bayespref expands the process in 64 functions and approximates the posterior of everything
jointly; BoTorch keeps a value for each point, and takes the most probable length and amplitude, under priors
of its own. Loss is the mean KL divergence (nats an answer) of what the posterior mean says of 20,000 new
pairs from the truth. `first` is a process in which nothing was compiled before, `later` one that finds
bayespref's cache of compiled programs (BoTorch keeps none), `again` the same process once more.

    python gaussian_process.py --peers PYTHON      # the python of the peers' environment; see side_by_side.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from scipy.special import expit, rel_entr

import bayespref as bp
from bayespref.models import density_gp_1d

LOW, HIGH, GRID = -10.0, 10.0, 2001
SIZES = {100: 1_000, 300: 3_000, 10_000: 100_000}
"""Answers to each number of points."""
DENSE = 300
"""More points are too many for a matrix of all of them."""
HERE = Path(__file__).resolve()


def main() -> None:
    """Fit by each in processes of their own, judge, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", help="python of the environment with the peers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        by_laplace(*arguments.one)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for points, answers in SIZES.items():
            path = str(Path(folder) / f"{points}.npz")
            np.savez(path, **simulated(points, answers))
            ours = [sys.executable, str(HERE), "--one", path]
            theirs = [arguments.peers, str(HERE.parent / "peers" / "by_botorch.py"), path]
            for index in range(arguments.repeats):  # in turns, so that the machine is the same for both
                cache = str(Path(folder) / f"cache {points} {index}")
                found = runs([*ours, cache], "first") + runs([*ours, cache], "later")
                found += runs(theirs, "first") if points <= DENSE else []
                rows += [{"points": points, "answers": answers, **row} for row in found]
                print(*found, sep="\n", flush=True)
    report(pd.DataFrame(rows), arguments.repeats)


def simulated(points: int, answers: int) -> dict[str, np.ndarray]:
    """Points (m,), winner and loser (n, 2) of each answer; no two so near that BoTorch takes them for one."""
    rng = np.random.default_rng(0)
    place = LOW + (HIGH - LOW) * (np.arange(points) + rng.uniform(0.2, 0.8, points)) / points
    first = rng.integers(points, size=answers)
    pair = np.stack([first, (first + rng.integers(1, points, size=answers)) % points], 1)
    reward = truth(place)[pair]
    swapped = rng.random(answers) > expit(reward[:, 0] - reward[:, 1])
    return {"place": place, "pair": np.where(swapped[:, None], pair[:, ::-1], pair)}


def truth(x: np.ndarray) -> np.ndarray:
    """Log-density up to a constant."""
    return np.logaddexp(-((x + 4) ** 2) / 8, -((x - 4) ** 2) / 8)


def by_laplace(path: str, cache: str) -> None:
    """Two fits, from arrays in memory; prints seconds and the posterior mean on the grid."""
    bp.compilation_cache(cache)
    data, grid = np.load(path), np.linspace(LOW, HIGH, GRID)
    sides = data["place"][data["pair"]]
    for seed in (0, 1):
        start = time.perf_counter()
        answers = bp.Comparisons.from_points(sides[:, :, None], np.zeros(len(sides), int))
        with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
            fit = bp.laplace(jax.random.key(seed), density_gp_1d, answers)
        mean = fit["posterior"].to_dataset()["log_density"].mean(("chain", "draw"))
        seconds = time.perf_counter() - start
        on_grid = np.interp(grid, np.linspace(LOW, HIGH, len(mean)), mean.values)
        print(json.dumps({"tool": "bayespref", "seconds": seconds, "reward": on_grid.tolist()}), flush=True)


def runs(command: list[str], when: str) -> list[dict]:
    """Seconds and loss of each run of a process; those after the first are `again`."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [
        {"tool": one["tool"], "when": "again" if n else when, "seconds": one["seconds"], "loss": loss(one)}
        for n, one in enumerate(found)
    ]


def loss(found: dict) -> float:
    """Mean over pairs of KL(truth, posterior mean), in nats."""
    grid, pair = np.linspace(LOW, HIGH, GRID), np.random.default_rng(1).uniform(LOW, HIGH, (20_000, 2))
    said = expit(np.diff(np.interp(pair, grid, found["reward"]))[:, 0])
    true = expit(np.diff(truth(pair))[:, 0])
    return float(np.mean(rel_entr(true, said) + rel_entr(1 - true, 1 - said)))


def report(rows: pd.DataFrame, repeats: int) -> None:
    """The table and ratios, printed and written."""
    by = ["points", "answers", "tool"]
    medians = rows.groupby([*by, "when"])["seconds"].median().unstack()[["first", "later", "again"]]
    table = medians.join(rows.groupby(by)["loss"].median()).reset_index()
    text = table.to_markdown(index=False, floatfmt=",.3g")
    told = "\n".join(_ratios(medians))
    print(text, told, sep="\n\n")
    said = __doc__.split("\n\n    python")[0]
    HERE.with_suffix(".md").write_text(f"# {said}\n\nMedians of {repeats} processes.\n\n{text}\n\n{told}\n")


def _ratios(medians: pd.DataFrame) -> Iterator[str]:
    """How much longer BoTorch takes, for each number of points that it is given."""
    ours, theirs = (medians.xs(tool, level="tool").droplevel("answers") for tool in ("bayespref", "BoTorch"))
    for points, ratio in (theirs / ours).dropna(how="all").iterrows():
        first, again = ratio["first"], ratio["again"]
        yield f"- {points:,} points: BoTorch takes **{first:.1f}** times as long, **{again:.1f}** again"


if __name__ == "__main__":
    main()
