import gzip
import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import xarray as xr

from bayespref.comparisons import Comparisons
from bayespref.io.datatree import from_datatree, to_datatree
from bayespref.io.guess import guess_columns
from bayespref.io.table import join_items, read_table

ANSWERS = {
    "left": ["tea 2", "tea 10", "milk", "tea 2", "milk"],
    "right": ["tea 10", "milk", "tea 2", "tea 10", "tea 10"],
    "choice": ["left", "right", "tie", "left", "none"],
    "reader": ["ü", "bob", "ü", "ü", "bob"],
    "times": [2, 1, 3, 1, 1],
    "hour": [1.5, 2.0, 1.5, 1.5, 7.25],
    "left_price": [1, 2, 3, 1, 3],
    "right_price": [2.5, 3.0, 1.0, 2.5, 2.0],
}
WIDE = {"shown": ("left", "right"), "outcome": "choice"}
EVERYTHING = WIDE | {
    "annotator": "reader",
    "count": "times",
    "row_columns": ("hour",),
    "attributes": ("price",),
    "shown_columns": {"twice": ("left_price", "right_price")},
}


def same(one: Comparisons, two: Comparisons) -> bool:
    return to_datatree(one).identical(to_datatree(two))


def as_rows(data: Comparisons) -> list:
    """Single answers as (winner's label, the labels shown): the same whatever the order of anything."""
    flat, labels = data.expanded(), data.items.labels
    rows = []
    for shown, outcome in zip(np.asarray(flat.shown), np.asarray(flat.outcome), strict=True):
        names = [labels[i] if i >= 0 else None for i in shown]
        won = names[outcome] if outcome < data.k else ["tie", "none"][outcome - data.k]
        rows.append((won, tuple(sorted(name for name in names if name))))
    return sorted(rows)


# ---- formats ------------------------------------------------------------------------------------------


def write(path, table):
    if path.suffix in (".parquet", ".pq"):
        pa.parquet.write_table(table, path)
    elif path.suffix in (".jsonl", ".ndjson"):
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()), encoding="utf-8")
    else:
        sink = pa.BufferOutputStream()
        pa.csv.write_csv(table, sink)
        content = sink.getvalue().to_pybytes()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.pq", "a.jsonl", "a.ndjson", "A.CSV"])
def test_files_agree_with_frames(tmp_path, name):
    table = pa.table(ANSWERS)
    assert same(read_table(write(tmp_path / name, table), **EVERYTHING), read_table(table, **EVERYTHING))


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame, pl.DataFrame, pl.LazyFrame, lambda data: pd.DataFrame(data).astype({"left": "category"})],
)
def test_frames_agree(frame):
    assert same(read_table(frame(ANSWERS), **EVERYTHING), read_table(pa.table(ANSWERS), **EVERYTHING))


def test_an_index_and_a_view_of_a_frame_do_not_matter():
    frame = pd.DataFrame(ANSWERS, index=[9, 8, 7, 7, 1])
    assert same(read_table(frame, **WIDE), read_table(pd.DataFrame(ANSWERS), **WIDE))
    part = read_table(frame[frame["left"] == "milk"], **WIDE)
    assert part.answers == 2


def test_dictionaries_of_chunks_may_differ():
    parts = [pa.chunked_array([pa.array(column[:2]), pa.array(column[2:])]) for column in ANSWERS.values()]
    table = pa.table([part.dictionary_encode() for part in parts], names=list(ANSWERS))
    assert same(read_table(table, **WIDE), read_table(pa.table(ANSWERS), **WIDE))


def test_csv_labels_are_what_the_file_says(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeffleft,right,who\n007,7,"NA"\n7,2020-01-02,"a, ""b""\nc"\n', encoding="utf-8")
    data = read_table(path, shown=("left", "right"), annotator="who")
    assert data.items.labels.tolist() == ["007", "7", "2020-01-02"]
    assert data.annotators.labels.tolist() == ['a, "b"\nc', "NA"]


def test_jsonl_dates_stay_labels(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"left": "2020-01-02", "right": "2021-01-02", "n": 1}\n')
    data = read_table(path, shown=("left", "right"), count="n")
    assert data.items.labels.tolist() == ["2020-01-02", "2021-01-02"]


# ---- wide tables --------------------------------------------------------------------------------------


def test_wide_by_hand():
    data = read_table(pa.table(ANSWERS), **WIDE, annotator="reader")
    assert data.items.labels.tolist() == ["milk", "tea 2", "tea 10"]
    assert data.annotators.labels.tolist() == ["bob", "ü"]
    np.testing.assert_array_equal(data.shown, [[1, 2], [2, 0], [0, 1], [0, 2]])
    np.testing.assert_array_equal(data.outcome, [0, 1, 2, 3])
    np.testing.assert_array_equal(data.count, [2, 1, 1, 1])
    np.testing.assert_array_equal(data.annotator, [1, 0, 1, 0])
    assert data.presentation == "recorded" and data.has_ties and data.has_none


@pytest.mark.parametrize("seed", range(3))
def test_row_order_does_not_matter(seed):
    frame = pd.DataFrame(ANSWERS)
    mixed = frame.sample(frac=1, random_state=seed)
    one, two = read_table(frame, **EVERYTHING), read_table(mixed, **EVERYTHING)
    assert as_rows(one) == as_rows(two)
    assert one.items.labels.tolist() == two.items.labels.tolist()
    np.testing.assert_allclose(one.design.feature_scale, two.design.feature_scale, rtol=1e-6)
    np.testing.assert_array_equal(one.design.annotator_answers, two.design.annotator_answers)


def test_renaming_items_changes_only_labels():
    frame = pd.DataFrame(ANSWERS)
    names = {"milk": "A", "tea 2": "B", "tea 10": "C"}
    renamed = read_table(frame.replace({"left": names, "right": names}), **WIDE)
    data = read_table(frame, **WIDE)
    np.testing.assert_array_equal(renamed.shown, data.shown)
    assert renamed.items.labels.tolist() == [names[label] for label in data.items.labels]


def test_counts_stand_for_rows():
    frame = pd.DataFrame(ANSWERS)
    expanded = frame.loc[frame.index.repeat(frame["times"])]
    assert same(read_table(frame, **WIDE, count="times"), read_table(expanded, **WIDE))


@pytest.mark.parametrize(
    ("labels", "outcomes"),
    [
        ([0, 1, 2, 0, 3], {0: "left", 1: "right", 2: "tie", 3: "none"}),
        ([1.0, 2.0, 0.0, 1.0, 9.0], {1: 0, 2: 1, 0: "tie", 9: "none"}),
        (
            ["A", "B", "=", "A", "both bad"],
            {"A": "left", "B": 1, "=": "tie", "both bad": "none", "unused": 0},
        ),
        (["tea 2", "milk", "tie", "tea 2", "none"], None),
    ],
)
def test_every_way_to_say_the_outcome(labels, outcomes):
    frame = ANSWERS | {"choice": labels}
    assert same(read_table(pa.table(frame), **WIDE, outcomes=outcomes), read_table(pa.table(ANSWERS), **WIDE))


@pytest.mark.parametrize("written", [True, False])
def test_booleans_with_their_meaning(tmp_path, written):
    table = pa.table({"left": ["a", "b"], "right": ["b", "c"], "first": [True, False]})
    source = write(tmp_path / "a.csv", table) if written else table
    data = read_table(source, shown=("left", "right"), outcome="first", outcomes={True: 0, False: 1})
    np.testing.assert_array_equal(data.outcome, [0, 1])


def test_whole_numbers_may_be_ids_where_they_cannot_be_positions():
    table = pa.table({"left": [17, 5], "right": [5, 23], "best": [5, 23]})
    data = read_table(table, shown=("left", "right"), outcome="best")
    assert data.items.labels.tolist() == ["5", "17", "23"]
    np.testing.assert_array_equal(data.outcome, [1, 1])


def test_an_item_may_be_called_none():
    table = pa.table({"left": ["none", "A"], "right": ["A", "B"], "y": ["left", "none"]})
    data = read_table(table, shown=("left", "right"), outcome="y")
    np.testing.assert_array_equal(data.outcome, [0, 3])


def test_ragged_sets():
    table = pd.DataFrame({"a": ["x", "y"], "b": ["y", "z"], "c": ["z", None], "best": ["z", "y"]})
    data = read_table(table, shown=("a", "b", "c"), outcome="best")
    np.testing.assert_array_equal(data.shown, [[0, 1, 2], [1, 2, -1]])
    np.testing.assert_array_equal(data.outcome, [2, 0])
    assert data.ragged


def test_wide_availability():
    table = pa.table({"a": ["x", "x"], "b": ["y", "y"], "c": ["z", "z"], "a_there": [0, 1], "there": [1, 1]})
    data = read_table(table, shown=("a", "b", "c"), available=("a_there", "there", "there"))
    np.testing.assert_array_equal(data.shown, [[-1, 1, 2], [0, 1, 2]])


def test_without_outcomes():
    assert read_table(pa.table(ANSWERS), shown=("left", "right")).outcome is None


def test_winner_and_loser_lose_the_order():
    rng = np.random.default_rng(0)
    items = np.array([f"item {i}" for i in range(12)])
    pairs = items[np.stack([rng.permutation(12)[:2] for _ in range(300)])]
    data = read_table(
        pa.table({"chosen": pairs[:, 0], "rejected": pairs[:, 1]}), winner="chosen", loser="rejected"
    )
    assert data.presentation == "lost"
    assert as_rows(data) == sorted((winner, tuple(sorted((winner, loser)))) for winner, loser in pairs)
    first = np.asarray(data.count)[np.asarray(data.outcome) == 0].sum()
    assert abs(first - 150) < 35  # 4 standard deviations of 300 fair coins


# ---- attributes ---------------------------------------------------------------------------------------


def test_attributes_without_ids_make_items():
    table = pa.table(
        {
            "price_a": [24.0, 24.0, 10.0],
            "price_b": [10.0, 30.5, 24.0],
            "time_a": [2.5, 2.5, 1.0],
            "time_b": [1.0, 2.5, 2.5],
            "y": ["a", "b", "b"],
        }
    )
    data = read_table(table, shown=("a", "b"), outcome="y", attributes=("price", "time"))
    assert data.items.labels.tolist() == ["price=10, time=1", "price=24, time=2.5", "price=30.5, time=2.5"]
    np.testing.assert_array_equal(data.items.features, [[10, 1], [24, 2.5], [30.5, 2.5]])
    np.testing.assert_array_equal(data.shown, [[1, 0], [1, 2], [0, 1]])
    assert data.feature_names == ("price", "time")
    named = {"price": ("price_a", "price_b"), "time": ("time_a", "time_b")}
    assert same(data, read_table(table, shown=("a", "b"), outcome="y", attributes=named))


def test_vectors_are_told_apart_in_double_precision():
    table = pa.table({"a_x": [1.0, 3.0], "b_x": [1.0 + 1e-12, 1.0], "y": ["a", "b"]})
    data = read_table(table, shown=("a", "b"), outcome="y", attributes=("x",))
    assert data.items.size == 3
    assert len(set(data.items.labels)) == 3
    assert data.items.features.dtype == np.float32


def test_attributes_with_ids_stay_on_what_was_shown():
    data = read_table(pa.table(ANSWERS), **WIDE, attributes=("price",))
    assert data.items.columns == {} and data.feature_names == ("price",)
    np.testing.assert_array_equal(data.features[0], [[1.0], [2.5]])
    assert data.features.shape == (len(data), 2, 1)


def test_attributes_of_ragged_sets():
    table = pd.DataFrame({"x1": [1.0, 2.0], "x2": [2.0, 3.0], "x3": [3.0, np.nan], "y": ["3", "1"]})
    data = read_table(table, shown=("1", "2", "3"), outcome="y", attributes=("x",))
    np.testing.assert_array_equal(data.shown, [[0, 1, 2], [1, 2, -1]])
    np.testing.assert_array_equal(data.outcome, [2, 0])


# ---- item and annotator frames ------------------------------------------------------------------------

ITEMS = {"name": ["tea 10", "water", "tea 2", "milk"], "size": [10.0, 0.0, 2.0, 5.0], "length": [6, 5, 5, 4]}


@pytest.mark.parametrize("item_id", ["name", None])
def test_items_frame(tmp_path, item_id):
    frame = write(tmp_path / "items.csv", pa.table(ITEMS))
    data = read_table(
        pa.table(ANSWERS), **WIDE, items=frame, item_id=item_id, features=("size",), item_columns=("length",)
    )
    assert data.items.labels.tolist() == ["milk", "tea 2", "tea 10", "water"]
    np.testing.assert_array_equal(data.items.features[:, 0], [5, 2, 10, 0])
    np.testing.assert_array_equal(data.items.columns["length"], [4, 5, 6, 5])
    np.testing.assert_array_equal(data.shown[0], [1, 2])
    np.testing.assert_array_equal(data.design.item_answers[3], 0.0)


def test_rows_of_a_frame_may_repeat_where_they_agree():
    twice = {name: column * 2 for name, column in ITEMS.items()}
    once, again = (
        read_table(pa.table(ANSWERS), **WIDE, items=pa.table(frame), features=("size", "length"))
        for frame in (ITEMS, twice)
    )
    assert same(once, again)


def test_joining_later_is_joining_at_once():
    shown_only = {name: [column[i] for i in (0, 2, 3)] for name, column in ITEMS.items()}
    at_once = read_table(
        pa.table(ANSWERS), **WIDE, items=pa.table(shown_only), features=("size",), item_columns=("length",)
    )
    later = join_items(
        read_table(pa.table(ANSWERS), **WIDE), pl.DataFrame(ITEMS), item="name", features=("size",)
    )
    assert same(at_once, later)


def test_annotators_frame():
    people = pa.table({"who": ["zoe", "ü", "bob"], "age": [70, 30, 40]})
    data = read_table(
        pa.table(ANSWERS), **WIDE, annotator="reader", annotators=people, annotator_columns=("age",)
    )
    assert data.annotators.labels.tolist() == ["bob", "zoe", "ü"]
    np.testing.assert_array_equal(data.annotators.columns["age"], [40, 70, 30])
    np.testing.assert_array_equal(data.design.annotator_answers, [2, 0, 3])


# ---- long tables --------------------------------------------------------------------------------------


def long_form(wide: pd.DataFrame, positions) -> pd.DataFrame:
    rows = []
    for choice, row in wide.iterrows():
        for name in positions:
            rows.append(
                {
                    "chid": f"c{choice}",
                    "alt": row[name],
                    "chosen": row["choice"] == name,
                    "reader": row["reader"],
                    "hour": row["hour"],
                    "price": row[f"{name}_price"],
                }
            )
    return pd.DataFrame(rows)


LONG = {"choice_id": "chid", "alternative": "alt", "chosen": "chosen", "annotator": "reader"}


def test_long_is_wide():
    wide = pd.DataFrame(ANSWERS | {"choice": ["left", "right", "right", "left", "left"]})
    options = {"row_columns": "hour", "annotator": "reader"}
    one = read_table(wide, **WIDE, **options, attributes=("price",))
    long = long_form(wide, ("left", "right"))
    two = read_table(long, **(LONG | options), attributes=("price",), presentation="recorded")
    assert same(one, two)
    lost = read_table(long, **LONG)
    assert lost.presentation == "lost" and as_rows(lost) == as_rows(one)
    vectors = read_table(wide.drop(columns=["left", "right"]), **WIDE, attributes=("price",))
    alone = {"choice_id": "chid", "chosen": "chosen", "attributes": ("price",), "presentation": "recorded"}
    assert same(vectors, read_table(long.drop(columns="alt"), **alone))


def test_long_rows_of_a_choice_need_not_be_neighbours():
    long = long_form(pd.DataFrame(ANSWERS).assign(choice="right"), ("left", "right"))
    spread = long.sort_values("chosen", kind="stable")
    options = LONG | {"presentation": "recorded"}
    assert same(read_table(long, **options), read_table(spread, **options))


def test_long_ragged_sets_leave_out_what_was_not_available():
    table = pa.table(
        {
            "person": [1, 1, 1, 1, 1, 2, 2, 2],
            "task": [1, 1, 1, 2, 2, 1, 1, 1],
            "mode": ["bus", "car", "train", "car", "train", "bus", "car", "train"],
            "picked": [0, 1, 0, 0, 1, 1, 0, 0],
            "there": [1, 1, 1, 1, 1, 1, 0, 1],
            "length": [4, 5, 6, 7, 8, 1, 2, 3],
        }
    )
    data = read_table(
        table,
        choice_id=("person", "task"),
        alternative="mode",
        chosen="picked",
        available="there",
        annotator="person",
        shown_columns={"length": "length"},
        presentation="recorded",
        keep_rows=True,
    )
    np.testing.assert_array_equal(data.shown, [[0, 1, 2], [1, 2, -1], [0, 2, -1]])
    np.testing.assert_array_equal(data.outcome, [1, 1, 0])
    np.testing.assert_array_equal(data.annotator, [0, 0, 1])
    np.testing.assert_array_equal(data.shown_columns["length"], [[4, 5, 6], [7, 8, 0], [1, 3, 0]])
    assert [rows.tolist() for rows in data.source_rows] == [[0, 1, 2], [3, 4], [5, 6, 7]]


# ---- guesses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "guess"),
    [
        (
            "question_id model_a model_b winner judge turn",
            {"shown": ("model_a", "model_b"), "outcome": "winner", "annotator": "judge"},
        ),
        ("Left Right Choice Count", {"shown": ("Left", "Right"), "outcome": "Choice", "count": "Count"}),
        ("prompt chosen rejected", {"winner": "chosen", "loser": "rejected"}),
        ("winner loser worker rater", {"winner": "winner", "loser": "loser"}),
        ("worker left right label", {"shown": ("left", "right"), "outcome": "label", "annotator": "worker"}),
        (
            "chid alt choice price respondent",
            {"choice_id": "chid", "alternative": "alt", "chosen": "choice", "annotator": "respondent"},
        ),
        ("option_1 option_2", {"shown": ("option_1", "option_2")}),
    ],
)
def test_guesses(names, guess):
    assert guess_columns(names.split()) == guess


def test_a_guess_reads_the_table():
    table = pa.table({"a": ["x", "y"], "b": ["y", "z"], "preference": ["a", "tie"]})
    assert read_table(table, **guess_columns(table.column_names)).has_ties


# ---- DataTree -----------------------------------------------------------------------------------------


def full_example() -> Comparisons:
    data = read_table(
        pa.table(ANSWERS),
        **(EVERYTHING | {"attributes": None}),
        items=pa.table(ITEMS | {"shown": [1, 2, 3, 4], "features": [1.5, 2.5, 3.5, 4.5]}),
        item_columns=("length", "shown"),
        features=("size",),
        annotators=pa.table({"who": ["ü", "bob"], "index": [1, 2]}),
        annotator_columns=("index",),
        keep_rows=False,
    )
    return data.replace(
        row_columns=data.row_columns | {"count": data.count * 7, "matrix": jnp.ones((len(data), 3))}
    )


EXAMPLES = {
    "full": full_example,
    "attributes": lambda: read_table(pa.table(ANSWERS), **EVERYTHING),
    "simulate": lambda: read_table(pa.table(ANSWERS), shown=("left", "right")),
    "ragged": lambda: Comparisons.from_arrays([[0, 1, -1], [2, 1, 0]], [4, 2], items=["a", "日本", "ß "]),
    "lost": lambda: Comparisons.from_arrays([[0, 1]], [0], presentation="lost"),
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("stored", [False, True])
def test_datatree_round_trip(tmp_path, name, stored):
    data = EXAMPLES[name]()
    tree = to_datatree(data)
    if stored:
        tree.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
        tree = xr.open_datatree(tmp_path / "data.nc", engine="h5netcdf")
    again = from_datatree(tree)
    tree.close()
    assert same(again, data)
    fields = "response presentation has_ties has_none ragged feature_names".split()
    assert [getattr(again, field) for field in fields] == [getattr(data, field) for field in fields]
    assert again.items.feature_names == data.items.feature_names
    assert again.items.labels.tolist() == data.items.labels.tolist()
    for mine, theirs in ((again.items, data.items), (again, data)):
        columns = "columns" if mine is again.items else "row_columns"
        for key, value in getattr(theirs, columns).items():
            np.testing.assert_array_equal(getattr(mine, columns)[key], value)
            assert getattr(mine, columns)[key].dtype == value.dtype
    assert (again.outcome is None) == (data.outcome is None)
    assert repr(again) == repr(data)


def test_datatree_has_the_users_labels():
    tree = to_datatree(full_example())
    assert tree["constant_data"]["item"].values.tolist() == ["milk", "tea 2", "tea 10", "water"]
    assert tree["constant_data"]["annotator"].values.tolist() == ["bob", "ü"]
    assert tree["constant_data"]["item_features"].dims == ("item", "feature")
    assert tree["observed_data"]["outcome"].dims == ("comparison",)
    assert "observed_data" not in to_datatree(EXAMPLES["simulate"]()).children


def test_datatree_that_lacks_something():
    tree = to_datatree(EXAMPLES["attributes"]())
    with pytest.raises(ValueError, match=r"group constant_data; got groups \['observed_data'\]"):
        from_datatree(xr.DataTree.from_dict({"observed_data": tree["observed_data"].to_dataset()}))
    for variable in ("shown", "count", "row_hour", "answered_by"):
        partial = tree["constant_data"].to_dataset().drop_vars(variable)
        with pytest.raises(ValueError, match=f"holds '{variable}'"):
            from_datatree(xr.DataTree.from_dict({"constant_data": partial}))
    with pytest.raises(ValueError, match="written by to_datatree"):
        from_datatree(xr.DataTree.from_dict({"constant_data": xr.Dataset()}))
