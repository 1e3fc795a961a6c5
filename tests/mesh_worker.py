"""One of two processes with two devices each: fits by what `test_meshes` compares, kept by process 0.

python mesh_worker.py <process> <port> <file>
"""

import functools
import sys
import warnings

import jax
import numpy as np


def data():
    """Answers in an odd number of rows, which devices do not divide."""
    import bayespref as bp

    rng = np.random.default_rng(0)
    worth = rng.normal(size=7)
    shown = np.stack([rng.choice(7, 2, replace=False) for _ in range(1500)])
    outcome = (rng.random(1500) < 1 / (1 + np.exp(worth[shown[:, 0]] - worth[shown[:, 1]]))).astype(int)
    return bp.Comparisons.from_arrays(shown, outcome, items=7, presentation="recorded")


def main(process: int, port: int, path: str) -> None:
    """Laplace's approximation with rows on four devices; nuts with two of them for chains, two for rows."""
    jax.config.update("jax_num_cpu_devices", 2)
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
    import bayespref as bp
    from bayespref.models import bradley_terry_position

    assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
    model = functools.partial(bradley_terry_position, scale=1.0)
    key, found = jax.random.key(0), {}
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        fits = {
            "laplace": bp.laplace(key, model, data(), draws=1000, proposals=2000, mesh=bp.mesh()),
            "nuts": bp.nuts(
                key, model, data(), warmup=150, draws=250, mesh=bp.mesh(chains=2), progress=False
            ),
        }
    for name, fit in fits.items():
        found |= {f"{name}.{site}": fit.posterior[site].values for site in fit.posterior.data_vars}
    # What is found is the same on every host.
    np.savez(path.replace(".npz", f"{process}.npz"), **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
