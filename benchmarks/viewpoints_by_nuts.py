"""Do chains agree about two viewpoints that nobody labelled? NUTS around independent Laplace fits.

Each approximation starts elsewhere and may call either annotator the first. NUTS then runs in the coordinates
that it whitens, two chains around each; R-hat is over all chains, of what the model documents.

    python benchmarks/viewpoints_by_nuts.py
    python benchmarks/viewpoints_by_nuts.py --answers 4096
"""

from __future__ import annotations

import argparse
import time

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import constrain_fn, potential_energy
from scipy.special import logsumexp

from bayespref import diagnostics, supports, toys
from bayespref.inference import nested
from bayespref.inference.hoisting import hoist
from bayespref.inference.program import generator, sites_of
from bayespref.inference.starting import starts
from bayespref.models import two_viewpoints_1d
from bayespref.rewards.gp import log_scale, sqrt_eigenvalues

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]
DRAWS, POINTS = 32000, 64
"""Of an approximation, for its covariance, and values of the scales that they are drawn at."""


def approximation(key, data):
    """Draws (s, ...) of every site of an independent Laplace approximation, in unconstrained space.

    Not reweighted: importance weights leave too few effective draws to whiten so many dimensions by.
    """
    random = generator(key)
    outer = {name for name, site in sites_of(two_viewpoints_1d, data).items() if site.outer}
    start = starts(random, two_viewpoints_1d, data)
    found = nested.approximate(random, two_viewpoints_1d, data, start, outer, points=POINTS)
    return found.draw(random, DRAWS)[0]


class Coordinates:
    """Weights of the Gaussian processes centred as far as the answers speak, then whitened.

    A weight z of prior N(0, 1) enters as scale(theta) z. Where answers pin scale z down, z and theta lie on a
    curved ridge, where they do not, scale z is a funnel: c = z (scale / typical)^(1 - Var(z | theta)) is
    neither.
    """

    def __init__(self, draws):
        reach = [1.2 * (toys.HIGH - toys.LOW) / 2]
        self.frequency = jnp.asarray(sqrt_eigenvalues(reach, [64], 1))
        self.names = [name for name in draws if name.startswith("__viewpoint")]
        self.share = {name: 1 - np.minimum(_given_theta(draws[name]), 1.0) for name in self.names}
        self.typical = {name: jax.vmap(self.log_scale(name))(draws).mean(0) for name in self.names}
        moved = jax.vmap(self.centred)(draws)
        vectors = np.asarray(jax.vmap(lambda z: ravel_pytree(z)[0])(moved), np.float64)
        self.unravel = ravel_pytree({name: value[0] for name, value in moved.items()})[1]
        self.centre = jnp.asarray(vectors.mean(0), jnp.float32)
        self.spread = jnp.asarray(np.linalg.cholesky(np.cov(vectors.T)), jnp.float32)

    def log_scale(self, name):
        """Log prior standard deviations of the coefficients, as a function of the unconstrained sites."""
        of = name.removeprefix("_")

        def function(z):
            length, amplitude = jnp.exp(z[f"{of}_length"]), jnp.exp(z[f"{of}_amplitude"])
            return log_scale("matern52", self.frequency, length, amplitude)

        return function

    def shift(self, name, z):
        """log c - log z."""
        return self.share[name] * (self.log_scale(name)(z) - self.typical[name])

    def centred(self, z):
        """Sites with the weights z replaced by c."""
        return z | {name: z[name] * jnp.exp(self.shift(name, z)) for name in self.names}

    def sites(self, u):
        """Unconstrained sites at whitened coordinates, and log |dz / dc|."""
        z = self.unravel(self.centre + self.spread @ u)
        shift = {name: self.shift(name, z) for name in self.names}
        moved = {name: z[name] * jnp.exp(-shift[name]) for name in self.names}
        return z | moved, -sum(value.sum() for value in shift.values())


def _given_theta(z):
    """(basis,) variance of weights (s, basis) within the points of theta, which draws take in turn."""
    return np.asarray(z).reshape(-1, POINTS, z.shape[1]).var(0).mean(0)


def sample(key, coordinates, data, arguments):
    """Two chains of NUTS around one approximation: sites (chains, draws, ...)."""

    def of_data(data, u):
        sites, log_jacobian = coordinates.sites(u)
        return jnp.asarray(potential_energy(two_viewpoints_1d, (data,), {}, sites)) - log_jacobian

    # Basis functions at the points shown are computed once, not at every step.
    size = len(coordinates.centre)
    value_and_slope = hoist(jax.value_and_grad(of_data, argnums=1), data, jnp.zeros(size))
    potential = jax.custom_vjp(lambda u: value_and_slope(u)[0])
    potential.defvjp(value_and_slope, lambda slope, cotangent: (cotangent * slope,))

    start = jax.random.normal(key, (2, size))
    kernel = NUTS(potential_fn=potential, target_accept_prob=arguments.accept, max_tree_depth=7)
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
            sites, _ = coordinates.sites(point)
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
    parser.add_argument("--warmup", type=int, default=250)
    parser.add_argument("--draws", type=int, default=800)
    parser.add_argument("--accept", type=float, default=0.97)
    arguments = parser.parse_args()
    data = toys.answers(jax.random.key(0), [toys.narrow, toys.wide], answers=arguments.answers)
    chains = []
    for index in range(arguments.fits):
        key = jax.random.key(100 + index)
        start = time.perf_counter()
        draws = approximation(key, data)
        first = jax.nn.sigmoid(draws["_weight"].mean())
        print(
            f"fit {index}: {time.perf_counter() - start:.0f} s, share of what it calls the first {first:.3f}"
        )
        start = time.perf_counter()
        chains.append(sample(key, Coordinates(draws), data, arguments))
        print(f"  NUTS {time.perf_counter() - start:.0f} s", flush=True)
    joined = {name: np.concatenate([c[name] for c in chains]) for name in chains[0]}
    draws = xr.Dataset(
        {
            "weight": (("chain", "draw", "viewpoint"), joined["weight"]),
            "log_density": (("chain", "draw", "viewpoint", "x"), joined["log_density"]),
        }
    )
    mean = logsumexp(joined["log_density"].astype(float), axis=(0, 1)) - np.log(
        2 * arguments.fits * arguments.draws
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
