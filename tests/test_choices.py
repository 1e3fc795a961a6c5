import functools
import inspect
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import CHOICES, EPS

from bayespref import choices
from bayespref.choices import Choice, davidson, lapse, logit, probit

member = pytest.mark.parametrize(("k", "make"), CHOICES.values(), ids=CHOICES)


N = 50


def scores(k, *shape, seed=0):
    """Scores on a grid of eighths, so that adding a power of two is exact in float32."""
    drawn = np.random.default_rng(seed).normal(size=(*shape, k)) * 2
    return jnp.asarray(np.round(drawn * 8) / 8, jnp.float32)


@functools.cache
def compiled(make):
    """Log-probabilities of a batch, and their jacobian."""
    jacobian = jax.vmap(jax.jacobian(lambda score: make(score).log_probs()))
    return jax.jit(lambda score: make(score).log_probs()), jax.jit(jacobian)


def outcomes(k, make):
    return compiled(make)[0](jnp.zeros((N, k))).shape[-1]


def test_every_public_member_is_in_the_list():
    public = {
        name
        for name, function in inspect.getmembers(choices, inspect.isfunction)
        if not name.startswith("_")
        and isinstance(returned := typing.get_type_hints(function).get("return"), type)
        and issubclass(returned, Choice)
    }
    assert public == {word for name in CHOICES for word in name.split()} & public
    assert {"logit", "probit", "davidson", "lapse"} <= public


@member
def test_probabilities_sum_to_one(k, make):
    log_probs = compiled(make)[0](scores(k, N))
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, atol=8 * EPS)


@member
def test_log_prob_is_the_log_of_probs(k, make):
    score = scores(k, N)
    choice = make(score)
    assert choice.batch_shape == (N,) and choice.event_shape == ()
    for outcome in range(outcomes(k, make)):
        value, probs = choice.log_prob(jnp.full(N, outcome)), choice.probs
        np.testing.assert_allclose(value, np.log(probs[:, outcome]), rtol=1e-5, atol=4 * EPS)
    inside = np.asarray(choice.support(jnp.arange(-1, outcomes(k, make) + 1)))
    assert inside[1:-1].all() and not inside[[0, -1]].any()


@member
def test_sampling_follows_the_probabilities(k, make):
    draws, score = 20_000, scores(k, seed=3) / 2
    drawn = np.asarray(make(score).sample(jax.random.key(0), (draws,)))
    frequency = np.bincount(drawn, minlength=outcomes(k, make)) / draws
    p = np.exp(np.asarray(make(score).log_probs(), np.float64))
    np.testing.assert_array_less(np.abs(frequency - p), 5 * np.sqrt(p * (1 - p) / draws))


@member
def test_samples_have_the_shape_of_the_scores(k, make):
    drawn = jax.eval_shape(lambda key: make(scores(k, 3, 2)).sample(key, (7,)), jax.random.key(0))
    assert drawn.shape == (7, 3, 2) and jnp.issubdtype(drawn.dtype, jnp.integer)


@member
def test_swapping_columns_swaps_outcomes(k, make):
    score, log_probs = scores(k, N), compiled(make)[0]
    there, back = np.asarray(log_probs(score)), np.asarray(log_probs(score[:, ::-1]))
    swapped = np.concatenate([there[:, :k][:, ::-1], there[:, k:]], 1)
    if k == 2:
        np.testing.assert_array_equal(back, swapped)
    else:  # a sum of k terms in another order
        np.testing.assert_allclose(back, swapped, rtol=k * EPS, atol=k * EPS)


@member
def test_a_constant_changes_nothing(k, make):
    score, shift, log_probs = scores(k, N), 64.0, compiled(make)[0]
    np.testing.assert_allclose(log_probs(score + shift), log_probs(score), rtol=2 * EPS, atol=2 * EPS * shift)


@member
def test_finite_with_finite_gradients(k, make):
    """All combinations of -200 ... 200 among the first two, in float32."""
    sizes = np.array([0, 1.0, 30.0, 88.0, 104.0, 150.0, 200.0])
    first, second = np.meshgrid(sizes, np.concatenate([-sizes, sizes]))
    score = np.stack([first.ravel(), second.ravel()] + [np.zeros(first.size)] * (k - 2), 1)
    score = jnp.asarray(
        np.concatenate([score, score[:, [1, 0, *range(2, k)]], np.zeros((4, k))]), jnp.float32
    )
    score = score.reshape(-1, N, k)
    for part in score:
        value, slope = (np.asarray(function(part)) for function in compiled(make))
        assert value.shape == (N, outcomes(k, make)) and slope.shape == (*value.shape, k)
        assert np.isfinite(value).all() and (value <= 0).all()
        assert np.isfinite(slope).all()


@member
def test_the_expected_score_function_is_zero(k, make):
    score = scores(k, N)
    log_probs, slope = (np.asarray(function(score)) for function in compiled(make))
    np.testing.assert_allclose(np.einsum("no,nok->nk", np.exp(log_probs), slope), 0, atol=20 * EPS)


@member
def test_gradients_are_those_of_the_values(k, make):
    score, step = scores(k, N) / 4, 2.0**-6
    slope = np.asarray(compiled(make)[1](score))
    for column in range(k):
        ahead, behind = (compiled(make)[0](score.at[:, column].add(sign * step)) for sign in (1, -1))
        # Truncation is step^2 / 6 times a third derivative below 2, rounding is eps |log p| / step.
        difference = np.asarray(ahead - behind) / (2 * step)
        np.testing.assert_allclose(slope[..., column], difference, atol=step**2 / 3 + 8 * EPS / step)


@member
def test_jit_and_vmap(k, make):
    score, value = scores(k, N), jnp.arange(N) % outcomes(k, make)
    plain = np.take_along_axis(np.asarray(compiled(make)[0](score)), np.asarray(value)[:, None], 1)[:, 0]
    jitted = jax.jit(lambda s, y: make(s).log_prob(y))
    np.testing.assert_allclose(jitted(score, value), plain, atol=16 * EPS)
    built = jax.jit(jax.vmap(make))(score)  # a distribution is a pytree of its parameters
    assert built.batch_shape == ()
    scored = jax.jit(jax.vmap(lambda choice, y: choice.log_prob(y)))(built, value)
    np.testing.assert_allclose(scored, plain, atol=16 * EPS)
    keys = jax.random.split(jax.random.key(0), N)
    drawn = jax.jit(jax.vmap(lambda choice, key: choice.sample(key)))(built, keys)
    assert drawn.shape == (N,) and len(np.unique(drawn)) > 1


LARGER = [name for name, (k, _) in CHOICES.items() if k > 2]


@pytest.mark.parametrize("name", LARGER)
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_what_was_not_shown_cannot_be_chosen(name, missing):
    k, make = CHOICES[name]
    score = scores(k, 5)
    available = jnp.ones((5, k), bool).at[:, missing].set(False)
    ragged = np.asarray(make(score.at[:, missing].set(77.0)).log_probs(available))
    smaller = make(jnp.asarray(np.delete(score, missing, axis=1))).log_probs()
    assert (ragged[:, missing] == -np.inf).all()
    np.testing.assert_allclose(np.delete(ragged, missing, axis=1), smaller, rtol=4 * EPS, atol=8 * EPS)


@pytest.mark.parametrize("name", LARGER)
def test_gradients_of_ragged_sets_are_finite(name):
    k, make = CHOICES[name]
    available = jnp.ones(k, bool).at[1].set(False)
    slope = jax.jit(jax.jacobian(lambda s: make(s).log_probs(available)))(scores(k))
    possible = np.delete(slope, 1, axis=0)
    assert np.isfinite(possible).all() and (possible[:, 1] == 0).all()


# ---- known answers -----------------------------------------------------------------------------------


def test_logit_tails():
    difference = np.array([-200.0, -104, -50, -17, -3, 0, 3, 17, 30, 50])
    score = jnp.stack([jnp.asarray(difference, jnp.float32), jnp.zeros(len(difference))], 1)
    exact = -np.logaddexp(0, -difference)  # log p = -softplus(-d)
    np.testing.assert_allclose(logit(score).log_probs()[:, 0], exact, rtol=8 * EPS)


def test_logit_is_luce():
    p = jnp.array([0.5, 0.3, 0.15, 0.05])
    np.testing.assert_allclose(logit(jnp.log(p)).probs, p, rtol=8 * EPS)
    np.testing.assert_allclose(logit(jnp.log(p[:2])).probs[0], 5 / 8, rtol=8 * EPS)


def test_probit_against_scipy():
    difference = np.array([-200.0, -60, -20, -12, -6, -3, -1, 0, 1, 3, 5])
    score = jnp.stack([jnp.asarray(difference, jnp.float32), jnp.zeros(len(difference))], 1)
    log_probs = np.asarray(probit(score).log_probs())
    # The log of a probability near 1 is accurate to eps, that of one near 0 to a relative eps.
    exact = scipy.stats.norm.logcdf(np.stack([difference, -difference], 1))
    np.testing.assert_allclose(log_probs, exact, rtol=32 * EPS, atol=EPS)


def test_davidson_known_answers():
    assert float(davidson(jnp.zeros(2), jnp.log(0.9)).probs[2]) == pytest.approx(0.310345, abs=1e-6)
    score = jnp.array([1.3, -0.4])
    p = jnp.exp(score)
    nu = 0.9
    total = p.sum() + nu * jnp.sqrt(p.prod())
    exact = [p[0] / total, p[1] / total, nu * jnp.sqrt(p.prod()) / total]
    np.testing.assert_allclose(davidson(score, jnp.log(nu)).probs, exact, rtol=8 * EPS)


def test_davidson_without_ties_is_bradley_terry():
    score = scores(2, 20)
    without = davidson(score, -60.0).log_probs()
    np.testing.assert_allclose(without[:, :2], logit(score).log_probs(), rtol=4 * EPS, atol=4 * EPS)
    assert (without[:, 2] < -55).all()


def log_odds(choice):
    return np.asarray(choice.log_probs()[..., 0] - choice.log_probs()[..., 1], np.float64)


def test_lapse_subadditivity():
    """E2 of the known answers: L(2d) - 2 L(d), and the ceiling of the log-odds."""
    d = jnp.array([0.5, 1.0, 2.0, 4.0])

    def at(d):
        return log_odds(lapse(logit(jnp.stack([d, jnp.zeros_like(d)], -1)), 0.1))

    np.testing.assert_allclose(
        at(2 * d) - 2 * at(d), [-0.0110, -0.0923, -0.7104, -2.3555], atol=5e-5 + 8 * EPS
    )
    assert float(at(jnp.array(60.0))) == pytest.approx(2.9444, abs=5e-5)


def test_a_lapse_guesses_among_what_was_shown():
    score = scores(3, 4)
    exact = 0.3 / 3 + 0.7 * logit(score).probs
    np.testing.assert_allclose(lapse(logit(score), 0.3).probs, exact, rtol=8 * EPS)


def test_nobody_guesses_a_tie():
    tied = lapse(davidson(jnp.zeros(2), 0.0), 0.3)
    np.testing.assert_allclose(tied.probs, [0.15 + 0.7 / 3] * 2 + [0.7 / 3], rtol=8 * EPS)
    assert tied.ties and not lapse(logit(jnp.zeros(2)), 0.3).ties


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1.0])
def test_extreme_lapse_rates(rate):
    score = jnp.array([40.0, 0.0])
    value, slope = jax.value_and_grad(lambda s: lapse(logit(s), rate).log_prob(1))(score)
    exact = scipy.special.logsumexp(
        [np.log1p(-rate) - 40 if rate < 1 else -np.inf, np.log(max(rate / 2, 1e-45))]
    )
    assert float(value) == pytest.approx(exact, rel=4 * EPS)
    assert np.isfinite(slope).all()


def test_rates_by_row():
    rate, score = jnp.array([0.0, 0.5, 1.0]), jnp.tile(jnp.array([2.0, 0.0]), (3, 1))
    p = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(lapse(logit(score), rate).probs[:, 0], [p, 0.25 + p / 2, 0.5], rtol=8 * EPS)
    ties = davidson(score, jnp.log(jnp.array([0.5, 1.0, 2.0]))).probs[:, 2]
    e = np.exp(1.0)
    np.testing.assert_allclose(ties, [nu * e / (e * e + 1 + nu * e) for nu in (0.5, 1, 2)], rtol=8 * EPS)


@pytest.mark.parametrize("score", [jnp.array(1.0), jnp.zeros((4, 1))])
def test_scores_have_at_least_two_columns(score):
    with pytest.raises(ValueError, match="k >= 2"):
        logit(score)


def test_a_lapse_takes_a_choice():
    import numpyro.distributions as dist

    with pytest.raises(ValueError, match="a lapse mixes a guess into a choice"):
        lapse(dist.Bernoulli(0.3), 0.1)
