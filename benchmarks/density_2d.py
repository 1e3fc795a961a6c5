"""Two moons: a density on a plane from answers to pairs, by a Gaussian process and by a normalising flow.

Luce's choice rule, pairs spread evenly over the box. For each: seconds, k-hat, total variation between the
posterior mean density and the truth on the grid, and the share of the truth's mass inside 90 % bands.

    python benchmarks/density_2d.py --sets 5
    python benchmarks/density_2d.py --sets 1 --picture two_moons.png
"""

from __future__ import annotations

import argparse
import time
import warnings

import jax
import matplotlib.pyplot as plt
import numpy as np

import bayespref as bp
from bayespref import behaviours, choices, diagnostics, plots, rewards, supports, toys
from bayespref.models import density_flow_2d

BOX = supports.box([-4, -4], [4, 4])
TRUTH = np.asarray(BOX.normalise(toys.two_moons(BOX.points)), np.float64)


def by_gp(key, data):
    """A Gaussian process, by Laplace's approximation."""
    return bp.laplace(key, density_gp_2d, data, draws=1000, proposals=2000)


def density_gp_2d(comparisons):
    """One density on the box, a Gaussian-process reward."""
    log_density = rewards.gp(BOX)
    score = behaviours.luce(log_density(comparisons.items.features))[comparisons.shown]
    bp.observe(comparisons, choices.logit(score))


def by_flow(key, data):
    """A flow, by SVI in minibatches."""
    return bp.svi(
        key, moons_flow, data, guide="normal", batch_size=1024, learning_rate=0.01, draws=1000, progress=False
    )


def moons_flow(comparisons):
    """The gallery's flow on this box."""
    density_flow_2d(comparisons, low=(-4.0, -4.0), high=(4.0, 4.0))


def main() -> None:
    """Fit every data set by both; print a line for each fit, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--answers", type=int, default=8192)
    parser.add_argument("--picture", help="where to draw the first data set's fits")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", bp.FitWarning)
    for name, fitted in (("gp", by_gp), ("flow", by_flow)):
        found = []
        for seed in range(arguments.sets):
            key = jax.random.key(seed)
            data = toys.answers(key, toys.two_moons, answers=arguments.answers, support=BOX)
            start = time.perf_counter()
            fit = fitted(key, data)
            seconds = time.perf_counter() - start
            density = fit["posterior"].to_dataset()["log_density"]
            distance = diagnostics.distances(diagnostics.mean_density(density), TRUTH, BOX)
            draws = density.values.reshape(-1, len(BOX))
            lower, upper = np.quantile(draws, [0.05, 0.95], axis=0)
            covered = BOX.mass(TRUTH) @ ((lower <= TRUTH) & (TRUTH <= upper))
            found.append((seconds, fit.attrs["khat"], float(distance["total_variation"]), covered))
            print(
                f"  {name}, set {seed}: {seconds:.1f} s, k-hat {found[-1][1]:.2f}, "
                f"TV {found[-1][2]:.3f}, covered {covered:.3f}",
                flush=True,
            )
            if arguments.picture and seed == 0:
                ax = plots.density(fit, references={"truth": TRUTH})
                ax.set_title(f"{name}: {arguments.answers:,} answers")
                ax.figure.savefig(arguments.picture.replace(".png", f"_{name}.png"), dpi=110)
                plt.close(ax.figure)
        seconds, khat, distance, covered = np.mean(found, axis=0)
        print(
            f"{name}: mean TV {distance:.3f} (range {min(f[2] for f in found):.3f} to "
            f"{max(f[2] for f in found):.3f}), covered {covered:.3f}, {seconds:.1f} s, k-hat {khat:.2f}"
        )


if __name__ == "__main__":
    main()
