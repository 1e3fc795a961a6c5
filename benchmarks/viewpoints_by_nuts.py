"""Do chains agree about two viewpoints that nobody labelled? NUTS around independent Laplace fits.

Each fit starts elsewhere and may call either annotator the first. NUTS then runs in the coordinates that the
fit's draws whiten, two chains around each fit; R-hat is over all chains, of what the model documents.

    python benchmarks/viewpoints_by_nuts.py
    python benchmarks/viewpoints_by_nuts.py --answers 4096
"""

from __future__ import annotations

import argparse
import time
import warnings

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from numpyro.distributions import biject_to
from numpyro.handlers import seed, trace
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import constrain_fn, potential_energy

import bayespref as bp
from bayespref import diagnostics, supports, toys
from bayespref.inference.hoisting import hoist
from bayespref.models import two_viewpoints_1d

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]


def unconstrained(fit, data):
    """Draws (s, d) of a fit in unconstrained space, and the map from vectors to sites."""
    sites = trace(seed(two_viewpoints_1d, 0)).get_trace(data)
    latent = fit["latent"].to_dataset().stack(sample=("chain", "draw")).transpose("sample", ...)
    draws = {
        str(name): biject_to(sites[str(name)]["fn"].support).inv(jnp.asarray(value.values))
        for name, value in latent.data_vars.items()
    }
    vectors = jax.vmap(lambda z: ravel_pytree(z)[0])(draws)
    return np.asarray(vectors, np.float64), ravel_pytree({k: v[0] for k, v in draws.items()})[1]


def sample(key, fit, data, arguments):
    """Two chains of NUTS around one fit: sites (chains, draws, ...) and mean number of steps."""
    vectors, unravel = unconstrained(fit, data)
    centre = jnp.asarray(vectors.mean(0), jnp.float32)
    # Few effective draws for so many dimensions: shrink the covariance towards its diagonal.
    covariance = 0.9 * np.cov(vectors.T) + 0.1 * np.diag(vectors.var(0))
    spread = jnp.asarray(np.linalg.cholesky(covariance), jnp.float32)

    def of_data(data, u):
        return jnp.asarray(potential_energy(two_viewpoints_1d, (data,), {}, unravel(centre + spread @ u)))

    # Basis functions at the points shown are computed once, not at every step.
    value_and_slope = hoist(jax.value_and_grad(of_data, argnums=1), data, jnp.zeros_like(centre))
    potential = jax.custom_vjp(lambda u: value_and_slope(u)[0])
    potential.defvjp(value_and_slope, lambda slope, cotangent: (cotangent * slope,))

    start = jax.random.normal(key, (2, len(centre)))
    kernel = NUTS(potential_fn=potential, target_accept_prob=0.8, max_tree_depth=7)
    chains = MCMC(
        kernel,
        num_warmup=arguments.warmup,
        num_samples=arguments.draws,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    chains.run(key, init_params=start, extra_fields=("num_steps", "diverging"))
    steps = np.asarray(chains.get_extra_fields()["num_steps"])
    print(f"  steps a draw {steps.mean():.0f}, divergences {chains.get_extra_fields()['diverging'].sum()}")
    u = chains.get_samples(group_by_chain=True)

    @jax.jit
    def documented(u):
        def one(point):
            sites = unravel(centre + spread @ point)
            values = constrain_fn(two_viewpoints_1d, (data,), {}, sites, return_deterministic=True)
            return {name: values[name] for name in ("weight", "log_density")}

        return jax.lax.map(one, u.reshape(-1, u.shape[-1]), batch_size=64)

    found = documented(u)
    return {name: np.asarray(value).reshape(*u.shape[:2], *value.shape[1:]) for name, value in found.items()}


def main() -> None:
    """Fit, sample, print R-hat and recovery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--answers", type=int, default=toys.ANSWERS)
    parser.add_argument("--fits", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--draws", type=int, default=500)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", bp.FitWarning)
    data = toys.answers(jax.random.key(0), [toys.narrow, toys.wide], answers=arguments.answers)
    chains = []
    for index in range(arguments.fits):
        key = jax.random.key(100 + index)
        start = time.perf_counter()
        fit = bp.laplace(key, two_viewpoints_1d, data, draws=4000, proposals=8000)
        first = float(fit["latent"]["_weight"].mean())
        print(
            f"fit {index}: {time.perf_counter() - start:.0f} s, share of what it calls the first {first:.3f}"
        )
        start = time.perf_counter()
        chains.append(sample(key, fit, data, arguments))
        print(f"  NUTS {time.perf_counter() - start:.0f} s", flush=True)
    joined = {name: np.concatenate([c[name] for c in chains]) for name in chains[0]}
    mean = np.log(np.exp(joined["log_density"]).mean((0, 1)))
    draws = xr.Dataset(
        {
            "weight": (("chain", "draw", "viewpoint"), joined["weight"]),
            "log_density": (("chain", "draw", "viewpoint", "x"), joined["log_density"]),
        }
    )
    rhat, ess = az.rhat(draws), az.ess(draws)
    held = np.exp(mean + LINE.log_weight) > 1e-5
    truth = np.stack([toys.narrow(X), toys.wide(X)])
    distance = diagnostics.distances(mean, truth, LINE)["total_variation"]
    print(f"weight {joined['weight'][..., 0].mean():.3f} (sd {joined['weight'][..., 0].std():.3f})")
    print(f"total variation {distance[0]:.3f} and {distance[1]:.3f}")
    print(f"R-hat of the weight {float(rhat['weight'].max()):.4f}, ESS {float(ess['weight'].min()):.0f}")
    inside = rhat["log_density"].values[held]
    print(f"R-hat of log-densities where they have mass: largest {inside.max():.4f}")
    print(f"R-hat of log-densities everywhere: largest {float(rhat['log_density'].max()):.4f}")


if __name__ == "__main__":
    main()
