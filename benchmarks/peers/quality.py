"""How good draws are, and what they say: what every tool is held to, as one line of JSON."""

import json
import resource

import numpy as np
from arviz_stats.base.array import array_stats


def tell(draws, common, **figures):
    """Print figures, quality over all parameters, and mean and sd of a quantity that all tools have."""
    draws = by_size(draws)
    value = np.asarray(draws[common], np.float64)
    flat = value.reshape(-1, *value.shape[2:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    moments = {"mean": flat.mean(0).tolist(), "sd": flat.std(0).tolist()}
    print(json.dumps({**figures, **quality(draws), **moments, "peak_gib": peak}), flush=True)


def quality(draws):
    """Smallest bulk ESS and largest R-hat over all numbers of all parameters (chain, draw, ...) that vary."""
    ess, rhat = np.inf, 1.0
    for value in draws.values():
        flat = np.asarray(value, np.float64).reshape(*value.shape[:2], -1)
        flat = flat[..., np.ptp(flat, axis=(0, 1)) > 0]
        for column in np.moveaxis(flat, -1, 0):
            ess = min(ess, float(array_stats.ess(column, chain_axis=0, draw_axis=1)))
            rhat = max(rhat, float(array_stats.rhat(column, chain_axis=0, draw_axis=1)))
    return {"ess": ess, "rhat": rhat}


def by_size(draws):
    """Classes have no names: in every chain the larger comes first."""
    if "weight" not in draws:
        return draws
    order = np.argsort(-np.asarray(draws["weight"]).mean(1), axis=1)
    found = dict(draws)
    for name in ("weight", "worth"):
        found[name] = np.stack([np.asarray(v)[:, o] for v, o in zip(draws[name], order, strict=True)])
    return found
