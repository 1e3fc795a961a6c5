"""The command line: every command on a small table, and every refusal with the library's own words."""

import json
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

import bayespref as bp
from bayespref import cli, gallery
from bayespref.cli_columns import Columns, read
from bayespref.wording import unit_of

ITEMS = ("ash", "birch", "cedar", "elm")


def write_arena(path, *, ties=0, judges=0, rows=120):
    """A table as model arenas publish it: two models, the winner, perhaps who judged."""
    rng = np.random.default_rng(5)
    worth = dict(zip(ITEMS, (0.9, 0.4, -0.3, -1.0), strict=True))
    lines = ["model_a,model_b,winner" + (",judge" if judges else "")]
    for row in range(rows):
        a, b = rng.choice(ITEMS, 2, replace=False)
        first = rng.random() < 1 / (1 + np.exp(worth[b] - worth[a]))
        winner = "tie" if row < ties else ("model_a" if first else "model_b")
        lines.append(f"{a},{b},{winner}" + (f",j{row % judges}" if judges else ""))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments):
    """Run the command line in this process; returns its exit code."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code
    return 0


def flat(text):
    return " ".join(text.split())


MODEL = '''
import bayespref as bp
from bayespref import behaviours, choices, rewards


def mine(comparisons, *, scale=1.0):
    """My own: one worth for each item."""
    log_density = rewards.item_table(comparisons, scale=scale)
    bp.observe(comparisons, choices.logit(behaviours.luce(log_density)[comparisons.shown]))


def silent(comparisons):
    rewards.item_table(comparisons)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables, a model file, and fits of a gallery model and of the file's."""
    folder = tmp_path_factory.mktemp("cli")
    write_arena(folder / "arena.csv", judges=6)
    write_arena(folder / "plain.csv")
    write_arena(folder / "tied.csv", ties=9)
    (folder / "own.py").write_text(MODEL)
    for model, table, name in [
        ("bradley_terry", "arena", "bt"),
        (f"{folder / 'own.py'}:mine", "arena", "mine"),
        ("bradley_terry", "plain", "plain"),
    ]:
        assert run("fit", model, folder / f"{table}.csv", "-o", folder / f"{name}.nc", "--draws", "500") == 0
    return folder


# ---- what works ------------------------------------------------------------------------------------------


def test_help_is_light():
    code = (
        "import sys; from bayespref import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'jax', 'numpyro', 'arviz', 'pandas', 'matplotlib', 'xarray'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(
        command in done.stdout
        for command in ("summarise", "fit", "rank", "check", "compare", "report", "models")
    )


def test_installed_command_refuses_without_traceback(tmp_path):
    command = [sys.executable, "-m", "bayespref.cli", "summarise", str(tmp_path / "none.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the table is a file") and "Traceback" not in done.stderr


def test_models_lists_the_gallery_in_one_line_each(capsys):
    assert run("models") == 0
    out = capsys.readouterr().out
    for name, line in gallery.gallery().items():
        assert callable(getattr(bp.models, name)) and line.endswith(".")
        assert re.search(rf"^{name} ", out, re.M) and line.split()[0] in out
    assert set(gallery.gallery()) == set(bp.models.__all__)


def test_summarise_prints_the_guess_and_the_summary(folder, capsys):
    assert run("summarise", folder / "arena.csv") == 0
    out, err = capsys.readouterr()
    assert "--shown model_a,model_b --outcome winner --annotator judge" in err and "guessed" in err
    assert "120 in" in out and "annotators" in out and "\x1b" not in out


def test_named_columns_are_not_guessed(folder, capsys):
    columns = ["--shown", "model_a,model_b", "--outcome", "winner"]
    assert run("summarise", folder / "arena.csv", *columns, "--json") == 0
    out, err = capsys.readouterr()
    assert err == "" and json.loads(out)["annotators"] is None
    assert (
        run("summarise", folder / "arena.csv", "--shown", "model_a", "--shown", "model_b", *columns[2:]) == 0
    )
    assert "not recorded" in capsys.readouterr().out


def test_outcomes_and_attributes(tmp_path, capsys):
    table = tmp_path / "tickets.csv"
    table.write_text("price1,price2,pick\n1,2,A\n2,1,B\n3,1,B\n1,3,A\n2,3,B\n")
    options = ["--shown", "1,2", "--outcome", "pick", "--outcomes", "A=1,B=2", "--attributes", "price"]
    assert run("summarise", table, *options, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["features"] == ["price"] and summary["first_share"] == 0.4


def test_fit_stores_where_its_model_is(folder):
    fit = bp.load(folder / "mine.nc")
    assert fit.attrs["model_spec"] == f"{folder / 'own.py'}:mine" and fit.attrs["seed"] == 0
    assert bp.load(folder / "bt.nc").attrs["method"] == "laplace"


def test_options_of_a_model(folder, tmp_path, capsys):
    output = tmp_path / "narrow.nc"
    assert run("fit", "bradley_terry", folder / "arena.csv", "-o", output, "--set", "scale=0.5") == 0
    out, err = capsys.readouterr()
    assert json.loads(bp.load(output).attrs["model_options"]) == {"scale": 0.5}
    assert "by laplace (chosen because" in err and "No problems found: k-hat" in out
    assert gallery.model_of(bp.load(output)).keywords == {"scale": 0.5}


def test_nuts_is_chosen_where_annotators_have_effects(folder, tmp_path, capsys, monkeypatch):
    def sampled(key, model, answers, *, chains=4, draws=1000, progress=True):
        assert (chains, progress) == (1, False)
        warnings.warn("not to be trusted", bp.FitWarning, stacklevel=2)
        fit = bp.load(folder / "bt.nc")
        fit.attrs["khat"] = 0.9
        return fit

    monkeypatch.setattr(bp, "nuts", sampled)
    few = ["--chains", "1", "--no-progress"]
    assert run("fit", "rationality_by_annotator", folder / "arena.csv", "-o", tmp_path / "r.nc", *few) == 0
    out, err = capsys.readouterr()
    assert "by nuts (chosen because annotators" in err
    assert "k-hat 0.90, should be" in flat(out) and "trusted" not in err  # the verdict is said once


def test_rank(folder, capsys):
    assert run("rank", folder / "bt.nc") == 0
    out = flat(capsys.readouterr().out)
    assert "rank item worth interval rank interval P(best)" in out and "No problems found" in out
    assert "equal-tailed with probability 0.89" in out and "cannot separate" in out
    assert run("rank", folder / "bt.nc", "--scale", "elo", "--anchor", "elm", "--json") == 0
    ranked = json.loads(capsys.readouterr().out)
    assert {item["item"] for item in ranked["items"]} == set(ITEMS)
    assert next(item for item in ranked["items"] if item["item"] == "elm")["worth"] == 1000
    assert ranked["problems"] == [] and ranked["scale"] == "elo"


def test_check(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    picture = folder / "checks.png"
    assert run("check", folder / "bt.nc", "--replicates", "59", "-o", picture) == 0
    out, err = capsys.readouterr()
    assert err == "checking bradley_terry against 59 replicated tables, seed 0\n"
    text = flat(out)
    assert text.startswith(("Nothing that these data can test", "bradley_terry fails"))
    assert "assumption surprise p adjusted p says" in text and "annotators are equally reliable" in text
    assert "No problems found" in text and picture.read_bytes().startswith(b"\x89PNG")
    assert run("check", folder / "bt.nc", "--replicates", "59", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "bradley_terry" and found["fit"] == str(folder / "bt.nc")
    assert flat(found["paragraph"]) in text and found["problems"] == []
    assert found["verdict"] in ("passes", "fails") and (found["verdict"] == "fails") == bool(found["culprit"])
    checks = {one["name"]: one for one in found["checks"]}
    assert 0 < checks["rationality"]["p_value"] <= checks["rationality"]["adjusted_p"] <= 1
    assert checks["drift"]["testable"] is False and "time of each answer" in checks["drift"]["needs"]
    assert checks["drift"]["statistic"] is None and checks["rationality"]["testable"] is True
    assert set(found["try_next"]) <= set(gallery.gallery())
    assert len(found["try_next_options"]) == len(found["try_next"])


def test_columns_of_the_answer_are_kept(tmp_path):
    table = tmp_path / "timed.csv"
    table.write_text("left,right,winner,when\na,b,left,1\nb,c,right,2\na,c,left,3\n")
    kept = read(table, Columns(shown=["left,right"], outcome="winner", row_columns=["when"])).row_columns
    assert sorted(np.asarray(kept["when"]).tolist()) == [1, 2, 3]


def test_compare(folder, capsys):
    assert run("compare", folder / "bt.nc", folder / "mine.nc") == 0
    out = flat(capsys.readouterr().out)
    assert out.startswith("Judged by annotator") and "mine No problems found" in out
    assert run("compare", folder / "bt.nc", folder / "mine.nc", "--by", "comparison", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["unit"] == "comparison" and {row["fit"] for row in table["table"]} == {"bt", "mine"}
    assert unit_of([bp.load(folder / "plain.nc"), bp.load(folder / "bt.nc")]) == "comparison"


def test_report(folder, capsys):
    output = folder / "report.html"
    assert run("report", folder / "bt.nc", folder / "mine.nc", "-o", output, "--no-check") == 0
    assert "written" in capsys.readouterr().out
    assert "Judged by annotator" in output.read_text()
    assert "Do the annotators" not in output.read_text()


def test_model_of_a_fit_made_in_python(folder, tmp_path):
    fit = bp.load(folder / "mine.nc")
    del fit.attrs["model_spec"]
    with pytest.raises(ValueError, match=r"--model path\.py:mine"):
        gallery.model_of(fit)
    assert gallery.model_of(fit, [f"{folder / 'own.py'}:mine"]).__name__ == "mine"
    fit = bp.load(folder / "bt.nc")
    del fit.attrs["model_spec"]
    assert gallery.model_of(fit) is bp.models.bradley_terry


# ---- what is refused -------------------------------------------------------------------------------------


def truncated(folder):
    whole = (folder / "bt.nc").read_bytes()
    path = folder / "truncated.nc"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def edited(folder):
    """A model file that changed after its fit."""
    path = folder / "edited.py"
    path.write_text(MODEL)
    output = folder / "edited.nc"
    assert run("fit", f"{path}:mine", folder / "plain.csv", "-o", output, "--draws", "500") == 0
    path.write_text(MODEL.replace("scale=scale", "scale=2 * scale"))
    return output


FIT = ("fit", "bradley_terry")
REFUSED = {
    "no table": (lambda f: ("summarise", f / "none.csv"), r"no file '.*none\.csv'"),
    "unknown column": (
        lambda f: ("summarise", f / "plain.csv", "--shown", "model_a,model_c", "--outcome", "winner"),
        r"names a column of the table; got 'model_c', with columns: model_a, model_b, winner",
    ),
    "unknown model": (
        lambda f: ("fit", "bradley_tery", f / "plain.csv", "-o", f / "x.nc"),
        r"a model is one of the gallery.*Did you mean 'bradley_terry'\?",
    ),
    "no model file": (
        lambda f: ("fit", f"{f}/none.py:mine", f / "plain.csv", "-o", f / "x.nc"),
        r"path\.py:function; got no file '.*none\.py'",
    ),
    "file without the function": (
        lambda f: ("fit", f"{f}/own.py:yours", f / "plain.csv", "-o", f / "x.nc"),
        r"no function 'yours' in '.*own\.py'\. It has mine, silent\.",
    ),
    "model without observe": (
        lambda f: ("fit", f"{f}/own.py:silent", f / "plain.csv", "-o", f / "x.nc"),
        r"a model states what was answered with bayespref\.observe",
    ),
    "unknown option": (
        lambda f: (*FIT, f / "plain.csv", "-o", f / "x.nc", "--set", "scal=2"),
        r"options of bradley_terry are scale=None; got 'scal'\. Did you mean 'scale'\?",
    ),
    "option read as text": (
        lambda f: (*FIT, f / "plain.csv", "-o", f / "x.nc", "--set", "scale=wide"),
        r"options of a model have values that it can use; got scale='wide'",
    ),
    "option without value": (
        lambda f: (*FIT, f / "plain.csv", "-o", f / "x.nc", "--set", "scale"),
        r"--set takes name=value; got 'scale'",
    ),
    "setting of another method": (
        lambda f: (*FIT, f / "plain.csv", "-o", f / "x.nc", "--chains", "2"),
        r"laplace has no setting chains.*--method nuts",
    ),
    "no folder": (lambda f: (*FIT, f / "plain.csv", "-o", f / "none" / "x.nc"), r"a folder that exists"),
    "ties": (
        lambda f: (*FIT, f / "tied.csv", "-o", f / "x.nc"),
        r"a model without ties is fitted to answers without ties; got tied answers under logit.*davidson",
    ),
    "truncated fit": (lambda f: ("rank", truncated(f)), r"a fit is a complete netCDF file"),
    "no fit": (lambda f: ("rank", f / "none.nc"), r"a fit is a netCDF file; got no file"),
    "unknown anchor": (
        lambda f: ("rank", f / "bt.nc", "--anchor", "oak"),
        r"the anchor is an item of the fit; got 'oak'",
    ),
    "check of no fit": (lambda f: ("check", f / "none.nc"), r"a fit is a netCDF file; got no file"),
    "check of a truncated fit": (lambda f: ("check", truncated(f)), r"a fit is a complete netCDF file"),
    "unknown time": (
        lambda f: ("check", f / "bt.nc", "--time", "when"),
        r"time is a row column, one of \[\]; got 'when'",
    ),
    "few replicates": (
        lambda f: ("check", f / "bt.nc", "--replicates", "20"),
        r"39 replicates or more and alpha in \(0, 1\); got 20",
    ),
    "no picture": (
        lambda f: ("check", f / "bt.nc", "-o", f / "checks.doc"),
        r"a picture is one of \.png, \.pdf, \.svg; got '.*checks\.doc'",
    ),
    "check of a changed model": (
        lambda f: ("check", edited(f)),
        r"a fit is judged by the model that made it \('mine', model_digest",
    ),
    "changed model": (
        lambda f: ("compare", edited(f), f / "plain.nc"),
        r"a fit is judged by the model that made it \('mine', model_digest",
    ),
    "no annotators": (
        lambda f: ("compare", f / "plain.nc", f / "bt.nc", "--by", "annotator"),
        r"a model by annotator needs to know who answered; got answers without annotators",
    ),
    "other answers": (
        lambda f: ("compare", f / "bt.nc", f / "plain.nc", "--by", "comparison"),
        r"results that are compared share one data",
    ),
    "one fit": (lambda f: ("compare", f / "bt.nc"), r"at least 2 fit\(s\); got 1"),
    "other answers in a report": (
        lambda f: ("report", f / "bt.nc", f / "plain.nc", "-o", f / "x.html"),
        r"fits in a report are of the same answers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_paragraph_and_exit_code_2(case, folder, capsys):
    arguments, message = REFUSED[case]
    command = arguments(folder)
    capsys.readouterr()
    assert run(*command) == 2
    out, err = capsys.readouterr()
    error = err.strip().splitlines()[-1]
    assert out == "" and error.startswith("error: ") and re.search(message, error), err
    assert "Traceback" not in err


def test_the_text_is_that_of_python(folder, capsys):
    with pytest.raises(ValueError) as refused:
        bp.read_table(folder / "plain.csv", shown=("model_a", "model_c"), outcome="winner")
    run(*REFUSED["unknown column"][0](folder))
    assert capsys.readouterr().err == f"error: {flat(str(refused.value))}\n"
    with pytest.raises(ValueError) as refused:
        bp.laplace(None, bp.models.bradley_terry, bp.read_table(folder / "tied.csv", **TIED))
    run(*REFUSED["ties"][0](folder))
    assert capsys.readouterr().err.endswith(f"error: {flat(str(refused.value))}\n")


TIED = {"shown": ("model_a", "model_b"), "outcome": "winner"}


@pytest.mark.parametrize(
    "arguments", [["rank", "x.nc", "--nonsense"], ["nonsense"], ["fit", "bradley_terry"]]
)
def test_unknown_options_exit_with_2(arguments, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and err
