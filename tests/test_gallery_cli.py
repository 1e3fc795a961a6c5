"""Every gallery model through the command line: a simulated table, a fit, a ranking or the quantities."""

import jax
import numpy as np
import pandas as pd
import pytest
from helpers import ANNOTATORS
from test_models import FILES, data_for, model_of, without_outcomes

import bayespref as bp
from bayespref import cli, models

pytestmark = pytest.mark.slow
BY_NUTS = ["--method", "nuts", "--chains", "2", "--warmup", "150", "--draws", "150"]
BY_SVI = ["--method", "svi", "--guide", "normal", "--steps", "300", "--draws", "100"]
NETWORKS = {models.density_neural_1d, models.density_flow_2d}
POINTS = ("x", "y")


def run(*arguments):
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    return code or 0


def as_table(data, folder) -> tuple[pd.DataFrame, list]:
    """One row for each answer, and the options that read it; tables of items and annotators are written."""
    labels = np.array([str(label) for label in data.items.labels])
    shown = np.asarray(data.shown)
    sides = [f"side{place}" for place in range(data.k)]
    frame = pd.DataFrame({side: labels[shown[:, place]] for place, side in enumerate(sides)})
    options = []
    if data.items.columns:
        columns = {k: np.asarray(v, np.float64) for k, v in data.items.columns.items()}
        features = columns.pop("features", np.zeros((len(labels), 0)))
        names = list(data.feature_names or POINTS)[: features.shape[1]]
        table = pd.DataFrame({"name": labels} | dict(zip(names, features.T, strict=True)) | columns)
        table.to_csv(folder / "items.csv", index=False)
        options += ["--items", folder / "items.csv", "--item-id", "name"]
        options += ["--features", ",".join(names)] if names else []
        options += ["--item-columns", ",".join(columns)] if columns else []
    if "features" in data.shown_columns:
        for place, side in enumerate(sides):
            for axis, name in enumerate(data.feature_names):
                frame[f"{side}_{name}"] = np.asarray(data.shown_columns["features"])[:, place, axis]
        options += ["--attributes", ",".join(data.feature_names)]
    outcome = np.asarray(data.outcome)
    options += ["--shown", ",".join(sides)]
    if data.response == "ranking":
        for place, side in enumerate(sides):
            frame[f"{side}_rank"] = outcome[:, place] + 1
        options += ["--ranks", ",".join(f"{side}_rank" for side in sides)]
    else:
        words = [*sides, "tie", "none"] if data.response == "choice" else [f"level{i}" for i in range(9)]
        frame["answer"] = [words[value] for value in outcome]
        options += ["--outcome", "answer"]
    if data.response == "graded":
        options += ["--levels", ",".join(f"level{level}" for level in range(data.levels))]
    if data.annotator is not None:
        frame["who"] = [f"p{index}" for index in np.asarray(data.annotator)]
        options += ["--annotator", "who"]
        if columns := {name: np.asarray(value) for name, value in data.annotators.columns.items()}:
            people = pd.DataFrame({"id": [f"p{index}" for index in range(ANNOTATORS)]} | columns)
            people.to_csv(folder / "people.csv", index=False)
            options += ["--annotators", folder / "people.csv", "--annotator-columns", ",".join(columns)]
    return frame, options


@pytest.mark.parametrize("model", [model_of(path) for path in FILES], ids=[path.stem for path in FILES])
def test_from_a_table_to_a_ranking(model, tmp_path, capsys):
    name = model.__name__
    simulated = bp.simulate(jax.random.key(5), model, without_outcomes(data_for(model))).expanded()
    frame, options = as_table(simulated, tmp_path)
    table, path = tmp_path / "table.csv", tmp_path / "fit.nc"
    frame.to_csv(table, index=False)
    assert run("summarise", table, *options) == 0
    assert f"{simulated.answers:,} in" in capsys.readouterr().out
    assert run("fit", name, table, *options, "-o", path, *(BY_SVI if model in NETWORKS else BY_NUTS)) == 0
    assert "written after" in " ".join(capsys.readouterr().out.split())
    worths = bp.load(path)["posterior"].get("log_density")
    ranked = worths is not None and "item" in worths.dims
    assert run("rank", path, *(["--at", "class=0"] if ranked and "class" in worths.dims else [])) == 2 * (
        not ranked
    )
    out = capsys.readouterr()
    assert (
        str(simulated.items.labels[0]) in out.out if ranked else "a ranking needs worths by item" in out.err
    )
