"""What the pooled fit would do with unlimited answers had other pairs been asked (in `limits`)."""

import numpy as np
import pytest
from scipy.special import expit

from bayespref import behaviours, limits, pooled, supports, toys
from bayespref.limits import Annotator

RNG = np.random.default_rng(3)
P, OTHER = np.log(RNG.dirichlet(np.full(6, 5.0), 2))
LENGTH = np.array([5.0, 10, 20, 25, 40, 50])
DESIGN = RNG.uniform(0.1, 2, (6, 6))
CAMPS = [
    Annotator(np.log([0.80, 0.15, 0.05]), share=0.55),
    Annotator(np.log([0.02, 0.38, 0.60]), share=0.45),
]
SOLVED = 1e-10
"""The optimum is solved for until its gradient is below 1e-12 of the weight of all pairs."""


@pytest.mark.parametrize(
    ("behaviour", "assumed"),
    [
        (behaviours.luce, behaviours.luce),
        (behaviours.dpo(4.0, OTHER), behaviours.dpo(4.0, OTHER)),
        (behaviours.luce, behaviours.dpo(4.0, OTHER)),
        (behaviours.length_normalised(LENGTH, 50.0), behaviours.length_normalised(LENGTH, 50.0)),
    ],
)
def test_the_design_moves_nothing_where_all_answer_alike(behaviour, assumed):
    """Two annotators of one kind, so that the optimum is solved for; the assumed behaviour may be wrong."""
    alike = [Annotator(P, behaviour, share=share) for share in (0.3, 0.7)]
    contrast = limits.hausman_contrast(alike, assumed, designs=(None, DESIGN))
    np.testing.assert_allclose(contrast.difference, 0.0, atol=SOLVED)


def test_the_design_moves_the_fit_of_two_annotators():
    contrast = limits.hausman_contrast([Annotator(P), Annotator(OTHER)], designs=(None, DESIGN))
    assert np.ptp(contrast.difference) > 0.01
    np.testing.assert_array_equal(contrast.difference, contrast.second - contrast.first)
    back = limits.hausman_contrast([Annotator(P), Annotator(OTHER)], designs=(DESIGN, None))
    np.testing.assert_array_equal(back.difference, -contrast.difference)


def test_two_annotators_who_look_like_one():
    """Mirrored camps of one size: what they answer together is exactly Bradley-Terry's."""
    mirrored = [Annotator(np.log([0.80, 0.19, 0.01])), Annotator(np.log([0.01, 0.19, 0.80]))]
    contrast = limits.hausman_contrast(mirrored, designs=(None, np.array([0.6, 0.2, 0.2])))
    np.testing.assert_allclose(contrast.difference, 0.0, atol=SOLVED)
    np.testing.assert_allclose(np.exp(contrast.first), (0.30023, 0.39954, 0.30023), atol=6e-6)


def test_the_papers_toy_under_two_designs():
    line = supports.interval(toys.LOW, toys.HIGH)
    x = line.points[:, 0]
    population = [Annotator(toys.narrow(x), share=0.4), Annotator(toys.wide(x), share=0.6)]
    reference, even = np.exp(toys.reference(x) + line.log_weight), np.exp(line.log_weight)
    contrast = limits.hausman_contrast(population, designs=(reference, even), log_weight=line.log_weight)
    step = x[1] - x[0]
    for log_density, mode, height in ((contrast.first, 1.50, 0.1366), (contrast.second, 1.30, 0.1415)):
        density = np.exp(log_density)
        assert abs(x[density.argmax()] - mode) <= step + 1e-9 and abs(density.max() - height) < 6e-5
        assert line.mass(log_density).sum() == pytest.approx(1.0, abs=1e-9)


def test_copies_move_the_fit_of_camps():
    r = limits.clone_test(CAMPS, item=2)
    np.testing.assert_allclose(r[:, 0] - r[:, 1], (-0.111966, -0.139469, -0.185594), atol=1e-6)
    np.testing.assert_allclose(r[:, 0] - r[:, 2], (0.183647, 0.169999, 0.147160), atol=1e-6)
    np.testing.assert_allclose(r.mean(1), 0.0, atol=1e-12)
    np.testing.assert_allclose(r[0], limits.scores(CAMPS), atol=SOLVED)


def test_copies_move_nothing_where_all_answer_alike():
    alike = [Annotator(np.log([0.6, 0.3, 0.1]), share=share) for share in (0.3, 0.7)]
    for population in (alike, alike[0]):
        r = limits.clone_test(population, item=2)
        np.testing.assert_allclose(r[:, 0] - r[:, 1], np.log(2), atol=SOLVED)
        np.testing.assert_allclose(r[:, 0] - r[:, 2], np.log(6), atol=SOLVED)


def test_copies_of_an_item_that_scores_by_more_than_its_density():
    """A behaviour with a part of its own for each item, some asked about more than others."""
    mass = np.array([0.2, 0.3, 0.1, 0.2, 0.1, 0.1])
    population = [Annotator(P, behaviours.dpo(2.0, OTHER)), Annotator(OTHER)]
    found = limits.clone_test(population, item=4, copies=[2], design=mass)[0]
    index, scores = [0, 1, 2, 3, 4, 5, 4, 4], [2.0 * (P - OTHER), OTHER]
    win = np.mean([expit(s[index][:, None] - s[index]) for s in scores], 0)
    r = pooled.bradley_terry(win, design=mass[index])
    np.testing.assert_allclose(found - found[0], r[:6] - r[0], atol=1e-6)  # behaviours are in float32
    np.testing.assert_allclose(r[6:], r[4], atol=SOLVED)


def test_an_order_that_is_not_bordas():
    """Pairs that are not independent: wins match pair by pair weight, and their order need not be r's."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        win = rng.uniform(0.02, 0.98, (4, 4))
        win = np.where(np.tri(4, k=-1) > 0, win, 1 - win.T)
        np.fill_diagonal(win, 0.5)
        weight = pooled.pair_weights(rng.uniform(0, 1, (4, 4)) ** 3, 4)
        r = pooled.bradley_terry(win, design=weight)
        rate = (weight * win).sum(1) / weight.sum(1)
        np.testing.assert_allclose((weight * (expit(r[:, None] - r) - win)).sum(1), 0.0, atol=SOLVED)
        if (np.argsort(r) != np.argsort(rate)).any():
            return
    raise AssertionError("no design changed the order")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: limits.clone_test(CAMPS, item=3), "copies, 0 or more, are of an item below 3; got item 3"),
        (lambda: limits.clone_test(CAMPS, item=0, copies=[-1]), "copies, 0 or more"),
        (lambda: limits.hausman_contrast(CAMPS, designs=(None, np.array([1.0, 0, 0]))), "some pair"),
        (lambda: limits.hausman_contrast(CAMPS, designs=(np.eye(3)[[1, 0, 2]], None)), "2 groups"),
        (lambda: pooled.bradley_terry(np.full((2, 2), 0.5), design=np.ones((3, 3))), "weights of pairs"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()
