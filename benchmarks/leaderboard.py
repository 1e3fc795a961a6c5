"""A leaderboard with intervals from a data frame, beside arena-rank, choix and evalica.

100 items and 100,000 answers. bayespref: reading, Laplace's approximation with Pareto-smoothed importance
sampling, ranking with rank probabilities. arena-rank: ratings with sandwich intervals. choix, evalica: point
estimates. `first` is a process in which nothing was compiled before, `later` one that finds bayespref's cache
of compiled programs (the peers keep none), `again` the same process once more.

    python leaderboard.py --peers PYTHON        # the python of the peers' environment; see side_by_side.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ITEMS, ANSWERS = 100, 100_000
HERE = Path(__file__).resolve().parent
REPORT = HERE / "leaderboard.md"
OURS = """
import json, sys, time
import jax
import pandas as pd
from bayespref import compilation_cache, laplace, ranking, read_table
from bayespref.models import bradley_terry
compilation_cache(sys.argv[2])
table = pd.read_parquet(sys.argv[1])
for repeat in range(int(sys.argv[3])):
    start = time.perf_counter()
    answers = read_table(table, shown=("model_a", "model_b"), outcome="winner")
    fit = laplace(jax.random.key(repeat), bradley_terry, answers)
    ranking(fit)
    seconds = time.perf_counter() - start
    print(json.dumps({"tool": "bayespref", "repeat": repeat, "seconds": seconds, "khat": fit.attrs["khat"]}))
"""


def main() -> None:
    """Run every tool in processes of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", required=True, help="python of the environment with the peers")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    peers = [arguments.peers, str(HERE / "peers" / "by_leaderboards.py")]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "answers.parquet"
        answers().to_parquet(table)
        for index in range(arguments.repeats):  # tools take turns, so that the machine is the same for all
            cache = str(Path(folder) / f"cache {index}")
            for when in ("first", "later"):
                found += runs([sys.executable, "-c", OURS, str(table), cache, "3"], when)
            found += runs([*peers, str(table), "3"], "first")
    rows = pd.DataFrame(found)
    print(f"worst k-hat {rows['khat'].max():.2f}")
    medians = rows.groupby(["tool", "when"])["seconds"].median().unstack()
    text = medians[["first", "later", "again"]].round(2).reset_index().to_markdown(index=False)
    print(text)
    ratio = {
        "the first run over arena-rank's": medians.at["bayespref", "first"]
        / medians.at["arena-rank", "first"],
        "a later process over arena-rank's": medians.at["bayespref", "later"]
        / medians.at["arena-rank", "first"],
        "again over arena-rank's again": medians.at["bayespref", "again"] / medians.at["arena-rank", "again"],
        "again over choix's point estimate": medians.at["bayespref", "again"] / medians.at["choix", "again"],
    }
    told = "\n".join(f"- {name}: **{value:.2f}**" for name, value in ratio.items())
    said = __doc__.split("\n\n    python")[0]
    REPORT.write_text(
        f"# {said}\n\nSeconds, medians of {arguments.repeats} processes; imports are not in them. "
        f"Worst k-hat {rows['khat'].max():.2f}.\n\n{text}\n\n{told}\n"
    )


def runs(command: list[str], when: str) -> list[dict]:
    """What a process says of its runs; those after the first are `again`."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [{**line, "when": when if line["repeat"] == 0 else "again"} for line in lines]


def answers() -> pd.DataFrame:
    """Simulated Bradley-Terry answers in an arena's columns."""
    rng = np.random.default_rng(0)
    worth = rng.normal(size=ITEMS)
    first = rng.integers(ITEMS, size=ANSWERS)
    second = (first + rng.integers(1, ITEMS, size=ANSWERS)) % ITEMS
    left = rng.random(ANSWERS) < 1 / (1 + np.exp(worth[second] - worth[first]))
    names = np.array([f"model {index:03d}" for index in range(ITEMS)])
    winner = np.where(left, "model_a", "model_b")
    return pd.DataFrame({"model_a": names[first], "model_b": names[second], "winner": winner})


if __name__ == "__main__":
    main()
