import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from helpers import EPS, ITEMS, answers, log_joint, one_draw, outcome_log_probs, without_outcomes
from numpyro import handlers

import bayespref as bp
from bayespref import choices, rewards
from bayespref.comparisons import Comparisons
from bayespref.inference.program import sites_of

WORTH = jnp.array([0.4, -1.0, 0.9, 0.1, -0.4])


def logit_model(comparisons):
    bp.observe(comparisons, choices.logit(WORTH[comparisons.shown]))


def bradley_terry(comparisons):
    log_density = rewards.item_table(comparisons)
    bp.observe(comparisons, choices.logit(log_density[comparisons.shown]))


def categorical(comparisons):
    bp.observe(comparisons, dist.Categorical(logits=WORTH[comparisons.shown]))


def observed(model, data):
    return handlers.trace(handlers.seed(model, jax.random.key(0))).get_trace(data)["outcome"]


def log_likelihood(model, data):
    return np.asarray(jax.jit(lambda data: observed(model, data)["fn"].log_prob(data.outcome))(data))


def test_counted_rows_are_their_answers():
    data = answers(annotators=False, rows=200)
    expanded = data.expanded()
    assert len(data) < len(expanded) == data.answers == 200
    values = one_draw(bradley_terry, data)
    counted, single = (log_joint(bradley_terry, part, values)[0] for part in (data, expanded))
    assert counted == pytest.approx(single, rel=16 * EPS)


def test_weights_scale_the_log_likelihood():
    data = answers()
    weight = jnp.linspace(0, 3, len(data))
    plain, weighted = (
        log_likelihood(logit_model, data),
        log_likelihood(logit_model, data.replace(weight=weight)),
    )
    np.testing.assert_allclose(weighted, weight * plain, rtol=2 * EPS)
    assert weighted[0] == 0


def test_one_answer_is_unscaled():
    data = answers(annotators=False, rows=200)
    data = data.replace(weight=jnp.full(len(data), 7.0))
    site = observed(logit_model, data)
    one = site["fn"].answer_log_prob(data.outcome)
    np.testing.assert_allclose(site["fn"].log_prob(data.outcome), 7 * data.count * one, rtol=4 * EPS)
    p, shown = np.exp(np.asarray(WORTH, np.float64)), np.asarray(data.shown)
    chosen = np.take_along_axis(shown, np.asarray(data.outcome)[:, None], 1)[:, 0]
    np.testing.assert_allclose(one, np.log(p[chosen] / p[shown].sum(1)), rtol=16 * EPS)


def test_the_site_is_outcome_in_plate_comparison():
    site = observed(logit_model, answers())
    assert [frame.name for frame in site["cond_indep_stack"]] == ["comparison"]
    assert site["is_observed"]


def test_without_outcomes_they_are_drawn():
    data = without_outcomes(answers())
    site = observed(logit_model, data)
    assert not site["is_observed"] and site["value"].shape == (len(data),)
    assert set(np.unique(site["value"])) <= {0, 1}


RAGGED = Comparisons.from_arrays([[0, 1, -1, 4], [2, 3, 4, 1], [-1, 0, 4, 3]], [1, 2, 3], items=ITEMS)


@pytest.mark.parametrize(
    "make",
    [
        choices.logit,
        lambda score: choices.davidson(score, jnp.log(0.9)),
        lambda score: choices.lapse(choices.logit(score), 0.1),
        lambda score: choices.lapse(choices.davidson(score, 0.3), 0.1),
    ],
    ids=["logit", "davidson", "lapse of logit", "lapse of davidson"],
)
def test_ragged_sets_are_the_smaller_sets(make):
    def model(comparisons):
        bp.observe(comparisons, make(WORTH[comparisons.shown]))

    log_probs = outcome_log_probs(model, RAGGED)
    for row, shown in zip(log_probs, np.asarray(RAGGED.shown), strict=True):
        there = shown >= 0
        alone = make(WORTH[shown[there]]).log_probs()
        np.testing.assert_allclose(row[:4][there], alone[: there.sum()], rtol=8 * EPS)
        np.testing.assert_allclose(row[4:], alone[there.sum() :], rtol=8 * EPS)
        assert (row[:4][~there] == -np.inf).all()
    blank = without_outcomes(RAGGED)
    draw = jax.jit(
        jax.vmap(lambda key: handlers.seed(lambda c: bp.observe(c, make(WORTH[c.shown])), key)(blank))
    )
    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), 2000)))
    for row, shown in zip(drawn.T, np.asarray(RAGGED.shown), strict=True):
        assert not np.isin(row, np.flatnonzero(shown < 0)).any()


def test_gradients_of_ragged_sets_are_finite():
    def model(comparisons):
        log_density = rewards.item_table(comparisons)
        lapse = numpyro.sample("lapse", dist.Beta(1, 9))
        bp.observe(comparisons, choices.lapse(choices.logit(log_density[comparisons.shown]), lapse))

    values = one_draw(model, RAGGED)
    _, slope = log_joint(model, RAGGED, values)
    for name, value in slope.items():
        assert np.isfinite(value).all(), name


def test_distributions_of_numpyro_are_welcome():
    data = answers(annotators=False, rows=200)
    np.testing.assert_allclose(
        log_likelihood(categorical, data), log_likelihood(logit_model, data), rtol=16 * EPS, atol=16 * EPS
    )
    log_probs = [outcome_log_probs(model, data) for model in (categorical, logit_model)]
    np.testing.assert_allclose(*log_probs, rtol=16 * EPS, atol=16 * EPS)

    def bernoulli(comparisons):
        worth = WORTH[comparisons.shown]
        bp.observe(comparisons, dist.Bernoulli(logits=worth[:, 1] - worth[:, 0]))

    np.testing.assert_allclose(outcome_log_probs(bernoulli, data), log_probs[1], rtol=16 * EPS)


TIED, NONE = answers(ties=True), Comparisons.from_arrays([[0, 1], [1, 2]], [0, 3], items=ITEMS)


def observing(make):
    def model(comparisons):
        bp.observe(comparisons, make(comparisons, WORTH[comparisons.shown]))

    return model


REFUSED = {
    "ties under logit": (lambda c, s: choices.logit(s), TIED, r"tied answers under logit.*davidson.*subset"),
    "ties under a lapse": (
        lambda c, s: choices.lapse(choices.logit(s), 0.1),
        TIED,
        r"without ties.*davidson",
    ),
    "ties under a categorical": (lambda c, s: dist.Categorical(logits=s), TIED, r"ties.*bayespref\.choices"),
    "none under logit": (lambda c, s: choices.logit(s), NONE, r"'none'.*both_bad.*leave those rows out"),
    "none under davidson": (
        lambda c, s: choices.davidson(s, 0.0),
        NONE,
        r"'none'.*both_bad.*leave those rows out",
    ),
    "ragged under a categorical": (
        lambda c, s: dist.Categorical(logits=s),
        RAGGED,
        r"sets of different size",
    ),
    "scores of a part": (lambda c, s: choices.logit(s[:3]), answers(), r"one element for each row.*\(3,\)"),
    "scores of one row": (lambda c, s: choices.logit(s[0]), answers(), r"each row.*comparisons\.shown"),
    "a matrix of scores": (lambda c, s: choices.logit(s[None]), answers(), r"one element for each row"),
    "events": (lambda c, s: dist.Normal(s, 1).to_event(1), answers(), r"event shape \(2,\)"),
    "too many columns": (
        lambda c, s: choices.logit(jnp.pad(s, ((0, 0), (0, 1)))),
        answers(),
        r"one column for each of the k = 2 shown; got 3",
    ),
    "a categorical of three": (
        lambda c, s: dist.Categorical(logits=jnp.pad(s, ((0, 0), (0, 1)))),
        answers(),
        r"one outcome for each of the k = 2 shown; got a Categorical\w* over 3",
    ),
    "numbers": (lambda c, s: dist.Normal(s[:, 0], 1), answers(), r"a discrete distribution; got a Normal"),
    "counts": (lambda c, s: dist.Poisson(jnp.exp(s[:, 0])), answers(), r"k = 2 shown; got a Poisson"),
    "scores alone": (lambda c, s: s, answers(), r"takes a distribution.*choices\.logit"),
}


@pytest.mark.parametrize(("make", "data", "match"), REFUSED.values(), ids=REFUSED)
def test_a_distribution_that_does_not_fit_is_refused(make, data, match):
    with pytest.raises(ValueError, match=match):
        sites_of(observing(make), data)


def test_the_remedy_for_ties_works():
    kept = TIED.subset(rows=TIED.outcome < TIED.k)
    assert not kept.has_ties
    assert np.isfinite(log_likelihood(logit_model, kept)).all()


def test_a_model_that_observes_nothing_is_refused():
    def forgetful(comparisons):
        rewards.item_table(comparisons)

    with pytest.raises(ValueError, match=r"bayespref\.observe.*no site 'outcome'"):
        sites_of(forgetful, answers())
