import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import EPS

from bayespref import behaviours, choices

LOG_DENSITY = jax.nn.log_softmax(jnp.array([0.3, -1.2, 2.0, 0.0]))
LENGTH = jnp.array([5.0, 10.0, 20.0, 50.0])
REFERENCE = jax.nn.log_softmax(jnp.array([1.0, 0.5, -0.5, 0.0]))
BEHAVIOURS = {
    "luce": (behaviours.luce, True),
    "dpo": (behaviours.dpo(4.0, REFERENCE), True),
    "geometric": (behaviours.geometric(0.25, REFERENCE), True),
    "by length": (behaviours.length_normalised(LENGTH, 50.0), False),
}
"""Behaviours, and whether they ignore a constant added to the log-density."""


@pytest.mark.parametrize(("behaviour", "invariant"), BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_a_constant_matters_only_where_the_factor_differs(behaviour, invariant):
    def win(log_density):
        score = behaviour(log_density)
        return choices.logit(score[jnp.array([[0, 1], [0, 3], [2, 1]])]).probs[:, 0]

    change = np.abs(win(LOG_DENSITY + 1.5) - win(LOG_DENSITY)).max()
    assert change < 64 * EPS if invariant else change > 0.1


@pytest.mark.parametrize(("behaviour", "invariant"), BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_swapping_sides_turns_the_log_odds_around(behaviour, invariant):
    pairs = jnp.array([[0, 1], [0, 3], [2, 1], [3, 2]])
    score = behaviour(LOG_DENSITY)
    ahead, behind = score[pairs], score[pairs[:, ::-1]]
    np.testing.assert_array_equal(ahead[:, 0] - ahead[:, 1], -(behind[:, 0] - behind[:, 1]))
    wins = [choices.logit(side).probs[:, 0] for side in (ahead, behind)]
    np.testing.assert_allclose(wins[0] + wins[1], 1, atol=4 * EPS)


@pytest.mark.parametrize(("behaviour", "invariant"), BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_jit_vmap_and_grad(behaviour, invariant):
    batch = jnp.stack([LOG_DENSITY, 2 * LOG_DENSITY])
    np.testing.assert_allclose(jax.jit(behaviour)(LOG_DENSITY), behaviour(LOG_DENSITY), rtol=4 * EPS)
    np.testing.assert_allclose(jax.vmap(behaviour)(batch)[1], behaviour(batch[1]), rtol=4 * EPS)
    assert np.diag(jax.jacobian(behaviour)(LOG_DENSITY)).min() > 0


def test_luce_is_the_neutral_pbde():
    np.testing.assert_array_equal(behaviours.pbde()(LOG_DENSITY), behaviours.luce(LOG_DENSITY))


def test_pbde_is_what_it_says():
    f, g = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([0.0, 1.0, 0.0, -1.0])
    np.testing.assert_array_equal(behaviours.pbde(f, g)(LOG_DENSITY), f * LOG_DENSITY + g)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dpo_optimum(temperature):
    """A Luce annotator with density p* makes DPO learn pi_pre p*^(1/beta) / Z: the same answers."""
    learnt = jax.nn.log_softmax(REFERENCE + LOG_DENSITY / temperature)
    score = behaviours.pbde(temperature, -temperature * REFERENCE)(learnt)
    np.testing.assert_allclose(jax.nn.log_softmax(score), LOG_DENSITY, atol=32 * EPS)


def test_geometric_optimum():
    """A Luce annotator makes the geometric behaviour learn pi_pre^(1 - a) p*^a / Z."""
    learnt = jax.nn.log_softmax(0.75 * REFERENCE + 0.25 * LOG_DENSITY)
    score = behaviours.pbde(1 / 0.25, (1 - 1 / 0.25) * REFERENCE)(learnt)
    np.testing.assert_allclose(jax.nn.log_softmax(score), LOG_DENSITY, atol=32 * EPS)


def test_length_normalised_optimum():
    """Annotator with f = L / |x| makes Luce learn p*^(L / |x|) / Z: not a plain power of p*."""
    score = behaviours.pbde(50 / LENGTH)(LOG_DENSITY)
    learnt = jax.nn.log_softmax(behaviours.luce(score))
    power = np.exp(np.asarray(LOG_DENSITY, np.float64)) ** (50 / np.asarray(LENGTH))
    np.testing.assert_allclose(jnp.exp(learnt), power / power.sum(), rtol=1e-5)


def test_boltzmann_is_the_reward_times_rationality():
    """Value and slopes are those of the broadcast product."""
    reward, rationality = jax.random.normal(jax.random.key(0), (5, 3)), jnp.linspace(0.0, 2.0, 5)
    plain = rationality[:, None] * reward
    np.testing.assert_array_equal(behaviours.boltzmann(reward, rationality), plain)
    weight = jax.random.normal(jax.random.key(1), (5, 3))

    def summed(reward, rationality):
        return (weight * behaviours.boltzmann(reward, rationality)).sum()

    slopes = jax.grad(summed, (0, 1))(reward, rationality)
    np.testing.assert_allclose(slopes[0], weight * rationality[:, None], rtol=4 * EPS)
    np.testing.assert_allclose(slopes[1], (weight * reward).sum(-1), rtol=16 * EPS, atol=16 * EPS)
