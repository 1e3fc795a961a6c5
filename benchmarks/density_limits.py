"""Every limit of the paper's toy section against the posterior mean density, over several data sets.

For each model and data set of 32,768 answers: seconds, k-hat, and the total variation between the posterior
mean density and what unlimited answers would teach (`bayespref.limits`).

    python benchmarks/density_limits.py --sets 5
"""

from __future__ import annotations

import argparse
import functools
import time
import warnings

import jax
import numpy as np

import bayespref as bp
from bayespref import behaviours, diagnostics, limits, losses, rewards, supports, toys
from bayespref.limits import Annotator
from bayespref.models import density_gp_1d, dpo_1d, geometric_1d, two_viewpoints_1d

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]
PREFERENCE, REFERENCE = toys.preference(X), toys.reference(X)
DESIGN = np.exp(REFERENCE + LINE.log_weight)
ONE = Annotator(PREFERENCE)
TWO = [Annotator(toys.narrow(X), share=0.4), Annotator(toys.wide(X), share=0.6)]


def ipo_1d(comparisons, *, tau, temperature=None):
    """IPO's loss on a Gaussian-process density."""
    log_density = rewards.gp(LINE)(comparisons.items.features)
    score = behaviours.dpo(1.0, comparisons.items.column("log_reference"))(log_density)
    bp.observe(comparisons, losses.ipo(score[comparisons.shown], tau=tau, temperature=temperature))


def fitted(key, model, data):
    """A fit; by a loss, with the temperature that matches the answers' noise."""
    fit = bp.laplace(key, model, data, draws=1000, proposals=2000)
    if not losses.is_loss(fit):
        return fit
    matched = functools.partial(model, temperature=bp.matched_temperature(model, fit))
    return bp.laplace(key, matched, data, draws=1000, proposals=2000)


def dpo_annotator(x):
    """Score of an annotator who behaves as DPO assumes, beta = 4."""
    return 4 * (toys.preference(x) - toys.reference(x))


def learnt(population, assumed=behaviours.luce):
    """The limit, pairs drawn from the reference."""
    return limits.density(population, assumed, log_weight=LINE.log_weight, design=DESIGN)


def ipo_limit(tau):
    """IPO's limit, a Borda tilt."""
    options = {"log_reference": REFERENCE, "log_weight": LINE.log_weight, "design": DESIGN}
    return limits.ipo(ONE, tau=tau, **options)


RUNS = {
    "reward": (density_gp_1d, toys.preference, PREFERENCE),
    "one annotator assumed of two": (density_gp_1d, [toys.narrow, toys.wide], learnt(TWO)),
    "dpo, beta 4, well specified": (functools.partial(dpo_1d, beta=4.0), dpo_annotator, PREFERENCE),
}
for beta in (1.0, 4.0, 16.0):
    model = functools.partial(dpo_1d, beta=beta)
    RUNS[f"dpo, beta {beta:g}"] = (model, toys.preference, learnt(ONE, behaviours.dpo(beta, REFERENCE)))
for alpha in (1.0, 0.25, 0.0625):
    model = functools.partial(geometric_1d, alpha=alpha)
    limit = learnt(ONE, behaviours.geometric(alpha, REFERENCE))
    RUNS[f"geometric, alpha {alpha:g}"] = (model, toys.preference, limit)
for tau in (0.1, 0.5, 1.0):
    RUNS[f"ipo, tau {tau:g}"] = (functools.partial(ipo_1d, tau=tau), toys.preference, ipo_limit(tau))


def main() -> None:
    """Run and print a line for each fit, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=5, help="data sets for each model")
    parser.add_argument("--viewpoints", action="store_true", help="two viewpoints without ids instead")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", bp.FitWarning)
    if arguments.viewpoints:
        viewpoints(arguments.sets)
        return
    for name, (model, score, limit) in RUNS.items():
        found = []
        for seed in range(arguments.sets):
            data = toys.answers(jax.random.key(seed), score)
            start = time.perf_counter()
            fit = fitted(jax.random.key(seed), model, data)
            seconds = time.perf_counter() - start
            mean = diagnostics.mean_density(fit["posterior"].to_dataset()["log_density"])
            distance = float(diagnostics.distances(mean, limit, LINE)["total_variation"])
            found.append((seconds, fit.attrs["khat"], distance, X[mean.argmax()], np.exp(mean.max())))
            print(
                f"  {name}, set {seed}: {seconds:.1f} s, k-hat {found[-1][1]:.2f}, TV {distance:.4f}",
                flush=True,
            )
        seconds, khat, distance, mode, height = np.mean(found, axis=0)
        print(
            f"{name}: mean TV {distance:.4f} (range {min(f[2] for f in found):.4f} to "
            f"{max(f[2] for f in found):.4f}), {seconds:.1f} s, k-hat {khat:.2f}, "
            f"mode {mode:.2f} of {height:.4f}",
            flush=True,
        )


def viewpoints(sets: int) -> None:
    """Two annotators with a density each, found without ids."""
    for seed in range(sets):
        data = toys.answers(jax.random.key(seed), [toys.narrow, toys.wide])
        start = time.perf_counter()
        fit = bp.laplace(jax.random.key(seed), two_viewpoints_1d, data, draws=1000, proposals=2000)
        seconds = time.perf_counter() - start
        mean = diagnostics.mean_density(fit["posterior"].to_dataset()["log_density"])
        truth = np.stack([toys.narrow(X), toys.wide(X)])
        distance = diagnostics.distances(mean, truth, LINE)["total_variation"]
        weight = fit["posterior"]["weight"].values[..., 0]
        print(
            f"set {seed}: {seconds:.0f} s, k-hat {fit.attrs['khat']:.2f}, weight {weight.mean():.3f} "
            f"({weight.std():.3f}), TV {distance[0]:.3f} and {distance[1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
