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
from bayespref.checks import answers, battery, nudges, problem, programs, replicates, statistics
from bayespref.checks import rows as check_rows
from bayespref.checks.design import design_of
from bayespref.checks.orthogonal import Task
from bayespref.checks.residuals import At
from bayespref.inference.ahead import Ahead, like

PROGRAMS = {"curvature", "fisher", "modes", "points", "pushed"}


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
    half = np.full((len(rows), 2), 0.5, np.float32)
    probs = programs.expected(Task(one, rows, None, 10), None, z, h, half)[0]
    every, each = alone(len(rows)), np.ones(len(rows), int)
    counts = answers.by_question(answers.drawn(np.random.default_rng(2), probs, every, each), every, 2)
    return one, rows, np.asarray(z), h, counts


def alone(size):
    """Rows that each ask a question of their own."""
    return check_rows.groups_of(np.arange(size), size)


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
        return one.prior(rows, z, h) - nudges.log_likelihood(one.answers(rows, z, h), counts)

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
        return one.prior(rows, z, h[0]) - nudges.log_likelihood(one.answers(rows, z, h[0]), counts[0])

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
    np.testing.assert_array_equal(np.asarray(few.shown)[row.of], data.shown)
    one, z, h = replicates.draws_of(
        np.random.default_rng(0), models.bradley_terry, fitted(models.bradley_terry, data), data, few, 2
    )
    own = answers.answered(data, np.arange(200), row, np.ones(200, int), 2)
    point = one.point(few, z[0], h[0], answers.by_question(own, row, 2)[0])
    whole = one.point(rows, z[0], h[0], np.eye(2, dtype=np.float32)[np.asarray(data.outcome)])
    for each, want in zip(point, whole, strict=True):
        np.testing.assert_allclose(np.asarray(each)[..., row.of], want, rtol=1e-5, atol=1e-6)
    _, row = check_rows.apart(models.rationality_by_annotator, rows)
    questions = np.column_stack([np.asarray(data.shown), np.asarray(data.annotator)])
    assert len(np.unique(row.of)) == len(np.unique(questions, axis=0)) > 100
    length = data.replace(shown_columns={"length": jnp.arange(400.0).reshape(200, 2)})
    for model, table in (
        (functools.partial(by_time, models.bradley_terry), data),
        (models.bradley_terry, length),  # a check looks at what the model does not
    ):
        rows, _ = check_rows.rows_of(table)
        kept, row = check_rows.apart(model, rows)
        assert kept is rows and row.of.tolist() == list(range(200))


@pytest.mark.parametrize("name", ["bradley_terry_position", "latent_class_bradley_terry"])
def test_statistics_do_not_ask_which_rows_are_one(monkeypatch, name):
    """Every answer with a question of its own, or the same answers to few questions: the same statistics."""
    model, data = getattr(models, name), named_board()
    data = data.replace(shown_columns={"length": jnp.asarray(data.shown) ** 2.0})
    fit = fitted(model, data)
    few = battery.battery(jax.random.key(1), model, fit, replicates=4, time=None)
    monkeypatch.setattr(battery, "apart", lambda model, rows: (rows, alone(len(rows))))
    many = battery.battery(jax.random.key(1), model, fit, replicates=4, time=None)
    assert {"fatigue", "drift", "shared_tastes", "self_consistency", "cycles"} <= set(few.names)
    assert few.names == many.names
    np.testing.assert_allclose(few.observed, many.observed, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(few.against, many.against, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(few.effect, many.effect, rtol=2e-3, atol=2e-3)


def test_answers_are_summed_alike_one_by_one_and_counted():
    """Places of single answers, and counts of them: by row, by question, and by how late they came."""
    data = named_board()
    rows, row = check_rows.rows_of(data)
    few, asked = check_rows.apart(models.bradley_terry, rows)
    made, _ = design_of(data, rows, np.ones(200, int), few, asked, None)
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], (3, len(few)))
    own = answers.drawn(np.random.default_rng(1), probs, asked, np.ones(200, int))
    chosen, where = np.divmod(own, len(few))
    assert (where == asked.of).all() and set(chosen.ravel()) == {0, 1, 2}
    counted = (chosen[:, None] == np.arange(3)[:, None]).astype(np.float32)
    values = np.random.default_rng(2).normal(size=(3, 4, 3, len(few)))
    for sums in (
        lambda own: answers.of_rows(values, own, asked.of),
        lambda own: answers.by_question(own, asked, 3),
        lambda own: answers.late(own, made, 3),
    ):
        np.testing.assert_allclose(sums(own), sums(counted), rtol=1e-5, atol=1e-5)
    observed = answers.answered(data, row, asked, np.ones(200, int), 2)
    np.testing.assert_array_equal(observed[0] // len(few), data.outcome)


@pytest.mark.parametrize("each", [1, 5])
def test_replicated_answers_are_as_probable_as_said(each):
    """Frequencies within four standard errors, of single answers and of several to a row."""
    probs = np.array([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5]])
    total = np.full(2, each)
    own = answers.drawn(np.random.default_rng(0), np.tile(probs, (4000, 1, 1)), alone(2), total)
    drawn = answers.by_question(own, alone(2), 3)
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
    made, _ = design_of(data, rows, np.ones(200, int), rows, alone(200), None)
    dense = made._replace(part=None, own_part=None, two_parts=None)
    random = np.random.default_rng(0)
    scores, slope = random.normal(size=(3, 2, 200)), random.normal(size=(3, 2, 2, 200))
    own = np.arange(200) + 200 * random.integers(2, size=(3, 200))
    counts = answers.by_question(own, made.row, 2).swapaxes(1, 2)
    at = statistics.Judged(At(None, slope, None, None), counts, own, None, None, None, None)
    for sums in (
        functools.partial(statistics.by_part, scores),
        functools.partial(statistics._of_annotators, at),
        functools.partial(statistics._squares, at),
    ):
        np.testing.assert_allclose(sums(made), sums(dense), rtol=1e-6, atol=1e-6)
