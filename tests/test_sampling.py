"""Runs of chains: what is tuned between blocks, what is compiled once, and what an interruption leaves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import answers
from jax.flatten_util import ravel_pytree
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo
from scipy.stats import norm
from test_inference import board

import bayespref as bp
from bayespref.inference import sampling, scales, starting
from bayespref.inference.blocks import Block, Chain, Tuning, advance, shape_along
from bayespref.inference.flat import ravel, traceable
from bayespref.inference.program import sites_of
from bayespref.inference.tuning import (
    FAITH,
    SEEN,
    _farthest,
    off_return,
    plan,
    quarter_turn,
    rescaled,
    settled,
    stepped,
)
from bayespref.models import bradley_terry, crowd_tastes, rationality_by_annotator

KEY = jax.random.key(2)
SHORT = functools.partial(bp.nuts, chains=3, warmup=60, draws=70, progress=False)
pytestmark = pytest.mark.filterwarnings("ignore::bayespref.FitWarning")  # short, on purpose


@pytest.fixture(scope="module")
def data():
    return board(6, 300, 0)


@pytest.mark.parametrize("warmup", [0, 1, 30, 75, 300, 1000])
def test_a_plan_has_the_draws_asked_for(warmup):
    steps = plan(warmup, 130)
    assert sum(step.draws for step in steps if not step.kept) == warmup
    assert sum(step.draws for step in steps if step.kept) == 130
    kept = [step.kept for step in steps]
    assert kept == sorted(kept) and all(0 < step.draws <= 50 for step in steps)
    # Step sizes are found again after the last scales.
    assert not any(step.rescales for step in steps if step.kept)
    tuned = [step for step in steps if not step.kept]
    assert not tuned or (tuned[-1].settles and not tuned[-1].rescales)
    assert sum(step.settles for step in steps) == bool(tuned)


def block(position, slope, share=0.8):
    rows = len(position)
    stats = np.full(rows, share), np.zeros(rows), np.zeros(rows, bool)
    return Block(position, slope, np.ones(rows, int), *stats)


def test_the_step_size_in_the_end_is_the_mean_of_late_ones():
    assert settled([(50, 9.0), (25, 1.0), (75, 16.0)]) == pytest.approx(16.0)
    assert settled([(50, 9.0), (50, 1.0), (50, 16.0)]) == pytest.approx(4.0)


@functools.partial(jax.jit, static_argnums=1)
def of_a_normal(size, draws):
    """Draws (draws, 100) of a normal posterior by steps of a size, and the steps of each tree."""
    init, sample = hmc(lambda u: 0.5 * jnp.sum(u * u), algo="NUTS")
    here, one = jax.random.normal(KEY, (100,)), jnp.ones(100)
    fixed = {"adapt_step_size": False, "adapt_mass_matrix": False, "inverse_mass_matrix": one}
    at = ParamInfo(here, 0.5 * jnp.sum(here * here), here)
    state = init(at, 0, step_size=size, max_tree_depth=10, rng_key=KEY, **fixed)

    def draw(state, _):
        state = sample(state)
        return state, (state.z, state.num_steps)

    return jax.lax.scan(draw, state, None, length=draws)[1]


def test_trees_do_not_close_upon_themselves():
    """In a normal posterior no tree outgrows the one that turns by a half; beside it some grow tenfold."""

    def longest(size):
        return of_a_normal(size, 60)[1].max()

    assert longest(0.42) >= 63 and longest(0.204) >= 127
    for size in (0.204, 0.39, 0.407, 0.42, 0.43, 0.44, 0.47):
        assert longest(off_return(size)) <= 2 ** np.ceil(np.log2(np.pi / size)) - 1


def test_a_quarter_turn_forgets_how_far_out_a_draw_is():
    """Trees of seven steps still; u and u^2 both less autocorrelated than u^2 is at a longer step."""

    def forgotten(size):
        draws, steps = (np.asarray(each) for each in of_a_normal(size, 400))
        assert (steps == 7).all()
        both = [np.corrcoef(each[1:].ravel(), each[:-1].ravel())[0, 1] for each in (draws, draws**2)]
        return np.array(both)

    sd = np.sqrt(2 / (400 * 100))  # of a difference of two autocorrelations
    none = np.zeros((8, 100))

    def turned(size, steps, along=none, longer=True):
        return quarter_turn(Tuning(np.ones(100), size, along), steps, longer=longer).step_size

    seven, fifteen, others = np.full(100, 7), np.full(100, 15), np.repeat([7, 15], [90, 10])
    size = turned(0.6, seven)
    alternate, near = forgotten(0.6), forgotten(size)
    assert alternate[1] - near[1] > 10 * sd and (np.abs(near) < alternate[1] - 10 * sd).all()
    assert off_return(size) == size and turned(0.47, seven) == 0.47
    # Fifteen steps turn as far in half the size; or seven do, at most sqrt(2) times as long.
    half = turned(0.33, fifteen)
    assert half == pytest.approx(7 / 15 * size, rel=0.01) and turned(0.34, fifteen) == size
    assert off_return(half) == half
    # Where they may not be longer, they never grow; what a size makes of trees is told by the size.
    sizes = np.geomspace(0.2, 2, 50)
    asked = np.array([[turned(one, steps, longer=False) for one in sizes] for steps in (seven, fifteen)])
    assert (asked <= sizes).all() and (np.diff(asked[:, sizes > 0.46]) >= 0).all()
    assert turned(0.4, seven) == turned(0.4, fifteen) == size
    # Axes of unlike length, and trees of several sizes, are left.
    assert turned(0.4, fifteen, along=np.eye(8, 100)) == 0.4 and turned(0.6, others) == 0.6


def test_a_step_is_lengthened_little_and_once():
    sizes = np.geomspace(0.005, 3, 500)
    longer = np.array([off_return(size) for size in sizes])
    np.testing.assert_array_equal([off_return(size) for size in longer], longer)
    assert (longer >= sizes).all() and (longer < 1.14 * sizes).all()  # 1.03 / .97 x 15 / 14


@pytest.mark.parametrize("dense", [False, True])
def test_scales_of_a_normal_posterior_are_found_exactly(dense):
    """Slopes u / sd^2 of draws u: sd, but for the faith in what was there before."""
    random = np.random.default_rng(0)
    sd, size = np.array([0.1, 1.0, 20.0]), 200
    before = np.array([0.5, 1.0, 2.0])
    u = random.normal(size=(size, 3)) * sd / before
    scale = np.linalg.qr(random.normal(size=(3, 3)))[0] * before if dense else before
    position = u @ scale.T if dense else u * scale
    tuning = Tuning(scale, 1.0, np.zeros(shape_along(scale.shape)))
    found = rescaled(tuning, [block(position + 7, u / (sd / before) ** 2)])
    expected = before * (sd / before) ** (size / (size + FAITH))
    axes = np.linalg.norm(found.scale, axis=0) if dense else found.scale
    np.testing.assert_allclose(axes, expected, rtol=1e-6)


@pytest.mark.parametrize("rows", [30, 300])
def test_a_direction_longer_than_every_axis_has_its_length(rows):
    """A mean of 60 effects, 6 times as far spread as they: its own length, whatever was taken before."""
    random = np.random.default_rng(0)
    sd, mean = np.geomspace(0.1, 10, 60), np.full(60, 60**-0.5)
    root = sd[:, None] * (np.eye(60) + 5 * np.outer(mean, mean))
    before = Tuning(np.ones(60), 1.0, np.zeros((8, 60)))
    for _ in range(2):
        position = random.normal(size=(rows, 60)) @ root.T
        scale = before.scale[:, None] * (np.eye(60) + before.along.T @ before.along)
        slope = np.linalg.solve(root @ root.T, position.T).T @ scale
        before = rescaled(before, [block(position, slope)])
    scale = before.scale[:, None] * (np.eye(60) + before.along.T @ before.along)
    along = np.linalg.solve(scale, root @ mean)
    assert (np.square(before.along).sum(1) > 0).sum() == 1
    # Of what is 6 long, rows leave a part sqrt(60 / rows) / 36 to other axes, and faith one of 6^(10 / rows).
    lost = np.hypot(np.sqrt(60 / rows), 0.5 * 6 ** (FAITH / rows))
    assert np.linalg.norm(along) < 1.5 + lost
    singular = np.linalg.svd(np.linalg.solve(scale, root))[1]
    assert 1 / (1.5 + lost) < singular.min() and singular.max() < 1.5 + lost


def test_a_chain_stuck_where_slopes_are_no_numbers_is_left_aside():
    """Scales are those of the others, and so is the one long direction, from a part of many draws."""
    random = np.random.default_rng(0)
    before = Tuning(np.ones(20), 1.0, np.zeros((8, 20)))
    moved = random.normal(size=(2500, 20)) + 4 * random.normal(size=(2500, 1))
    well = block(moved, moved @ np.linalg.inv(np.eye(20) + 16))
    stuck = block(np.ones((50, 20)), np.full((50, 20), np.nan))
    found, alone = rescaled(before, [well, stuck]), rescaled(before, [well])
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    long = found.along[(found.along != 0).any(1)]
    # 1 + 16 x 20 times the variance of others: off by an angle of squared sd 19 / 321 / rows, at 4 of them.
    rows = 2500 // 3
    assert len(long) == 1 and rows < SEEN
    assert abs(long[0].sum()) / np.linalg.norm(long[0]) / np.sqrt(20) > 1 - 16 * 19 / 321 / rows / 2
    assert rescaled(before, [stuck]) is before


@pytest.mark.parametrize("d", [5, 60])
def test_directions_of_draws_that_repeat_are_orthonormal_or_nothing(d):
    """Two different draws, sixteen times: two directions, whichever product they are taken from."""
    u = np.tile(np.random.default_rng(0).normal(size=(2, d)), (16, 1))
    found = _farthest(u, min(8, d))
    np.testing.assert_allclose(found @ found.T, np.diag([0] * (len(found) - 2) + [1, 1]), atol=1e-6)


def test_slopes_are_those_in_the_coordinates_that_chains_move_in():
    """Position = scale (u + along' along u): a slope in u is (1 + along' along) scale that of position."""
    model, asked, random = rationality_by_annotator, answers(rows=200), np.random.default_rng(0)
    vector, unravel = ravel(starting.medians(model, asked))
    along, scale = 0.1 * random.normal(size=(8, len(vector))), random.uniform(0.1, 0.2, len(vector))
    tuning = Tuning(np.float32(scale), 0.1, np.float32(along))
    where, slope = Chain(jnp.asarray(vector), KEY), starting.slope_of(model, unravel)
    _, found = advance(model, unravel, where, tuning, asked, 5, size=5, depth=4)
    for position, seen in zip(found.position, found.slope, strict=True):
        own = scale * np.asarray(slope(position, asked)[1])
        np.testing.assert_allclose(seen, own + along.T @ (along @ own), rtol=2e-3, atol=2e-3)


def test_the_step_size_is_that_of_the_acceptance_wanted():
    """Where 2 Phi(-c e^2) is the share accepted, one look is enough; the least of the chains' counts."""
    c, step = 0.7, 0.5
    share, none = 2 * norm.cdf(-c * step**2), np.zeros((4, 1))
    found = stepped(Tuning(np.ones(1), step, none), [block(none, none, 0.97), block(none, none, share)], 0.8)
    assert 2 * norm.cdf(-c * found.step_size**2) == pytest.approx(0.8, abs=1e-6)


def test_the_least_of_equal_chains_is_not_taken_for_a_funnel():
    """Four chains that accept alike, seen for 20 draws each: the step size that they have, on average."""
    random, none = np.random.default_rng(0), np.zeros((20, 1))
    here = Tuning(np.ones(1), 1.0, np.zeros((8, 1)))

    def found():
        return stepped(here, [block(none, none, random.beta(4, 1, 20)) for _ in range(4)], 0.8).step_size

    each = np.array([found() for _ in range(300)])
    # The root that shares go through bends: a sixth of its variance, 1 %, beside 4 standard errors.
    assert abs(each.mean() - 1) < 0.01 + 4 * each.std() / np.sqrt(300)
    # A chain that accepts less, beyond chance, still counts.
    funnel = block(none, none, np.full(20, 0.3))
    assert stepped(here, [*[block(none, none, np.full(20, 0.8))] * 3, funnel], 0.8).step_size < 0.6


def test_chains_start_with_the_scales_of_the_normal_approximation():
    """scale scale' is the inverse Hessian where chains start, within 2 % in every direction."""
    data = board(6, 2000, 1)
    model = functools.partial(bradley_terry, scale=1.0)
    begun = scales.beginning(np.random.default_rng(0), model, data, 400, None)
    middle = begun.positions.mean(0)
    hessian = starting.hessian_of(model, begun.unravel)(jnp.asarray(middle), data)
    seen = np.linalg.eigvalsh(begun.scale.T @ np.asarray(hessian) @ begun.scale)
    np.testing.assert_allclose(seen, 1.0, rtol=0.02)
    # Positions are draws of it: a variance from 400 has a relative standard error of sqrt(2 / 399).
    whitened = np.linalg.solve(begun.scale, (begun.positions - middle).T)
    np.testing.assert_allclose(whitened.var(1, ddof=1), 1.0, atol=4 * np.sqrt(2 / 399))


@pytest.mark.parametrize("model", [rationality_by_annotator, crowd_tastes])
def test_one_probe_tells_the_curvatures_of_all_annotators(model, monkeypatch):
    """Probed together or one by one, axis by axis: the same scales."""
    data = answers(rows=200)
    found = scales.beginning(np.random.default_rng(0), model, data, 2, None)
    vector = np.asarray(ravel_pytree(starting.medians(model, data))[0], np.float64)
    slope = starting.slope_of(model, found.unravel)
    monkeypatch.setattr(scales, "DENSE", 0)

    def objective(x):
        return starting.finite(*slope(jnp.asarray(x, jnp.float32), data))

    groups = scales._apart(found.places, sites_of(model, data), len(vector))
    assert len(groups) < len(vector)
    each = [np.array([index]) for index in range(len(vector))]
    together, alone = (scales._scale(objective, vector, probes) for probes in (groups, each))
    # A difference of float32 slopes over a step of .01 is known to about 2 %.
    np.testing.assert_allclose(together, alone, rtol=0.02)


def test_chains_side_by_side_or_one_after_the_other_are_the_same_chains(data):
    side, after = (SHORT(KEY, bradley_terry, data, chain_method=m) for m in ("parallel", "sequential"))
    for name, value in side["latent"].to_dataset().items():
        np.testing.assert_array_equal(value, after["latent"][name])


def test_chains_in_one_program_draw_from_the_same_posterior(monkeypatch):
    """Means of worths within 5 standard errors, which 120 effective draws of 210 make."""
    monkeypatch.setattr("bayespref.inference.tuning.LONGER", 1.0)
    one, other = (
        SHORT(KEY, rationality_by_annotator, answers(rows=200), chain_method=m)["posterior"]["log_density"]
        for m in ("vectorized", "parallel")
    )
    sd = np.sqrt((one.var(("chain", "draw")) + other.var(("chain", "draw"))) / 120)
    assert (np.abs(one.mean(("chain", "draw")) - other.mean(("chain", "draw"))) < 5 * sd).all()
    assert one.shape == other.shape


def test_a_second_fit_compiles_nothing(data):
    """Other answers of the same shape, another key: the programs that are there."""
    SHORT(KEY, bradley_terry, data)
    other, key, compiled = data.replace(outcome=1 - data.outcome), jax.random.key(3), []

    def listen(event, _, **about):
        if "backend_compile" in event:
            compiled.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    SHORT(key, bradley_terry, other)
    jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(("at", "model"), [(2, bradley_terry), (6, rationality_by_annotator)])
def test_an_interrupted_run_ends_with_the_same_draws(data, tmp_path, monkeypatch, at, model):
    """Bit by bit, interrupted in warm-up or while drawing, some directions with lengths of their own."""
    monkeypatch.setattr("bayespref.inference.tuning.LONGER", 1.0)
    data = answers(rows=200) if model is rationality_by_annotator else data
    whole = SHORT(KEY, model, data)
    path, steps = tmp_path / "run.npz", []

    def interrupt(*arguments):
        steps.append(arguments)
        if len(steps) == at:
            raise Interrupted
        return advanced(*arguments)

    advanced = sampling.advanced
    monkeypatch.setattr(sampling, "advanced", interrupt)
    with pytest.raises(Interrupted):
        SHORT(KEY, model, data, checkpoint=path)
    assert np.any(steps[-1][1].tuning.along) == (model is rationality_by_annotator)
    monkeypatch.setattr(sampling, "advanced", advanced)
    resumed = SHORT(KEY, model, data, checkpoint=path)
    for group in ("latent", "sample_stats"):
        for name, value in whole[group].to_dataset().items():
            np.testing.assert_array_equal(value, resumed[group][name])
    with pytest.raises(ValueError, match="of another run"):
        SHORT(jax.random.key(9), model, data, checkpoint=path)
    with pytest.raises(ValueError, match="of another run"):
        SHORT(KEY, model, data, checkpoint=path, chains=2)
    with pytest.raises(ValueError, match="of another run"), monkeypatch.context() as later:
        later.setattr("bayespref.inference.checkpoint.__version__", "another")
        SHORT(KEY, model, data, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        SHORT(KEY, model, data, checkpoint=path)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"chain_method": "threads"}, "chain_method is one of"),
        ({"chains": 0}, "chains is at least 1"),
        ({"draws": 0}, "draws is at least 1"),
        ({"target_accept": 1.0}, "target_accept lies between 0 and 1"),
        ({"checkpoint": "no/such/folder/run.npz"}, "a folder that is there"),
    ],
)
def test_settings_that_cannot_be(data, bad, said):
    with pytest.raises(ValueError, match=said):
        SHORT(KEY, bradley_terry, data, **bad)


def test_curvature_by_differences_is_the_hessian(data):
    """Within its own figure for rounding, and the truncation of central differences, h^2 of the whole."""
    model = bradley_terry
    middle, flat = ravel(starting.medians(model, data))
    slope = starting.slope_of(model, flat)
    found, error = starting.curvature_by_differences(
        lambda x: starting.finite(*slope(traceable(x), data)), middle.astype(np.float64)
    )
    exact = np.asarray(starting.hessian_of(model, flat)(traceable(middle), data), np.float64)
    size = np.linalg.norm(exact, 2)
    assert 0 < error < 1e-3 * size
    assert np.linalg.norm(found - exact, 2) < 10 * error + starting.DIFFERENCE**2 * size


def test_the_same_sites_lie_in_the_same_places():
    values = {"b": np.ones((2, 3)), "a": np.zeros(()), "c": np.arange(2.0)}
    vector, flat = ravel(values)
    assert vector.tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 1] and flat.size == 9
    again = flat(np.stack([vector, vector + 1]))
    for name, value in values.items():
        np.testing.assert_array_equal(again[name][1], value + 1)
        np.testing.assert_array_equal(vector[flat.places[name]], value)
    assert flat == ravel(values)[1] and hash(flat) == hash(ravel(values)[1])
