"""try_next: where a search goes, when it stops, what it says."""

import functools
import json
import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import bayespref as bp
from bayespref import models, search
from bayespref.cli import app

PEOPLE, EACH, ITEMS = 40, 12, 5


def answers(advantage):
    """Answers of people for whom what is shown first has an advantage, at known times."""
    rng = np.random.default_rng(1)
    shown = np.stack([rng.permutation(ITEMS)[:2] for _ in range(PEOPLE * EACH)])
    worths = np.linspace(-1, 1, ITEMS)
    first = 1 / (1 + np.exp(-(worths[shown[:, 0]] - worths[shown[:, 1]] + advantage)))
    return bp.Comparisons.from_arrays(
        shown,
        (rng.random(len(shown)) > first).astype(int),
        items=list("ABCDE"),
        annotator=np.repeat(np.arange(PEOPLE), EACH),
        row_columns={"when": np.tile(np.arange(float(EACH)), PEOPLE)},
        merge=False,
    )


@pytest.fixture(scope="module")
def found():
    """A search from a pooled fit that was checked by the time of answers."""
    fit = bp.laplace(jax.random.key(0), models.bradley_terry, answers(0.8))
    options = {"replicates": 59, "alpha": 0.04, "time": "when"}
    checked = bp.check(jax.random.key(1), models.bradley_terry, fit, **options)
    return bp.try_next(jax.random.key(2), models.bradley_terry, fit, checked=checked, width=1)


def test_a_search_goes_where_answers_are_predicted_better(found):
    assert found.best == "bradley_terry_position" and found.table.index[0] == found.best
    assert set(found.fits) == set(found.results) == {"bradley_terry", "bradley_terry_position"}
    assert found.steps[0].startswith("bradley_terry fails; elpd gained over it, in nats: bradley_terry_pos")
    assert found.steps[0].endswith("On to bradley_terry_position.") and len(found.steps) == 1
    assert found.results[found.best].unit == "annotator"
    gain, se = search._gain(found.results[found.best], found.results["bradley_terry"])
    said = f"predicts new annotators better than bradley_terry by {gain:.0f} nats (SE {se:.0f}), and nothing"
    assert said in found.conclusion and found.conclusion in " ".join(str(found).split())


def test_later_checks_are_made_as_the_first(found):
    last = found.checks[found.best]
    assert (last.replicates, last.alpha, last.time) == (59, 0.04, "when")
    assert last.table.loc["drift", "testable"] and last.verdict == "passes"


def test_the_best_of_those_that_gain_clearly_is_taken(monkeypatch):
    gains = {"unsure": (20.0, 15.0), "sure": (12.0, 2.0), "small": (3.0, 0.1)}
    monkeypatch.setattr(search, "_gain", lambda new, old: gains[new])
    fails = SimpleNamespace(verdict="fails")
    step = functools.partial(search._step, "here", fails, results={name: name for name in [*gains, "here"]})
    assert step(["unsure", "sure", "small"])[1] == "sure"
    assert step(["unsure", "small"]) == (
        "here fails; elpd gained over it, in nats: unsure +20.0 (SE 15.0), small +3.0 (SE 0.1). None gains "
        "clearly: stay.",
        None,
    )


def test_few_annotators_have_no_standard_error():
    data = answers(0.0)
    assert search._unit(data) == "annotator"
    assert search._unit(data.replace(annotator=data.annotator % 9)) == "comparison"
    assert search._unit(data.replace(annotator=None)) == "comparison"


def test_what_a_search_ends_in_says_what_is_doubtful(monkeypatch):
    monkeypatch.setattr(search, "_gain", lambda new, old: (20.0, 5.0))
    fails, passes = (
        SimpleNamespace(verdict=v, culprit="link", try_next=(("a", {}), ("thurstone", {"scale": 2.0})))
        for v in ("fails", "passes")
    )
    results = {name: SimpleNamespace(unit="comparison") for name in ("a", "b")}
    says = functools.partial(search._conclusion, "a", results=results, doubtful=[])
    assert "Stay with a: there is nothing to cure, and nothing" in says("a", {"a": passes})
    said = says("a", {"a": fails})
    assert "nothing tried predicts clearly better, but it fails still (link): try thurstone(scale=2" in said
    assert "next, or declare what is missing." in said
    nothing = SimpleNamespace(verdict="fails", culprit="link", try_next=())
    alone = search._conclusion("a", "a", {"a": nothing}, {"a": None}, [])
    assert "the gallery has nothing to try, but it fails still (link): declare what is missing." in alone
    moved = search._conclusion("a", "b", {"b": passes}, results, ["b"])
    assert "Go on with b: it predicts new answers better than a by 20 nats (SE 5)" in moved
    assert moved.endswith("Read with care: b did not pass convergence checks.")


def test_the_command_says_the_same(found, tmp_path, capsys):
    """With its own seed and check: where it goes, and how far to trust that."""
    path, best = tmp_path / "pooled.nc", tmp_path / "best.nc"
    bp.save(found.fits["bradley_terry"], path)
    options = ("--width", "1", "--replicates", "59", "--alpha", "0.04", "--time", "when", "-o", str(best))
    with pytest.raises(SystemExit) as ended:
        app(["try-next", str(path), *options, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0 and said["best"] == "bradley_terry_position" and said["verdict"] == "passes"
    assert said["steps"][0].startswith("bradley_terry fails") and said["problems"] == []
    assert [row["fit"] for row in said["table"]] == ["bradley_terry_position", "bradley_terry"]
    assert bp.load(best).attrs["model"] == "bradley_terry_position"


def test_refusals():
    with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
        fit = bp.laplace(jax.random.key(0), models.bradley_terry, answers(0.0))
    with pytest.raises(ValueError, match="one round and one model or more"):
        bp.try_next(jax.random.key(0), models.bradley_terry, fit, rounds=0)
