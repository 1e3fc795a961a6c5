import numpy as np
import pytest

from bayespref.comparisons import Comparisons, Items
from bayespref.diagnostics.summary import components


def test_numbers_by_hand():
    data = Comparisons.from_arrays(
        [[0, 1], [1, 2], [2, 0], [0, 1]],
        [0, 0, 0, 2],
        count=[4, 3, 2, 1],
        annotator=[0, 0, 1, 1],
        items=["a", "b", "c"],
    )
    summary = data.summary()
    assert (summary.answers, summary.rows, summary.items, summary.annotators) == (10, 4, 3, 2)
    assert (summary.ties, summary.nones, summary.set_sizes) == (1, 0, (2, 2))
    assert summary.first_share == 1.0
    assert summary.answers_per_item == (5.0, 7.0, 8.0)
    assert summary.answers_per_annotator == (3.0, 5.0, 7.0)
    assert (summary.components, summary.strong_components) == (1, 1)
    assert summary.notes == ()


def test_first_share_leaves_ties_and_none_out():
    data = Comparisons.from_arrays([[0, 1]] * 6, [0, 0, 0, 1, 2, 3])
    summary = data.summary()
    assert summary.first_share == 0.75
    assert (summary.ties, summary.nones) == (1, 1)
    assert "first shown chosen in 75.0%" in str(summary) and "none of them" in str(summary)


@pytest.mark.parametrize(
    ("shown", "outcome", "weak", "strong"),
    [
        ([[0, 1], [1, 2], [2, 0]], [0, 0, 0], 1, 1),  # a cycle of wins
        ([[0, 1], [1, 2], [0, 2]], [0, 0, 0], 1, 3),  # a straight order
        ([[0, 1], [1, 2], [0, 2]], [0, 0, 2], 1, 1),  # a tie joins both ways
        ([[0, 1], [2, 3]], [0, 0], 2, 4),
        ([[0, 1, 2], [3, 0, -1]], [2, 0], 1, 4),
        ([[0, 1], [2, 3]], None, 2, 2),
    ],
)
def test_connectivity(shown, outcome, weak, strong):
    data = Comparisons.from_arrays(shown, outcome)
    found = components(data)
    assert [len(np.unique(labels)) for labels in found] == [weak, strong]
    summary = data.summary()
    assert (summary.components, summary.strong_components) == (weak, strong)


def test_disconnected_items_are_said_aloud():
    text = str(Comparisons.from_arrays([[0, 1], [2, 3], [3, 4]], [0, 1, 1]).summary())
    assert "DISCONNECTED: 2 groups" in text
    assert "(sizes 3, 2)" in text


def test_features_connect_what_was_never_compared():
    items = Items(
        {"features": np.arange(4.0)[:, None] ** 2}, 4, ("size",), labels=np.array(list("abcd"), object)
    )
    summary = Comparisons.from_arrays([[0, 1], [2, 3]], [0, 1], items=items).summary()
    assert summary.features == ("size",)
    assert "joined by their features" in str(summary) and "DISCONNECTED" not in str(summary)
    assert not any("groups" in note for note in summary.notes)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ({}, "No annotator ids"),
        ({"annotator": [0, 1]}, "No annotator answered twice"),
        ({"presentation": "lost"}, "order of presentation is not recorded"),
        ({"row_columns": {"time": [1.0, 2.0]}}, "Rows that differ only in time are not counted together"),
    ],
)
def test_notes(arguments, note):
    data = Comparisons.from_arrays([[0, 1], [1, 0]], [0, 0], **arguments)
    assert any(note in line for line in data.summary().notes)
    assert note in str(data.summary())


@pytest.mark.parametrize(
    ("shown", "outcomes", "counts", "told"),
    [
        ([0, 1], [0], [20], "always"),
        ([0, 1], [1], [20], "never"),
        ([0, 1], [0], [19], None),
        ([0, 1], [0, 2], [1, 49], None),
        ([0, 1, 2], [1], [20], None),
    ],
    ids=["first", "second", "few", "few but ties", "three shown"],
)
def test_one_side_that_always_wins_is_told(shown, outcomes, counts, told):
    rows = [shown] * len(outcomes)
    data = Comparisons.from_arrays(rows, outcomes, annotator=[0] * len(rows), count=counts)
    notes = [note for note in data.summary().notes if "winners" in note]
    assert (f"was {told} chosen" in notes[0]) if told else not notes


def test_html_escapes_labels():
    items = Items({"features": np.array([[0.0], [1.0]])}, 2, ("<b>",))
    shown = Comparisons.from_arrays([[0, 1]], [0], items=items)._repr_html_()
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert shown.startswith("<table>")
