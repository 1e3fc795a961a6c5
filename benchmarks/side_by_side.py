"""bayespref beside its peers: the same models, priors and data, each tool at the shortest run that is good.

Good is a bulk ESS of at least 400 and R-hat below 1.01 over every parameter, for two seeds and in the median
of those timed; every tool aims at an acceptance of .8 (bayespref by itself takes .95 where annotators differ:
c and d), and adapts as it does by default (bayespref's longer steps may then refuse up to twice as many,
where that halves their number). In d bayespref has one number more, an advantage of the ticket listed first.
Each tool is timed, from arrays in memory to draws, in processes of its own: the first run ever (nothing
compiled before), and later ones with the tool's own cache of compiled programs warm.
Peers live in an environment of their own:

    make benchmark                                     # builds it, and runs everything; an hour or two
    python side_by_side.py --peers PYTHON --only a c   # some cases, with that environment's python
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from cases import CASES

HERE = Path(__file__).resolve().parent
ROWS, REPORT = HERE / "side_by_side.csv", HERE / "side_by_side.md"
RUNGS = [(100, 300), (100, 500), (100, 700), (200, 700), (300, 700), (300, 1000), (500, 1000)]
RUNGS += [(500, 1500), (500, 2000), (1000, 3000), (1000, 4000), (1000, 6000), (2000, 8000)]
"""Warm-up and draws of each of four chains, the shortest first."""
CHAINS, ESS, RHAT = 4, 400, 1.01
REFERENCE = (1000, 4000)
TOOLS = {"bayespref": "by_bayespref.py", "nutpie": "by_nutpie.py", "stan": "by_stan.py"}


class Runner:
    """Runs a tool's script on one case, in a process of its own, with caches in a folder."""

    def __init__(self, peers: str, folder: Path, limit: float):
        self.peers, self.folder, self.limit = peers, folder, limit

    def data(self, case: str) -> Path:
        """The case's arrays, as a file."""
        path = self.folder / f"{case}.npz"
        if not path.exists():
            np.savez(path, **CASES[case].arrays())
        return path

    def run(self, tool: str, case: str, rung: tuple[int, int], seeds: list[int], cache: Path) -> list[dict]:
        """What the tool says of each seed; nothing where it takes longer than the limit."""
        python = sys.executable if tool == "bayespref" else self.peers
        cache.mkdir(exist_ok=True)
        places = {
            "NUMBA_CACHE_DIR": str(cache / "numba"),
            "PYTENSOR_FLAGS": f"base_compiledir={cache / 'pytensor'}",
            "XDG_CACHE_HOME": str(cache / "xdg"),
            "JAX_PLATFORMS": "cpu",
        }
        script = str(HERE / "peers" / TOOLS[tool])
        numbers = [str(n) for n in (CHAINS, *rung, cache / "jax", *seeds)]
        try:
            done = subprocess.run(
                [python, script, case, str(self.data(case)), *numbers],
                env={**os.environ, **places},
                capture_output=True,
                text=True,
                timeout=self.limit,
            )
        except subprocess.TimeoutExpired:
            return []
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not found:
            raise RuntimeError(f"{tool} on case {case} failed:\n{done.stderr[-3000:]}")
        return found


def main() -> None:
    """Run the cases asked for, keep their rows, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="python of the environment with the peers")
    parser.add_argument("--only", nargs="*", default=list(CASES), help="cases")
    parser.add_argument("--tools", nargs="*", default=list(TOOLS))
    parser.add_argument("--repeats", type=int, default=5, help="processes timed, of which the median is told")
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds that a process may take")
    parser.add_argument("--draws", type=int, default=0, help="rungs of fewer are known to be too short")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(arguments.peers, Path(folder), arguments.limit)
        for case in arguments.only:
            found = timed(runner, case, arguments)
            kept = pd.read_csv(ROWS) if ROWS.exists() else found.iloc[:0]
            others = kept[(kept["case"] != case) | ~kept["tool"].isin(arguments.tools)]
            pd.concat([others, found] if len(others) else [found]).to_csv(ROWS, index=False)
            print(found.round(3).to_string(index=False), flush=True)
    REPORT.write_text(report(pd.read_csv(ROWS), versions(arguments.peers)))


def timed(runner: Runner, case: str, arguments: argparse.Namespace) -> pd.DataFrame:
    """A row for each tool: its rung, its times, how good its draws are and how far from a long run."""
    warm = runner.folder / f"warm-{case}"
    long = runner.run("bayespref", case, REFERENCE, [99], warm)[0]
    rungs = [rung for rung in RUNGS if rung[1] >= arguments.draws]
    rows = [
        {"case": case, "tool": tool, **shortest(runner, tool, case, rungs, arguments.repeats, long)}
        for tool in arguments.tools
    ]
    return pd.DataFrame(rows)


def shortest(
    runner: Runner, tool: str, case: str, rungs: list[tuple[int, int]], repeats: int, long: dict
) -> dict[str, float]:
    """Figures of the first rung that is good for two seeds and over those timed; none where time runs out."""
    warm = runner.folder / f"warm-{case}"
    for rung in rungs:
        found = runner.run(tool, case, rung, [1, 2], warm)
        if len(found) < 2 or not all(good(one["ess"], one["rhat"]) for one in found):
            continue
        first = []
        for index in range(repeats if tool != "stan" else 1):  # a compilation by gcc takes what it takes
            cold = runner.folder / f"cold-{tool}-{case}-{index}"
            first += runner.run(tool, case, rung, [index], cold)
            shutil.rmtree(cold)
        later = [runner.run(tool, case, rung, [10 + index], warm)[0] for index in range(repeats)]
        figures = summary(rung, first, later, long)
        if good(figures["ESS"], figures["R-hat"]):
            return figures
    return {}


def good(ess: float, rhat: float) -> bool:
    """Whether draws are what is asked of them."""
    return ess >= ESS and rhat < RHAT


def summary(rung: tuple[int, int], first: list[dict], later: list[dict], long: dict) -> dict[str, float]:
    """Medians over processes; error is the largest difference of a mean from the long run's, in its sd."""
    errors = [
        np.max(np.abs(np.array(one["mean"]) - np.array(long["mean"])) / np.array(long["sd"])) for one in later
    ]
    return {
        "warmup": rung[0],
        "draws": rung[1],
        "first run, s": np.median([one["seconds"] for one in first]),
        "later run, s": np.median([one["seconds"] for one in later]),
        "ESS": np.median([one["ess"] for one in later]),
        "R-hat": np.median([one["rhat"] for one in later]),
        "gradients": np.median([one["steps"] for one in later]),
        "error, sd": np.median(errors),
        "peak, GiB": np.median([one["peak_gib"] for one in later]),
    }


def versions(peers: str) -> str:
    """What was run."""
    names = {sys.executable: ["bayespref", "numpyro", "jax"], peers: ["pymc", "nutpie", "numba", "pystan"]}
    tell = (
        "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    said = [subprocess.check_output([python, "-c", tell, *each], text=True) for python, each in names.items()]
    return ", ".join(line.strip() for line in said)


def report(rows: pd.DataFrame, versions: str) -> str:
    """The table, with ratios to bayespref's time."""
    ours = rows[rows["tool"] == "bayespref"].set_index("case")
    table = rows.copy()
    for column in ("first run, s", "later run, s"):
        table[column.replace(", s", ", ratio")] = table[column] / table["case"].map(ours[column])
    cases = "\n".join(
        f"- **{name}**: {case.what}" + (f"; {case.factor} times as fast is the aim" if case.factor else "")
        for name, case in CASES.items()
    )
    return f"""# Side by side: nuts from data in memory to draws that are good

{__doc__.split(chr(10), 2)[2].split("Peers live")[0].strip()}
Medians; `python side_by_side.py`, {os.cpu_count()} cores; {versions}. `ratio` is the time over bayespref's.

{cases}

{table.sort_values(["case", "tool"]).round(3).to_markdown(index=False)}
"""


if __name__ == "__main__":
    main()
