"""A leaderboard of 100,000 votes by 50,000 voters over 60 models: ties, position, voters who differ in it.

Two votes say little of a voter, and the joint mode of voters' effects and their spread is at no spread at
all, so that Laplace's approximation is of no use here. `joint`, which takes hours, samples every voter's
effect beside the rest; `marginalised` sums each voter's out, by Gauss and Hermite's rule, as classes with
known places and shares. Both by `nuts`, from data in memory to draws, each in processes of its own: the first
one ever, and a later one that finds the cache of compiled programs. Good is a bulk ESS of at least 400 and
R-hat below 1.01 over every parameter, voters' included. Simulated: position .2 on average, with sd .5 over
voters.

    python votes.py            # minutes; writes votes.md
    python votes.py --voters 2000 --votes 4000 --ways joint marginalised
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from cases import votes

import bayespref as bp
from bayespref import behaviours, choices, populations, rewards

MODELS, NODES = 60, 7
SHORTEST = {"marginalised": (300, 700), "joint": (500, 1000)}
"""Warm-up and draws of each of four chains."""
HERE = Path(__file__).resolve()


def joint(comparisons: bp.Comparisons) -> None:
    """Davidson's ties; the first shown gains what its voter gives it."""
    score, log_tie, mean = shared(comparisons)
    voter = mean + populations.by_annotator("position_of_voter", comparisons)
    bp.observe(comparisons, choices.davidson(score.at[:, 0].add(voter[comparisons.annotator]), log_tie))


def marginalised(comparisons: bp.Comparisons) -> None:
    """The same, voters' effects summed out: int N(u; 0, 1) prod_i P(y_i | mean + sd u) du."""
    score, log_tie, mean = shared(comparisons)
    spread = numpyro.sample("position_of_voter_sd", dist.HalfNormal(1.0))
    place, share = np.polynomial.hermite_e.hermegauss(NODES)
    classes = [choices.davidson(score.at[:, 0].add(mean + spread * u), log_tie) for u in place]
    log_share = jnp.log(share / share.sum())
    population = populations.latent_classes(classes, log_share, comparisons, exchangeable=False)
    bp.observe(comparisons, population)


def shared(comparisons: bp.Comparisons) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores (n, 2), log of the tie parameter, and the advantage of the first shown."""
    log_density = rewards.item_table(comparisons, scale=None)
    log_tie = numpyro.sample("log_tie", dist.Normal(0, 1.5))
    mean = numpyro.sample("position", dist.Normal(0, 1))
    return behaviours.luce(log_density)[comparisons.shown], log_tie, mean


def main() -> None:
    """Time both, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voters", type=int, default=50_000)
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--ways", nargs="*", default=list(SHORTEST)[:1], help="hours for joint")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [f"--voters={arguments.voters}", f"--votes={arguments.votes}"]
    if arguments.one:
        print(json.dumps(timed(*arguments.one, arguments.voters, arguments.votes)))
        return
    rows = []
    for way in arguments.ways:
        with tempfile.TemporaryDirectory() as cache:
            for run in ("first", "later"):
                command = [sys.executable, str(HERE), *sizes, "--one", way, cache]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    raise RuntimeError(done.stderr[-3000:])
                rows.append({"way": way, "run": run, **json.loads(done.stdout.splitlines()[-1])})
                print(rows[-1], flush=True)
    if (arguments.voters, arguments.votes) == (50_000, 100_000):
        said, table = __doc__.split("\n\n    python")[0], pd.DataFrame(rows).round(3)
        HERE.with_suffix(".md").write_text(f"# {said}\n\n{table.to_markdown(index=False)}\n")


def timed(way: str, cache: str, voters: int, number: int) -> dict[str, float]:
    """Seconds of one fit, how good its draws are, and what they say."""
    bp.compilation_cache(cache)
    data = votes(voters, MODELS, number)
    shown = np.stack([data["first"], data["second"]], 1)
    who = {"annotator": data["who"], "annotators": voters}
    answers = bp.Comparisons.from_arrays(shown, data["outcome"], items=MODELS, **who)
    (warmup, draws), model = SHORTEST[way], {"joint": joint, "marginalised": marginalised}[way]
    start = time.perf_counter()
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        fit = bp.nuts(jax.random.key(0), model, answers, warmup=warmup, draws=draws, progress=False)
    seconds = time.perf_counter() - start
    found, posterior = bp.convergence(fit), fit["posterior"]
    told = {
        f"{name}, {what}": float(getattr(posterior[name], what)())
        for name in ("position", "position_of_voter_sd")
        for what in ("mean", "std")
    }
    gradients = float(fit["sample_stats"]["n_steps"].sum())
    return {"seconds": seconds, "ESS": found["ess"], "R-hat": found["rhat"], "gradients": gradients, **told}


if __name__ == "__main__":
    main()
