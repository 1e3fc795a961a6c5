"""The reward experiment of arXiv 2311.14115 as the paper trains it, beside a Gaussian-process posterior.

The paper: a network of 4 hidden layers of 64 tanh units, 8,192 full-batch Adam steps on 32,768 answers,
learning rate 1e-4 decaying along a cosine to zero; a point estimate. bayespref: `density_gp_1d` by `laplace`,
a posterior with bands. Same data, same machine, one after the other; compilation is part of both times.

    python benchmarks/paper_training.py                 # about a quarter of an hour on 2 cores
    python benchmarks/paper_training.py --steps 200     # time of a step only
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import bayespref as bp
from bayespref import diagnostics, supports, toys
from bayespref.models import density_gp_1d

LINE = supports.interval(toys.LOW, toys.HIGH)
X = LINE.points[:, 0]
WIDTHS = (1, 64, 64, 64, 64, 1)


def initial(key):
    """Weights drawn with variance 1 / fan-in, biases zero."""
    keys = jax.random.split(key, len(WIDTHS) - 1)
    pairs = zip(WIDTHS[:-1], WIDTHS[1:], keys, strict=True)
    return [(jax.random.normal(k, (i, o)) / np.sqrt(i), jnp.zeros(o)) for i, o, k in pairs]


def reward(layers, x):
    """Reward (...,) of points (...,)."""
    hidden = x[..., None]
    for weight, bias in layers[:-1]:
        hidden = jnp.tanh(hidden @ weight + bias)
    weight, bias = layers[-1]
    return (hidden @ weight + bias)[..., 0]


def train(key, points, chosen, steps, total):
    """The paper's training; returns layers and seconds."""
    optimiser = optax.adam(optax.cosine_decay_schedule(1e-4, total))
    layers = initial(key)
    state = optimiser.init(layers)

    def loss(layers):
        r = reward(layers, points)
        difference = jnp.where(chosen == 0, r[:, 0] - r[:, 1], r[:, 1] - r[:, 0])
        return jnp.mean(jax.nn.softplus(-difference))

    @jax.jit
    def step(layers, state):
        updates, state = optimiser.update(jax.grad(loss)(layers), state, layers)
        return optax.apply_updates(layers, updates), state

    start = time.perf_counter()
    for _ in range(steps):
        layers, state = step(layers, state)
    jax.block_until_ready(layers)
    return layers, time.perf_counter() - start


def main() -> None:
    """Train, fit, print both times and both distances from the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    key = jax.random.key(arguments.seed)
    data = toys.answers(key)
    start = time.perf_counter()
    fit = bp.laplace(key, density_gp_1d, data, draws=1000, proposals=2000)
    ours = time.perf_counter() - start
    mean = diagnostics.mean_density(fit["posterior"].to_dataset()["log_density"])

    single = data.expanded()
    points = single.items.features[:, 0][single.shown]
    layers, seconds = train(key, points, single.outcome, arguments.steps, 8192)
    learnt = np.asarray(reward(layers, jnp.asarray(X, jnp.float32)))
    theirs = seconds * 8192 / arguments.steps
    truth = toys.preference(X)
    for name, log_density, spent in (("bayespref", mean, ours), ("the paper's training", learnt, seconds)):
        distance = float(diagnostics.distances(log_density, truth, LINE)["total_variation"])
        print(f"{name}: {spent:.1f} s, total variation {distance:.4f}")
    scaled = "" if arguments.steps == 8192 else f" (scaled from {arguments.steps} steps)"
    print(f"ratio of times{scaled}: {theirs / ours:.0f}")


if __name__ == "__main__":
    main()
