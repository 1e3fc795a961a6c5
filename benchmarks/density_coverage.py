"""Do pointwise 90 % bands hold the true density? Repeated simulations of the paper's reward experiment.

For each model: the share of the truth's mass on which its log-density lies inside the band, and the total
variation of the posterior mean, averaged over data sets.

    python benchmarks/density_coverage.py gp --sets 50
    python benchmarks/density_coverage.py neural --sets 50
    python benchmarks/density_coverage.py neural --by nuts --answers 1024 --sets 5
"""

from __future__ import annotations

import argparse
import time
import warnings

import jax
import numpy as np

import bayespref as bp
from bayespref import diagnostics, supports, toys
from bayespref.models import density_gp_1d, density_neural_1d

LINE = supports.interval(toys.LOW, toys.HIGH)
TRUTH = toys.preference(LINE.points[:, 0])
MASS = LINE.mass(TRUTH)


def fitted(key, model, by, data):
    """A fit with a thousand draws."""
    if by == "laplace":
        return bp.laplace(key, model, data, draws=1000, proposals=4000)
    if by == "svi":
        return bp.svi(key, model, data, draws=1000, progress=False)
    return bp.nuts(key, model, data, chains=2, warmup=500, draws=500, progress=False)


def main() -> None:
    """Fit every data set, print coverage and distance of each and their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=("gp", "neural"))
    parser.add_argument("--by", choices=("laplace", "svi", "nuts"))
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--answers", type=int, default=2048)
    parser.add_argument("--prob", type=float, default=0.9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", bp.FitWarning)
    model = {"gp": density_gp_1d, "neural": density_neural_1d}[arguments.model]
    by = arguments.by or {"gp": "laplace", "neural": "svi"}[arguments.model]
    found = []
    for seed in range(arguments.sets):
        key = jax.random.key(seed)
        data = toys.answers(key, answers=arguments.answers)
        start = time.perf_counter()
        fit = fitted(key, model, by, data)
        seconds = time.perf_counter() - start
        density = fit["posterior"].to_dataset()["log_density"]
        draws = density.values.reshape(-1, len(LINE))
        tail = (1 - arguments.prob) / 2
        lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
        covered = MASS @ ((lower <= TRUTH) & (TRUTH <= upper))
        mean = diagnostics.mean_density(density)
        distance = float(diagnostics.distances(mean, TRUTH, LINE)["total_variation"])
        found.append((covered, distance))
        print(f"  set {seed}: {seconds:.1f} s, covered {covered:.3f}, TV {distance:.3f}", flush=True)
    (covered, distance), spread = np.mean(found, axis=0), np.std(found, axis=0)
    error = spread[0] / np.sqrt(len(found))
    print(
        f"{arguments.model} by {by}, {arguments.answers} answers, {len(found)} data sets: "
        f"{arguments.prob:.0%} bands cover {covered:.3f} (SE {error:.3f}) of the mass; mean TV {distance:.3f}"
    )


if __name__ == "__main__":
    main()
