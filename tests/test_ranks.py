import functools

import jax
import numpy as np
import pytest
import xarray as xr
from helpers import ITEMS, answers, fit_from_worths
from scipy.special import expit

import bayespref as bp
from bayespref import models

KEY = jax.random.key(0)


def posterior(worths, labels="abcdefgh"):
    """A fit that is nothing but draws (chain, draw, item) of worths."""
    worths = np.asarray(worths, float)
    coords = {"item": list(labels[: worths.shape[-1]])}
    dataset = xr.Dataset({"log_density": (("chain", "draw", "item"), worths)}, coords=coords)
    return xr.DataTree.from_dict({"posterior": dataset})


HAND = posterior([[[3, 1, 2], [3, 2, 1]], [[3, 1, 2], [3, 2, 1]]])
"""a is always best; b and c are better than each other half of the time."""


def test_known_ranking():
    table = bp.ranking(HAND)
    assert table.loc["a", "rank"] == 1 and table.index[0] == "a"
    assert table.loc["b", "rank"] == table.loc["c", "rank"] == 2  # not separated from each other
    assert table["p_best"].to_dict() == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert table["worth"].to_dict() == pytest.approx({"a": 1.0, "b": -0.5, "c": -0.5})
    ranges = {item: (row.rank_lower, row.rank_upper) for item, row in table.iterrows()}
    assert ranges == {"a": (1, 1), "b": (2, 3), "c": (2, 3)}
    assert table.attrs["interval"] == "equal-tailed, 0.89" and table.attrs["origin"] == "mean of items"


def test_separation_decides_who_shares_a_rank():
    worths = np.zeros((1, 10, 2))
    worths[0, :8, 0], worths[0, 8:, 1] = 1, 1  # a is better in 8 of 10 draws
    assert bp.ranking(posterior(worths), separation=0.95)["rank"].to_list() == [1, 1]
    assert bp.ranking(posterior(worths), separation=0.8)["rank"].to_dict() == {"a": 1, "b": 2}
    assert bp.ranking(posterior(worths))["p_best"].to_dict() == {"a": 0.8, "b": 0.2}


def test_the_anchor_is_the_origin():
    table = bp.ranking(HAND, anchor="b")
    assert table.loc["b", ["worth", "lower", "upper"]].tolist() == [0, 0, 0]
    assert table.loc["a", "worth"] == 1.5 and table.loc["c", "worth"] == 0
    assert (table.loc["a", "lower"], table.loc["a", "upper"]) == (1, 2)
    assert table.attrs["origin"] == "b"


def test_elo():
    elo, plain = bp.ranking(HAND, scale="elo"), bp.ranking(HAND)
    points = 400 / np.log(10)
    for column in ("worth", "lower", "upper"):
        np.testing.assert_allclose(elo[column], 1000 + points * plain[column])
    np.testing.assert_array_equal(elo["rank"], plain["rank"])
    anchored = bp.ranking(HAND, scale="elo", anchor="b")
    assert anchored.loc["b", "worth"] == 1000
    # 400 points are odds of ten to one.
    ten = posterior([[[np.log(10), 0.0]]])
    assert bp.ranking(ten, scale="elo", anchor="b").loc["a", "worth"] == pytest.approx(1400)


def test_intervals_are_quantiles():
    worths = np.random.default_rng(0).normal(size=(2, 500, 3))
    table = bp.ranking(posterior(worths), prob=0.5, anchor="c")
    gaps = (worths - worths[..., [2]]).reshape(-1, 3)
    for index, item in enumerate("abc"):
        low, high = np.quantile(gaps[:, index], [0.25, 0.75])
        assert (table.loc[item, "lower"], table.loc[item, "upper"]) == pytest.approx((low, high))
    assert table["worth"].is_monotonic_decreasing
    assert table["p_best"].sum() == pytest.approx(1)


def test_a_constant_added_to_worths_ranks_the_same():
    worths = np.random.default_rng(0).normal(size=(1, 200, 4))
    moved = worths + np.random.default_rng(1).normal(size=(1, 200, 1))  # another one in every draw
    np.testing.assert_allclose(bp.ranking(posterior(moved)), bp.ranking(posterior(worths)), atol=1e-12)


def test_superiority():
    worths = np.random.default_rng(0).normal([0, 0.5, 1, 1], size=(2, 300, 4))
    better = bp.superiority(posterior(worths))
    flat = worths.reshape(-1, 4)
    assert float(better.sel(item="a", item_other="b")) == (flat[:, 0] > flat[:, 1]).mean()
    values = better.values
    assert np.isnan(np.diag(values)).all()
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose((values + values.T)[off], 1)


TABLE, TIED = answers(annotators=False), answers(annotators=False, ties=True)
WORTHS = np.random.default_rng(1).normal(size=(100, ITEMS))
OFF = ~np.eye(ITEMS, dtype=bool)


def test_win_probability_is_the_mean_of_the_probability():
    model = functools.partial(models.bradley_terry, scale=1.0)
    win = bp.win_probability(KEY, model, fit_from_worths(model, TABLE, WORTHS))
    exact = expit(WORTHS[:, :, None] - WORTHS[:, None, :]).mean(0)
    np.testing.assert_allclose(win["win"].values[OFF], exact[OFF], atol=1e-6)
    np.testing.assert_allclose((win["win"].values + win["win"].values.T)[OFF], 1, atol=1e-6)
    assert "tie" not in win and np.isnan(np.diag(win["win"])).all()
    assert list(win["item"].values) == list(TABLE.items.labels)


def test_win_and_tie_sum_to_one():
    model = functools.partial(models.davidson, scale=1.0)
    win = bp.win_probability(
        KEY, model, fit_from_worths(model, TIED, WORTHS, log_tie=np.full(100, np.log(0.9)))
    )
    gap = WORTHS[:, :, None] - WORTHS[:, None, :]
    exact = (0.9 / (2 * np.cosh(gap / 2) + 0.9)).mean(0)
    np.testing.assert_allclose(win["tie"].values[OFF], exact[OFF], atol=1e-6)
    np.testing.assert_allclose((win["win"].values + win["win"].values.T)[OFF], 1 - exact[OFF], atol=1e-6)


def test_both_orders_of_presentation_count():
    model = functools.partial(models.bradley_terry_position, scale=1.0)
    fit = fit_from_worths(model, TABLE, WORTHS, position=np.full(100, 1.0))
    win = bp.win_probability(KEY, model, fit)["win"].values
    gap = WORTHS[:, :, None] - WORTHS[:, None, :]
    exact = (expit(gap + 1) + expit(gap - 1)).mean(0) / 2
    np.testing.assert_allclose(win[OFF], exact[OFF], atol=1e-6)
    np.testing.assert_allclose((win + win.T)[OFF], 1, atol=1e-6)


def test_better_and_winning_are_two_things():
    """With worths known exactly, better is 0 or 1, and winning is not."""
    model = functools.partial(models.bradley_terry, scale=1.0)
    fit = fit_from_worths(model, TABLE, np.tile(WORTHS[:1], (50, 1)))
    better = bp.superiority(fit).values[OFF]
    win = bp.win_probability(KEY, model, fit)["win"].values[OFF]
    assert set(better) == {0.0, 1.0} and ((win > 0.01) & (win < 0.99)).all()
    np.testing.assert_array_equal(better > 0.5, win > 0.5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"anchor": "z"}, r"anchor is an item of the fit; got 'z'.*Items: a, b"),
        ({"scale": "logit"}, r"'log-odds' or 'elo'; got 'logit'"),
        ({"name": "quality"}, r"worths by item, site 'quality'.*log_density"),
    ],
    ids=["anchor", "scale", "site"],
)
def test_what_cannot_be_ranked(options, match):
    with pytest.raises(ValueError, match=match):
        bp.ranking(HAND, **options)


def test_matrices_have_a_limit():
    large = posterior(np.zeros((1, 2, 501)), [f"item {index}" for index in range(501)])
    with pytest.raises(ValueError, match=r"at most 500 items; got 501.*bayespref\.predict"):
        bp.superiority(large)
    assert len(bp.ranking(large)) == 501


def test_one_of_several_rankings():
    worths = np.stack([HAND["posterior"]["log_density"].values, -HAND["posterior"]["log_density"].values], 2)
    dataset = xr.Dataset({"log_density": (("chain", "draw", "class", "item"), worths)}, {"item": list("abc")})
    fit = xr.DataTree.from_dict({"posterior": dataset})
    with pytest.raises(ValueError, match=r"has one for each class; got at=\{\}.*at=\{'class': 0\}"):
        bp.ranking(fit)
    assert bp.ranking(fit, at={"class": 0}).equals(bp.ranking(HAND))
    assert bp.ranking(fit, at={"class": 1}).index[-1] == "a"
    assert float(bp.superiority(fit, at={"class": 1}).sel(item="a", item_other="b")) == 0
    with pytest.raises(ValueError, match="has one worth for each item"):
        bp.ranking(HAND, at={"class": 0})


def test_wins_and_ties_of_graded_answers():
    """Any level on one side is a win, the middle one a tie."""
    data = answers(response="graded", levels=5, outcomes=np.arange(60) % 5, annotators=False)
    model = functools.partial(models.graded, scale=1.0)
    worths = np.tile([1.0, 0.0, 0.0, -0.5, -0.5], (20, 1))
    fit = fit_from_worths(model, data, worths, steps=np.tile([0.4, 1.0], (20, 1)))
    wins = bp.win_probability(KEY, model, fit)
    first, second = data.items.labels[:2]
    np.testing.assert_allclose(wins["win"].sel(item=first, item_other=second), expit(1 - 0.4), rtol=1e-4)
    np.testing.assert_allclose(
        wins["tie"].sel(item=first, item_other=second), expit(1.4) - expit(0.6), rtol=1e-4
    )
    total = wins["win"] + wins["tie"] + wins["win"].values.T
    np.testing.assert_allclose(total.values[~np.eye(ITEMS, dtype=bool)], 1, atol=1e-5)
