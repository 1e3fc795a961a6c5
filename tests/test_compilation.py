"""Programs kept for later processes."""

import functools
import subprocess
import sys

import jax
import numpy as np
import pytest
from helpers import ROOT
from jax import monitoring
from test_inference import board

import bayespref as bp
from bayespref.models import bradley_terry

FIT = """
import sys
import jax
import numpy as np
from jax import monitoring
import bayespref as bp
from bayespref.models import bradley_terry

hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name))
bp.compilation_cache(sys.argv[1])
rng = np.random.default_rng(0)
shown = np.stack([rng.choice(5, 2, replace=False) for _ in range(200)])
outcome = (rng.random(200) < 0.2 + 0.6 * (shown[:, 1] < 2)).astype(int)
answers = bp.Comparisons.from_arrays(shown, outcome, items=5)
fit = bp.laplace(jax.random.key(0), bradley_terry, answers, draws=100, proposals=200)
print(hits.count("/jax/compilation_cache/cache_misses"), hits.count("/jax/compilation_cache/cache_hits"))
print(fit.posterior.log_density.values.sum())
"""


def test_a_later_process_compiles_nothing(tmp_path):
    said = [
        subprocess.run(
            [sys.executable, "-c", FIT, str(tmp_path / "programs")],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.split()
        for _ in range(2)
    ]
    (first_misses, first_hits, first), (misses, hits, second) = said
    assert int(first_misses) > 3 and int(hits) == int(first_misses) + int(first_hits)
    assert int(misses) == 0 and first == second


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="in a folder; got a file"):
        bp.compilation_cache(tmp_path / "file")


@pytest.mark.filterwarnings("ignore::bayespref.FitWarning")  # short, on purpose
def test_a_second_fit_by_svi_compiles_nothing():
    """Data of one shape share a guide and its programs, which hold nothing of the numbers."""
    compiled: list[str] = []

    def listen(event: str, _: float, **about) -> None:
        if "backend_compile" in event:
            compiled.append(str(about.get("fun_name")))

    data = board(5, 300, 0)
    other = data.replace(outcome=1 - data.outcome)
    fit = functools.partial(bp.svi, guide="normal", steps=20, draws=10, progress=False)
    model = functools.partial(bradley_terry, scale=1.0)
    first = fit(jax.random.key(0), model, data)
    monitoring.register_event_duration_secs_listener(listen)
    try:
        second, again = (fit(jax.random.key(0), model, each) for each in (other, data))
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    np.testing.assert_array_equal(first.posterior.log_density, again.posterior.log_density)
    assert not np.array_equal(first.posterior.log_density, second.posterior.log_density)
