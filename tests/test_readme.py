"""The README's example runs as printed."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import bayespref as bp

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_as_printed_and_is_short(capsys, tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.S)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 30
    # as a module file: a stored model remembers the source of its function
    path = tmp_path / "example.py"
    path.write_text(code[1])
    exec(compile(code[1], str(path), "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "900 in" in printed and "p_best" in printed
    assert "Judged by annotator" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "block, says",
    [
        (
            1,
            "^not testable .*fails: .*Go on with latent_class_bradley_terry.*B wins by Borda as a compromise",
        ),
        (2, r"^0\.0\d+ 0\.[2-9]\d+$"),  # near the limit, far from what is preferred
    ],
    ids=["annotators", "densities"],
)
def test_the_other_examples_run_as_printed(block, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)[block]
    path = tmp_path / "example.py"
    path.write_text(code)
    exec(compile(code, str(path), "exec"), {"__name__": "example"})
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(says, printed), printed
    assert list(tmp_path.glob("*.png"))
    plt.close("all")


@pytest.mark.parametrize(
    "command", ["summarise", "fit", "compare", "rank", "check", "try-next", "report", "models"]
)
def test_the_commands_named_exist(command):
    from bayespref.cli import app

    assert command in README.read_text()
    assert app[command] is not None
    assert bp.__version__
