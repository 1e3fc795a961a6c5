"""A million answers over fifty items: Parquet to ranking by Laplace, in one process.

Prints wall time and peak memory of the whole command, imports and compilation included:

    python benchmarks/million_answers.py
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ANSWERS, ITEMS, SEED = 1_000_000, 50, 0


def write(path: Path) -> None:
    """Simulate Bradley-Terry answers and write them as an arena-style table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(SEED)
    worth = rng.normal(size=ITEMS)
    first = rng.integers(ITEMS, size=ANSWERS)
    second = (first + rng.integers(1, ITEMS, size=ANSWERS)) % ITEMS
    wins = rng.random(ANSWERS) < 1 / (1 + np.exp(worth[second] - worth[first]))
    names = np.array([f"model-{index:02d}" for index in range(ITEMS)])
    table = {
        "model_a": names[first],
        "model_b": names[second],
        "winner": np.where(wins, "model_a", "model_b"),
    }
    pq.write_table(pa.table(table), path)


def main() -> None:
    """Time reading, fitting and ranking in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "answers.parquet"
        write(table)
        start = time.perf_counter()
        program = (
            "import jax, bayespref as bp\n"
            "from bayespref.models import bradley_terry\n"
            f"answers = bp.read_table({str(table)!r}, shown=('model_a', 'model_b'), outcome='winner')\n"
            "fit = bp.laplace(jax.random.key(0), bradley_terry, answers)\n"
            "print(bp.ranking(fit).round(3).to_string())\n"
            "print(bp.verdict(fit) or 'no problems found', bp.convergence(fit))\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{ANSWERS:,} answers, {ITEMS} items: {wall:.1f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
