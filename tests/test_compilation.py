"""Programs kept for later processes."""

import subprocess
import sys

import pytest
from helpers import ROOT

import bayespref as bp

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
