"""Are annotators told apart? 60 of them in two camps, 30 answers each about pairs of 12 items.

Everybody is drawn into a camp, with probabilities 35 % and 65 %; worths are N(0, 1.5^2), independent by camp.
Printed: how many annotators the posterior puts in their camp, and how often 90 % intervals hold the 35 %.

    python benchmarks/class_recovery.py
"""

from __future__ import annotations

import argparse
import time
import warnings

import jax
import numpy as np

import bayespref as bp
from bayespref.inference.trust import FitWarning
from bayespref.models import latent_class_bradley_terry

ITEMS, PEOPLE, ANSWERS, SHARE = 12, 60, 30, 0.35


def simulated(rng: np.random.Generator) -> tuple[bp.Comparisons, np.ndarray]:
    """A table of answers, and the camp of every annotator."""
    camp = (rng.random(PEOPLE) < SHARE).astype(int)
    worth = rng.normal(0, 1.5, size=(2, ITEMS))
    who = np.repeat(np.arange(PEOPLE), ANSWERS)
    shown = np.stack([rng.choice(ITEMS, 2, replace=False) for _ in who])
    left, right = (worth[camp[who], shown[:, side]] for side in (0, 1))
    outcome = (rng.random(len(who)) > 1 / (1 + np.exp(right - left))).astype(int)
    return bp.Comparisons.from_arrays(shown, outcome, items=ITEMS, annotator=who, merge=False), camp


def fitted(key, data: bp.Comparisons):
    """By Laplace's approximation, or by nuts where k-hat does not trust it."""
    with warnings.catch_warnings(action="ignore", category=FitWarning):
        fit = bp.laplace(key, latent_class_bradley_terry, data)
    if fit.attrs["khat"] <= 0.7:
        return fit
    return bp.nuts(key, latent_class_bradley_terry, data, warmup=500, draws=500, progress=False)


def main() -> None:
    """Simulate, fit, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--replicates", type=int, default=20)
    arguments = parser.parse_args()
    right, held = [], []
    for index in range(arguments.replicates):
        data, camp = simulated(np.random.default_rng(index))
        start = time.perf_counter()
        fit = fitted(jax.random.key(index), data)
        belongs = bp.memberships(latent_class_bradley_terry, fit).mean(("chain", "draw")).values
        right.append((belongs.argmax(1) == camp).mean())
        weight = fit["posterior"]["weight"].values[..., 1]
        lower, upper = np.quantile(weight, [0.05, 0.95])
        held.append(lower <= SHARE <= upper)
        print(
            f"{index}: {right[-1]:.0%} in their camp, share of the smaller {weight.mean():.3f} "
            f"({lower:.3f} to {upper:.3f}), {fit.attrs['method']}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    print(f"in their camp: {np.mean(right):.1%}, at worst {min(right):.1%}")
    print(f"90 % intervals hold {SHARE}: {np.mean(held):.0%}")


if __name__ == "__main__":
    main()
