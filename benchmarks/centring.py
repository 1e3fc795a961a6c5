"""Effective draws per gradient of three ways to write an effect, with few answers and with many.

Worths of 20 items (`rewards.item_table`, true sd 1) and log-rationalities of 20 annotators
(`populations.by_annotator`, true sd .5), as the package writes them, centred, and non-centred; by
`bayespref.nuts`, the smallest bulk ESS over all documented quantities per 1,000 gradients, medians of seeds.

    python benchmarks/centring.py               # minutes; writes centring.md
    python benchmarks/centring.py --seeds 1 --answers 1 10
"""

from __future__ import annotations

import argparse
import functools
import warnings
from pathlib import Path
from unittest import mock

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import bayespref as bp
from bayespref.models import bradley_terry, rationality_by_annotator

SIZE, ANSWERS, SEEDS = 20, (1, 10, 100, 10_000), 5
WAYS = {"partial": None, "centred": 1.0, "non-centred": 0.0}
DECLARED = {
    "item": ("rewards.item_table", bradley_terry),
    "annotator": ("populations.effects", rationality_by_annotator),
}
REPORT = Path(__file__).with_suffix(".md")


def main() -> None:
    """Run every case, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--answers", type=int, nargs="*", default=ANSWERS)
    arguments = parser.parse_args()
    rows = []
    for what in ("item", "annotator"):
        for answers in arguments.answers:
            for way in WAYS:
                found = [
                    ess_per_gradient(what, way, board(what, answers, seed), seed)
                    for seed in range(arguments.seeds)
                ]
                rows.append((what, answers, way, np.median(found)))
                print(*rows[-1], flush=True)
            jax.clear_caches()
    table = pd.DataFrame(rows, columns=["effect of", "answers each", "way", "ESS"])
    wide = table.pivot_table(index=["effect of", "answers each"], columns="way", values="ESS")
    wide["better / partial"] = wide[["centred", "non-centred"]].max(axis=1) / wide["partial"]
    text = wide.sort_index(ascending=[False, True]).reset_index().round(2)
    print(text.to_string(index=False))
    if arguments.seeds == SEEDS and tuple(arguments.answers) == ANSWERS:
        REPORT.write_text(report(text))


def board(what: str, answers: int, seed: int) -> bp.Comparisons:
    """Answers of annotators who differ in rationality, `answers` for each item or annotator."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(size=SIZE)
    total = answers * SIZE if what == "annotator" else answers * SIZE // 2
    first = np.arange(total) % SIZE if what == "item" else rng.integers(SIZE, size=total)
    second = (first + rng.integers(1, SIZE, size=total)) % SIZE
    who = np.arange(total) % SIZE
    rationality = np.exp(rng.normal(0, 0.5, SIZE))[who] if what == "annotator" else 1.0
    wins = rng.random(total) < 1 / (1 + np.exp(rationality * (worth[second] - worth[first])))
    shown, outcome = np.stack([first, second], 1), 1 - wins.astype(int)
    if what == "item":
        return bp.Comparisons.from_arrays(shown, outcome, items=SIZE)
    return bp.Comparisons.from_arrays(shown, outcome, items=SIZE, annotator=who, annotators=SIZE)


@functools.cache
def model_of(what: str, way: str):
    """One function for each way, so that programs are compiled once for all seeds."""
    share, (place, declared) = WAYS[way], DECLARED[what]
    if share is None:
        return declared

    def model(comparisons: bp.Comparisons) -> None:
        with mock.patch(f"bayespref.{place}.centring", lambda counts, _: jnp.full(jnp.shape(counts), share)):
            declared(comparisons)

    return model


def ess_per_gradient(what: str, way: str, data: bp.Comparisons, seed: int) -> float:
    """Smallest bulk ESS per 1,000 gradients after warm-up."""
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        fit = bp.nuts(jax.random.key(seed), model_of(what, way), data, draws=500, progress=False)
    ess = az.ess(fit["posterior"].to_dataset())
    least = min(float(ess[name].min()) for name in ess.data_vars)
    return 1000 * least / float(fit["sample_stats"]["n_steps"].sum())


def report(table: pd.DataFrame) -> str:
    """The table with what it says."""
    worst = table["better / partial"].max()
    return (
        "# Effective draws per gradient: partial, centred, non-centred\n\n"
        f"Smallest bulk ESS over all quantities per 1,000 gradients, medians of {SEEDS} seeds, {SIZE} items\n"
        "or annotators (`python benchmarks/centring.py`). The package's own way is never worse than the\n"
        f"better of the two others by a factor above **{worst:.2f}**.\n\n"
        + table.to_markdown(index=False)
        + "\n"
    )


if __name__ == "__main__":
    main()
