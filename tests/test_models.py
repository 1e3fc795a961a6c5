"""The gallery: every file of `models/` keeps one contract; what only one of them has stands below."""

import ast
import dataclasses
import functools
import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    ANNOTATORS,
    EPS,
    ITEMS,
    ROOT,
    answers,
    log_joint,
    one_draw,
    outcome_log_probs,
    prior,
    without_outcomes,
)
from scipy.special import expit

import bayespref as bp
from bayespref import models
from bayespref.inference.minibatch import minibatch
from bayespref.inference.program import run, sites_of

FILES = sorted(path for path in (ROOT / "models").glob("*.py") if path.stem != "__init__")
DATA = answers(features="shown")
"""Names, annotators, features of what was shown, order recorded: these can be fitted by most models."""
POINTS = {
    "features": jnp.array([[-4.0], [-1.5], [0.5], [2.0], [5.5]]),
    "log_reference": jnp.array([-3.0, -2.5, -2.4, -2.6, -3.2]),
    "length": jnp.array([5.0, 10.0, 20.0, 25.0, 40.0]),
}
ON_A_LINE = answers(merge=False)
ON_A_LINE = ON_A_LINE.replace(items=bp.Items(POINTS, ITEMS, ("x",), labels=ON_A_LINE.items.labels))
"""The same about points of a line."""
ON_A_PLANE = ON_A_LINE.replace(
    items=bp.Items(
        {"features": jnp.array([[-2.0, 0.5], [-0.5, -1.0], [0.5, 2.0], [1.0, 1.5], [2.5, -2.5]])},
        ITEMS,
        ("x", "y"),
        labels=ON_A_LINE.items.labels,
    )
)
OF_POINTS = {
    models.density_gp_1d,
    models.density_neural_1d,
    models.dpo_1d,
    models.geometric_1d,
    models.length_normalised_items,
    models.two_viewpoints_1d,
}


PEOPLE = bp.Annotators(
    {"age": jnp.array([20.0, 35.0, 50.0, 61.0]), "trained": jnp.array([0.0, 1, 1, 0])}, ANNOTATORS
)
RNG = np.random.default_rng(4)
OTHERS = {
    models.density_flow_2d: ON_A_PLANE,
    models.graded: answers(features="shown", response="graded", levels=5, outcomes=RNG.integers(5, size=60)),
    models.plackett_luce: answers(
        features="shown", k=3, response="ranking", outcomes=RNG.permuted(np.tile([0, 1, 2], (60, 1)), axis=1)
    ),
    models.judges_with_covariates: answers(annotators=PEOPLE, merge=False),
}
"""Models that need data of their own."""


def data_for(model):
    return OTHERS.get(model, ON_A_LINE if model in OF_POINTS else DATA)


def model_of(path):
    return getattr(importlib.import_module(f"bayespref.models.{path.stem}"), path.stem)


gallery = pytest.mark.parametrize(
    "model", [model_of(path) for path in FILES], ids=[path.stem for path in FILES]
)


def test_the_gallery_is_exported():
    assert len(FILES) >= 8
    assert sorted(models.__all__) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_is_short_and_says_what_it_declares(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 60
    tree = ast.parse(text)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    public = [node.name for node in functions if not node.name.startswith("_")]
    assert public == [path.stem]
    assert ast.get_docstring(tree) and "Args:" in ast.get_docstring(functions[-1])
    arguments = functions[-1].args
    assert [argument.arg for argument in arguments.args] == ["comparisons"]
    assert all(default is not None for default in arguments.kw_defaults)
    assert not arguments.vararg and not arguments.kwarg
    for option in arguments.kwonlyargs:
        assert f"{option.arg}:" in ast.get_docstring(functions[-1])


@gallery
def test_the_same_sites_with_and_without_outcomes(model):
    sites = sites_of(model, data_for(model))
    assert sites == sites_of(model, without_outcomes(data_for(model)))
    for site in sites.values():
        if site.documented:
            assert "/" not in site.name
            assert not any("_dim_" in dim for dim in site.dims), site


@gallery
def test_it_fits_what_it_simulates(model):
    data = data_for(model)
    simulated = bp.simulate(jax.random.key(1), model, without_outcomes(data))
    assert simulated.outcome.shape == data.outcome.shape
    assert simulated.response == data.response and simulated.levels == data.levels
    assert set(np.unique(simulated.outcome)) <= set(range(max(data.levels, data.k + 2)))
    value, slope = log_joint(model, simulated, one_draw(model, data))
    assert np.isfinite(value)
    for name, part in slope.items():
        assert np.isfinite(part).all(), name


def relabelled_items(data, values):
    old = np.array([3, 0, 4, 1, 2])
    new = jnp.asarray(np.argsort(old))
    design = data.design._replace(item_answers=data.design.item_answers[old])
    columns = {name: value[old] for name, value in data.items.columns.items()}
    items = bp.Items(columns, ITEMS, data.items.feature_names, labels=data.items.labels)
    return data.replace(shown=new[data.shown], design=design, items=items), along(values, ITEMS, old)


def relabelled_annotators(data, values):
    old = np.array([2, 3, 1, 0])
    new = jnp.asarray(np.argsort(old))
    design = data.design._replace(annotator_answers=data.design.annotator_answers[old])
    columns = {name: value[old] for name, value in data.annotators.columns.items()}
    moved = data.replace(
        annotator=new[data.annotator], design=design, annotators=bp.Annotators(columns, ANNOTATORS)
    )
    return moved, along(values, ANNOTATORS, old)


def swapped_columns(data, values):
    """Sides swapped: what was second is first, and an advantage of the first is one of the second."""
    columns = {name: value[:, ::-1] for name, value in data.shown_columns.items()}
    if data.response == "ranking":
        outcome = data.outcome[:, ::-1]
    elif data.response == "graded":
        outcome = data.levels - 1 - data.outcome
    else:
        outcome = jnp.where(data.outcome < 2, 1 - data.outcome, data.outcome)
    swapped = data.replace(shown=data.shown[:, ::-1], outcome=outcome, shown_columns=columns)
    return swapped, {name: -value if name == "position" else value for name, value in values.items()}


def reordered_rows(data, values):
    order = np.random.default_rng(5).permutation(len(data))
    columns = {name: value[order] for name, value in data.shown_columns.items()}
    parts = {
        name: getattr(data, name)[order] for name in ("shown", "outcome", "count", "weight", "annotator")
    }
    return data.replace(**parts, shown_columns=columns), values


def along(values, size, order):
    """Values with every axis of that size put in order; sizes of items, annotators, features differ."""
    moved = {}
    for name, value in values.items():
        for axis in [axis for axis, length in enumerate(value.shape) if length == size]:
            value = jnp.take(value, order, axis)
        moved[name] = value
    return moved


@gallery
@pytest.mark.parametrize(
    "symmetry",
    [relabelled_items, relabelled_annotators, swapped_columns, reordered_rows],
    ids=lambda f: f.__name__,
)
def test_symmetries_of_the_log_posterior(model, symmetry):
    data = data_for(model)
    values = one_draw(model, data)
    moved, moved_values = symmetry(data, values)
    before, slope = log_joint(model, data, values)
    after, _ = log_joint(model, moved, moved_values)
    # Sums of the same terms in another order: at most one rounding of the total for each of the rows.
    assert abs(after - before) <= len(data) * EPS * abs(before) / 4
    assert any(np.abs(part).max() > 0.1 for part in slope.values())  # the values do matter


with_worths = pytest.mark.parametrize(
    "model",
    [model_of(path) for path in FILES if not path.stem.endswith(("_1d", "_2d"))],
    ids=[path.stem for path in FILES if not path.stem.endswith(("_1d", "_2d"))],
)


@with_worths
def test_a_constant_added_to_worths_changes_no_answer(model):
    data = data_for(model)
    values = one_draw(model, data)
    worths = [name for name in ("_log_density", "_constant") if name in values]
    assert len(worths) == (model is not models.bayesian_reward)
    if not worths:  # a reward on features has no worths, and no constant
        return
    (name,) = worths
    assert np.abs(values[name].sum(-1)).max() < 16 * EPS  # worths sum to zero, so the constant is not free
    moved = values | {name: values[name] + 2.0}
    probabilities = [np.exp(outcome_log_probs(model, data, at)) for at in (values, moved)]
    np.testing.assert_allclose(*probabilities, atol=64 * EPS)


def options(model):
    return [name for name in inspect.signature(model).parameters if name != "comparisons"]


def test_scales_of_the_prior_are_options():
    for path in FILES:
        scale = "length" if path.stem in ("density_gp_1d", "dpo_1d", "geometric_1d") else "scale"
        assert scale in options(model_of(path)) or path.stem == "two_viewpoints_1d", path.stem


# ---- what the docstrings say of the priors -----------------------------------------------------------

DRAWS, PAIRS = 40_000, 4_000


def middle(values, prob=0.95):
    """The equal-tailed interval that holds `prob` of the values."""
    return np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])


CLAIM = re.compile(r"a priori (95 %|half) of pairs,? .*?between (\.\d+) and (\.\d+)", re.IGNORECASE)
ONE_LENGTH = ON_A_LINE.replace(
    items=dataclasses.replace(ON_A_LINE.items, columns=POINTS | {"length": jnp.full(ITEMS, 40.0)})
)


@pytest.mark.slow
@gallery
def test_a_priori_pairs_are_decided_as_the_docstring_says(model):
    """P(first | first or second) over the prior and over pairs; graded: P(better | better or worse)."""
    share, low, high = CLAIM.search(" ".join(model.__doc__.split())).groups()
    data = without_outcomes(ONE_LENGTH if model is models.length_normalised_items else data_for(model))

    @jax.jit
    def draws(keys):
        return jax.lax.map(lambda key: run(model, data, {}, key)["outcome"]["fn"].outcome_log_probs(), keys)

    found = np.asarray(draws(jax.random.split(jax.random.key(0), PAIRS)), np.float64)
    if model is models.graded:
        found = np.stack([np.logaddexp(found[..., j], found[..., k]) for j, k in ((0, 1), (3, 4))], -1)
    win = expit(found[..., 0] - found[..., 1])
    share = {"95 %": 0.95, "half": 0.5}[share]
    inside = ((win > float(low)) & (win < float(high))).mean()
    # Ends have two digits; pairs of one draw hang together.
    assert abs(inside - share) < 0.01 + 5 * np.sqrt(share * (1 - share) / PAIRS), f"{inside:.3f}"


def test_davidson_prior():
    """A priori equals tie with probability between .03 and .90 (95 %)."""
    nu = np.exp(prior(models.davidson, DATA, DRAWS)["log_tie"])
    # The density of the probability at the ends is 1.0 and 0.4, so a quantile has error below .01.
    np.testing.assert_allclose(middle(nu / (2 + nu)), [0.03, 0.90], atol=0.01)


def test_position_prior():
    """A priori equals are chosen first between 27 % and 73 % of the time (95 %)."""
    position = prior(models.bradley_terry_position, DATA, DRAWS)["position"]
    np.testing.assert_allclose(middle(1 / (1 + np.exp(-position))), [0.27, 0.73], atol=0.01)


def test_rationality_prior():
    """The middle 95 % of annotators differ by a factor below 4 in half of populations, below 50 in 95 %."""
    sd = prior(models.rationality_by_annotator, DATA, DRAWS)["log_rationality_sd"]
    factor = np.exp(2 * 1.96 * sd)
    assert abs(np.median(factor) - 3.75) < 0.25 and np.median(factor) < 4
    assert 42 < np.quantile(factor, 0.95) < 50


def test_rao_kupper_prior():
    """A priori equals tie with probability below .33 in half of populations, below .76 in 95 %."""
    threshold = prior(models.rao_kupper, DATA, DRAWS)["threshold"]
    # The density of the probability at these quantiles is 1.4 and 0.5.
    np.testing.assert_allclose(np.quantile(np.tanh(threshold / 2), [0.5, 0.95]), [0.33, 0.76], atol=0.02)


def test_both_bad_prior():
    """A priori two average items are both bad with probability between .03 and .90 (95 %)."""
    bar = np.exp(prior(models.both_bad, DATA, DRAWS)["log_bar"])
    np.testing.assert_allclose(middle(bar / (bar + 2)), [0.03, 0.90], atol=0.01)


def test_careless_crowd_prior():
    """A priori the typical annotator lapses with probability between .01 and .49 (95 %)."""
    typical = prior(models.careless_crowd, DATA, DRAWS)["typical_logit_lapse"]
    np.testing.assert_allclose(middle(1 / (1 + np.exp(-typical))), [0.01, 0.49], atol=0.02)


def test_crowd_bt_prior():
    """A priori the typical annotator's reliability lies between .52 and .99 (95 %)."""
    typical = prior(models.crowd_bt, DATA, DRAWS)["typical_logit_reliability"]
    np.testing.assert_allclose(middle(1 / (1 + np.exp(-typical))), [0.52, 0.99], atol=0.01)


# ---- in minibatches ----------------------------------------------------------------------------------

IN_BATCHES = [models.judges_with_covariates, models.both_bad, models.crowd_tastes, models.intransitive]


@pytest.mark.parametrize("model", IN_BATCHES, ids=lambda model: model.__name__)
@pytest.mark.parametrize("features", [None, "items"])
def test_a_row_of_a_minibatch_is_scored_as_in_the_data(model, features):
    """A batch carries its own items only: whatever is by item, or an average over items, must not change."""
    data = answers(annotators=PEOPLE, features=features, merge=False)
    values, batch = one_draw(model, data), minibatch(jax.random.key(1), data, 7)
    full, part = (outcome_log_probs(model, each, values) for each in (data, batch))
    shown, who = np.asarray(batch.items.index)[np.asarray(batch.shown)], np.asarray(batch.annotator)
    for row, probs in enumerate(part):
        alike = (np.asarray(data.shown) == shown[row]).all(1) & (np.asarray(data.annotator) == who[row])
        np.testing.assert_allclose(probs, full[np.flatnonzero(alike)[0]], rtol=64 * EPS, atol=64 * EPS)


# ---- what only some have -----------------------------------------------------------------------------


def test_davidson_simulates_ties():
    tied = bp.simulate(jax.random.key(0), models.davidson, DATA, parameters={"log_tie": 60.0})
    assert tied.has_ties and (tied.outcome == 2).all()
    never = bp.simulate(jax.random.key(0), models.davidson, DATA, parameters={"log_tie": -60.0})
    assert not never.has_ties


def test_larger_sets_are_multinomial():
    data = answers(k=4)
    values = one_draw(models.bradley_terry, data)
    log_probs = outcome_log_probs(models.bradley_terry, data, values)
    assert log_probs.shape == (len(data), 4)
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, atol=8 * EPS)


def test_common_attributes_do_not_vary():
    model = functools.partial(models.mixed_logit, common="size")
    sites = sites_of(model, DATA)
    assert sites["taste"].shape == (ANNOTATORS, 1)
    assert sites["taste_sd"].coords == {"taste_feature": ("price",)}


@pytest.mark.parametrize(
    ("data", "common", "match"),
    [
        (DATA, ("size", "weight"), r"common names attributes among .*'size', 'price'.*weight"),
        (DATA, ("size", "price"), r"at least one attribute.*conditional_logit"),
        (answers(), (), r"at least one attribute"),
    ],
    ids=["unknown", "all", "no features"],
)
def test_mixed_logit_needs_an_attribute_that_varies(data, common, match):
    with pytest.raises(ValueError, match=match):
        sites_of(functools.partial(models.mixed_logit, common=common), data)
