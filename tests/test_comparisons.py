import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayespref.comparisons import Comparisons, Items, refuse


@pytest.fixture
def answers():
    """Six answers in five rows: A beats B twice, three items, two annotators, one tie."""
    return Comparisons.from_arrays(
        [[0, 1], [0, 1], [1, 2], [2, 0], [0, 2], [0, 1]],
        [0, 0, 1, 2, 1, 0],
        items=["A", "B", "C"],
        annotator=[0, 0, 1, 1, 0, 1],
        annotators=["ann", "bob"],
    )


def table(data):
    """Every single answer as a sorted list of labels: what the data say, whatever their order."""
    rows = []
    flat = data.expanded()
    for shown, outcome in zip(np.asarray(flat.shown), np.asarray(flat.outcome), strict=True):
        rows.append((*(data.items.labels[i] if i >= 0 else "" for i in shown), int(outcome)))
    return sorted(rows)


def test_identical_rows_are_counted(answers):
    assert len(answers) == 5
    assert answers.answers == 6
    np.testing.assert_array_equal(answers.count, [2, 1, 1, 1, 1])
    assert answers.has_ties and not answers.has_none and not answers.ragged


def test_expanding_undoes_counting(answers):
    expanded = answers.expanded()
    assert len(expanded) == expanded.answers == 6
    again = expanded.counted()
    for name in ("shown", "outcome", "count", "annotator"):
        np.testing.assert_array_equal(getattr(again, name), getattr(answers, name))


def test_a_count_is_that_many_rows():
    counted = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 1], count=[3, 2])
    rows = Comparisons.from_arrays([[0, 1]] * 3 + [[1, 0]] * 2, [0] * 3 + [1] * 2)
    np.testing.assert_array_equal(counted.count, rows.count)
    np.testing.assert_array_equal(counted.shown, rows.shown)
    np.testing.assert_array_equal(counted.design.item_answers, rows.design.item_answers)


def test_rows_that_differ_in_any_column_stay_apart():
    shown, outcome = [[0, 1]] * 4, [0] * 4
    whole = Comparisons.from_arrays(shown, outcome, row_columns={"strength": [-3, 1, 1, -2]})
    assert sorted(zip(whole.row_columns["strength"].tolist(), whole.count.tolist(), strict=True)) == [
        (-3, 1),
        (-2, 1),
        (1, 2),
    ]
    price = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.5], [1.5, 2.0]])
    assert len(Comparisons.from_arrays(shown, outcome, shown_columns={"price": price})) == 3


def test_negative_and_wide_columns_do_not_collide():
    """Rows are told apart by one code; it must hold for negative numbers and for many large columns."""
    rng = np.random.default_rng(1)
    columns = {f"c{i}": rng.choice([-(2**30), -1, 0, 1, 2**30], 400) for i in range(6)}
    data = Comparisons.from_arrays([[0, 1]] * 400, [0] * 400, row_columns=columns)
    distinct = len(np.unique(np.stack(list(columns.values())), axis=1).T)
    assert len(data) == distinct


def test_design_by_hand():
    data = Comparisons.from_arrays(
        [[0, 1], [1, 2]],
        [0, 1],
        count=[3, 1],
        items=Items({"features": np.array([[0.0], [2.0], [4.0]])}, 3, ("size",)),
    )
    np.testing.assert_array_equal(data.design.item_answers, [3, 4, 1])
    assert data.design.annotator_answers is None
    # Six of eight things are 0 or 2 (mean 1), two are 2 or 4 (mean 3); within a pair, always 1 from its mean.
    np.testing.assert_allclose(data.design.feature_mean, [(3 * (0 + 2) + 2 + 4) / 8])
    np.testing.assert_allclose(data.design.feature_scale, [1.0])


def test_ragged_sets_do_not_count_what_was_not_shown():
    features = Items({"features": np.array([[0.0], [2.0], [100.0]])}, 3, ("size",))
    data = Comparisons.from_arrays([[0, 1, -1], [0, 1, -1]], [0, 3], items=features)
    assert data.ragged and data.has_ties
    np.testing.assert_array_equal(data.available, [[True, True, False]] * 2)
    np.testing.assert_array_equal(data.design.item_answers, [2, 2, 0])
    np.testing.assert_allclose(data.design.feature_mean, [1.0])
    np.testing.assert_allclose(data.design.feature_scale, [1.0])


def test_data_to_predict_may_hold_a_constant_feature():
    items = Items({"features": np.array([[1.0, 0.1], [2.0, 0.1]])}, 2, ("size", "price"))
    data = Comparisons.from_arrays([[0, 1]], items=items)
    np.testing.assert_allclose(data.design.feature_scale, [0.5, 1.0])
    with pytest.raises(ValueError, match="feature 'price', the same for everything"):
        Comparisons.from_arrays([[0, 1]], [0], items=items)


def test_a_constant_feature_is_found_whatever_its_rounding():
    shown_features = np.full((4, 3, 1), 0.1)
    with pytest.raises(ValueError, match="differs between the things shown"):
        Comparisons.from_arrays(
            [[0, 1, 2]] * 4,
            [0, 1, 2, 0],
            shown_columns={"features": shown_features},
            feature_names=("price",),
        )


@pytest.mark.parametrize("seed", range(3))
def test_item_order_is_a_relabelling(answers, seed):
    order = np.random.default_rng(seed).permutation(3)
    moved = np.argsort(order)[np.asarray(answers.shown)]
    again = Comparisons.from_arrays(
        moved, answers.outcome, count=answers.count, items=[answers.items.labels[i] for i in order]
    )
    assert table(again) == table(answers)
    np.testing.assert_array_equal(again.design.item_answers, answers.design.item_answers[order])


def test_lost_presentation_shuffles_sides_and_keeps_the_winner():
    n = 200
    shown = np.stack([np.arange(n), np.arange(n) + n], 1)
    arrays = {"shown_columns": {"length": shown.astype(float)}, "presentation": "lost"}
    first, again = (Comparisons.from_arrays(shown, np.zeros(n, int), **arrays) for _ in range(2))
    winner = np.take_along_axis(np.asarray(first.shown), np.asarray(first.outcome)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(np.sort(winner), np.arange(n))
    np.testing.assert_array_equal(first.shown_columns["length"], first.shown)
    np.testing.assert_array_equal(first.shown, again.shown)
    assert 60 < int(first.outcome.sum()) < 140  # 14.1 = 2 standard deviations of 200 fair coins
    with pytest.raises(ValueError, match="needs the order in which things were shown"):
        _ = first.first_shown


def test_lost_presentation_keeps_ties_and_none():
    data = Comparisons.from_arrays([[0, 1]] * 3, [2, 3, 2], presentation="lost")
    assert sorted(data.expanded().outcome.tolist()) == [2, 2, 3]
    assert data.has_ties and data.has_none


def test_first_shown_marks_the_first_column(answers):
    np.testing.assert_array_equal(answers.first_shown, [1.0, 0.0])


def test_labels_stay_out_of_traced_code():
    traces = []

    @jax.jit
    def wins(data):
        traces.append(data.items.labels)
        return jnp.sum(data.count * (data.outcome == 0))

    one = Comparisons.from_arrays([[0, 1]], [0], items=["a", "b"], annotator=[0], annotators=["x"])
    two = Comparisons.from_arrays(
        [[1, 0]], [1], items=["ü", "β"], annotator=[0], annotators=["y"], keep_rows=True
    )
    assert (int(wins(one)), int(wins(two))) == (1, 0)
    assert traces == [None]


def test_pytree_round_trip(answers):
    leaves, structure = jax.tree.flatten(answers)
    again = jax.tree.unflatten(structure, leaves)
    assert again.presentation == answers.presentation and again.items.size == 3
    assert jax.tree.structure(again) == structure
    np.testing.assert_array_equal(again.shown, answers.shown)


def test_features_are_gathered_from_items_or_from_what_was_shown():
    items = Items({"features": np.array([[1.0], [2.0]])}, 2, ("size",))
    on_items = Comparisons.from_arrays([[1, 0]], [0], items=items)
    on_shown = Comparisons.from_arrays(
        [[1, 0]], [0], shown_columns={"features": [[[2.0], [1.0]]]}, feature_names=("size",)
    )
    np.testing.assert_array_equal(on_items.features, [[[2.0], [1.0]]])
    np.testing.assert_array_equal(on_shown.features, on_items.features)
    assert on_items.feature_names == on_shown.feature_names == ("size",)


def test_features_without_names_are_numbered():
    items = Items({"features": np.array([[1.0, 5.0], [2.0, 4.0]])}, 2)
    assert Comparisons.from_arrays([[0, 1]], [0], items=items).feature_names == ("feature 0", "feature 1")


def test_kept_rows_say_where_each_answer_came_from(answers):
    data = Comparisons.from_arrays([[0, 1], [1, 0], [0, 1]], [0, 0, 0], keep_rows=True)
    assert [rows.tolist() for rows in data.source_rows] == [[0, 2], [1]]
    assert [rows.tolist() for rows in data.expanded().source_rows] == [[0], [2], [1]]
    assert [rows.tolist() for rows in data.expanded().counted().source_rows] == [[0, 2], [1]]
    counted = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 0], count=[2, 1], keep_rows=True)
    assert [rows.tolist() for rows in counted.expanded().source_rows] == [[0], [0], [1]]


def test_repr_says_what_the_data_are(answers):
    assert repr(answers) == (
        "Comparisons(6 answers, 5 rows, 3 items, k=2, 2 annotators, ties, presentation recorded)"
    )


def test_with_item_columns_goes_by_order_or_by_name(answers):
    import pyarrow as pa

    by_order = answers.with_item_columns({"size": [1.0, 2.0, 4.0]}, features=("size",))
    frame = pa.table({"name": ["C", "A", "B"], "size": [4.0, 1.0, 2.0]})
    by_name = answers.with_item_columns(frame, item="name", features=("size",))
    for data in (by_order, by_name):
        np.testing.assert_array_equal(data.items.features, [[1.0], [2.0], [4.0]])
        assert data.feature_names == ("size",)
    np.testing.assert_array_equal(by_order.design.feature_scale, by_name.design.feature_scale)
    plain = answers.with_item_columns({"length": [10, 20, 30]})
    np.testing.assert_array_equal(plain.items.columns["length"], [10.0, 20.0, 30.0])
    assert plain.feature_names == ()


def test_refusals_name_rows_and_remedy():
    error = refuse("rows agree", "others", rows=np.arange(9), remedy="Look.")
    assert str(error) == "rows agree; got others in 9 row(s), counted from 0: 0, 1, 2, 3, 4, .... Look."
