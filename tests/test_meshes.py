"""Fits on several devices: rows divided among them, chains side by side, over two processes."""

import functools
import os
import socket
import subprocess
import sys
import warnings

import arviz as az
import jax
import numpy as np
import pytest
from helpers import ROOT
from mesh_worker import data

import bayespref as bp
from bayespref.inference import meshes
from bayespref.inference.batched import nuts_side_by_side
from bayespref.models import bradley_terry_position, density_gp_1d

MODEL = functools.partial(bradley_terry_position, scale=1.0)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes found, each with two devices."""
    folder = tmp_path_factory.mktemp("mesh")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "tests" / "mesh_worker.py")]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment = {**os.environ, **paths, "JAX_PLATFORMS": "cpu"}
    workers = [
        subprocess.Popen(
            [*command, str(process), str(port), str(folder / "fit.npz")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(2)
    ]
    try:
        said = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(said)
    return [dict(np.load(folder / f"fit{process}.npz")) for process in range(2)]


@pytest.fixture(scope="module")
def alone():
    return bp.laplace(jax.random.key(0), MODEL, data(), draws=1000, proposals=2000)


def test_every_process_finds_the_same(found):
    assert set(found[0]) == set(found[1])
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])


def test_laplace_over_two_processes_is_that_of_one(found, alone):
    """The same key takes the same proposals: draws agree to the rounding of the mode and its curvature."""
    for site in alone.posterior.data_vars:
        one, two = alone.posterior[site].values, found[0][f"laplace.{site}"]
        assert one.shape == two.shape
        sd = one.std((0, 1))
        np.testing.assert_allclose(two.mean((0, 1)), one.mean((0, 1)), atol=0.01 * sd.max())
        np.testing.assert_allclose(two.std((0, 1)), sd, rtol=0.01)


def test_nuts_over_two_processes_is_laplace_of_one(found, alone):
    """Means within 5 Monte-Carlo standard errors, and standard deviations."""
    for site in alone.posterior.data_vars:
        exact, drawn = alone.posterior[site].values, found[0][f"nuts.{site}"]
        drawn = drawn.reshape(*drawn.shape[:2], -1)
        exact = exact.reshape(*exact.shape[:2], -1)
        for column in range(drawn.shape[-1]):
            own, other = drawn[..., column], exact[..., column]
            error = np.hypot(float(az.mcse(own)), other.std() / np.sqrt(other.size))
            assert abs(own.mean() - other.mean()) < 5 * error
            spread = np.hypot(float(az.mcse(own, method="sd")), other.std() / np.sqrt(2 * other.size))
            assert abs(own.std() - other.std()) < 5 * spread


def test_rows_that_fill_up_say_nothing():
    """Rows are padded to a multiple of the devices; the log-likelihood is that of the rows that are there."""
    from bayespref.inference.program import run

    answers = data()
    longer = meshes._padded(answers, 3)
    assert len(longer) == len(answers) + 3
    values = {"_log_density": np.linspace(-1, 1, 7), "position": np.float32(0.3)}
    one, other = (run(MODEL, each, values)["outcome"] for each in (answers, longer))
    sums = [site["fn"].log_prob(site["value"]).sum() for site in (one, other)]
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-6)


def test_data_sets_side_by_side_on_a_mesh_are_those_without():
    sets = data().replace(outcome=np.stack([data().outcome, 1 - data().outcome]))
    keys = jax.random.split(jax.random.key(1), 2)
    short = {"warmup": 4, "draws": 2, "thin": 1, "target_accept": 0.9, "depth": 3}
    without = nuts_side_by_side(MODEL, keys, sets, **short)
    with_mesh = nuts_side_by_side(MODEL, keys, sets, mesh=bp.mesh(), **short)
    for name, value in without.items():
        np.testing.assert_allclose(value, with_mesh[name], rtol=1e-3, atol=1e-3)


def test_svi_on_a_mesh_is_that_without():
    short = {"steps": 30, "draws": 20, "guide": "normal", "progress": False}
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        one, other = (
            bp.svi(jax.random.key(1), MODEL, data(), mesh=mesh, **short) for mesh in (None, bp.mesh())
        )
    for name, value in one.posterior.data_vars.items():
        np.testing.assert_allclose(value, other.posterior[name], rtol=1e-3, atol=1e-3)


def test_refusals():
    with pytest.raises(ValueError, match="chains divides the number of devices, 1; got 2"):
        bp.mesh(chains=2)
    with pytest.raises(ValueError, match="axes 'chain' and 'row'"):
        meshes.spread(data(), jax.make_mesh((1,), ("data",)))
    with pytest.raises(ValueError, match="chains on a mesh are vectorized"):
        bp.nuts(jax.random.key(0), MODEL, data(), mesh=bp.mesh(), chain_method="parallel")
    with pytest.raises(ValueError, match="looked at on one device"):
        bp.laplace(jax.random.key(0), density_gp_1d, points(), mesh=bp.mesh())


def points():
    return bp.Comparisons.from_points([[0.0, 1.0], [0.5, 0.2]], [0, 1])
