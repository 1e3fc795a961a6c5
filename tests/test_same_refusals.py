"""Bad tables: the same refusal from Python and from the command line, which exits with 2 and no traceback."""

import re

import jax
import pytest

import bayespref as bp
from bayespref import cli, models

PAIRS = {"shown": ("left", "right"), "outcome": "choice"}
RATED = {**PAIRS, "annotator": "reader"}
LONG = {"choice_id": "set", "alternative": "item", "chosen": "won"}
PRICED = {**PAIRS, "attributes": ("price",)}
PRICES = "left_price,right_price,choice"

# name: (text of the table, keywords of read_table, pattern)
TABLES = {
    "unknown outcome label": (
        "left,right,choice\na,b,left\nb,c,neither\n",
        PAIRS,
        r"neither.*rows?.*1",
    ),
    "self-comparison": ("left,right,choice\na,b,left\nc,c,right\n", PAIRS, r"differ from each other.*: 1"),
    "missing item": ("left,right,choice\na,b,left\n,c,right\n", PAIRS, r"counted from 0: 1"),
    "missing outcome": ("left,right,choice\na,b,left\na,c,\n", PAIRS, r"counted from 0: 1"),
    "missing annotator": ("left,right,choice,reader\na,b,left,x\na,c,left,\n", RATED, r"counted from 0: 1"),
    "empty table": ("left,right,choice\n", PAIRS, r"empty table"),
    "unknown column": ("left,right,choice\na,b,left\n", {**PAIRS, "outcome": "choise"}, r"'choise'.*choice"),
    "half the columns": ("left,choice\na,left\n", PAIRS, r"right"),
    "numbers without meaning": ("left,right,choice\na,b,0\nb,c,1\n", PAIRS, r"outcomes"),
    "outcome out of range": (
        "left,right,choice\na,b,A\nb,c,B\n",
        {**PAIRS, "outcomes": {"A": 0, "B": 7}},
        r"7",
    ),
    "negative count": ("left,right,choice,n\na,b,left,3\na,c,left,-2\n", {**PAIRS, "count": "n"}, r"-2.*: 1"),
    "fraction of an answer": ("left,right,choice,n\na,b,left,1.5\n", {**PAIRS, "count": "n"}, r"1\.5"),
    "count of nothing": ("left,right,choice,n\na,b,left,0\n", {**PAIRS, "count": "n"}, r"positive integers"),
    "count in words": ("left,right,choice,n\na,b,left,many\n", {**PAIRS, "count": "n"}, r"many"),
    "attribute missing": (f"{PRICES}\n1,2,left\n,3,right\n", PRICED, r"counted from 0: 1"),
    "attribute in words": (f"{PRICES}\n1,2,left\ncheap,3,right\n", PRICED, r"cheap"),
    "attribute not there": ("left,right,choice\na,b,left\n", PRICED, r"price"),
    "constant attribute": (f"{PRICES}\n2,2,left\n2,2,right\n", PRICED, r"differ"),
    "two chosen": ("set,item,won\n1,a,1\n1,b,1\n", LONG, r"1"),
    "none chosen": ("set,item,won\n1,a,0\n1,b,0\n", LONG, r"chosen"),
    "a set of one": ("set,item,won\n1,a,1\n2,a,1\n2,b,0\n", LONG, r"at least two"),
    "two annotators in a choice": (
        "set,item,won,reader\n1,a,1,x\n1,b,0,y\n",
        {**LONG, "annotator": "reader"},
        r"annotator is the same",
    ),
    "an item twice with other attributes": (
        "left,right,choice\na,b,left\n",
        {**PAIRS, "items": "name,size\na,1\nb,2\na,3\n", "item_id": "name", "features": ("size",)},
        r"'?a'?",
    ),
    "an item without attributes": (
        "left,right,choice\na,c,left\n",
        {**PAIRS, "items": "name,size\na,1\nb,2\n", "item_id": "name", "features": ("size",)},
        r"'?c'?",
    ),
}

# name: (text of the table, keywords of read_table, model, pattern)
MODELS = {
    "effects without annotators": (
        "left,right,choice\na,b,left\n",
        PAIRS,
        "rationality_by_annotator",
        r"needs to know who answered",
    ),
    "ties without a model of ties": (
        "left,right,choice\na,b,left\na,b,tie\n",
        PAIRS,
        "bradley_terry",
        r"answers without ties.*davidson",
    ),
    "position of a lost order": (
        "yes,no\na,b\nb,c\n",
        {"winner": "yes", "loser": "no"},
        "bradley_terry_position",
        r"order in which things were shown",
    ),
    "tastes without attributes": (
        "left,right,choice,reader\na,b,left,x\n",
        RATED,
        "mixed_logit",
        r"attributes|features",
    ),
    "probit of three": (
        "p,q,r,choice\na,b,c,p\n",
        {"shown": ("p", "q", "r"), "outcome": "choice"},
        "thurstone",
        r"two things at a time",
    ),
}


def options(keywords, folder):
    """Keywords of read_table as options; the text of an item table becomes a file."""
    keywords, arguments = dict(keywords), []
    if "items" in keywords:
        keywords["items"] = folder / "items.csv"
    for name, value in keywords.items():
        if isinstance(value, dict):
            value = ",".join(f"{label}={code}" for label, code in value.items())
        elif isinstance(value, tuple):
            value = ",".join(value)
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    return keywords, arguments


def refused_by_cli(capsys, *arguments):
    """The one paragraph on standard error."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert stopped.value.code == 2 and out == "" and "Traceback" not in err
    return err.strip().splitlines()[-1]


@pytest.mark.parametrize("case", TABLES)
def test_tables(case, tmp_path, capsys):
    text, keywords, pattern = TABLES[case]
    (tmp_path / "answers.csv").write_text(text)
    if "items" in keywords:
        (tmp_path / "items.csv").write_text(keywords["items"])
    keywords, arguments = options(keywords, tmp_path)
    with pytest.raises(ValueError, match="; got ") as refused:
        bp.read_table(tmp_path / "answers.csv", **keywords)
    message = " ".join(str(refused.value).split())
    assert re.search(pattern, message), message
    assert refused_by_cli(capsys, "summarise", tmp_path / "answers.csv", *arguments) == f"error: {message}"


@pytest.mark.parametrize("case", MODELS)
def test_models(case, tmp_path, capsys):
    text, keywords, model, pattern = MODELS[case]
    (tmp_path / "answers.csv").write_text(text)
    keywords, arguments = options(keywords, tmp_path)
    answers = bp.read_table(tmp_path / "answers.csv", **keywords)
    with pytest.raises(ValueError, match="; got ") as refused:
        bp.nuts(jax.random.key(0), getattr(models, model), answers, progress=False)
    message = " ".join(str(refused.value).split())
    assert re.search(pattern, message), message
    command = ("fit", model, tmp_path / "answers.csv", "-o", tmp_path / "x.nc", "--method", "nuts")
    assert refused_by_cli(capsys, *command, *arguments) == f"error: {message}"
    assert not (tmp_path / "x.nc").exists()
