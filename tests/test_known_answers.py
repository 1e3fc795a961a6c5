"""Closed forms and published tables, through the library's own fits."""

import functools

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from known import (
    BASEBALL_FIT,
    CITATIONS_FIT,
    FLUTE_FIT,
    HOME,
    LOG_TIE,
    PUDDING_FIT,
    baseball,
    citations,
    counted,
    flute,
    pudding,
)
from scipy.special import betaln

import bayespref as bp
from bayespref import choices
from bayespref.models import bradley_terry, bradley_terry_position, davidson

KEY = jax.random.key(20)


def two_items(comparisons):
    """D1: a gap ~ Logistic(0, 1), so that P(first) ~ Beta(1 + wins, 1 + losses)."""
    gap = numpyro.sample("gap", dist.Logistic(0.0, 1.0))
    score = gap * jax.numpy.array([1.0, 0.0])
    bp.observe(comparisons, choices.logit(score[comparisons.shown]))


def free_worths(comparisons):
    """D2: worths not constrained to sum to zero."""
    with numpyro.plate("item", comparisons.items.size):
        worth = numpyro.sample("worth", dist.Normal(0.0, 1.5))
    bp.observe(comparisons, choices.logit(worth[comparisons.shown]))


SEVEN_OF_TEN = [(0, 1, 0, 7), (0, 1, 1, 3)]
EVIDENCE = betaln(8, 4)  # one sequence of answers
ELPD = 7 * np.log(7 / 11) + 3 * np.log(3 / 11)


@pytest.mark.parametrize("method", ["nuts", "laplace"])
def test_two_items_have_the_beta_posterior_evidence_and_elpd(method):
    """Known answer D1: mean 2/3, evidence B(8, 4), elpd_loo -7.061745, from counted rows."""
    data = counted(SEVEN_OF_TEN, ["a", "b"])
    fit = (
        bp.nuts(KEY, two_items, data, progress=False)
        if method == "nuts"
        else bp.laplace(KEY, two_items, data)
    )
    share = 1 / (1 + np.exp(-fit["posterior"]["gap"].values))
    ess = bp.convergence(fit).get("ess", bp.convergence(fit).get("importance_ess"))
    beta_sd = np.sqrt(8 * 4 / (12**2 * 13))
    assert abs(share.mean() - 2 / 3) < 4 * beta_sd / np.sqrt(ess)
    evidence, error = bp.log_evidence(KEY, two_items, fit)
    assert abs(evidence - EVIDENCE) < 4 * error
    assert error < 0.02
    result = bp.loo(KEY, two_items, fit)
    # sd of 1/p under the leave-one-out ratio, delta method: each elpd_i has Monte-Carlo sd < 0.5 / sqrt(ess)
    assert abs(result.elpd - ELPD) < 4 * np.sqrt(7**2 + 3**2) * 0.5 / np.sqrt(ess)
    assert result.n_data_points == 10
    assert abs(result.elpd - -7.061745) < 0.1


def test_laplace_evidence_attribute_is_the_evidence():
    """The importance weights of the Laplace fit estimate the same evidence."""
    fit = bp.laplace(KEY, two_items, counted(SEVEN_OF_TEN, ["a", "b"]))
    assert abs(fit.attrs["log_evidence"] - EVIDENCE) < 4 * fit.attrs["log_evidence_se"]


def test_component_means_keep_their_prior():
    """Known answer D2: whatever the data, each component's mean worth is N(0, s^2 / n_c)."""
    data = counted([(0, 1, 0, 9), (1, 2, 0, 4), (3, 4, 1, 6)], list("abcde"))
    fit = bp.nuts(KEY, free_worths, data, progress=False)
    worth = fit["posterior"]["worth"].values
    for component in ([0, 1, 2], [3, 4]):
        mean = worth[..., component].mean(-1)
        ess = float(bp.convergence(fit)["ess"])
        exact = 1.5 / np.sqrt(len(component))
        assert abs(mean.std() - exact) < 4 * exact / np.sqrt(2 * ess)
        assert abs(mean.mean()) < 4 * exact / np.sqrt(ess)


def test_a_sweep_has_a_proper_posterior():
    """Known answer D3: 5-0 has no maximum likelihood; the posterior is finite, the summary says so."""
    data = counted([(0, 1, 0, 5)], ["a", "b"])
    fit = bp.nuts(KEY, functools.partial(bradley_terry, scale=1.5), data, draws=5000, progress=False)
    gap = fit["posterior"]["log_density"].diff("item").values
    assert np.isfinite(gap).all()
    # exact: gap r_a - r_b = sqrt(2) 1.5 z a priori; mean by quadrature
    grid = np.linspace(-15, 15, 20001)
    density = np.exp(-0.5 * (grid / (np.sqrt(2) * 1.5)) ** 2) * (1 / (1 + np.exp(-grid))) ** 5
    mean = (grid * density).sum() / density.sum()
    sd = np.sqrt((grid**2 * density).sum() / density.sum() - mean**2)
    assert abs(-gap.mean() - mean) < 4 * sd / np.sqrt(bp.convergence(fit)["ess"])
    assert data.summary().strong_components == 2


def fitted(model, data, *, anchor):
    """Mode and posterior sd of worths relative to an anchor, with wide priors."""
    wide = functools.partial(model, scale=100.0)
    fit = bp.laplace(KEY, wide, data, draws=40_000, proposals=40_000)  # sd to half a per cent
    items, place = list(data.items.labels), list(data.items.labels).index(anchor)
    mode = fit["mode"]["log_density"].values
    draws = fit["posterior"]["log_density"].values.reshape(-1, len(items))
    mode, draws = mode - mode[place], draws - draws[:, [place]]
    return fit, {item: (mode[i], draws[:, i].std()) for i, item in enumerate(items)}


def test_citations_are_the_published_fit():
    """Stigler's citations: the mode is the published maximum-likelihood fit."""
    _, worths = fitted(bradley_terry, citations(), anchor="Biometrika")
    for item, coefficient in CITATIONS_FIT.items():
        assert worths[item][0] == pytest.approx(coefficient, abs=1e-3)


def test_baseball_with_home_advantage_is_the_published_fit():
    """Agresti's baseball: mode to 1e-3, posterior sd to 3 % of the published standard errors."""
    model = functools.partial(bradley_terry_position, position_spread=100.0)
    fit, worths = fitted(model, baseball(), anchor="Baltimore")
    for item, (coefficient, error) in BASEBALL_FIT.items():
        assert worths[item][0] == pytest.approx(coefficient, abs=1e-3)
        assert worths[item][1] == pytest.approx(error, rel=0.03)
    assert float(fit["mode"]["position"]) == pytest.approx(HOME[0], abs=1e-3)
    assert float(fit["posterior"]["position"].std()) == pytest.approx(HOME[1], rel=0.03)


def test_pudding_ties_are_the_published_fit():
    """Davidson's puddings: worths and tie parameter, mode to 1e-3 and sd to 3 %."""
    fit, worths = fitted(functools.partial(davidson, tie_spread=100.0), pudding(), anchor="p1")
    for item, (coefficient, error) in PUDDING_FIT.items():
        assert worths[item][0] == pytest.approx(coefficient, abs=1e-3)
        assert worths[item][1] == pytest.approx(error, rel=0.03)
    assert float(fit["mode"]["log_tie"]) == pytest.approx(LOG_TIE[0], abs=1e-3)
    assert float(fit["posterior"]["log_tie"].std()) == pytest.approx(LOG_TIE[1], rel=0.03)


def test_the_flute_is_the_published_fit():
    """Kousgaard's sound fields: the mode is twice his table 3, which has three digits."""
    wide = functools.partial(davidson, scale=100.0, tie_spread=100.0)
    fit = bp.laplace(KEY, wide, flute(), draws=100, proposals=200)
    mode = fit["mode"]["log_density"]
    worths = dict(zip(mode["item"].values, (mode - mode.mean()).values, strict=True))
    for field, published in FLUTE_FIT.items():
        assert worths[field] == pytest.approx(2 * published, abs=2e-3)
