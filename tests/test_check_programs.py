"""The programs of a check: compiled once and ahead, modes of replicates whatever their scales."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax import monitoring

import bayespref as bp
from bayespref import models
from bayespref.checks import battery, design, problem, programs, replicates
from bayespref.checks.orthogonal import Task
from bayespref.inference.ahead import Ahead, like

PROGRAMS = {"judged", "modes", "information", "expected", "residuals", "pushed"}


def named_board():
    """200 answers of ten annotators about four items."""
    rng = np.random.default_rng(0)
    shown = np.stack([rng.permutation(4)[:2] for _ in range(200)])
    first = 1 / (1 + np.exp(shown[:, 0] - shown[:, 1]))
    who = {"annotator": np.arange(200) % 10, "annotators": 10}
    columns = {"time": np.arange(200.0)}
    outcome = (rng.random(200) > first).astype(int)
    return bp.Comparisons.from_arrays(shown, outcome, items=4, row_columns=columns, merge=False, **who)


def fitted(model, data):
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        return bp.laplace(jax.random.key(0), model, data, draws=100, proposals=200)


def compiled_by(function):
    """What `function` returns, and names of programs compiled meanwhile."""
    names: list[str] = []

    def listen(event: str, _: float, **about) -> None:
        if "backend_compile" in event:
            names.append(str(about.get("fun_name")).removeprefix("jit(").removesuffix(")"))

    monitoring.register_event_duration_secs_listener(listen)
    try:
        return function(), names
    finally:
        monitoring.unregister_event_duration_listener(listen)


def test_programs_compiled_side_by_side_are_found_again():
    def scaled(x, y):
        return jnp.sin(x) * y["by"]

    one, two = jax.jit(scaled), jax.jit(lambda x: jnp.cos(x) + 1)
    shapes = (like((3,)), {"by": like(())})
    with Ahead() as ahead:
        ahead(program.lower(*each) for program, each in ((one, shapes), (two, shapes[:1])))
    x = np.array([0.0, 1.0, 2.0], np.float32)
    (found, other), names = compiled_by(lambda: (one(x, {"by": np.float32(2)}), two(x)))
    assert names == []
    np.testing.assert_allclose(found, 2 * np.sin(x), rtol=1e-6)
    np.testing.assert_allclose(other, np.cos(x) + 1, rtol=1e-6)


def test_what_a_program_cannot_compile_is_said():
    class Broken:
        def compile(self):
            raise RuntimeError("no such instruction")

    with pytest.raises(RuntimeError, match="no such instruction"), Ahead() as ahead:
        ahead(iter([Broken()]))


def test_a_check_compiles_each_program_once_and_a_second_one_none():
    """Shapes said ahead are those of the arrays: with annotators, items, scales, and a column of time."""
    model = functools.partial(models.bradley_terry, scale=None)
    data = named_board()
    fit = fitted(model, data)
    check = functools.partial(bp.check, model=model, fit=fit, replicates=39)
    first, names = compiled_by(lambda: check(jax.random.key(1)))
    assert [names.count(name) for name in sorted(PROGRAMS)] == [1] * len(PROGRAMS)
    again, names = compiled_by(lambda: check(jax.random.key(1)))
    assert names == []
    np.testing.assert_array_equal(first.table["p_value"], again.table["p_value"])


@pytest.mark.parametrize(("size", "numbers"), [(8, 40), (7, 40), (1, 5), (50, 40)])
def test_groups_are_full_and_alike(size, numbers):
    h = np.random.default_rng(0).normal(size=(numbers, 2)) * [0.1, 1.0]
    groups = programs.alike(h, size)
    np.testing.assert_array_equal(np.sort(np.concatenate(groups)), np.arange(numbers))
    sizes = [len(group) for group in groups]
    assert len(sizes) == -(-numbers // size) and max(sizes) <= size
    assert sum(len(group) < size for group in groups) <= 1
    if 1 < len(groups) < numbers:
        within = np.mean([h[group, 1].var() for group in groups])
        assert within < 0.2 * h[:, 1].var()
    assert len(programs.alike(np.zeros((numbers, 0)), size)) == len(groups)


@pytest.fixture(scope="module")
def scales():
    """A problem whose one held number is a log scale, and 30 replicates with scales from e^-4 to e^2."""
    data = named_board()
    model = functools.partial(models.bradley_terry, scale=None)
    rows, _ = design.rows_of(data)
    one, z, h = replicates.draws_of(jax.random.key(0), model, fitted(model, data), data, rows, 30)
    assert h.shape == (30, 1)
    h = np.random.default_rng(0).permutation(np.linspace(-4, 2, 30, dtype=np.float32))[:, None]
    counts = np.asarray(replicates.expected(one, rows, z, h, like_counts(rows), jax.random.key(1))[0])
    drawn = replicates.drawn_counts(jax.random.key(2), counts.astype(float), np.ones(len(rows)))
    return one, rows, np.asarray(z), h, drawn


def like_counts(rows):
    return np.full((len(rows), 2), 0.5, np.float32)


def test_modes_are_modes_whatever_the_scales(scales):
    """Within NEAR nats of what BFGS finds from there, for every replicate; one Hessian alone is far off."""
    one, rows, z, h, counts = scales
    middle = np.array([-1.0], np.float32)
    factor = 0.1 * problem.whitener(programs.hessian(one, rows, z[0], middle, counts[0]))
    program = functools.partial(programs.modes, one, rows, factor, np.int32(40))
    _, left = programs.in_chunks(program, (z, h, counts), 10)
    assert (left > battery.NEAR).any()  # a hundred times the curvature: no step of it arrives
    found, left = battery._modes(Task(one, rows, None), factor, z, h, counts)
    assert (left < battery.NEAR).all()

    @jax.jit
    def potential(z, h, counts):
        return one.prior(rows, z, h) - one.log_likelihood(rows, z, h, counts)

    slope = jax.jit(jax.value_and_grad(potential))
    for mode, scale, count in zip(found, h, counts, strict=True):

        def objective(x, scale=scale, count=count):
            value, gradient = slope(x.astype(np.float32), scale, count)
            return float(value), np.asarray(gradient, float)

        best = scipy.optimize.minimize(objective, mode, jac=True, method="BFGS").fun
        assert potential(mode, scale, count) - best < battery.NEAR


def test_the_hessian_is_the_exact_one_of_a_logit(scales):
    """Fisher's information is minus the log-likelihood's Hessian where scores are linear in parameters."""
    one, rows, z, h, counts = scales

    def potential(z):
        return one.prior(rows, z, h[0]) - one.log_likelihood(rows, z, h[0], counts[0])

    exact = jax.jit(jax.hessian(potential))(z[0])
    np.testing.assert_allclose(
        programs.hessian(one, rows, z[0], h[0], counts[0]), exact, rtol=1e-4, atol=1e-4
    )
    root = problem.whitener(exact)
    np.testing.assert_allclose(root.T @ np.asarray(exact) @ root, np.eye(len(root)), atol=1e-4)
