"""Parquet files read a batch at a time: the same comparisons as when read whole."""

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from jax import monitoring

import bayespref as bp
from bayespref.io import stream


@pytest.fixture
def table():
    """3,000 answers of which a third differ; gaps, counts, dictionaries, prices."""
    rng, n = np.random.default_rng(0), 3000
    left = rng.integers(9, size=n)
    right = (left + 1 + rng.integers(7, size=n)) % 9
    said = rng.choice(["left", "right", "tie"], n)
    price = rng.integers(3, size=(n, 2)).astype(float)
    return pa.table(
        {
            "left": pa.array([f"model {i}" for i in left]).dictionary_encode(),
            "right": [f"model {i}" for i in right],
            "third": [None if i % 3 else "model 10" for i in range(n)],
            "choice": said,
            "reader": rng.integers(5, size=n),
            "day": rng.integers(2, size=n),
            "left_price": price[:, 0],
            "right_price": price[:, 1],
            "times": rng.integers(1, 4, size=n),
        }
    )


FORMS = {
    "pairs": {"shown": ("left", "right"), "outcome": "choice"},
    "annotators and counts": {
        "shown": ("left", "right"),
        "outcome": "choice",
        "annotator": "reader",
        "row_columns": ("day",),
        "count": "times",
    },
    "prices": {"shown": ("left", "right"), "outcome": "choice", "attributes": "price"},
    "prices by name": {
        "shown": ("left", "right"),
        "outcome": "choice",
        "shown_columns": {"price": ("left_price", "right_price")},
    },
    "ranking": {"ranking": ("left", "right", "third")},
}


@pytest.mark.parametrize("batch", [1 << 20, 170])
@pytest.mark.parametrize("form", FORMS)
def test_a_streamed_file_is_the_same_comparisons(tmp_path, monkeypatch, table, form, batch):
    monkeypatch.setattr(stream, "BATCH", batch)
    path = tmp_path / "answers.parquet"
    parquet.write_table(table, path, row_group_size=500)
    whole = bp.read_table(path, **FORMS[form])
    streamed = bp.read_table(path, stream=True, **FORMS[form])
    assert list(whole.items.labels) == list(streamed.items.labels)
    if form == "ranking":  # sides are shuffled by row, of which there are fewer
        assert streamed.answers == whole.answers and len(streamed) < len(whole)
        return
    assert jax.tree.structure(whole) == jax.tree.structure(streamed)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(streamed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_refusals_say_which_rows_they_mean(tmp_path, table):
    said = table.column("choice").to_pylist()
    said[2000] = "neither?"
    wrong = table.set_column(table.column_names.index("choice"), "choice", pa.array(said))
    path = tmp_path / "answers.parquet"
    parquet.write_table(wrong, path)
    pair = {"shown": ("left", "right"), "outcome": "choice", "stream": True}
    with pytest.raises(ValueError, match=r"'neither\?' in 1 row\(s\).*distinct rows of the file"):
        bp.read_table(path, **pair)
    for got, source, more in [
        ("keep_rows=True", path, {"keep_rows": True}),
        ("columns: left, right", path, {"annotator": "raeder"}),
        ("a Table", table, {}),
        ("no file", tmp_path / "nothing.parquet", {}),
    ]:
        with pytest.raises(ValueError, match=got):
            bp.read_table(source, **pair, **more)


def test_counts_are_checked_as_they_are_read(tmp_path, monkeypatch, table):
    """A count of -1 would vanish in a sum; its row is that of the file."""
    monkeypatch.setattr(stream, "BATCH", 170)
    times = table.column("times").to_numpy().copy()
    times[700] = -1
    wrong = table.set_column(table.column_names.index("times"), "times", pa.array(times))
    path = tmp_path / "answers.parquet"
    parquet.write_table(wrong, path)
    with pytest.raises(ValueError, match=r"count -1 in 1 row\(s\), counted from 0: 700"):
        bp.read_table(path, shown=("left", "right"), outcome="choice", count="times", stream=True)


def test_reading_a_table_compiles_nothing(tmp_path, table):
    """Every program costs tens of milliseconds, and a fit from a table is done in a second."""
    path, compiled = tmp_path / "answers.parquet", []
    parquet.write_table(table.slice(0, 1234), path)

    def listen(event: str, _: float, **__):
        compiled.append(event)

    monitoring.register_event_duration_secs_listener(listen)
    try:
        for form in FORMS.values():
            bp.read_table(path, **form)
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert not [event for event in compiled if "compile" in event]
