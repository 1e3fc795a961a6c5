"""What a GPU is good for: many vectorised chains, minibatches, densities; the same code as on a processor.

Prints one line of JSON for each measurement and writes them to gpu.json, with device and versions:

    python gpu.py              # on a machine with a GPU
    JAX_PLATFORMS=cpu python gpu.py --small        # tries it without
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from arviz_stats.base.array import array_stats
from cases import CASES, pairs
from embedding_reward import simulated

import bayespref as bp
from bayespref import models, toys

CHAINS, SUPERCHAINS = 64, 8


def main() -> None:
    """Run every measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes, to see that it runs")
    small = parser.parse_args().small
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpyro", "bayespref")}
    found: list[dict[str, Any]] = [{"device": device.device_kind, "platform": device.platform, **versions}]
    print(json.dumps(found[0]), flush=True)
    for measure in (many_chains, minibatches, densities):
        for row in measure(small):
            print(json.dumps(row), flush=True)
            found.append(row)
    if not small:
        Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


def many_chains(small: bool) -> Iterator[dict[str, Any]]:
    """NUTS with 64 chains side by side: effective draws a second, and nested R-hat."""
    sizes = [("b", lambda: pairs(20, 2000))] if small else [(name, CASES[name].arrays) for name in ("a", "b")]
    for name, arrays in sizes:
        data = arrays()
        shown = np.stack([data["first"], data["second"]], 1)
        counts = np.concatenate([data["wins"], data["count"] - data["wins"]])
        answers = bp.Comparisons.from_arrays(
            np.concatenate([shown, shown])[counts > 0],
            np.repeat([0, 1], len(shown))[counts > 0],
            count=counts[counts > 0],
            items=int(data["items"]),
        )
        short = {"warmup": 100, "draws": 50} if small else {"warmup": 300, "draws": 100}

        def fit(seed: int, answers=answers, short=short):
            return bp.nuts(
                jax.random.key(seed),
                models.bradley_terry,
                answers,
                chains=CHAINS,
                chain_method="vectorized",
                progress=False,
                **short,
            )

        (first, _), (seconds, result) = timed(fit, 0), timed(fit, 1)
        worth = result["posterior"]["log_density"].values
        groups = np.arange(CHAINS) // (CHAINS // SUPERCHAINS)
        nested = [
            array_stats.rhat_nested(worth[..., item], groups, chain_axis=0, draw_axis=1)
            for item in range(worth.shape[-1])
        ]
        ess = bp.convergence(result)["ess"]
        yield {
            "what": f"nuts, {CHAINS} chains, case {name}",
            "first fit, s": first,
            "second fit, s": seconds,
            "ESS": ess,
            "ESS a second": ess / seconds,
            "nested R-hat": float(np.max(nested)),
        }


def minibatches(small: bool) -> Iterator[dict[str, Any]]:
    """Minibatch SVI of a reward on embeddings: answers a second of the steps alone."""
    features, shown, outcome = simulated()
    if small:
        shown, outcome = shown[:20_000], outcome[:20_000]
    items = bp.Items({"features": features}, len(features))
    answers = bp.Comparisons.from_arrays(shown, outcome, items=items)
    for batch in (1024, 16_384):
        seconds = []
        for steps in (500, 1000 if small else 4000):

            def fit(seed: int, steps=steps, batch=batch):
                return bp.svi(
                    jax.random.key(seed),
                    models.bayesian_reward,
                    answers,
                    guide="normal",
                    particles=1,
                    batch_size=batch,
                    steps=steps,
                    draws=100,
                    progress=False,
                )

            timed(fit, 0)  # compiles
            seconds.append((steps, timed(fit, 1)[0]))
        (few, short), (many, long) = seconds
        throughput = batch * (many - few) / (long - short)
        yield {"what": f"svi, batches of {batch}", "answers a second": throughput}


def densities(small: bool) -> Iterator[dict[str, Any]]:
    """The paper's toy: a Gaussian process by Laplace and a network by SVI."""
    answers = toys.answers(jax.random.key(0), [toys.preference], answers=2000 if small else 32_768)
    for name, fit in {
        "gp, laplace": lambda seed: bp.laplace(jax.random.key(seed), models.density_gp_1d, answers),
        "neural, svi": lambda seed: bp.svi(
            jax.random.key(seed),
            models.density_neural_1d,
            answers,
            guide="normal",
            steps=200 if small else 4000,
            progress=False,
        ),
    }.items():
        yield {"what": name, "first fit, s": timed(fit, 0)[0], "second fit, s": timed(fit, 1)[0]}


def timed(fit: Callable[[int], Any], seed: int) -> tuple[float, Any]:
    """Seconds and result."""
    start = time.perf_counter()
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        result = fit(seed)
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
