"""A Gaussian-process reward by BoTorch's PairwiseGP: python by_botorch.py DATA

Run by gaussian_process.py in the peers' environment. Points are scaled to [0, 1], as BoTorch's priors expect.
Prints one line of JSON for each of two fits: seconds, and the posterior mean on a grid.
"""

import json
import sys
import time
import warnings

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.likelihoods.pairwise import PairwiseLogitLikelihood
from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.priors import GammaPrior

LOW, HIGH, GRID = -10.0, 10.0, 2001


def main():
    """Fit twice, from arrays in memory to the posterior mean."""
    warnings.simplefilter("ignore")
    data = dict(np.load(sys.argv[1]))
    grid = torch.linspace(0, 1, GRID, dtype=torch.float64)[:, None]
    for _ in range(2):
        start = time.perf_counter()
        place = torch.from_numpy((data["place"] - LOW) / (HIGH - LOW))[:, None]
        matern = MaternKernel(nu=2.5, lengthscale_prior=GammaPrior(2.4, 2.7))
        kernel = ScaleKernel(matern, outputscale_prior=GammaPrior(2.0, 0.15))
        pairs = torch.from_numpy(data["pair"])
        model = PairwiseGP(place, pairs, likelihood=PairwiseLogitLikelihood(), covar_module=kernel)
        fit_gpytorch_mll(PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            mean = model.posterior(grid).mean[:, 0]
        seconds = time.perf_counter() - start
        print(json.dumps({"tool": "BoTorch", "seconds": seconds, "reward": mean.tolist()}), flush=True)


if __name__ == "__main__":
    main()
