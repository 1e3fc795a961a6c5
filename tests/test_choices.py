import functools
import inspect
import itertools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from helpers import CHOICES, EPS, HALVES

from bayespref import choices, populations
from bayespref.choices import Choice, davidson, lapse, logit, probit

member = pytest.mark.parametrize(("k", "make"), CHOICES.values(), ids=CHOICES)


N = 50
ABSOLUTE = {"or_none of logit", "or_none of davidson"}
"""Members that a constant added to every score changes."""


def scores(k, *shape, seed=0):
    """Scores on a grid of eighths, so that adding a power of two is exact in float32."""
    drawn = np.random.default_rng(seed).normal(size=(*shape, k)) * 2
    return jnp.asarray(np.round(drawn * 8) / 8, jnp.float32)


@functools.cache
def every_answer(k, make):
    """(answers[, k]) every possible answer: columns, tie and none; levels; full rankings."""
    choice = make(jnp.zeros(k))
    if choice.response == "ranking":
        return np.array(list(itertools.permutations(range(k))))
    impossible = [k] if choice.nones and not choice.ties else []
    return np.delete(np.arange(choice.outcomes), impossible)


def mirrored(k, make):
    """Place in `every_answer` of each answer when columns are shown in reverse."""
    answers, response = every_answer(k, make), make(jnp.zeros(k)).response
    if response == "ranking":
        moved = answers[:, ::-1]
        return [int(np.flatnonzero((answers == one).all(1))[0]) for one in moved]
    last = len(answers) if response == "graded" else k
    return [int(np.flatnonzero(answers == (last - 1 - one if one < last else one))[0]) for one in answers]


@functools.cache
def compiled(make):
    """Log-probabilities (N, answers) of every answer for scores (N, k), and their jacobian."""

    def one(score):
        choice, answers = make(score), jnp.asarray(every_answer(score.shape[-1], make))
        return jax.vmap(choice.log_prob)(answers)

    return jax.jit(jax.vmap(one)), jax.jit(jax.vmap(jax.jacobian(one)))


def test_every_public_member_is_in_the_list():
    public = {
        name
        for name, function in inspect.getmembers(choices, inspect.isfunction)
        if isinstance(returned := typing.get_type_hints(function).get("return"), type)
        and issubclass(returned, Choice)
    }
    assert public == {word for name in CHOICES for word in name.split()} & public
    assert public | {"Choice", "Mixture"} == set(choices.__all__)


@member
def test_probabilities_sum_to_one(k, make):
    log_probs = compiled(make)[0](scores(k, N))
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, atol=2 * log_probs.shape[1] * EPS)
    np.testing.assert_allclose(make(scores(k, N)).probs.sum(-1), 1, atol=8 * EPS)


@member
def test_log_prob_is_the_log_of_probs(k, make):
    """For rankings, `probs` are of being ranked first: the sum over the orders that say so."""
    score = scores(k, N)
    choice, answers = make(score), every_answer(k, make)
    each, probs = np.exp(compiled(make)[0](score)), np.asarray(choice.probs)
    assert choice.batch_shape == (N,) and probs.shape == (N, choice.outcomes)
    if choice.response == "ranking":
        assert choice.event_shape == (k,)
        for column in range(k):
            first = each[:, answers[:, column] == 0].sum(1)
            np.testing.assert_allclose(first, probs[:, column], rtol=1e-5, atol=8 * EPS)
        assert choice.support(answers).all() and not choice.support(answers + k).any()
        return
    assert choice.event_shape == ()
    np.testing.assert_allclose(each, probs[:, answers], rtol=1e-5, atol=4 * EPS)
    assert np.delete(probs, answers, axis=1).sum() == 0
    inside = np.asarray(choice.support(jnp.arange(-1, choice.outcomes + 1)))
    assert inside[1:-1].all() and not inside[[0, -1]].any()


# What each member says, in float64 and by another way: name -> differences and scores to probabilities.


def luce(score):
    return np.exp(score - scipy.special.logsumexp(score, axis=-1, keepdims=True))


def with_tie(score, log_tie):
    return luce(np.concatenate([score, score.mean(-1, keepdims=True) + log_tie], -1))


def levels(score, cuts):
    """Each level's probability as a difference of survival or distribution functions, the smaller ones."""
    at = (score[:, :1] - score[:, 1:]) + np.array([-np.inf, *cuts, np.inf])
    low, high = at[:, :-1], at[:, 1:]
    left = scipy.special.expit(high) - scipy.special.expit(low)
    right = scipy.special.expit(-low) - scipy.special.expit(-high)
    return np.where(low + high < 0, left, right)


def ranked(score):
    orders = np.array(list(itertools.permutations(range(score.shape[1]))))
    result = []
    for ranks in orders:
        inside = score[:, np.argsort(ranks)]
        result.append(np.prod([luce(inside[:, r:])[:, 0] for r in range(inside.shape[1])], axis=0))
    return np.stack(result, 1)


def none(answered, score, threshold):
    out = scipy.special.expit(threshold - scipy.special.logsumexp(score, axis=-1, keepdims=True))
    some = scipy.special.expit(scipy.special.logsumexp(score, axis=-1, keepdims=True) - threshold)
    return np.concatenate([answered * some, out], 1)


def normal_tail(score):
    return scipy.stats.norm.logcdf(score.astype(np.float64) - score[:, ::-1])


def slipping(rate, attended, guessed):
    return rate * guessed + (1 - rate) * attended


BRUTE = {
    "logit of 2": luce,
    "logit of 4": luce,
    "probit": lambda s: np.exp(normal_tail(s)),
    "laplace_noise": lambda s: scipy.stats.laplace.cdf(s - s[:, ::-1]),
    "davidson of 2": lambda s: with_tie(s, np.log(0.9)),
    "davidson of 3": lambda s: with_tie(s, np.log(0.9)),
    "rao_kupper": lambda s: levels(s, [-np.log(1.8), np.log(1.8)])[:, [0, 2, 1]],
    "graded with a middle": lambda s: levels(s, [-1.5, -0.4, 0.4, 1.5]),
    "graded without": lambda s: levels(s, [-0.4, 0, 0.4]),
    "or_none of logit": lambda s: none(luce(s), s, 0.3),
    "or_none of davidson": lambda s: none(with_tie(s, 0.2), s, -0.4),
    "plackett_luce of 2": ranked,
    "plackett_luce of 4": ranked,
    "lapse of logit": lambda s: slipping(0.1, luce(s), 1 / 4),
    "lapse of davidson": lambda s: slipping(0.2, with_tie(s, -0.5), np.array([0.5, 0.5, 0])),
    "lapse of graded": lambda s: slipping(0.1, levels(s, [-0.8, 0.8]), 1 / 3),
    "lapse of plackett_luce": lambda s: slipping(0.1, ranked(s), 1 / 6),
    "mixture of logits": lambda s: 0.3 * luce(s) + 0.7 * luce(2 * s),
    "mixture of rankings": lambda s: 0.3 * ranked(s) + 0.7 * ranked(-s),
}


@pytest.mark.parametrize("name", CHOICES)
def test_log_prob_is_the_formula(name):
    """Scores in +-30, so differences up to 60: relative 1e-5 or absolute 1e-6 of the log-probability."""
    k, make = CHOICES[name]
    rng = np.random.default_rng(5)
    score = rng.uniform(-30, 30, size=(400, k)) * rng.choice([0.03, 0.3, 1.0], size=(400, 1))
    score = score.astype(np.float32)
    exact = np.log(BRUTE[name](score.astype(np.float64))) if name != "probit" else normal_tail(score)
    found = np.concatenate([compiled(make)[0](score[at : at + N]) for at in range(0, 400, N)])
    assert (np.abs(found - exact) <= np.maximum(1e-5 * np.abs(exact), 1e-6)).all()


@member
def test_sampling_follows_the_probabilities(k, make):
    draws, score = 20_000, scores(k, seed=3) / 2
    drawn, answers = np.asarray(make(score).sample(jax.random.key(0), (draws,))), every_answer(k, make)
    same = (drawn[:, None] == answers).reshape(draws, len(answers), -1).all(-1)
    assert (same.sum(1) == 1).all()
    p = np.exp(np.asarray(compiled(make)[0](jnp.tile(score, (N, 1)))[0], np.float64))
    np.testing.assert_array_less(np.abs(same.mean(0) - p), 5 * np.sqrt(p * (1 - p) / draws))


@member
def test_samples_have_the_shape_of_the_scores(k, make):
    drawn = jax.eval_shape(lambda key: make(scores(k, 3, 2)).sample(key, (7,)), jax.random.key(0))
    assert drawn.shape == (7, 3, 2, *make(jnp.zeros(k)).event_shape)
    assert jnp.issubdtype(drawn.dtype, jnp.integer)


@member
def test_reversing_columns_mirrors_answers(k, make):
    score, log_probs = scores(k, N), compiled(make)[0]
    there, back = np.asarray(log_probs(score)), np.asarray(log_probs(score[:, ::-1]))
    # A sum of k terms in another order, of log-probabilities up to about 20.
    np.testing.assert_allclose(back[:, mirrored(k, make)], there, rtol=2 * k * EPS, atol=8 * k * EPS)


@pytest.mark.parametrize("name", CHOICES)
def test_a_constant_changes_nothing_but_an_absolute_threshold(name):
    k, make = CHOICES[name]
    score, shift, log_probs = scores(k, N), 64.0, compiled(make)[0]
    change = np.asarray(log_probs(score + shift) - log_probs(score))
    if name in ABSOLUTE:
        assert (change[:, -1] < -50).all()
    else:
        np.testing.assert_allclose(change, 0, atol=8 * k * EPS * shift)


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
        assert value.shape == (N, len(every_answer(k, make))) and slope.shape == (*value.shape, k)
        assert np.isfinite(value).all() and (value <= 0).all()
        assert np.isfinite(slope).all()


@member
def test_the_expected_score_function_is_zero(k, make):
    log_probs, slope = (np.asarray(function(scores(k, N))) for function in compiled(make))
    rounding = 20 * EPS * (1 if log_probs.shape[1] < 10 else 4)
    np.testing.assert_allclose(np.einsum("no,nok->nk", np.exp(log_probs), slope), 0, atol=rounding)


@member
def test_gradients_are_those_of_the_values(k, make):
    score, step = scores(k, N) / 4, 2.0**-6
    slope = np.asarray(compiled(make)[1](score))
    kinks = (
        np.abs(score[:, 0] - score[:, 1]) < 3 * step if make is choices.laplace_noise else np.zeros(N, bool)
    )
    for column in range(k):
        ahead, behind = (compiled(make)[0](score.at[:, column].add(sign * step)) for sign in (1, -1))
        # Truncation is step^2 / 6 times a third derivative below 4, rounding is eps |log p| / step.
        difference = np.asarray(ahead - behind) / (2 * step)
        error = np.abs(slope[..., column] - difference)[~kinks]
        assert (error < 2 * step**2 / 3 + 16 * EPS / step).all()


@member
def test_jit_and_vmap(k, make):
    score, answers = scores(k, N), every_answer(k, make)
    place = np.arange(N) % len(answers)
    value = jnp.asarray(answers[place])
    plain = np.asarray(compiled(make)[0](score))[np.arange(N), place]
    jitted = jax.jit(lambda s, y: make(s).log_prob(y))
    np.testing.assert_allclose(jitted(score, value), plain, rtol=4 * EPS, atol=16 * EPS)
    built = jax.jit(jax.vmap(make))(score)  # a distribution is a pytree of its parameters
    assert built.batch_shape == ()
    scored = jax.jit(jax.vmap(lambda choice, y: choice.log_prob(y)))(built, value)
    np.testing.assert_allclose(scored, plain, rtol=4 * EPS, atol=16 * EPS)
    keys = jax.random.split(jax.random.key(0), N)
    drawn = jax.jit(jax.vmap(lambda choice, key: choice.sample(key)))(built, keys)
    assert drawn.shape == value.shape and len(np.unique(drawn, axis=0)) > 1


LARGER = [name for name, (k, _) in CHOICES.items() if k > 2]


@pytest.mark.parametrize("name", LARGER)
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_what_was_not_shown_cannot_be_chosen(name, missing):
    k, make = CHOICES[name]
    score = scores(k, 5)
    available = jnp.ones((5, k), bool).at[:, missing].set(False)
    choice = make(score.at[:, missing].set(77.0))
    smaller = make(jnp.asarray(np.delete(score, missing, axis=1)))
    ragged = np.asarray(choice.log_probs(available))
    assert (ragged[:, missing] == -np.inf).all()
    rest = np.delete(ragged, missing, axis=1)
    np.testing.assert_allclose(rest, smaller.log_probs(), rtol=4 * EPS, atol=8 * EPS)
    drawn = np.asarray(choice.draw(jax.random.key(0), available, (200,)))
    if choice.response == "ranking":
        assert (drawn[..., missing] == -1).all() and (np.delete(drawn, missing, -1) >= 0).all()
        ranks = np.array(list(itertools.permutations(range(k - 1)))[1])
        value = jnp.asarray(np.insert(ranks, missing, -1))
        mine, theirs = choice.answer_log_prob(value, available), smaller.log_prob(jnp.asarray(ranks))
        np.testing.assert_allclose(mine, theirs, rtol=8 * EPS, atol=8 * EPS)
    else:
        assert (drawn != missing).all()


@pytest.mark.parametrize("name", LARGER)
def test_gradients_of_ragged_sets_are_finite(name):
    k, make = CHOICES[name]
    available = jnp.ones(k, bool).at[1].set(False)
    slope = jax.jit(jax.jacobian(lambda s: make(s).log_probs(available)))(scores(k))
    possible = slope[np.isfinite(make(scores(k)).log_probs(available))]
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


# ---- reductions --------------------------------------------------------------------------------------


def same(choice, other, outcomes=slice(None), atol=8 * EPS):
    np.testing.assert_allclose(choice.log_probs()[..., outcomes], other.log_probs(), rtol=1e-5, atol=atol)


def test_rao_kupper_known_answers():
    """E1: equals tie with probability (theta - 1) / (theta + 1); theta = 1 is Bradley-Terry."""
    tie = choices.rao_kupper(jnp.zeros(2), jnp.log(1.8)).probs[2]
    assert float(tie) == pytest.approx(0.285714, abs=1e-6)
    p, theta = np.exp([1.3, -0.4]), 1.8
    first, second = p[0] / (p[0] + theta * p[1]), p[1] / (p[1] + theta * p[0])
    exact = [first, second, (theta**2 - 1) * p.prod() / ((p[0] + theta * p[1]) * (p[1] + theta * p[0]))]
    found = choices.rao_kupper(jnp.array([1.3, -0.4]), jnp.log(theta)).probs
    np.testing.assert_allclose(found, exact, rtol=16 * EPS)
    same(choices.rao_kupper(scores(2, 20), 1e-7), logit(scores(2, 20)), slice(0, 2), atol=1e-6)


def test_grades_reduce_to_what_they_refine():
    score = scores(2, 20)
    same(choices.graded(score, jnp.zeros(0), middle=False), logit(score))
    three = choices.graded(score, jnp.array([0.7])).log_probs()
    np.testing.assert_allclose(
        three[:, jnp.array([0, 2, 1])], choices.rao_kupper(score, 0.7).log_probs(), rtol=8 * EPS
    )
    # Levels joined again: five, their halves put together, are three.
    five = choices.graded(score, jnp.array([0.7, 1.2])).probs
    joined = jnp.stack([five[:, :2].sum(1), five[:, 2], five[:, 3:].sum(1)], 1)
    np.testing.assert_allclose(joined, np.exp(three), rtol=16 * EPS, atol=4 * EPS)


def test_rankings_of_two_are_bradley_terry():
    score = scores(2, 20)
    first = choices.plackett_luce(score).log_prob(jnp.array([0, 1]))
    np.testing.assert_allclose(first, logit(score).log_probs()[:, 0], rtol=8 * EPS, atol=2 * EPS)


def test_partial_rankings_are_marginals():
    """The first alone is the multinomial logit; the first two sum the orders of the rest."""
    score = scores(4, 20)
    best = jnp.array([-1, -1, 0, -1])
    choice = choices.plackett_luce(score)
    np.testing.assert_allclose(
        choice.log_prob(best), logit(score).log_probs()[:, 2], rtol=8 * EPS, atol=2 * EPS
    )
    first_two = np.exp(choice.log_prob(jnp.array([1, -1, 0, -1])))
    orders = sum(np.exp(choice.log_prob(jnp.array(rest))) for rest in ([1, 2, 0, 3], [1, 3, 0, 2]))
    np.testing.assert_allclose(first_two, orders, rtol=16 * EPS)
    slips = [lapse(choice, 1.0).log_prob(jnp.array(ranks)) for ranks in ([-1, -1, 0, -1], [1, -1, 0, -1])]
    np.testing.assert_allclose(np.exp(slips), [[1 / 4] * 20, [1 / 12] * 20], rtol=16 * EPS)


def test_none_beside_logit_is_one_more_alternative():
    score = scores(3, 20)
    out = choices.or_none(logit(score), score, 0.4).log_probs()[:, jnp.array([0, 1, 2, 4])]
    more = logit(jnp.concatenate([score, jnp.full((20, 1), 0.4)], 1)).log_probs()
    np.testing.assert_allclose(out, more, rtol=8 * EPS, atol=4 * EPS)


def test_no_lapse_and_a_mixture_of_one_change_nothing():
    from bayespref.choices import Mixture

    score = scores(3, 20)
    same(lapse(logit(score), 0.0), logit(score))
    same(Mixture((logit(score),), jnp.zeros(1)), logit(score))


@pytest.mark.parametrize("name", ["logit of 4", "davidson of 2", "graded without", "plackett_luce of 4"])
def test_slips_of_slips_are_slips(name):
    """A lapse around a lapse, or around a mixture of one, guesses as the choice inside does."""
    k, make = CHOICES[name]
    choice, rates = make(scores(k, N)), (0.2, 0.3)
    once = lapse(choice, 1 - (1 - rates[0]) * (1 - rates[1]))
    value = jnp.asarray(every_answer(k, make)[np.arange(N) % len(every_answer(k, make))])
    first = lapse(choice, rates[0])
    for twice in (lapse(first, rates[1]), lapse(choices.Mixture((first,), jnp.zeros(1)), rates[1])):
        same(twice, once, atol=16 * EPS)
        np.testing.assert_allclose(twice.log_prob(value), once.log_prob(value), rtol=1e-5, atol=16 * EPS)
        drawn = twice.sample(jax.random.key(0))
        assert drawn.shape == value.shape and twice.support(drawn).all()


def test_crowd_bt_is_a_lapse():
    """E3: reliability eta above one half is a lapse of 2 (1 - eta)."""
    score, eta = scores(2, 20), 0.8
    crowd = populations.mixture([logit(score), logit(-score)], jnp.log(jnp.array([eta, 1 - eta])))
    same(crowd, lapse(logit(score), 2 * (1 - eta)), atol=16 * EPS)


def test_mixed_logit_is_subadditive():
    """E2: L(2d) - 2 L(d) of strength LogNormal(0, 1), by Gauss-Hermite quadrature."""
    nodes, weight = np.polynomial.hermite_e.hermegauss(80)
    strength = jnp.asarray(np.exp(nodes), jnp.float32)

    def at(d):
        components = [logit(jnp.array([d * s, 0.0])) for s in strength]
        return log_odds(
            populations.mixture(components, jnp.asarray(np.log(weight / weight.sum()), jnp.float32))
        )

    found = [at(2 * d) - 2 * at(d) for d in (0.5, 1.0, 2.0, 4.0)]
    np.testing.assert_allclose(found, [-0.2252, -0.4944, -0.9104, -1.4858], atol=2e-4)


REFUSED = {
    "probit of 3": (lambda: choices.probit(jnp.zeros(3)), r"two things at a time; got k = 3.*choices\.logit"),
    "laplace of 3": (lambda: choices.laplace_noise(jnp.zeros(3)), r"two things at a time; got k = 3"),
    "rao_kupper of 3": (lambda: choices.rao_kupper(jnp.zeros(3), 0.1), r"two things.*choices\.davidson"),
    "graded of 3": (lambda: choices.graded(jnp.zeros(3), 0.1), r"two things.*plackett_luce"),
    "one level": (lambda: choices.graded(jnp.zeros(2), jnp.zeros(0)), r"at least two levels"),
    "none twice": (
        lambda: choices.or_none(choices.or_none(logit(jnp.zeros(2)), jnp.zeros(2), 0), jnp.zeros(2), 0),
        r"has it not; got a OrNone",
    ),
    "none of levels": (
        lambda: choices.or_none(choices.graded(jnp.zeros(2), 1), jnp.zeros(2), 0),
        r"a Graded",
    ),
    "none of other scores": (lambda: choices.or_none(logit(jnp.zeros(3)), jnp.zeros(2), 0), r"k = 3 shown"),
    "a mixture of kinds": (
        lambda: populations.mixture([logit(jnp.zeros(2)), choices.graded(jnp.zeros(2), 1.0)], HALVES),
        r"one shape and the same outcomes",
    ),
}


@pytest.mark.parametrize(("make", "match"), REFUSED.values(), ids=REFUSED)
def test_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
