"""Shares of ties by difference: those observed, and those that a rule for ties replicates."""

import functools

import jax
import numpy as np
import pytest
from helpers import answers, fit_by_hand, fit_from_worths

from bayespref import diagnostics, models
from bayespref.comparisons import Comparisons

WORTHS, LOG_TIE = np.array([1.2, 0.9, -2.1]), 0.3
davidson = functools.partial(models.davidson, scale=1.0)
PAIRS, TIES = [[0, 1], [2, 1], [0, 2]], np.array([300, 120, 80])
DRAWS = 100


def of_three(ties=TIES):
    """1,000 answers to every pair of three items."""
    rows = np.repeat(PAIRS, 3, axis=0)
    counts = np.stack([(1000 - ties) // 2, (1000 - ties) // 2, ties], 1).reshape(-1)
    return Comparisons.from_arrays(rows, np.tile([0, 1, 2], 3), items=3, count=counts)


def shares(**options):
    fit = fit_from_worths(davidson, of_three(), [WORTHS] * DRAWS, log_tie=np.full(DRAWS, LOG_TIE))
    return diagnostics.ties(jax.random.key(0), davidson, fit, draws=DRAWS, **options)


def test_observed_and_predicted_are_shares_of_ties_at_each_difference():
    found = shares()
    assert found.sizes["bin"] == 3 and found["answers"].values.tolist() == [1000] * 3
    np.testing.assert_allclose(found["difference"], [0.3, 3.0, 3.3], atol=1e-5)
    np.testing.assert_allclose(found["observed"], [0.3, 0.12, 0.08])
    a, b = np.exp(WORTHS)[np.array(PAIRS)].T
    tie = np.exp(LOG_TIE) * np.sqrt(a * b)
    exact = tie / (a + b + tie)
    error = np.sqrt(exact * (1 - exact) / 1000)
    np.testing.assert_array_less(abs(found["predicted"] - exact), 5 * error / np.sqrt(DRAWS))
    # An equal-tailed 89 % interval of binomial shares reaches 1.6 standard deviations each way.
    reach = (found["upper"] - found["lower"]) / 2 / error
    np.testing.assert_allclose(reach, 1.6, atol=5 * 1.6 / np.sqrt(2 * DRAWS))


def test_bins_hold_equally_many_answers():
    found = shares(bins=2)
    assert found["answers"].values.tolist() == [1000, 2000]
    np.testing.assert_allclose(found["observed"], [0.3, 0.1])
    np.testing.assert_allclose(found["difference"], [0.3, 3.15], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "data", "latent", "match"),
    [
        (models.bradley_terry, answers(), {"_log_density": np.zeros((20, 5))}, "answers without a tie"),
        (
            davidson,
            answers(ties=True, k=3),
            {"_log_density": np.zeros((20, 5)), "log_tie": np.zeros(20)},
            "choice of 3",
        ),
    ],
    ids=["no ties", "three"],
)
def test_refused(model, data, latent, match):
    model = functools.partial(model, scale=1.0)
    fit = fit_by_hand(model, data, **latent)
    with pytest.raises(ValueError, match=match):
        diagnostics.ties(jax.random.key(0), model, fit)


def test_worths_by_item_are_needed():
    fit = fit_from_worths(davidson, of_three(), [WORTHS] * 20, log_tie=np.zeros(20))
    fit["posterior"] = fit["posterior"].to_dataset().drop_vars("log_density")
    with pytest.raises(ValueError, match=r"worths by item.*no log_density"):
        diagnostics.ties(jax.random.key(0), davidson, fit)
