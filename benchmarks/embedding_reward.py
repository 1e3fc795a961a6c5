"""A Bayesian reward on embeddings by minibatches, beside the same training loop in PyTorch.

10^6 answers about 10^5 items with 384 features each. bayespref: `svi` with guide "normal", one particle and
minibatches. PyTorch: the same model, guide, batch and schedule, written by hand. Throughput is in answers a
second of the optimisation alone, compiled or warmed up before; log loss is of the posterior mean on every
answer, beside that of Laplace's approximation to the posterior given all the data.

    python embedding_reward.py --peers PYTHON     # the python of the peers' environment; see side_by_side.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import bayespref as bp
from bayespref.models import bayesian_reward

ITEMS, FEATURES, ANSWERS = 100_000, 384, 1_000_000
SHORT = 1000
"""Steps of the shorter of two fits, whose difference in time is that of steps alone."""
HERE = Path(__file__).resolve()


def main() -> None:
    """Simulate, fit by each, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", required=True, help="python of the environment with the peers")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    features, pairs, outcome = simulated()
    items = bp.Items({"features": features}, ITEMS)
    answers = bp.Comparisons.from_arrays(pairs, outcome, items=items)
    won = (outcome == 0).astype(np.int8)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        unit = np.asarray(answers.design.feature_scale)
        for name, array in {"features": features, "pairs": pairs, "won": won, "unit": unit}.items():
            np.save(f"{folder}/{name}.npy", array)
        script = str(HERE.parent / "peers" / "by_torch.py")
        sizes = [str(arguments.batch), str(arguments.steps)]
        by_svi(0, answers, won, arguments)  # compiles
        for seed in range(arguments.repeats):  # in turns, so that the machine is the same for both
            done = subprocess.run([arguments.peers, script, folder, *sizes], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr[-3000:])
            rows.append({"tool": "PyTorch", **json.loads(done.stdout.splitlines()[-1])})
            rows.append({"tool": "bayespref", **by_svi(seed, answers, won, arguments)})
            print(rows[-2:], flush=True)
    table = pd.DataFrame(rows).groupby("tool").median()
    laplace = bp.laplace(jax.random.key(0), bayesian_reward, answers, draws=200, proposals=200)
    table.loc["bayespref, laplace on all", "log loss"] = log_loss(laplace, answers, won)
    ratio = table.at["bayespref", "answers a second"] / table.at["PyTorch", "answers a second"]
    excess = table.at["bayespref", "log loss"] / table.at["bayespref, laplace on all", "log loss"] - 1
    text = table.round(4).reset_index().to_markdown(index=False)
    said = __doc__.split("\n\n    python")[0]
    told = (
        f"Minibatches of {arguments.batch}, {arguments.steps} steps, medians of {arguments.repeats}. "
        f"Throughput: **{ratio:.2f}** times PyTorch's; log loss: **{100 * excess:.2f} %** above Laplace's."
    )
    print(text, told, sep="\n\n")
    HERE.with_suffix(".md").write_text(f"# {said}\n\n{text}\n\n{told}\n")


def simulated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (m, d) of unequal size, pairs (n, 2), and the column chosen."""
    rng = np.random.default_rng(0)
    size = np.linspace(0.3, 2, FEATURES, dtype=np.float32)
    features = rng.normal(size=(ITEMS, FEATURES)).astype(np.float32) * size
    reward = features @ (1.5 * rng.normal(size=FEATURES) / np.sqrt(FEATURES) / size)
    first = rng.integers(ITEMS, size=ANSWERS)
    pairs = np.stack([first, (first + rng.integers(1, ITEMS, size=ANSWERS)) % ITEMS], 1)
    chance = 1 / (1 + np.exp(reward[pairs[:, 0]] - reward[pairs[:, 1]]))
    return features, pairs, (rng.random(ANSWERS) < chance).astype(int)


def by_svi(seed: int, answers: bp.Comparisons, won: np.ndarray, arguments) -> dict[str, float]:
    """Answers a second of the steps alone, and the log loss of the posterior mean."""
    seconds, fit = {}, None
    for steps in (SHORT, arguments.steps):
        start = time.perf_counter()
        with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
            fit = bp.svi(
                jax.random.key(seed),
                bayesian_reward,
                answers,
                guide="normal",
                particles=1,
                batch_size=arguments.batch,
                steps=steps,
                draws=200,
                progress=False,
            )
        seconds[steps] = time.perf_counter() - start
    throughput = arguments.batch * (arguments.steps - SHORT) / (seconds[arguments.steps] - seconds[SHORT])
    return {"answers a second": throughput, "log loss": log_loss(fit, answers, won)}


def log_loss(fit, answers: bp.Comparisons, won: np.ndarray) -> float:
    """Mean over answers of -log p at the posterior mean of the coefficients."""
    weights = fit["posterior"]["coefficient"].mean(("chain", "draw")).values
    reward = np.asarray(answers.items.features) @ weights
    shown = np.asarray(answers.shown)
    score = (reward[shown[:, 0]] - reward[shown[:, 1]]) * (1 - 2 * np.asarray(answers.outcome))
    return float(np.average(np.logaddexp(0, -score), weights=np.asarray(answers.count)))


if __name__ == "__main__":
    main()
