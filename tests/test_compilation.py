"""Programs kept for later processes."""

import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
from helpers import ROOT
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


def test_a_second_fit_by_svi_traces_its_model_no_more():
    """Data of one shape share a guide and its programs, whatever their numbers."""
    traced: list[int] = []
    short = {"guide": "normal", "steps": 20, "draws": 10, "progress": False}

    def model(comparisons):
        traced.append(1)
        bradley_terry(comparisons, scale=1.0)

    one, other = board(5, 300, 0), board(5, 300, 1)
    rows = min(len(one), len(other))
    fits = []
    for data in (one, other, one):
        before = len(traced)
        table = data.subset(rows=np.arange(rows))
        with warnings.catch_warnings(action="ignore", category=bp.FitWarning):
            fits.append(
                bp.svi(jax.random.key(0), model, table, guide="normal", steps=20, draws=10, progress=False)
            )
        times = len(traced) - before
        assert times > 6 if data is one and len(fits) == 1 else times <= 6
    # The programs hold nothing of the data in between.
    np.testing.assert_array_equal(fits[0].posterior.log_density, fits[2].posterior.log_density)
    assert not np.array_equal(fits[0].posterior.log_density, fits[1].posterior.log_density)
