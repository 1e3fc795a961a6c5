"""The cases in PyMC, sampled by nutpie: the same models and priors as bayespref's gallery.

Run by side_by_side.py in the peers' environment:
python by_nutpie.py CASE DATA CHAINS WARMUP DRAWS CACHE SEED...
Prints one line of JSON for each seed.
"""

import sys
import time

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from quality import tell


def pairs(data):
    """Worths ~ ZeroSumNormal(s), s ~ HalfNormal(1.5), centred as nutpie does best; wins counted by pair."""
    scale = pm.HalfNormal("scale", 1.5)
    worth = pm.ZeroSumNormal("worth", sigma=scale, shape=int(data["items"]))
    score = worth[data["first"]] - worth[data["second"]]
    pm.Binomial("wins", n=data["count"], logit_p=score, observed=data["wins"])


def rationality(data):
    """Log-rationalities of annotators ~ Normal(0, sd), sd ~ HalfNormal(.5), non-centred."""
    scale = pm.HalfNormal("scale", 1.5)
    worth = pm.ZeroSumNormal("worth", sigma=scale, shape=int(data["items"]))
    sd = pm.HalfNormal("sd", 0.5)
    raw = pm.Normal("raw", 0, 1, shape=int(data["annotators"]))
    effect = pm.Deterministic("log_rationality", sd * raw)
    score = pt.exp(effect)[data["who"]] * (worth[data["first"]] - worth[data["second"]])
    pm.Bernoulli("won", logit_p=score, observed=data["won"])


def mixed_logit(data):
    """Tastes ~ Normal(mean, D R D), R ~ LKJ(2), non-centred, attributes standardised as bayespref does."""
    unit = _unit(data["features"])
    x = (data["features"][:, 0] - data["features"][:, 1]) / unit
    d, people = x.shape[1], int(data["annotators"])
    mean = pm.Normal("coefficient", 0, 1, shape=d)
    chol, _, _ = pm.LKJCholeskyCov("chol", n=d, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0, shape=d))
    raw = pm.Normal("raw", 0, 1, shape=(people, d))
    taste = mean + pt.dot(raw, chol.T)
    pm.Bernoulli("won", logit_p=(x * taste[data["who"]]).sum(1), observed=data["won"])


def camps(data):
    """Two classes with shares ~ Dirichlet(2, 2) and one learned scale; an annotator's class summed over."""
    scale = pm.HalfNormal("scale", 1.5)
    weight = pm.Dirichlet("weight", np.full(2, 2.0))
    worth = pm.ZeroSumNormal("worth", sigma=scale, shape=(2, int(data["items"])), n_zerosum_axes=1)
    sign = 2.0 * data["won"] - 1
    score = (worth[:, data["first"]] - worth[:, data["second"]]) * sign
    each = -pt.softplus(-score)
    nothing = pt.zeros(int(data["annotators"]))
    total = pt.stack([pt.inc_subtensor(nothing[data["who"]], each[h]) for h in range(2)], 1)
    pm.Potential("answers", pt.logsumexp(total + pt.log(weight), axis=1).sum())


def _unit(features):
    within = features - features.mean(1, keepdims=True)
    return np.sqrt((within**2).mean((0, 1)))


TARGET = 0.8
MODELS = {"a": pairs, "b": pairs, "c": rationality, "d": mixed_logit, "e": camps}


def main():
    """Time from arrays in memory to draws, for each seed."""
    case, path, chains, warmup, draws, _, *seeds = sys.argv[1:]
    data = dict(np.load(path))
    for seed in map(int, seeds):
        start = time.perf_counter()
        with pm.Model() as model:
            MODELS[case](data)
        compiled = nutpie.compile_pymc_model(model)
        compilation = time.perf_counter() - start
        fit = nutpie.sample(
            compiled,
            chains=int(chains),
            tune=int(warmup),
            draws=int(draws),
            progress_bar=False,
            seed=seed,
            target_accept=TARGET,
        )
        seconds = time.perf_counter() - start
        found = {name: np.asarray(value) for name, value in fit.posterior.data_vars.items()}
        steps = float(np.asarray(fit.sample_stats["n_steps"]).sum())
        common = "coefficient" if case == "d" else "worth"
        tell(found, common, seconds=seconds, compilation=compilation, steps=steps)


if __name__ == "__main__":
    main()
