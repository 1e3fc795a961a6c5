"""Supports integrate, normalise and sample what lives on them."""

import jax
import numpy as np
import pytest
import scipy.stats

from bayespref import supports

LINE = supports.interval(-8.0, 8.0)
PLANE = supports.box([-6, -6], [6, 6], points=121)
NORMAL = -0.5 * LINE.points[:, 0] ** 2
PLANE_NORMAL = -0.5 * (PLANE.points**2).sum(1)


@pytest.mark.parametrize(
    ("support", "score", "total"),
    [
        (LINE, NORMAL, 0.5 * np.log(2 * np.pi)),
        (PLANE, PLANE_NORMAL, np.log(2 * np.pi)),
        (supports.items(size=3), np.log([1.0, 2.0, 3.0]), np.log(6.0)),
    ],
    ids=["interval", "box", "items"],
)
def test_integrals_are_right(support, score, total):
    # The trapezoid rule is exact for what vanishes at both ends; float32 sums of positive terms are to 1e-6.
    assert abs(float(support.log_total(score)) - total) < 1e-5
    mass = np.exp(np.asarray(support.normalise(score)) + support.log_weight).sum()
    assert abs(mass - 1) < 1e-5


def test_moments_and_quantiles_of_a_normal():
    score = -0.5 * (LINE.points[:, 0] - 1) ** 2 / 0.25
    np.testing.assert_allclose(LINE.mean(score), [1.0], atol=1e-9)
    np.testing.assert_allclose(LINE.sd(score), [0.5], atol=1e-9)
    for prob in (0.1, 0.5, 0.9):
        expected = scipy.stats.norm.ppf(prob, 1.0, 0.5)
        assert abs(LINE.quantile(score, prob)[0] - expected) < 0.02**2


def test_quantiles_of_a_plane_are_those_of_its_marginals():
    score = -0.5 * ((PLANE.points - [1, -1]) ** 2 / [1.0, 0.25]).sum(1)
    np.testing.assert_allclose(PLANE.quantile(score, 0.5), [1.0, -1.0], atol=1e-6)
    np.testing.assert_allclose(PLANE.sd(score), [1.0, 0.5], atol=1e-3)


@pytest.mark.parametrize("support", [LINE, PLANE], ids=["interval", "box"])
def test_draws_follow_the_density(support):
    score = NORMAL if support is LINE else PLANE_NORMAL
    draws = support.sample(jax.random.key(0), score, (4000,))
    assert draws.shape == (4000, support.points.shape[1])
    support.check(draws)
    for column in draws.T:
        assert scipy.stats.kstest(column, "norm").pvalue > 1e-4


def test_draws_of_a_uniform_density_reach_the_edges_evenly():
    coarse = supports.interval(0.0, 1.0, points=5)
    draws = coarse.sample(jax.random.key(1), np.zeros(5), (4000,))[:, 0]
    assert scipy.stats.kstest(draws, "uniform").pvalue > 1e-4


def test_reference_samples_estimate_integrals():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20_000, 4))
    log_q = scipy.stats.norm.logpdf(points).sum(1)
    reference = supports.samples(points, log_density=log_q)
    target = -0.5 * (points**2).sum(1) / 0.81
    ratios = np.exp(target - log_q)
    total, error = ratios.mean(), ratios.std() / np.sqrt(len(points))
    assert abs(total - (2 * np.pi * 0.81) ** 2) < 4 * error
    assert abs(np.exp(float(reference.log_total(target))) - total) < 1e-4 * total


@pytest.mark.parametrize("support", [LINE, PLANE, supports.samples(np.arange(6.0).reshape(3, 2))])
def test_a_fit_carries_its_support(support):
    import xarray as xr

    density = xr.DataArray(np.zeros(support.shape), dims=support.dims, coords=support.coords())
    again = supports.of(density)
    assert again.kind == support.kind
    np.testing.assert_allclose(again.points, support.points, atol=1e-12)
    np.testing.assert_allclose(again.log_weight, support.log_weight, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: supports.interval(1, 0), "low below high"),
        (lambda: supports.interval(0, np.inf), "finite"),
        (lambda: supports.box([0] * 4, [1] * 4), "samples"),
        (lambda: supports.interval(0, 1, points=2), "3 points"),
        (lambda: supports.items(size=1), "two items"),
        (lambda: supports.samples([[np.nan], [0.0]]), "finite"),
        (lambda: supports.samples([[1.0], [0.0]], log_density=[0.0]), "one value for each"),
        (lambda: LINE.check(np.array([[0.0], [9.0]])), r"1 row\(s\), counted from 0: 1.*low=, high="),
        (lambda: PLANE.check(np.zeros((3, 3))), "2 coordinates"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()
