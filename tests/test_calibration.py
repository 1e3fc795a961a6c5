"""Simulation-based calibration: right models pass, wrong ones do not, and the bands hold what they say."""

import jax
import numpy as np
import pytest
from helpers import ITEMS, answers

import bayespref as bp
from bayespref import calibration, choices, rewards
from bayespref.models import bradley_terry, latent_class_bradley_terry

KEY = jax.random.key(4)
DESIGN = answers(rows=40, merge=False)


def careful(comparisons, *, simulated=1.0, fitted=1.0, sign=1.0):
    """Bradley-Terry whose fit may assume another prior scale, or another sign, than its simulation."""
    simulating = comparisons.outcome is None
    log_density = rewards.item_table(comparisons, scale=simulated if simulating else fitted)
    score = log_density[comparisons.shown]
    bp.observe(comparisons, choices.logit(score if simulating else sign * score))


def model(**options):
    def chosen(comparisons):
        careful(comparisons, **options)

    return chosen


def test_a_right_model_is_calibrated_by_laplace():
    result = bp.sbc(KEY, model(), DESIGN, method="laplace", simulations=100, progress=False)
    assert result.attrs["calibrated"] == 1 and result.attrs["verdict"].startswith("Calibrated as far as 100")
    assert set(result["quantity"].values) == {"log-likelihood", "log_density[0]", "log_density[1]"}
    assert result["rank"].shape == (100, 3) and result["rank"].max() <= 99


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param({"sign": -1.0}, "log_density[0]", id="swapped sign"),
        pytest.param({"fitted": 3.0}, "log-likelihood", id="prior too wide", marks=pytest.mark.slow),
        pytest.param({"fitted": 0.25}, "log_density[0]", id="prior too narrow", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_model_is_not(options, found):
    result = bp.sbc(KEY, model(**options), DESIGN, method="laplace", simulations=60, progress=False)
    assert result.attrs["calibrated"] == 0 and found in result.attrs["verdict"]
    assert float(result["adjusted_p"].sel(quantity=found)) < 0.01


@pytest.mark.slow
def test_nuts_is_calibrated_side_by_side():
    """Data sets in batches, the last one not full; a quantity of the user's own; scales learned."""
    result = bp.sbc(
        KEY,
        bradley_terry,
        DESIGN,
        simulations=60,
        batch=40,
        quantities=lambda values, data: {"gap": values["log_density"][0] - values["log_density"][4]},
        progress=False,
        settings={"warmup": 200, "thin": 3},
    )
    assert result.attrs["calibrated"] == 1, result.attrs["verdict"]
    assert {"gap", "log_density_scale"} <= set(result["quantity"].values)


def test_classes_are_ranked_without_their_names():
    """What is ranked of exchangeable classes does not change when they are renamed."""
    sites = calibration.sites_of(latent_class_bradley_terry, DESIGN)
    value = np.random.default_rng(0).normal(size=(2, ITEMS))
    there, back = (
        calibration._elements(sites["log_density"], jax.numpy.asarray(v), 3) for v in (value, value[::-1])
    )
    assert there.keys() == back.keys() == {f"log_density[{index}]" for index in range(3)}
    for name in there:
        assert there[name] == back[name]


def test_the_p_value_is_uniform_under_uniform_ranks():
    rng = np.random.default_rng(1)
    p = np.array([calibration.uniformity(rng.integers(0, 100, 80), 99) for _ in range(300)])
    for level in (0.01, 0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 5 * np.sqrt(level * (1 - level) / 300)


def test_bands_hold_what_they_say():
    rng, s, draws = np.random.default_rng(2), 80, 49
    lower, upper = calibration.bands(s, draws, 0.9)
    ranks = rng.integers(0, draws + 1, size=(2000, s))
    ecdf = np.stack([np.cumsum(np.bincount(one, minlength=draws + 1)) / s for one in ranks])
    inside = ((ecdf >= lower) & (ecdf <= upper))[:, :-1].all(1).mean()
    # Discrete: bands hold at least what they say, and not much more.
    assert 0.9 - 5 * np.sqrt(0.09 / 2000) < inside < 0.97


def test_ties_are_broken_evenly():
    rng = np.random.default_rng(0)
    ranks = calibration.rank_of_last(np.zeros((4000, 10)), rng)
    assert set(ranks) == set(range(10)) and abs(ranks.mean() - 4.5) < 5 * 2.9 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"method": "magic"}, "one of nuts, laplace, svi"), ({"simulations": 5}, "20 simulations")],
    ids=["method", "simulations"],
)
def test_refused(options, match):
    with pytest.raises(ValueError, match=match):
        bp.sbc(KEY, model(), DESIGN, progress=False, **options)
