import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import scipy.stats
from helpers import ANNOTATORS, answers, prior
from numpyro import handlers

import bayespref as bp
from bayespref import choices, populations
from bayespref.inference.program import sites_of
from bayespref.populations import effects

DRAWS = 8000


def effects_model(comparisons, **options):
    effect = populations.by_annotator("effect", comparisons, **options)
    while effect.ndim > 1:
        effect = effect[:, 0]
    score = effect[comparisons.annotator][:, None] * jnp.arange(comparisons.k)
    bp.observe(comparisons, choices.logit(score))


def with_answers(data, numbers):
    return data.replace(design=data.design._replace(annotator_answers=jnp.asarray(numbers, jnp.float32)))


def test_the_prior_does_not_depend_on_how_much_was_answered():
    """Given sd, effects are Normal(0, sd^2), whatever share of centring the counts call for."""
    data = with_answers(answers(rows=4), [0, 4, 100, 10_000])
    drawn = prior(lambda c: effects_model(c, spread=1.0), data, DRAWS)
    standard = drawn["effect"] / drawn["effect_sd"][:, None]
    for index in range(ANNOTATORS):
        assert abs(standard[:, index].std() - 1) < 5 / np.sqrt(2 * DRAWS)
        assert scipy.stats.kstest(standard[:, index], "norm").pvalue > 1e-3
        assert abs(np.corrcoef(standard[:, index] ** 2, drawn["effect_sd"])[0, 1]) < 5 / np.sqrt(DRAWS)
    correlation = np.corrcoef(standard.T) - np.eye(ANNOTATORS)
    assert np.abs(correlation).max() < 5 / np.sqrt(DRAWS)
    spread = np.abs(drawn["_effect"]).mean(0)  # but the coordinates do
    assert spread[0] > 1.05 * spread[3]


@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_spread_is_the_scale_of_sd(spread):
    drawn = prior(lambda c: effects_model(c, spread=spread), answers(rows=4), DRAWS)
    assert scipy.stats.kstest(drawn["effect_sd"] / spread, "halfnorm").pvalue > 1e-3
    # E[effect^2] = E[sd^2] = spread^2; the fourth moment of a product of normals is 9.
    mean_square = (drawn["effect"][:, 0] ** 2).mean()
    assert abs(mean_square / spread**2 - 1) < 5 * np.sqrt(8 / DRAWS)


def vectors(comparisons):
    return effects_model(comparisons, spread=jnp.array([1.0, 3.0, 0.5]), over="taste", labels=["u", "v", "w"])


def test_correlations_of_vectors_are_lkj():
    drawn = prior(vectors, answers(rows=4), DRAWS)
    correlation = drawn["effect_correlation"]
    np.testing.assert_allclose(correlation, np.swapaxes(correlation, 1, 2), atol=1e-6)
    np.testing.assert_allclose(np.diagonal(correlation, axis1=1, axis2=2), 1, atol=1e-5)
    for i, j in ((0, 1), (0, 2), (1, 2)):  # marginally Beta(concentration + (d - 2) / 2) on (-1, 1)
        marginal = scipy.stats.beta(2.5, 2.5, loc=-1, scale=2)
        assert scipy.stats.kstest(correlation[:, i, j], marginal.cdf).pvalue > 1e-3
    for index, spread in enumerate((1.0, 3.0, 0.5)):
        assert scipy.stats.kstest(drawn["effect_sd"][:, index] / spread, "halfnorm").pvalue > 1e-3


def test_vectors_are_uncorrelated_when_asked():
    """Over the prior, squares correlate by E[R^2]: 1/5 for LKJ(2) of two, 0 without."""
    options = {"spread": jnp.array([1.0, 3.0]), "over": "taste", "labels": ["u", "v"]}
    drawn = prior(lambda c: effects_model(c, correlated=False, **options), answers(rows=4), DRAWS)
    assert "effect_correlation" not in drawn
    standard = drawn["effect"] / drawn["effect_sd"][:, None]
    found = np.corrcoef((standard.reshape(-1, 2) ** 2).T)[0, 1]
    assert abs(found) < 5 / np.sqrt(ANNOTATORS * DRAWS) < 0.2


def test_vectors_have_the_covariance_they_say():
    data, size = answers(rows=4), 20_000
    crowd = data.replace(annotators=bp.Annotators({}, size))
    crowd = with_answers(crowd, jnp.zeros(size))
    sd = jnp.array([1.0, 3.0, 0.5])
    correlation = np.array([[1, 0.6, -0.3], [0.6, 1, 0.2], [-0.3, 0.2, 1]])
    values = {
        "effect_sd": sd,
        "_effect_correlation": jnp.asarray(np.linalg.cholesky(correlation), jnp.float32),
    }
    model = handlers.substitute(handlers.seed(vectors, jax.random.key(0)), data=values)
    effect = np.asarray(handlers.trace(model).get_trace(crowd)["effect"]["value"], np.float64)
    assert effect.shape == (size, 3)
    found = np.corrcoef(effect.T)
    np.testing.assert_array_less(np.abs(found - correlation), 5 / np.sqrt(size) + 1e-6)
    np.testing.assert_allclose(effect.std(0), sd, rtol=5 / np.sqrt(2 * size))


@pytest.mark.parametrize("numbers", [0, 20, 10_000])
def test_vectors_do_not_depend_on_how_they_are_written(numbers):
    """Given sd and correlations, effects are normal around 0 whatever the share of centring and `around`."""
    data = with_answers(answers(rows=4), [numbers] * ANNOTATORS)
    spread = jnp.array([1.0, 3.0])
    options = {"spread": spread, "over": "taste", "labels": ["u", "v"]}

    def model(comparisons):
        mean = numpyro.sample("mean", dist.Normal(0.0, 2.0).expand((2,)).to_event(1))
        effects_model(comparisons, around=mean, **options)

    drawn = prior(model, data, DRAWS)
    standard = drawn["effect"] / drawn["effect_sd"][:, None]
    across = drawn["effect_correlation"][:, 0, 1]
    product = standard[..., 0] * standard[..., 1]  # mean R given R; E[R^2] = 1/5 for LKJ(2)
    for index in range(ANNOTATORS):
        for part in range(2):
            assert scipy.stats.kstest(standard[:, index, part], "norm").pvalue > 1e-3
            linked = np.corrcoef(standard[:, index, part], drawn["mean"][:, part])[0, 1]
            assert abs(linked) < 5 / np.sqrt(DRAWS)
        assert abs((product[:, index] * across).mean() - 1 / 5) < 5 * product[:, index].std() / np.sqrt(DRAWS)
    apart = np.corrcoef(standard[:, 0, 0], standard[:, 1, 0])[0, 1]
    assert abs(apart) < 5 / np.sqrt(DRAWS)
    linked = abs(np.corrcoef(drawn["_effect"][:, 0, 0], drawn["mean"][:, 0])[0, 1])
    assert (linked > 0.5) == (numbers > 0)  # but the coordinates do


def test_annotators_without_answers_change_no_others_coordinates():
    """Strangers are added to a fit's annotators to predict them: what is known of the others stays."""
    data = with_answers(answers(rows=4), [3] * ANNOTATORS)
    crowd = data.replace(annotators=bp.Annotators({}, ANNOTATORS + 2))
    crowd = with_answers(crowd, [3] * ANNOTATORS + [0, 0])
    raw = jax.random.normal(jax.random.key(1), (ANNOTATORS + 2, 3))
    values = {"effect_sd": jnp.array([1.0, 3.0, 0.5]), "_effect_correlation": jnp.eye(3)}

    def effect(comparisons, raw):
        model = handlers.seed(vectors, jax.random.key(0))
        model = handlers.substitute(model, data=values | {"_effect": raw})
        return handlers.trace(model).get_trace(comparisons)["effect"]["value"]

    np.testing.assert_array_equal(effect(crowd, raw)[:ANNOTATORS], effect(data, raw[:ANNOTATORS]))


def test_around_is_of_vectors():
    with pytest.raises(ValueError, match="around is of vectors of effects; got around without over"):
        sites_of(lambda c: effects_model(c, around=1.0), answers())


def test_dimensions_and_labels():
    sites = sites_of(vectors, answers())
    assert sites["effect"].dims == ("annotator", "taste") and sites["effect"].shape == (ANNOTATORS, 3)
    assert sites["effect_sd"].dims == ("taste",) and sites["effect_sd"].coords["taste"] == ("u", "v", "w")
    assert sites["effect_correlation"].dims == ("taste", "taste_other")
    assert [name for name, site in sites.items() if site.latent and site.annotator_axis == 0] == ["_effect"]


def test_a_vector_of_one_has_no_correlation():
    sites = sites_of(lambda c: effects_model(c, over="taste", labels=["u"]), answers())
    assert "effect_correlation" not in sites and sites["effect"].shape == (ANNOTATORS, 1)


def test_annotators_who_answered_nothing_have_effects():
    """An annotator of the table without an answer has the population's distribution."""
    data = answers(rows=3, seed=1)
    silent = np.flatnonzero(np.asarray(data.design.annotator_answers) == 0)
    assert len(silent) > 0
    drawn = prior(effects_model, data, DRAWS)
    standard = drawn["effect"][:, silent[0]] / drawn["effect_sd"]
    assert scipy.stats.kstest(standard, "norm").pvalue > 1e-3


def test_answers_without_annotators_are_refused():
    with pytest.raises(ValueError, match=r"needs to know who answered.*annotator="):
        sites_of(effects_model, answers(annotators=False))


def test_a_vector_needs_to_know_its_length():
    with pytest.raises(ValueError, match="labels, or one spread for each element"):
        sites_of(lambda c: effects_model(c, over="taste"), answers())


# ---- covariates --------------------------------------------------------------------------------------

AGES = np.array([20.0, 30.0, 50.0, 60.0])
PEOPLE = bp.Annotators({"age": jnp.asarray(AGES), "trained": jnp.array([0, 1, 1, 0])}, ANNOTATORS)
OLD_AND_YOUNG = answers(annotators=PEOPLE)


def test_effects_follow_covariates():
    """Given sd near zero, effects are slope . (age - mean age), the slope in the user's unit."""

    def model(comparisons):
        effects_model(comparisons, spread=0.5, covariates=("age", "trained"))

    data = OLD_AND_YOUNG
    sites = sites_of(model, data)
    assert sites["effect_slope"].dims == ("effect_covariate",)
    assert sites["effect_slope"].coords == {} and sites["_effect_slope"].coords == {
        "effect_covariate": ("age", "trained")
    }
    values = {"effect_sd": jnp.array(1e-6), "_effect_slope": jnp.array([0.4, -0.2]), "_effect": jnp.ones(4)}
    trace = handlers.trace(handlers.substitute(handlers.seed(model, jax.random.key(0)), data=values))
    trace = trace.get_trace(data)
    slope, trained = np.asarray(trace["effect_slope"]["value"]), np.array([0, 1, 1, 0])
    np.testing.assert_allclose(slope, [0.4 / AGES.std(), -0.2 / 0.5], rtol=1e-5)
    expected = slope[0] * (AGES - AGES.mean()) + slope[1] * (trained - 0.5)
    np.testing.assert_allclose(trace["effect"]["value"], expected, atol=1e-4)


def test_vectors_of_effects_follow_covariates():
    def model(comparisons):
        effects_model(comparisons, spread=jnp.array([1.0, 2.0]), over="taste", covariates=("age",))

    sites = sites_of(model, OLD_AND_YOUNG)
    assert sites["effect_slope"].shape == (1, 2) and sites["effect_slope"].dims == (
        "effect_covariate",
        "taste",
    )
    drawn = prior(model, OLD_AND_YOUNG, DRAWS)
    spread = drawn["_effect_slope"].std(0)
    np.testing.assert_allclose(spread, [[1.0, 2.0]], rtol=5 / np.sqrt(2 * DRAWS))


def test_covariates_keep_their_unit_in_other_data():
    """Mean and spread are those of the fitted annotators, for a subset of rows and for strangers alike."""
    z, unit, names = populations.covariates(OLD_AND_YOUNG)
    assert names == ("age", "trained")
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-6)
    more = bp.Annotators({"age": jnp.array([80.0]), "trained": jnp.array([1])}, 1)
    strangers = OLD_AND_YOUNG.replace(annotators=more)
    there, same, _ = populations.covariates(strangers, ["age"])
    assert float(there[0, 0]) == pytest.approx((80 - AGES.mean()) / AGES.std(), rel=1e-5)
    assert float(same[0]) == float(unit[0])


def test_unknown_covariates_are_refused():
    with pytest.raises(
        ValueError, match=r"numeric columns of the annotators, \['age', 'trained'\]; got.*wage"
    ):
        populations.covariates(OLD_AND_YOUNG, ["wage"])
    with pytest.raises(ValueError, match=r"annotator_columns"):
        populations.covariates(answers())


# ---- tastes ------------------------------------------------------------------------------------------


def tasting(comparisons, **options):
    score = populations.tastes("taste", comparisons, **options)
    bp.observe(comparisons, choices.logit(score))


@pytest.mark.parametrize("features", [None, "items", "shown"])
def test_tastes_are_low_rank(features):
    """Scores are those of a rank-2 matrix over annotators and items, or annotators and features."""
    data = answers(features=features)
    options = {"dimensions": 2, "features": features is not None}
    sites = sites_of(lambda c: tasting(c, **options), data)
    assert all(site.turns for site in sites.values() if site.latent)
    assert sites["_taste"].annotator_axis == 0 and sites["_taste"].shape == (ANNOTATORS, 2)
    if features == "shown":
        assert "taste_disagreement" not in sites
        return
    drawn = prior(lambda c: tasting(c, **options), data, 2000)
    # Over annotators, a score has the standard deviation that is documented, whatever the axes are called.
    assert sites["taste_disagreement"].dims == ("item",)
    size = np.sqrt((drawn["taste_disagreement"] ** 2).mean(1))
    np.testing.assert_allclose(size, drawn["taste_strength"], rtol=1e-4)


def test_what_annotators_disagree_about():
    data, size = answers(rows=4), 20_000
    crowd = data.replace(
        annotators=bp.Annotators({}, size),
        annotator=jnp.arange(size),
        shown=jnp.tile(jnp.array([[0, 3]]), (size, 1)),
        outcome=None,
        count=jnp.ones(size, int),
        weight=jnp.ones(size),
    )
    found = []

    def model(comparisons):
        found.append(populations.tastes("taste", comparisons, dimensions=2))

    trace = handlers.trace(handlers.seed(model, jax.random.key(3))).get_trace(crowd)
    spread = np.asarray(found[0], np.float64).std(0)
    expected = np.asarray(trace["taste_disagreement"]["value"])[[0, 3]]
    np.testing.assert_allclose(spread, expected, rtol=5 / np.sqrt(2 * size))


@pytest.mark.parametrize("d", [5, effects.FEW + 1])
def test_effects_by_column_have_the_density_of_the_normal_distribution(d):
    """NumPyro's own, for one mean, for one each, for one factor each and several values of it; float32."""
    random = np.random.default_rng(0)
    tril = jnp.asarray(np.tril(random.normal(size=(7, d, d)) / d, -1) + np.eye(d) * random.uniform(0.5, 2, d))
    value, mean = (jnp.asarray(random.normal(size=shape)) for shape in ((3, 7, d), (7, d)))
    for loc, factor in ((jnp.zeros(d), tril[0]), (mean, tril[0]), (mean, tril)):
        ours, theirs = (kind(loc, scale_tril=factor) for kind in (effects._Normal, dist.MultivariateNormal))
        np.testing.assert_allclose(ours.log_prob(value), theirs.log_prob(value), rtol=1e-5)
    rows = effects._solved(tril[0], mean.T)
    np.testing.assert_allclose(effects._product(tril[0], rows), mean.T, atol=1e-5)
