"""What a fit leaves unexplained, against hand formulas and populations with known camps."""

import functools

import jax
import numpy as np
import pytest
from helpers import answers, fit_by_hand, fit_from_worths

import bayespref as bp
from bayespref import behaviours, choices, losses, rewards
from bayespref.diagnostics import annotator_agreement, pair_residuals
from bayespref.diagnostics.residuals import _credit
from bayespref.models import bradley_terry, davidson, latent_class_bradley_terry, plackett_luce

BT = functools.partial(bradley_terry, scale=1.0)
WORTHS = np.array([[-0.5, 0.2, 1.0, -0.7], [-0.3, 0.1, 0.8, -0.6]])
"""Two draws, "c" the worthiest, then b, a, d."""
BEST = ["c", "b", "a", "d"]


def sigma(x):
    return 1 / (1 + np.exp(-x))


def counted():
    """a and b met seven times, b and c five, c and a once; d met nobody."""
    shown = [[0, 1], [1, 0], [1, 0], [1, 2], [2, 0]]
    return bp.Comparisons.from_arrays(shown, [0, 0, 1, 1, 0], count=[3, 2, 2, 5, 1], items=list("abcd"))


def test_residuals_of_a_counted_table_are_those_of_the_hand_formula():
    found = pair_residuals(BT, fit_from_worths(BT, counted(), WORTHS))
    assert list(found["item"].values) == BEST and found.attrs["model"] == "bradley_terry"
    pair = found.sel(item="a", item_other="b")
    p = sigma(WORTHS[:, 0] - WORTHS[:, 1]).mean()
    assert pair["answers"] == 7 and pair["observed"] == pytest.approx(5 / 7)
    assert pair["expected"] == pytest.approx(p, rel=1e-5)
    assert pair["residual"] == pytest.approx((5 - 7 * p) / np.sqrt(7 * p * (1 - p)), rel=1e-4)
    p = sigma(WORTHS[:, 2] - WORTHS[:, 1]).mean()
    residual = found["residual"].sel(item="c", item_other="b")
    assert residual == pytest.approx((5 - 5 * p) / np.sqrt(5 * p * (1 - p)), rel=1e-4)


def test_residuals_mirror_and_are_unknown_where_two_never_met():
    found = pair_residuals(BT, fit_from_worths(BT, counted(), WORTHS))
    residual = found["residual"].values
    np.testing.assert_allclose(residual, -residual.T)
    np.testing.assert_allclose(found["observed"] + found["observed"].values.T, 1 + 0 * found["observed"])
    unknown = np.isnan(found["residual"]).values
    assert unknown.diagonal().all() and unknown[BEST.index("d")].all() and unknown.sum() == 4 + 6
    np.testing.assert_array_equal(unknown, found["answers"].values == 0)


def test_a_tie_is_half_a_win():
    data = bp.Comparisons.from_arrays([[0, 1]] * 3, [0, 2, 2], items=["a", "b"])
    model = functools.partial(davidson, scale=1.0)
    fit = fit_from_worths(model, data, [[0.4, -0.4]], log_tie=np.zeros(1))
    weights = np.exp([0.4, -0.4, 0.0])
    win, _, tie = weights / weights.sum()
    mean, square = win + tie / 2, win + tie / 4
    pair = pair_residuals(model, fit).sel(item="a", item_other="b")
    assert pair["observed"] == pytest.approx(2 / 3) and pair["expected"] == pytest.approx(mean, rel=1e-5)
    expected = (2 - 3 * mean) / np.sqrt(3 * (square - mean**2))
    assert pair["residual"] == pytest.approx(expected, rel=1e-4)


def test_of_three_things_the_third_chosen_says_nothing_of_two():
    data = bp.Comparisons.from_arrays([[0, 1, 2], [2, 0, -1]], [2, 0], items=list("abc"))
    fit = fit_from_worths(BT, data, np.zeros((1, 3)))
    found = pair_residuals(BT, fit)
    assert found["residual"].sel(item="a", item_other="b") == pytest.approx(0, abs=1e-6)
    # c won twice against a: of thirds, variance 2/3 - 0 over 4, and of halves, 1 over 4
    expected = (2 - 1) / np.sqrt((2 / 3 + 1) / 4)
    assert found["residual"].sel(item="c", item_other="a") == pytest.approx(expected, rel=1e-5)


def test_levels_and_opting_out_are_credited():
    graded = answers(outcomes=np.zeros(60, int), response="graded", levels=5)
    np.testing.assert_array_equal(_credit(graded, 5), [[1, 0], [1, 0], [0.5, 0.5], [0, 1], [0, 1]])
    np.testing.assert_array_equal(_credit(graded, 4), [[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(_credit(answers(), 4), [[1, 0], [0, 1], [0.5, 0.5], [0, 0]])


def test_a_fit_with_classes_orders_items_by_what_it_expects():
    data, fit = camps_known()
    found = pair_residuals(CLASSES, fit)
    expected = found["expected"]
    assert (np.diff(expected.mean("item_other")) <= 1e-6).all()
    assert set(found["item"].values) == set(data.items.labels)


# ---- annotators ------------------------------------------------------------------------------------------

PEOPLE, FIRST, EACH, ITEMS = 24, 9, 40, 5
CAMP = np.arange(PEOPLE) < FIRST
TASTE = np.array([1.6, 0.8, 0.0, -0.8, -1.6])
CLASSES = functools.partial(latent_class_bradley_terry, scale=1.0)


@functools.cache
def two_camps():
    """The first nine readers like what the others dislike."""
    rng = np.random.default_rng(0)
    shown = np.stack([rng.permutation(ITEMS)[:2] for _ in range(PEOPLE * EACH)])
    who = np.repeat(np.arange(PEOPLE), EACH)
    gap = np.where(CAMP[who], 1, -1) * (TASTE[shown[:, 0]] - TASTE[shown[:, 1]])
    second = rng.random(len(who)) > sigma(gap)
    labels = [f"reader {index}" for index in range(PEOPLE)]
    return bp.Comparisons.from_arrays(
        shown, second.astype(int), items=list("abcde"), annotator=who, annotators=labels
    )


@functools.cache
def camps_known():
    """The same answers, fitted by a model that knows both camps; the larger comes first."""
    worths = np.stack([-TASTE, TASTE])[None]
    return two_camps(), fit_by_hand(
        CLASSES, two_camps(), _log_density=worths, weight=np.array([[15 / 24, 9 / 24]])
    )


@pytest.fixture(scope="module")
def pooled():
    """One ranking for all, as the maximum of the likelihood has it: nearly flat."""
    return bp.laplace(jax.random.key(0), BT, two_camps(), draws=200)


def test_the_leading_eigenvector_tells_the_camps_apart(pooled):
    found = annotator_agreement(BT, pooled)
    first = np.array([int(label.split()[1]) < FIRST for label in found["annotator"].values])
    leading = found["leading"].values
    assert (np.diff(leading) <= 0).all() and len({*(leading[first] > 0)}) == 1
    assert ((leading > 0) == first).all() or ((leading < 0) == first).all()
    values = np.nan_to_num(found.values)
    value, vector = np.linalg.eigh(values)
    np.testing.assert_allclose(np.abs(vector[:, -1]), np.abs(leading), atol=1e-8)
    assert value[-1] > 5 * value[-2]
    same = first[:, None] == first
    off = ~np.eye(PEOPLE, dtype=bool)
    assert found.values[same & off].mean() > 3 and found.values[~same].mean() < -3


def test_agreement_of_two_annotators_is_that_of_the_hand_formula():
    shown, who = [[0, 1], [0, 1], [1, 2], [2, 0]], [0, 1, 1, 0]
    data = bp.Comparisons.from_arrays(shown, [0, 0, 0, 1], annotator=who, count=[4, 1, 2, 1], items=3)
    found = annotator_agreement(BT, fit_from_worths(BT, data, np.zeros((1, 3))))
    # At one half each: residuals by item, and their covariances.
    one = 4 * np.array([0.5, -0.5, 0]) + np.array([0.5, 0, -0.5])
    two = np.array([0.5, -0.5, 0]) + 2 * np.array([0, 0.5, -0.5])
    pair = lambda i, j: 0.25 * np.outer(np.eye(3)[i] - np.eye(3)[j], np.eye(3)[i] - np.eye(3)[j])  # noqa: E731
    chance = np.trace((4 * pair(0, 1) + pair(2, 0)) @ (pair(0, 1) + 2 * pair(1, 2)))
    expected = one @ two / np.sqrt(chance)
    np.testing.assert_allclose(found.values, [[np.nan, expected], [expected, np.nan]], rtol=1e-5)


def test_agreement_is_chance_where_the_fit_knows_the_camps(pooled):
    _, fit = camps_known()
    off = ~np.eye(PEOPLE, dtype=bool)
    known = annotator_agreement(CLASSES, fit).values[off]
    assert 0.7 < known.std() < 1.3 and abs(known.mean()) < 0.3
    assert annotator_agreement(BT, pooled).values[off].std() > 3


def test_the_most_active_annotators_are_taken():
    who = np.repeat(np.arange(PEOPLE), 4 + np.arange(PEOPLE))
    rng = np.random.default_rng(1)
    shown = np.stack([rng.permutation(ITEMS)[:2] for _ in who])
    labels = [f"reader {index}" for index in range(PEOPLE)]
    data = bp.Comparisons.from_arrays(shown, 0 * who, items=ITEMS, annotator=who, annotators=labels)
    found = annotator_agreement(BT, fit_from_worths(BT, data, np.zeros((1, ITEMS))), most=6)
    assert set(found["annotator"].values) == set(labels[-6:])
    assert found.attrs["annotators"] == PEOPLE and found.shape == (6, 6)


def test_two_who_saw_nothing_in_common_are_unknown():
    data = bp.Comparisons.from_arrays([[0, 1], [2, 3], [0, 2]], [0, 0, 0], annotator=[0, 1, 2], items=4)
    found = annotator_agreement(BT, fit_from_worths(BT, data, np.zeros((1, 4))))
    unknown = np.isnan(found.sel(annotator="annotator 0", annotator_other="annotator 1"))
    assert unknown and np.isnan(found).sum() == 3 + 2


def test_items_with_the_most_answers_are_told_apart():
    """Two readers chose the same of a pair 50 times each; 33 pairs are in more rows, with fewer answers."""
    pairs, who = np.arange(66).reshape(33, 2), np.repeat([2, 3, 4], 33)
    shown, count = [[66, 67]] * 2 + [*np.tile(pairs, (3, 1))], [50] * 2 + [1] * 99
    data = bp.Comparisons.from_arrays(shown, [0] * 101, annotator=[0, 1, *who], count=count, items=68)
    found = annotator_agreement(BT, fit_from_worths(BT, data, np.zeros((1, 68))))
    # 25 and -25 in excess, each with variance 50 / 4: (2 * 25^2) / (2 * 50 / 4).
    pair = found.sel(annotator="annotator 0", annotator_other="annotator 1")
    assert pair == pytest.approx(50, rel=1e-5)


def ipo_of_worths(comparisons):
    log_density = rewards.item_table(comparisons, scale=1.0)
    bp.observe(comparisons, losses.ipo(behaviours.luce(log_density)[comparisons.shown], tau=1.0))


def best_only(comparisons):
    log_density = rewards.item_table(comparisons, scale=1.0)
    bp.observe(comparisons, choices.logit(behaviours.luce(log_density)[comparisons.shown]))


def test_refusals():
    data = answers()
    ranked = np.tile(np.arange(2), (60, 1))
    ranking = functools.partial(plackett_luce, scale=1.0)
    fits = {
        "rankings": (
            ranking,
            fit_from_worths(ranking, answers(outcomes=ranked, response="ranking"), np.zeros((1, 5))),
        ),
        "residuals of answers": (ipo_of_worths, fit_from_worths(ipo_of_worths, data, np.zeros((1, 5)))),
    }
    for message, (model, fit) in fits.items():
        for judge in (pair_residuals, annotator_agreement):
            with pytest.raises(ValueError, match=message):
                judge(model, fit)
    fit = fit_from_worths(BT, answers(annotators=False), np.zeros((1, 5)))
    with pytest.raises(ValueError, match="needs to know who answered"):
        annotator_agreement(BT, fit)
    with pytest.raises(ValueError, match="judged by the model that made it"):
        pair_residuals(best_only, fit)
    with pytest.raises(ValueError, match="two annotators or more; got 1"):
        annotator_agreement(BT, fit_from_worths(BT, answers(), np.zeros((1, 5))), most=1)
