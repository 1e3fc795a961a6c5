"""Rows that a model cannot tell apart, made one: the same likelihood, from fewer rows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.special
from helpers import answers
from jax.flatten_util import ravel_pytree

import bayespref as bp
from bayespref import choices, models, rewards
from bayespref.inference.condensed import condensed, expected
from bayespref.inference.starting import medians, slope_of

EPS = float(np.finfo(np.float32).eps)
ROWS = 400


def of_columns(comparisons):
    """Reads a column of rows and one of what was shown."""
    score = rewards.item_table(comparisons)[comparisons.shown]
    price = numpyro.sample("price", dist.Normal(0.0, 1.0))
    haste = numpyro.sample("haste", dist.Normal(0.0, 1.0))
    score = score + price * comparisons.shown_columns["price"]
    bp.observe(comparisons, choices.logit(score * jnp.exp(haste * comparisons.row_columns["time"])[:, None]))


def first_one_favoured(comparisons):
    """Favours what was shown first, without asking whether the order is known."""
    score = rewards.item_table(comparisons)[comparisons.shown]
    bias = numpyro.sample("bias", dist.Normal(0.0, 1.0))
    bp.observe(comparisons, choices.logit(score + bias * jnp.array([1.0, 0.0])))


def first_one_favoured_once(comparisons):
    """Favours what was shown first in the few rows where a column says so."""
    score = rewards.item_table(comparisons)[comparisons.shown]
    bias = numpyro.sample("bias", dist.Normal(0.0, 1.0))
    bias = bias * comparisons.row_columns["time"]
    bp.observe(comparisons, choices.logit(score + bias[:, None] * jnp.array([1.0, 0.0])))


def with_one_marked():
    """Answers of which one is marked."""
    data = with_columns()
    return data.replace(row_columns={"time": jnp.zeros(len(data)).at[7].set(1.0)})


def with_columns():
    """Answers with a column of two values on rows, and one on what was shown."""
    random = np.random.default_rng(3)
    shown = np.stack([random.permutation(4)[:2] for _ in range(ROWS)])
    return bp.Comparisons.from_arrays(
        shown,
        random.integers(2, size=ROWS),
        items=4,
        row_columns={"time": random.integers(2, size=ROWS).astype(np.float32)},
        shown_columns={"price": random.integers(2, size=(ROWS, 2)).astype(np.float32)},
    )


pooled = functools.partial(answers, rows=ROWS)
CASES = {
    "pooled": (models.bradley_terry, pooled, 10),
    "of four": (models.bradley_terry, functools.partial(pooled, k=4), 5),
    "position": (models.bradley_terry_position, pooled, 20),
    "position by hand": (first_one_favoured, pooled, 20),
    "position in one answer": (first_one_favoured_once, with_one_marked, 13),
    "ties": (models.davidson, functools.partial(pooled, ties=True), 10),
    "probit": (models.thurstone, pooled, 10),
    "annotators": (models.rationality_by_annotator, pooled, 40),
    "columns": (of_columns, with_columns, 96),
}
"""Name -> (model, data, the rows it can tell apart at most)."""


def potentials(model, *tables):
    """Potential and slope at three points, for each table: (table, point) and (table, point, d)."""
    middle, unravel = ravel_pytree(medians(model, tables[0]))
    random = np.random.default_rng(1)
    points = [middle + jnp.asarray(random.normal(size=middle.shape), middle.dtype) for _ in range(3)]
    found = [[slope_of(model, unravel)(point, table) for point in points] for table in tables]
    return np.array([[v for v, _ in each] for each in found]), np.array(
        [[s for _, s in each] for each in found]
    )


@pytest.mark.parametrize("name", CASES)
def test_the_likelihood_is_the_same_from_fewer_rows(name):
    """Potential and slope to the rounding of a sum over the answers; rows as few as there are kinds."""
    model, make, most = CASES[name]
    data = make()
    fewer = condensed(model, data)
    assert len(fewer) <= most < len(data)
    assert float(fewer.tally.sum()) == data.answers
    value, slope = potentials(model, data, fewer)
    np.testing.assert_allclose(value[1], value[0], rtol=ROWS * EPS)
    np.testing.assert_allclose(slope[1], slope[0], atol=ROWS * EPS * np.abs(slope).max())


FITS = {
    "laplace": functools.partial(bp.laplace, draws=1000),
    "nuts": functools.partial(bp.nuts, warmup=200, draws=500, progress=False),
}


@pytest.mark.parametrize("method", FITS)
def test_sides_that_are_not_alike_are_kept_apart_by_a_fit(method):
    """Programs are compiled for rows in one order before it is known; in that order answers are balanced.

    The posterior is that of 300 answers of 400 under a standard normal prior, not of 200 of 400.
    """

    def favoured(comparisons):
        bias = numpyro.sample("bias", dist.Normal(0.0, 1.0))
        score = jnp.broadcast_to(jnp.stack([bias, 0.0]), comparisons.shown.shape)
        bp.observe(comparisons, choices.logit(score))

    shown = np.tile([[0, 1], [1, 0]], (200, 1))
    data = bp.Comparisons.from_arrays(shown, np.repeat([0, 0, 0, 1], 100), items=2)
    rows = expected(favoured, data)
    assert rows.in_order and condensed(favoured, data) is not rows.comparisons
    bias = FITS[method](jax.random.key(0), favoured, data)["posterior"]["bias"].values
    at = np.linspace(-2, 4, 6001)
    height = -300 * np.logaddexp(0, -at) - 100 * np.logaddexp(0, at) - at**2 / 2
    weight = scipy.special.softmax(height)
    mean = weight @ at
    sd = np.sqrt(weight @ (at - mean) ** 2)
    assert abs(bias.mean() - mean) < 4 * sd / np.sqrt(400)  # at least as many effective draws, or a warning
    assert abs(bias.std() / sd - 1) < 4 / np.sqrt(2 * 400)


def test_weights_are_tallied():
    """A row without weight is not there: what leave-one-out relies on."""
    data = pooled()
    weight = np.random.default_rng(0).integers(0, 2, size=len(data)).astype(np.float32)
    fewer = condensed(models.bradley_terry, data.replace(weight=jnp.asarray(weight)))
    assert float(fewer.tally.sum()) == (weight * np.asarray(data.count)).sum()
    value, _ = potentials(models.bradley_terry, data.replace(weight=jnp.asarray(weight)), fewer)
    np.testing.assert_allclose(value[1], value[0], rtol=ROWS * EPS)


def test_annotators_of_latent_classes_keep_their_answers():
    """Rows merge within annotators alone, whichever side things were on."""
    data = pooled()
    fewer = condensed(models.latent_class_bradley_terry, data)
    assert len(fewer) < len(data) and fewer.tally is None and fewer.answers == data.answers
    count = [np.bincount(np.asarray(d.annotator), np.asarray(d.count)) for d in (data, fewer)]
    np.testing.assert_array_equal(*count)
    value, slope = potentials(models.latent_class_bradley_terry, data, fewer)
    np.testing.assert_allclose(value[1], value[0], rtol=ROWS * EPS)
    np.testing.assert_allclose(slope[1], slope[0], atol=ROWS * EPS * np.abs(slope).max())


def test_what_cannot_be_fewer_is_left_alone():
    """Rows that all differ, and rankings."""
    shown = np.array([[0, 1], [1, 2], [2, 3]])
    data = bp.Comparisons.from_arrays(shown, [0, 1, 0], items=4)
    assert condensed(models.bradley_terry, data) is data
    ranked = bp.Comparisons.from_arrays(
        np.tile([0, 1, 2], (2, 1)), [[0, 1, 2], [2, 1, 0]], response="ranking"
    )
    assert condensed(models.plackett_luce, ranked) is ranked


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_a_tally_is_the_sum_of_its_answers(k, ties):
    """Of the scores' distribution and its slope, scores far apart too; by the plain sum."""
    random = np.random.default_rng(0)
    score = jnp.asarray(random.normal(size=(50, k)) * np.geomspace(0.1, 100, 50)[:, None], jnp.float32)
    tally = jnp.asarray(random.integers(0, 4, size=(50, k + ties)), jnp.float32)

    def total(score):
        return (choices.davidson(score, -0.3) if ties else choices.logit(score)).tallied(tally).sum()

    def plain(score):
        tied = jnp.concatenate([score, score.mean(-1, keepdims=True) - 0.3], -1) if ties else score
        return (tally * jax.nn.log_softmax(tied, -1)).sum()

    np.testing.assert_allclose(total(score), plain(score), rtol=50 * EPS)
    np.testing.assert_allclose(jax.grad(total)(score), jax.grad(plain)(score), atol=20 * EPS)
    np.testing.assert_allclose(jax.hessian(total)(score), jax.hessian(plain)(score), atol=20 * EPS)
