"""How cost grows with the number of unique rows, 10^4 to 10^7: time and peak memory.

Choices between two things with five numbers each, no two alike, so that every answer is a row: conditional
logit by Laplace's approximation (200 proposals), from arrays to draws, each size in a process of its own. And
10^7 pooled answers about 100 items, from a Parquet file to a ranking.

    python scaling.py            # minutes; writes scaling.md, scaling.csv and scaling.png
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

SIZES, POOLED, ITEMS = (10_000, 100_000, 1_000_000, 10_000_000), 10_000_000, 100
HERE = Path(__file__).resolve()
FIT = """
import json, resource, sys, time
import jax
import numpy as np
import bayespref as bp
from bayespref.inference.flat import ravel, traceable
from bayespref.inference.starting import medians, slope_of
from bayespref.models import conditional_logit

rows = int(sys.argv[1])
rng = np.random.default_rng(0)
features = rng.normal(size=(rows, 2, 5)).astype(np.float32)
score = features @ np.array([0.5, -0.5, 0.2, 0.0, 1.0])
outcome = (rng.random(rows) < 1 / (1 + np.exp(score[:, 0] - score[:, 1]))).astype(int)
shown = np.tile([0, 1], (rows, 1))
start = time.perf_counter()
answers = bp.Comparisons.from_arrays(shown, outcome, items=2, shown_columns={"features": features})
read = time.perf_counter()
sizes = {"draws": 100, "proposals": 200}
bp.laplace(jax.random.key(0), conditional_logit, answers, **sizes)
first = time.perf_counter()
bp.laplace(jax.random.key(0), conditional_logit, answers, **sizes)
second = time.perf_counter()
middle, flat = ravel(medians(conditional_logit, answers))
slope, point = slope_of(conditional_logit, flat), traceable(middle)
jax.block_until_ready(slope(point, answers))
times = []
for _ in range(7):
    begun = time.perf_counter()
    jax.block_until_ready(slope(point, answers))
    times.append(time.perf_counter() - begun)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({
    "rows": len(answers), "table, s": read - start, "first fit, s": first - read,
    "second fit, s": second - first, "gradient, ms": 1000 * float(np.median(times)), "peak, GiB": peak,
}))
"""
POOL = """
import json, resource, sys, time
start = time.perf_counter()
import jax
import bayespref as bp
from bayespref.models import bradley_terry
answers = bp.read_table(sys.argv[1], shown=("left", "right"), outcome="choice", stream=True)
fit = bp.laplace(jax.random.key(0), bradley_terry, answers)
bp.ranking(fit)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak, "answers": answers.answers}))
"""


def main() -> None:
    """Fit every size in a process of its own; write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    arguments = parser.parse_args()
    rows = []
    for size in arguments.sizes:
        rows.append(told(FIT, str(size)))
        print(rows[-1], flush=True)
    if tuple(arguments.sizes) != SIZES:
        return
    table = pd.DataFrame(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.parquet"
        write_votes(path)
        pooled = told(POOL, str(path))
    print(pooled)
    table.to_csv(HERE.with_suffix(".csv"), index=False)
    draw(table)
    said = __doc__.split("\n\n    python")[0]
    HERE.with_suffix(".md").write_text(
        f"# {said}\n\n{table.round(3).to_markdown(index=False)}\n\n![time and memory](scaling.png)\n\n"
        f"{pooled['answers']:,} pooled answers, imports and compilation included: "
        f"**{pooled['seconds']:.1f} s**, peak memory **{pooled['peak']:.2f} GiB**.\n"
    )


def told(program: str, argument: str) -> dict:
    """What a program in a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", program, argument], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def write_votes(path: Path) -> None:
    """Simulated Bradley-Terry answers, a million at a time."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(0)
    worth, names = rng.normal(size=ITEMS), np.array([f"model {index}" for index in range(ITEMS)])
    schema = pa.schema([(name, pa.string()) for name in ("left", "right", "choice")])
    with parquet.ParquetWriter(path, schema) as writer:
        for _ in range(10):
            left = rng.integers(ITEMS, size=POOLED // 10)
            right = (left + rng.integers(1, ITEMS, size=len(left))) % ITEMS
            won = rng.random(len(left)) < 1 / (1 + np.exp(worth[right] - worth[left]))
            columns = [names[left], names[right], np.where(won, "left", "right")]
            writer.write_table(pa.table([pa.array(column) for column in columns], schema=schema))


def draw(table: pd.DataFrame) -> None:
    """Time and memory against rows, on logarithmic axes, with lines of slope one."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)
    seconds = table.assign(**{"gradient, s": table["gradient, ms"] / 1000})
    for name in ("table, s", "second fit, s", "gradient, s"):
        axes[0].loglog(table["rows"], seconds[name], "o-", label=name.removesuffix(", s"))
    axes[1].loglog(table["rows"], table["peak, GiB"], "o-", color="C3")
    for axis, last in ((axes[0], seconds["second fit, s"].iloc[-1]), (axes[1], table["peak, GiB"].iloc[-1])):
        axis.loglog(
            table["rows"], last * table["rows"] / table["rows"].iloc[-1], ":", color="0.6", label="linear"
        )
        axis.set_xlabel("unique rows")
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("seconds")
    axes[1].set_ylabel("peak memory, GiB")
    figure.savefig(HERE.with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    main()
