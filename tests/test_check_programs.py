"""The programs of a check: compiled once and ahead, modes of replicates whatever their scales."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax import monitoring
from numpyro import handlers
from numpyro.infer.util import potential_energy

import bayespref as bp
from bayespref import models
from bayespref.checks import battery, problem, programs, replicates, statistics
from bayespref.checks import rows as check_rows
from bayespref.checks.design import design_of
from bayespref.checks.orthogonal import Task
from bayespref.checks.residuals import At, at_rows
from bayespref.inference.ahead import Ahead, like

PROGRAMS = {"explained", "modes", "information", "points", "pushed"}


def named_board():
    """200 answers of ten annotators about four items."""
    rng = np.random.default_rng(0)
    shown = np.stack([rng.permutation(4)[:2] for _ in range(200)])
    first = 1 / (1 + np.exp(shown[:, 0] - shown[:, 1]))
    who = {"annotator": np.arange(200) % 10, "annotators": 10}
    columns = {"time": np.arange(200.0)}
    outcome = (rng.random(200) > first).astype(int)
    return bp.Comparisons.from_arrays(shown, outcome, items=4, row_columns=columns, merge=False, **who)


def by_time(model, comparisons):
    """A model in which no two rows are alike."""
    model(comparisons.replace(weight=jnp.exp(comparisons.row_columns["time"])))


def fitted(model, data):
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        if model is models.rationality_by_annotator:
            return bp.nuts(jax.random.key(0), model, data, chains=1, warmup=50, draws=50, progress=False)
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
    rows, _ = check_rows.rows_of(data)
    one, z, h = replicates.draws_of(np.random.default_rng(0), model, fitted(model, data), data, rows, 30)
    assert h.shape == (30, 1)
    h = np.random.default_rng(0).permutation(np.linspace(-4, 2, 30, dtype=np.float32))[:, None]
    counts = programs.expected(Task(one, rows, None, 10), None, z, h, like_counts(rows))[0]
    drawn = replicates.drawn_counts(np.random.default_rng(2), counts.astype(float), np.ones(len(rows)))
    return one, rows, np.asarray(z), h, drawn


def like_counts(rows):
    return np.full((len(rows), 2), 0.5, np.float32)


def test_modes_are_modes_whatever_the_scales(scales):
    """Within NEAR nats of what BFGS finds from there, for every replicate; one Hessian alone is far off."""
    one, rows, z, h, counts = scales
    middle = np.array([-1.0], np.float32)
    factor = 0.1 * problem.whitener(programs.hessian(one, rows, z[0], middle, counts[0]))
    program = functools.partial(programs.modes, one, rows, factor, np.int32(40))
    _, _, left = programs.in_chunks(program, (z, h, counts), 10)
    assert (left > battery.NEAR).any()  # a hundred times the curvature: no step of it arrives
    found, left = battery._modes(Task(one, rows, None, 10), factor, z, h, counts)
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


# ---- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [[2, 0, 2, 4, 0], [0, 0, 2, 2, 4]], ids=["in any order", "in order"])
def test_sums_by_group(of):
    """Groups without rows sum to nothing, whatever is summed beside."""
    values = np.arange(30.0).reshape(2, 3, 5)
    want = np.zeros((2, 3, 6))
    np.add.at(want, (..., of), values)
    np.testing.assert_array_equal(check_rows.groups_of(np.array(of), 6).sums(values), want)
    np.testing.assert_array_equal(check_rows.groups_of(np.arange(5), 5).sums(values), values)
    assert check_rows.groups_of(np.zeros(0, int), 2).sums(np.zeros((3, 0))).tolist() == [[0, 0]] * 3


def test_rows_that_a_model_does_not_tell_apart_are_one():
    """200 answers to 12 questions: a model of worths says twelve things, one of annotators says more."""
    data = named_board()
    rows, _ = check_rows.rows_of(data)
    few, row = check_rows.apart(models.bradley_terry, rows)
    assert len(np.unique(row.of)) == 12 <= len(few) == row.size < 12 * check_rows.STEP
    one, z, h = replicates.draws_of(
        np.random.default_rng(0), models.bradley_terry, fitted(models.bradley_terry, data), data, few, 2
    )
    counts = np.eye(2, dtype=np.float32)[
        np.asarray(check_rows.counts_of(data, np.arange(200), 200, 2)[:, 1], int)
    ]
    point = one.point(few, z[0], h[0], check_rows.groups_of(row.of, row.size).sums(counts.T).T)
    whole = one.point(rows, z[0], h[0], counts)
    for each, want in zip(at_rows(At(*map(np.asarray, point)), row.of), whole, strict=True):
        np.testing.assert_allclose(each, want, rtol=1e-5, atol=1e-6)
    _, row = check_rows.apart(models.rationality_by_annotator, rows)
    questions = np.column_stack([np.asarray(data.shown), np.asarray(data.annotator)])
    assert len(np.unique(row.of)) == len(np.unique(questions, axis=0)) > 100
    timed = functools.partial(by_time, models.bradley_terry)
    kept, row = check_rows.apart(timed, rows)
    assert kept is rows and row.of.tolist() == list(range(200))


@pytest.mark.parametrize("each", [1, 5])
def test_replicated_answers_are_as_probable_as_said(each):
    """Frequencies within four standard errors, of single answers and of several to a row."""
    probs = np.array([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5]])
    drawn = replicates.drawn_counts(np.random.default_rng(0), np.tile(probs, (4000, 1, 1)), np.full(2, each))
    assert (drawn.sum(-1) == each).all()
    error = np.sqrt(probs * (1 - probs) / (4000 * each))
    assert (np.abs(drawn.mean(0) / each - probs) <= 4 * error).all()


@pytest.mark.parametrize("name", ["bradley_terry", "latent_class_bradley_terry", "rationality_by_annotator"])
def test_the_prior_is_that_of_numpyro(name):
    """With scales, shares, and effects by annotator, and their changes of variables."""
    model, data = getattr(models, name), named_board()
    rows, _ = check_rows.rows_of(data)
    one, z, h = replicates.draws_of(np.random.default_rng(0), model, fitted(model, data), data, rows, 3)
    for place, held in zip(z, h, strict=True):
        silent = handlers.seed(handlers.block(model, hide=["outcome"]), jax.random.key(0))
        want = potential_energy(silent, (rows,), {}, one.sites(place, held))
        np.testing.assert_allclose(one.prior(rows, place, held), want, rtol=1e-4)


def test_parts_are_summed_alike_by_place_and_by_product():
    """What is shown one by one is found by its place; features are multiplied."""
    data = named_board()
    rows, _ = check_rows.rows_of(data)
    every = check_rows.groups_of(np.arange(200), 200)
    made, _ = design_of(data, rows, every, np.ones(200, int), None)
    dense = made._replace(part=None, own_part=None, two_parts=None)
    random = np.random.default_rng(0)
    scores, slope = random.normal(size=(3, 2, 200)), random.normal(size=(3, 2, 2, 200))
    counts = np.eye(2)[random.integers(2, size=(3, 200))].swapaxes(1, 2)
    at = statistics.Judged(At(None, slope, None, None), counts, None, None, None)
    for sums in (
        functools.partial(statistics.by_part, scores),
        functools.partial(statistics._by_annotator, scores),
        functools.partial(statistics._squares, at),
    ):
        np.testing.assert_allclose(sums(made), sums(dense), rtol=1e-6, atol=1e-6)
