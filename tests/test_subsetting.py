import jax
import numpy as np
import pytest

from bayespref.comparisons import Comparisons, Items

RNG = np.random.default_rng(7)
SHOWN = np.stack([RNG.permutation(5)[:2] for _ in range(120)])


@pytest.fixture
def answers():
    return Comparisons.from_arrays(
        SHOWN,
        RNG.integers(0, 3, 120),
        items=Items(
            {"features": np.arange(10.0).reshape(5, 2) ** 2},
            5,
            ("x", "y"),
            labels=np.array(list("abcde"), object),
        ),
        annotator=np.arange(120) % 6,
        row_columns={"time": np.arange(120) // 40},
    )


def test_rows_by_mask_or_number(answers):
    mask = np.arange(len(answers)) % 3 == 0
    by_mask, by_number = answers.subset(rows=mask), answers.subset(rows=np.flatnonzero(mask))
    assert by_mask.answers == by_number.answers == int(np.asarray(answers.count)[mask].sum())
    np.testing.assert_array_equal(by_mask.row_columns["time"], by_number.row_columns["time"])
    np.testing.assert_array_equal(by_mask.design.item_answers.sum(), 2 * by_mask.answers)


def test_items_by_label_or_number_keep_their_columns(answers):
    by_label, by_number = answers.subset(items=["d", "b", "a"]), answers.subset(items=[3, 1, 0])
    np.testing.assert_array_equal(by_label.shown, by_number.shown)
    assert by_label.items.labels.tolist() == ["d", "b", "a"]
    np.testing.assert_array_equal(by_label.items.features, answers.items.features[np.array([3, 1, 0])])
    inside = np.isin(np.asarray(answers.shown), [0, 1, 3]).all(1)
    assert by_label.answers == int(np.asarray(answers.count)[inside].sum())


def test_labels_that_are_numbers_are_labels():
    data = Comparisons.from_arrays([[0, 1], [1, 2]], [0, 0], items=["10", "20", "30"])
    assert data.subset(items=[20, 10]).items.labels.tolist() == ["20", "10"]
    with pytest.raises(ValueError, match="unknown items \\['2'\\]"):
        data.subset(items=[10, 2])


def test_ragged_rows_keep_their_gaps():
    data = Comparisons.from_arrays([[0, 1, -1], [0, 1, 2]], [1, 2], items=["a", "b", "c"])
    part = data.subset(items=["b", "a"])
    np.testing.assert_array_equal(part.shown, [[1, 0, -1]])


def test_annotators_by_label(answers):
    part = answers.subset(annotators=["annotator 4", "annotator 1"])
    assert part.answers == 40
    np.testing.assert_array_equal(part.design.annotator_answers, [20, 20])
    assert part.annotators.labels.tolist() == ["annotator 4", "annotator 1"]


def test_has_ties_follows_the_rows(answers):
    wins = answers.subset(rows=np.asarray(answers.outcome) != 2)
    assert answers.has_ties and not wins.has_ties


def test_split_by_row_takes_single_answers():
    data = Comparisons.from_arrays([[0, 1], [1, 2]], [0, 1], count=[700, 300], items=["a", "b", "c"])
    train, test = data.split(jax.random.key(0), test=0.25)
    assert (train.answers, test.answers) == (750, 250)
    assert train.items.size == test.items.size == 3
    np.testing.assert_array_equal(train.count + test.count, data.count)
    # Hypergeometric: 175 expected, standard deviation 6.3.
    assert abs(int(test.count[0]) - 175) < 26


def test_split_repeats_with_its_key(answers):
    one, same = (answers.split(jax.random.key(3))[1] for _ in range(2))
    np.testing.assert_array_equal(one.shown, same.shown)
    other = answers.split(jax.random.key(4))[1]
    assert not np.array_equal(one.row_columns["time"], other.row_columns["time"]) or not np.array_equal(
        one.shown, other.shown
    )


def test_split_by_annotator_parts_the_annotators(answers):
    train, test = answers.split(jax.random.key(0), test=1 / 3, by="annotator")
    assert (len(train.annotators), len(test.annotators)) == (4, 2)
    assert not set(train.annotators.labels) & set(test.annotators.labels)
    assert train.answers + test.answers == answers.answers
    assert train.items.size == test.items.size == 5


def test_a_test_part_may_hold_a_constant_feature():
    items = Items({"features": np.array([[0.0], [0.0], [1.0]])}, 3, ("size",))
    data = Comparisons.from_arrays([[0, 1], [1, 2]], [0, 1], count=[50, 50], items=items)
    tests = [data.split(jax.random.key(seed), test=0.01)[1] for seed in range(8)]
    assert {float(test.design.feature_scale[0]) for test in tests} == {0.5, 1.0}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"rows": [999]}, "row numbers lie between"),
        ({"rows": [-1]}, "row numbers lie between"),
        ({"rows": [0.5]}, "by number or by a mask"),
        ({"rows": np.ones(3, bool)}, "a mask has one entry"),
        ({"rows": []}, "keeps at least one answer"),
        ({"items": ["a", "zz"]}, "unknown items \\['zz'\\]"),
        ({"items": ["a", "a"]}, "each item is named once"),
        ({"items": [0, 7]}, "item indices lie between"),
        ({"items": ["a"]}, "keeps at least one answer"),
        ({"annotators": ["who"]}, "unknown annotators"),
    ],
)
def test_subsets_that_make_no_sense(answers, arguments, match):
    with pytest.raises(ValueError, match=match):
        answers.subset(**arguments)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"test": 0.0}, "share lies between 0 and 1"),
        ({"test": 1.5}, "share lies between 0 and 1"),
        ({"by": "item"}, "by 'row' or by 'annotator'"),
        ({"test": 1e-6}, "both parts hold an answer"),
        ({"test": 0.01, "by": "annotator"}, "both parts hold an annotator"),
    ],
)
def test_splits_that_make_no_sense(answers, arguments, match):
    with pytest.raises(ValueError, match=match):
        answers.split(jax.random.key(0), **arguments)
