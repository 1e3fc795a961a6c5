"""Every way we know to give bad data, and the sentence it is refused with."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayespref.comparisons import Comparisons, Items
from bayespref.io.guess import guess_columns
from bayespref.io.table import join_items, read_table

WIDE = {"left": ["a", "b", "c"], "right": ["b", "c", "a"], "y": ["left", "right", "tie"]}
LONG = {
    "case": ["u", "u", "u", "v", "v", "v"],
    "alt": ["x", "y", "z"] * 2,
    "chosen": [1, 0, 0, 0, 1, 0],
    "who": ["p", "p", "p", "q", "q", "q"],
    "there": [1, 1, 1, 1, 1, 1],
    "price": [1.0, 2.0, 3.0, 2.0, 1.0, 5.0],
}
ITEMS = {"name": ["a", "b", "c"], "size": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"]}


def wide(change=None, **options):
    """Read a good wide table with some columns and some options changed."""
    table = pd.DataFrame(WIDE | (change or {}))
    return lambda: read_table(table, **({"shown": ("left", "right"), "outcome": "y"} | options))


def long(change=None, **options):
    """Read a good long table with some columns and some options changed."""
    table = pd.DataFrame(LONG | (change or {}))
    keywords = {"choice_id": "case", "alternative": "alt", "chosen": "chosen"}
    return lambda: read_table(table, **(keywords | options))


def arrays(*values, **options):
    return lambda: Comparisons.from_arrays(*values, **options)


def items(change=None, **options):
    """Read a good wide table with an items frame that was changed."""
    return wide(
        items=pd.DataFrame(ITEMS | (change or {})), **({"item_id": "name", "features": ("size",)} | options)
    )


AB = {"a_x": [1.0, 2.0], "b_x": [2.0, 3.0], "y": ["a", "b"]}


def vectors(change=None, **options):
    """Read a good wide table of attributes without ids, changed."""
    table = pd.DataFrame(AB | (change or {}))
    keywords = {"shown": ("a", "b"), "outcome": "y", "attributes": ("x",)}
    return lambda: read_table(table, **(keywords | options))


def features(values, **options):
    return Items({"features": np.array(values)}, len(values), **options)


CASES = {
    # the source
    "unknown suffix": (
        lambda: read_table("answers.xlsx", shown=("a", "b")),
        r"ending in \.csv.*'answers\.xlsx'",
    ),
    "no such file": (lambda: read_table("not/there.csv", shown=("a", "b")), "no file 'not/there.csv'"),
    "not a table": (lambda: read_table([1, 2], shown=("a", "b")), "path or a data frame .*; got a list"),
    "no rows": (lambda: read_table(pd.DataFrame(WIDE)[:0], shown=("left", "right")), "an empty table"),
    "two columns of one name": (
        lambda: read_table(pa.table([pa.array(["a"])] * 2, names=["x", "x"]), shown=("x", "y")),
        "columns of the table have different names; got .*'x' 2 times",
    ),
    "mixed types": (wide({"left": ["a", 1, 2.5]}), "values of one type"),
    # which columns
    "unknown column": (wide(outcome="Y"), r"outcome names a column .* columns: left, right, y"),
    "misspelt column": (wide(annotator="rigth"), "Did you mean 'right'"),
    "half of the positions": (
        wide(shown=("left", "rihgt")),
        "each position in shown .* Did you mean 'right'",
    ),
    "no position, no attributes": (wide(shown=("p", "q")), "without attributes, each position in shown"),
    "one position": (wide(shown=("left",)), "two or more different positions"),
    "a position called tie": (wide(shown=("left", "tie")), "not called 'tie' or 'none'"),
    "nothing said": (wide(shown=None, outcome=None), "in one way: .*; got none of them"),
    "two forms at once": (wide(choice_id="left"), "in one way: .*; got 2 of them"),
    "winner without loser": (
        wide(shown=None, outcome=None, winner="left"),
        "winner and loser are given together",
    ),
    "outcome of winners": (wide(shown=None, winner="left", loser="right"), "got outcome in a winner table"),
    "chosen of a wide table": (wide(chosen="y"), "got chosen in a wide table"),
    "order of winners": (
        wide(shown=None, outcome=None, winner="left", loser="right", presentation="recorded"),
        "has lost the order",
    ),
    "unknown presentation": (wide(presentation="random"), "'recorded' or 'lost'; got 'random'"),
    "attribute columns not found": (vectors(attributes=("z",)), "a_z, b_z; z_a, z_b; .*Name the columns"),
    "attribute with too few columns": (vectors(attributes={"x": ("a_x",)}), "'x' has one column for each"),
    "no guess": (lambda: guess_columns(["x", "y"]), "say what was shown.*columns x, y"),
    # ids
    "missing id": (wide({"left": ["a", None, "c"]}), r"column 'left' .* missing ids in 1 row\(s\).*: 1\."),
    "empty id": (wide({"right": ["b", "c", ""]}), r"column 'right' .* missing ids in 1 row\(s\).*: 2\."),
    "NaN id": (wide({"right": [1.0, np.nan, 2.0]}), r"column 'right' .* missing ids in 1 row\(s\).*: 1\."),
    "missing annotator": (
        wide({"who": ["p", None, "q"]}, annotator="who"),
        r"every row has an annotator.*: 1\. Drop these rows, give",
    ),
    "comparison with itself": (wide({"right": ["b", "b", "a"]}), r"itself in 1 row\(s\).*: 1\."),
    "ids written in two ways": (
        wide({"left": ["1", "2", "3"], "right": ["2.0", "3.0", "1.0"]}),
        "written in one way; got '2' and '2.0'",
    ),
    "id that is a list": (wide({"left": [["a"], ["b"], ["c"]]}), "holds text or numbers"),
    "set of one": (
        lambda: read_table(
            pd.DataFrame({"a": ["x"], "b": ["y"], "u": [0]}), shown=("a", "b"), available=("u", "u")
        ),
        "at least two things",
    ),
    # outcomes
    "unknown outcome": (wide({"y": ["left", "Right", "tie"]}), r"'Right' in 1 row\(s\).*: 1\. .*outcomes="),
    "winner not in its row": (
        wide({"y": ["a", "a", "a"]}),
        r"id of an item in its row; got 'a' in 1 row\(s\).*: 1\.",
    ),
    "missing outcome": (
        wide({"y": ["left", None, "tie"]}),
        r"every row has an outcome.*: 1\. .*outcome=None",
    ),
    "outcome not in outcomes": (
        wide(outcomes={"left": 0, "right": 1}),
        r"every outcome label is in outcomes; got 'tie' in 1 row\(s\).*: 2\.",
    ),
    "outcomes that mean nothing": (
        wide(outcomes={"left": "first"}),
        "maps labels to 'left', 'right'.*got 'first'",
    ),
    "outcomes beyond the columns": (
        wide(outcomes={"left": 2}),
        "a column index below 2; got 2 for label 'left'",
    ),
    "outcomes by truth": (wide(outcomes={"left": True}), "a column index below 2; got True"),
    "outcomes without outcome": (wide(outcome=None, outcomes={"left": 0}), "outcomes without outcome"),
    "integer outcome": (
        wide({"y": [0, 1, 0]}),
        "numbers in the outcome column.*got 0, 1.*outcomes={0: 'left'",
    ),
    "boolean outcome": (wide({"y": [True, False, True]}), "numbers in the outcome column.*got true, false"),
    "integers that could be ids": (
        wide({"left": [0, 1, 2], "right": [1, 2, 0], "y": [0, 1, 2]}),
        "numbers in the outcome column",
    ),
    "ambiguous outcome": (
        wide({"left": ["right", "left", "right"], "right": ["left", "right", "left"]}),
        "an outcome label means one thing.*Say what they mean",
    ),
    "an item called tie": (
        wide({"left": ["tie", "b", "tie"], "right": ["b", "tie", "b"], "y": ["tie", "b", "b"]}),
        "an outcome label means one thing",
    ),
    "outcome out of range": (arrays([[0, 1]], [4]), r"between 0 and 3 .*outcome 4 in 1 row\(s\).*: 0\."),
    "fractional outcome": (arrays([[0, 1]], [0.5]), "outcomes are integers.*dtype float64"),
    "an empty column chosen": (arrays([[0, 1, -1]], [2]), "what is chosen was shown"),
    "outcomes of other length": (arrays([[0, 1]], [0, 1]), "'outcome' has one entry for each row, 1"),
    # counts and columns
    "negative count": (
        wide({"n": [1, -1, 1]}, count="n"),
        r"positive integers; got count -1 in 1 row\(s\).*: 1\.",
    ),
    "zero count": (wide({"n": [1, 1, 0]}, count="n"), "count 0 .* stand for no answer"),
    "fractional count": (wide({"n": [1, 0.5, 1]}, count="n"), "count 0.5 .* are weights, not counts"),
    "missing count": (wide({"n": [1, None, 1]}, count="n"), r"count nan in 1 row\(s\).*: 1\."),
    "text as a number": (
        wide({"time": ["1", "2", "soon"]}, row_columns="time"),
        r"'time' \(row_columns\) holds numbers; got text such as 'soon' in 1 row\(s\).*: 2\.",
    ),
    "a date as a number": (
        wide({"day": pd.to_datetime(["2020-01-01"] * 3)}, row_columns="day"),
        r"'day' \(row_columns\) holds numbers; got type timestamp",
    ),
    "NaN in a row column": (
        wide({"t": [1, np.nan, 2]}, row_columns="t"),
        r"finite numbers.* 1 row\(s\).*: 1\.",
    ),
    "a number too large": (
        wide({"t": [2**40, 1, 2]}, row_columns="t"),
        r"between -2\*\*31 and 2\*\*31; got 1099511",
    ),
    "NaN attribute": (vectors({"a_x": [1.0, np.nan]}), r"attribute 'x' .* 1 row\(s\).*: 1\. Fill"),
    "infinite attribute": (vectors({"b_x": [np.inf, 1.0]}), r"attribute 'x' .* 1 row\(s\).*: 0\."),
    "text attribute": (vectors({"b_x": ["cheap", "dear"]}), "holds numbers; got text such as 'cheap'"),
    "constant attribute": (
        wide({"left_x": [1, 2, 3], "right_x": [1, 2, 3]}, attributes=("x",)),
        "every feature differs.*got feature 'x'",
    ),
    # item and annotator frames
    "item missing from its frame": (items({"name": ["a", "b", "z"]}), "1 missing, such as 'c'. Add a row"),
    "one item, two rows that differ": (
        wide(
            items=pd.DataFrame({"name": list("abca"), "size": [1.0, 2, 4, 9]}),
            item_id="name",
            features="size",
        ),
        r"one item has one row .*different 'size' for 'a' in 1 row\(s\).*: 3\.",
    ),
    "text as a feature": (items(features=("colour",)), "'colour' .* holds numbers; got text such as 'red'"),
    "gap in a feature": (
        items({"size": [1.0, np.nan, 2.0]}),
        r"'size' of the items frame .* 1 row\(s\).*: 1\.",
    ),
    "which column holds the ids": (items(item_id=None), "item_id names the column of ids.*2 columns of text"),
    "features without items": (wide(features=("size",)), "columns of the items frame; got no items frame"),
    "an items frame without ids": (vectors(items=pd.DataFrame(ITEMS)), "joined by item ids"),
    "annotators without annotator": (wide(annotators=pd.DataFrame(ITEMS)), "no annotator column"),
    "annotator missing from its frame": (
        wide({"who": list("abz")}, annotator="who", annotators=pd.DataFrame(ITEMS), annotator_id="name"),
        "every annotator of the answers .* 1 missing, such as 'z'",
    ),
    "column joined twice": (
        lambda: join_items(wide()().with_item_columns({"size": [1, 2, 3]}), {"size": [1, 2, 3]}),
        "under new names; got 'size'",
    ),
    "joined column of other length": (lambda: join_items(wide()(), {"size": [1, 2]}), "each of 3 items"),
    "joined features not there": (
        lambda: join_items(wide()(), {"a": [1, 2, 3]}, features="b"),
        r"unknown \['b'\]",
    ),
    # long tables
    "two chosen": (long({"chosen": [1, 1, 0, 0, 1, 0]}), r"exactly one .*2 chosen for 1 choice id\(s\): 'u'"),
    "none chosen": (
        long({"chosen": [1, 0, 0, 0, 0, 0]}),
        r"exactly one .*none chosen for 1 choice id\(s\): 'v'",
    ),
    "chosen unavailable": (
        long({"there": [0, 1, 1, 1, 1, 1]}, available="there"),
        r"what is chosen was available.*choice id\(s\): 'u'",
    ),
    "choice among one": (
        long({"there": [1, 1, 1, 0, 1, 0]}, available="there"),
        r"at least two alternatives; got 1 for 1 choice id\(s\): 'v'",
    ),
    "annotator varies in a choice": (
        long({"who": list("ppqqqq")}, annotator="who"),
        r"the annotator is the same .*choice id\(s\): 'u'.*unique",
    ),
    "row column varies in a choice": (long(row_columns="price"), "'price' is the same in all rows"),
    "the same alternative twice": (
        long({"alt": list("xxzxyz")}),
        r"differ from each other.*choice id\(s\): 'u'",
    ),
    "missing choice id": (long({"case": [None, *"uuvvv"]}), r"every row has a choice id.*: 0\."),
    "missing alternative": (long({"alt": ["x", None, *"zxyz"]}), r"every row has an alternative.*: 1\."),
    "chosen that is no flag": (long({"chosen": [2, 0, 0, 0, 1, 0]}), r"0/1 or false/true; got '2' in 1 row"),
    "NaN attribute of an alternative": (
        long({"price": [1, np.nan, 3, 2, 1, 5]}, attributes=("price",)),
        r"attribute 'price' .* 1 row\(s\).*: 1\.",
    ),
    "nothing shown": (long(alternative=None), "neither alternative nor attributes"),
    "attributes by position": (long(attributes={"price": ("price",)}), "a sequence of columns"),
    # arrays
    "one thing shown": (arrays([[0]], [0]), r"shape \(1, 1\)"),
    "no comparisons": (arrays(np.zeros((0, 2), int), []), "an empty table"),
    "indices that are not whole": (arrays([[0.0, 1.0]], [0]), "integer item indices"),
    "negative item": (arrays([[0, -2]], [0]), "item indices are >= 0"),
    "item out of range": (arrays([[0, 3]], [0], items=3), "below the number of items, 3"),
    "labels that repeat": (arrays([[0, 1]], [0], items=["a", "a"]), "item labels are unique; got 'a'"),
    "annotator out of range": (
        arrays([[0, 1]], [0], annotator=[2], annotators=["x"]),
        "number of annotators, 1",
    ),
    "negative annotator": (
        arrays([[0, 1]], [0], annotator=[-1]),
        "every answer has an annotator, or none has",
    ),
    "annotators nobody is": (arrays([[0, 1]], [0], annotators=["x"]), "annotators without annotator"),
    "text column": (
        arrays([[0, 1]], [0], row_columns={"c": np.array(["x"])}),
        "row column 'c' holds numbers",
    ),
    "shown column of other shape": (arrays([[0, 1]], [0], shown_columns={"c": [1, 2]}), r"shape \(1, 2\)"),
    "features without their axis": (
        arrays([[0, 1]], [0], items=features([1.0, 2.0])),
        "features have 2 axes",
    ),
    "too few feature names": (
        arrays([[0, 1]], [0], items=features([[1.0, 2.0], [2.0, 3.0]], feature_names=("x",))),
        "each of the 2 features has a name",
    ),
    "feature names that repeat": (
        arrays([[0, 1]], [0], items=features([[1.0, 2.0], [2.0, 3.0]], feature_names=("x", "x"))),
        "feature names are unique",
    ),
    "too many answers": (arrays([[0, 1]], [0], count=[2**31]), r"fewer than 2\*\*31"),
}


@pytest.mark.parametrize(("call", "match"), CASES.values(), ids=CASES)
def test_bad_data_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize("read", [wide(), long(annotator="who", available="there"), items(), vectors()])
def test_the_tables_that_were_spoilt_are_good(read):
    assert read().answers >= 2


def test_a_file_that_is_no_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(ValueError, match=r"the table can be read; got 'a\.csv'"):
        read_table(path, shown=("a", "b"))
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(ValueError, match="different names; got 'a' more than once"):
        read_table(path, shown=("a", "b"))
    path.write_text("")
    with pytest.raises(ValueError, match="the table can be read"):
        read_table(path, shown=("a", "b"))


def test_gaps_and_words_in_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("left,right,n,m\na,b,1,1\nb,NA,2,x\n")
    with pytest.raises(ValueError, match=r"'right' .* missing ids in 1 row\(s\).*: 1\."):
        read_table(path, shown=("left", "right"))
    path.write_text("left,right,n,m\na,b,1,1\nb,c,,x\n")
    with pytest.raises(ValueError, match="count nan"):
        read_table(path, shown=("left", "right"), count="n")
    with pytest.raises(ValueError, match=r"text such as 'x' in 1 row\(s\).*: 1\."):
        read_table(path, shown=("left", "right"), count="m")
