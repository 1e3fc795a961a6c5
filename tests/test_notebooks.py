"""The committed notebooks: run once from top to bottom, nothing of the machine in them."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def code_cells(path):
    """The code cells of a notebook."""
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    """A glob that finds nothing would pass every test below."""
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_one_clean_run(path):
    """Cells ran once, in order; no errors, no warnings, no progress bars."""
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_the_machine(path):
    """No paths in sources or outputs (pictures aside)."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    for cell in cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    found = re.findall(
        r"(?<![\w:/.])/(?:tmp|home|root|work|usr|Users)/\S*|site-packages|ipykernel_\d+", json.dumps(cells)
    )
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_public_names_only(path):
    """Notebooks show what a user may use."""
    sources = "\n".join("".join(cell["source"]) for cell in code_cells(path))
    assert not re.findall(
        r"bayespref\.(?:_\w+|inference|io|elpd|predictive|ranks|comparisons|design)\b", sources
    )
