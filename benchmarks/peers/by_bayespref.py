"""The cases in bayespref: python by_bayespref.py CASE DATA CHAINS WARMUP DRAWS CACHE SEED...

Run by side_by_side.py in bayespref's own environment. Prints one line of JSON for each seed.
"""

import sys
import time
import warnings

import jax
import numpy as np
from quality import tell

import bayespref as bp
from bayespref import models

MODELS = {
    "a": models.bradley_terry,
    "b": models.bradley_terry,
    "c": models.rationality_by_annotator,
    "d": models.mixed_logit,
    "e": models.latent_class_bradley_terry,
    "f": models.davidson,
}


def comparisons(case, data):
    """The same answers as the other tools read, in memory."""
    if case in ("a", "b"):
        shown = np.stack([data["first"], data["second"]], 1)
        both = np.concatenate([shown, shown]), np.repeat([0, 1], len(shown))
        count = np.concatenate([data["wins"], data["count"] - data["wins"]])
        there = count > 0
        return bp.Comparisons.from_arrays(
            both[0][there], both[1][there], count=count[there], items=int(data["items"])
        )
    who = {"annotator": data["who"], "annotators": int(data["annotators"])}
    if case == "d":
        positions = np.tile([0, 1], (len(data["won"]), 1))
        return bp.Comparisons.from_arrays(
            positions, 1 - data["won"], shown_columns={"features": data["features"]}, items=2, **who
        )
    shown = np.stack([data["first"], data["second"]], 1)
    outcome = data["outcome"] if "outcome" in data else 1 - data["won"]
    return bp.Comparisons.from_arrays(shown, outcome, items=int(data["items"]), **who)


def parameters(case, fit, answers):
    """Every parameter under the names that the other tools use."""
    found = {name: value.values for name, value in fit["posterior"].to_dataset().data_vars.items()}
    if case == "d":
        unit = np.asarray(answers.design.feature_scale)
        names = ("taste", "coefficient", "taste_sd")
        standard = {name: found[name] * unit for name in names if name in found}
        correlation = {name: value for name, value in found.items() if name not in names}
        return {**standard, **correlation}
    worth = found.pop("log_density")
    return {"worth": worth - worth.mean(-1, keepdims=True), **found}


def main():
    """Time from comparisons in memory to draws, for each seed."""
    case, path, chains, warmup, draws, cache, *seeds = sys.argv[1:]
    bp.compilation_cache(cache)
    answers = comparisons(case, dict(np.load(path)))
    for seed in map(int, seeds):
        start = time.perf_counter()
        with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
            fit = bp.nuts(
                jax.random.key(seed),
                MODELS[case],
                answers,
                chains=int(chains),
                warmup=int(warmup),
                draws=int(draws),
                target_accept=0.8,
                progress=False,
            )
        seconds = time.perf_counter() - start
        steps = float(fit["sample_stats"]["n_steps"].sum())
        common = "coefficient" if case == "d" else "worth"
        tell(parameters(case, fit, answers), common, seconds=seconds, steps=steps)


if __name__ == "__main__":
    main()
