import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ITEMS, NAMES, answers, fit_by_hand, fit_from_worths, without_outcomes
from scipy.special import expit
from scipy.stats import norm

import bayespref as bp
from bayespref import models
from bayespref.comparisons import Comparisons
from bayespref.predictive import pairs_of

bradley_terry = functools.partial(models.bradley_terry, scale=1.0)
rationality = functools.partial(models.rationality_by_annotator, scale=1.0)
KEY = jax.random.key(0)
TABLE, BY_READER = answers(annotators=False), answers()
LABELS = list(TABLE.items.labels)
WORTHS = np.random.default_rng(1).normal(size=(200, ITEMS))


# ---- simulate ----------------------------------------------------------------------------------------


def test_every_answer_of_a_counted_row_is_drawn():
    """Wins of a row that stands for 50 answers are binomial: variance N p q, not N^2 p q."""
    people, times = 300, 50
    data = Comparisons.from_arrays([[0, 1]] * people, annotator=np.arange(people), count=[times] * people)
    simulated = bp.simulate(KEY, bradley_terry, data, parameters={"_log_density": [0.5, -0.5]})
    assert simulated.answers == people * times and len(simulated) <= 2 * people
    first = np.asarray(simulated.outcome) == 0
    wins = np.bincount(np.asarray(simulated.annotator), np.where(first, simulated.count, 0), people)
    p = expit(1)
    variance = times * p * (1 - p)
    assert abs(wins.mean() - times * p) < 5 * np.sqrt(variance / people)
    assert abs(wins.var() / variance - 1) < 5 * np.sqrt(2 / people)


def test_what_is_shown_to_whom_stays():
    simulated = bp.simulate(KEY, bradley_terry, BY_READER)
    blank = [without_outcomes(data).expanded().counted() for data in (simulated, BY_READER)]
    rows = [np.stack([*data.shown.T, data.annotator, data.count], 1).tolist() for data in blank]
    assert sorted(rows[0]) == sorted(rows[1])
    np.testing.assert_array_equal(simulated.design.item_answers, BY_READER.design.item_answers)


def test_the_key_decides():
    one, again, other = (
        bp.simulate(jax.random.key(seed), models.bradley_terry, answers(annotators=False, merge=False))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.outcome, again.outcome)
    assert (one.outcome != other.outcome).any()


@pytest.mark.parametrize(("position", "chosen"), [(60.0, 0), (-60.0, 1)])
def test_parameters_are_respected(position, chosen):
    simulated = bp.simulate(KEY, models.bradley_terry_position, TABLE, parameters={"position": position})
    assert (simulated.outcome == chosen).all()


def test_parameters_that_are_no_sites_are_refused():
    with pytest.raises(ValueError, match=r"sites of the model.*_log_density.*advantage"):
        bp.simulate(KEY, models.bradley_terry, TABLE, parameters={"advantage": 1.0})


# ---- predict -----------------------------------------------------------------------------------------

POOLED = fit_from_worths(bradley_terry, TABLE, WORTHS)


def test_probabilities_are_posterior_means():
    pairs = Comparisons.from_arrays([[0, 1], [3, 2]], items=LABELS)
    predicted = bp.predict(KEY, bradley_terry, POOLED, pairs, prob=0.8)
    draws = expit(np.stack([WORTHS[:, 0] - WORTHS[:, 1], WORTHS[:, 3] - WORTHS[:, 2]], 1))
    np.testing.assert_allclose(predicted["probability"].sel(outcome="0"), draws.mean(0), atol=1e-6)
    np.testing.assert_allclose(predicted["probability"].sum("outcome"), 1, atol=1e-6)
    low, high = np.quantile(draws, [0.1, 0.9], axis=0)
    np.testing.assert_allclose(predicted["lower"].sel(outcome="0"), low, atol=1e-6)
    np.testing.assert_allclose(predicted["upper"].sel(outcome="0"), high, atol=1e-6)
    assert predicted.attrs["interval"] == "equal-tailed, 0.8"


def test_items_are_aligned_by_label():
    pairs = np.array([[0, 1], [2, 3], [4, 0]])
    order = np.array([4, 2, 0, 3, 1])  # place of each item in another table
    other = [LABELS[item] for item in np.argsort(order)]
    predicted = [
        bp.predict(KEY, bradley_terry, POOLED, new)["probability"].values
        for new in (
            Comparisons.from_arrays(pairs, items=LABELS),
            Comparisons.from_arrays(order[pairs], items=other),
        )
    ]
    np.testing.assert_array_equal(*predicted)


def test_outcomes_of_new_rows_are_ignored():
    pairs = np.array([[0, 1], [1, 2]])
    new = [Comparisons.from_arrays(pairs, outcome, items=LABELS) for outcome in (None, [0, 1], [2, 3])]
    predicted = [bp.predict(KEY, bradley_terry, POOLED, rows)["probability"].values for rows in new]
    np.testing.assert_array_equal(predicted[0], predicted[1])
    np.testing.assert_array_equal(predicted[0], predicted[2])


READERS = fit_from_worths(
    rationality,
    BY_READER,
    np.tile(WORTHS, (20, 1)),
    log_rationality_sd=np.full(4000, 0.8),
    _log_rationality=np.tile(np.log([0.0625, 0.5, 2.0, 16.0]), (4000, 1)) / 0.8**0.5,
)


def of_readers(pairs, **keywords):
    new = Comparisons.from_arrays(pairs, items=LABELS, **keywords)
    return bp.predict(KEY, rationality, READERS, new)["probability"].values[:, 0]


def population(pairs):
    """P(first) for a new reader: the mean over effects ~ Normal(0, .8^2), and its Monte-Carlo error."""
    nodes = np.linspace(-8, 8, 401)
    weights = norm.pdf(nodes) / norm.pdf(nodes).sum()
    worth = np.tile(WORTHS, (20, 1))
    gaps = worth[:, pairs[:, 0]] - worth[:, pairs[:, 1]]
    p = expit(np.exp(0.8 * nodes) * gaps[..., None])
    error = np.sqrt(((p**2 * weights).sum(-1) - (p * weights).sum(-1) ** 2).mean(0) / len(gaps))
    return (p * weights).sum(-1).mean(0), error


PAIRS = np.array([[0, 1], [2, 3], [4, 2]])


def test_an_unseen_annotator_is_the_population():
    exact, error = population(PAIRS)
    predicted = of_readers(PAIRS, annotator=[0, 0, 0], annotators=["newcomer"])
    np.testing.assert_array_less(np.abs(predicted - exact), 5 * error + 1e-6)
    assert error.max() < 0.01


def test_rows_without_annotators_are_answered_by_a_new_one():
    exact, error = population(PAIRS)
    np.testing.assert_array_less(np.abs(of_readers(PAIRS) - exact), 5 * error + 1e-6)


def test_known_annotators_keep_their_effects():
    """Aligned by label, next to one who is new."""
    pairs = np.array([[0, 1], [0, 1], [0, 1]])
    predicted = of_readers(pairs, annotator=[0, 1, 2], annotators=["y", "newcomer", "w"])
    index = list(BY_READER.annotators.labels)
    effects = READERS["posterior"]["log_rationality"].values[0, 0]
    gap = WORTHS[:, 0] - WORTHS[:, 1]
    for row, reader in ((0, "y"), (2, "w")):
        exact = expit(np.exp(effects[index.index(reader)]) * gap).mean()
        assert predicted[row] == pytest.approx(exact, abs=1e-5)
    assert abs(predicted[0] - predicted[2]) > 0.01


def test_unseen_items_need_a_reward_over_features():
    new = Comparisons.from_arrays([[0, 1]], items=[LABELS[0], "item-Z"])
    with pytest.raises(ValueError, match=r"items that the fit has seen.*item-Z.*reward over features"):
        bp.predict(KEY, bradley_terry, POOLED, new)


FEATURED = answers(features="items", annotators=False)
COEFFICIENTS = np.random.default_rng(2).normal(size=(100, 2))
LINEAR = fit_by_hand(models.conditional_logit, FEATURED, _coefficient=COEFFICIENTS)


def test_unseen_items_with_features_are_predicted():
    features = np.array([[0.5, 20.0], [-1.0, 4.0]])
    table = bp.Items({"features": features}, 2, NAMES, labels=np.array(["new", "newer"], dtype=object))
    new = Comparisons.from_arrays([[0, 1]], items=table)
    predicted = bp.predict(KEY, models.conditional_logit, LINEAR, new)["probability"].values[0, 0]
    coefficient = COEFFICIENTS / np.asarray(FEATURED.design.feature_scale)
    assert predicted == pytest.approx(expit(coefficient @ (features[0] - features[1])).mean(), abs=1e-5)


def test_unseen_items_without_the_features_are_refused():
    new = Comparisons.from_arrays([[0, 1]], items=[LABELS[0], "item-Z"])
    with pytest.raises(ValueError, match="features"):
        bp.predict(KEY, models.conditional_logit, LINEAR, new)


def test_sets_of_another_size_follow_the_same_worths():
    """A fit to pairs predicts triples: odds between two items do not depend on the third (Luce)."""
    triple = Comparisons.from_arrays([[0, 1, 2]], items=LABELS)
    predicted = bp.predict(KEY, bradley_terry, POOLED, triple)["probability"].values[0]
    worth = POOLED["posterior"]["log_density"].values.reshape(-1, len(LABELS))
    order = [list(POOLED["posterior"]["item"].values).index(label) for label in LABELS[:3]]
    odds = np.exp(worth[:, order])
    np.testing.assert_allclose(predicted, (odds / odds.sum(1, keepdims=True)).mean(0), rtol=1e-5)


def test_known_items_keep_their_features():
    table = FEATURED.items
    changed = bp.Items({"features": table.features + 1}, table.size, table.feature_names, labels=table.labels)
    with pytest.raises(ValueError, match="items that the fit knows keep their column 'features'"):
        bp.predict(KEY, models.conditional_logit, LINEAR, Comparisons.from_arrays([[0, 1]], items=changed))


def test_known_worths_can_be_simulated_from():
    """Computed sites are parameters too: worths far apart decide every answer."""
    worths = 200.0 * np.arange(TABLE.items.size)
    simulated = bp.simulate(KEY, bradley_terry, TABLE, parameters={"log_density": worths})
    shown = np.asarray(simulated.shown)
    assert (np.asarray(simulated.outcome) == (shown[:, 1] > shown[:, 0])).all()
    with pytest.raises(ValueError, match=r"site 'log_density' has shape"):
        bp.simulate(KEY, bradley_terry, TABLE, parameters={"log_density": worths[:2]})


def test_replicated_answers_of_new_annotators_ignore_known_effects():
    """annotators="new" draws effects from the population: with sd 0 known effects no longer matter."""
    data = answers(annotators=True)
    fit = fit_by_hand(
        models.rationality_by_annotator,
        data,
        _log_density=np.zeros((400, data.items.size)) + np.linspace(-3, 3, data.items.size),
        log_density_scale=np.ones(400),
        log_rationality_sd=np.full(400, 1e-3),
        _log_rationality=np.full((400, len(data.annotators)), -1e4),  # as if all guessed
    )
    kinds = {
        kind: bp.posterior_predictive(KEY, models.rationality_by_annotator, fit, annotators=kind)
        for kind in ("known", "new")
    }
    expanded = data.expanded()
    better = (np.asarray(expanded.shown)[:, 1] > np.asarray(expanded.shown)[:, 0]).astype(int)
    share = {
        kind: (tree["posterior_predictive"]["outcome"].values == better).mean()
        for kind, tree in kinds.items()
    }
    assert share["new"] > share["known"] + 0.1


def test_latents_that_the_fit_does_not_have_are_never_drawn_from_the_prior():
    """A model that reads what columns are there would sample other sites for rows without them."""
    data = answers(features="shown", annotators=False)
    fit = fit_by_hand(
        models.conditional_logit, data, _coefficient=np.zeros((10, 2)), _constant=np.zeros((10, ITEMS))
    )
    with pytest.raises(ValueError, match=r"columns that 'conditional_logit' was fitted with.*_coefficient"):
        bp.win_probability(KEY, models.conditional_logit, fit)


def test_pairs_are_all_ordered_pairs():
    pairs = pairs_of(POOLED)
    assert len(pairs) == ITEMS * (ITEMS - 1)
    assert len({tuple(row) for row in np.asarray(pairs.shown).tolist()}) == len(pairs)
    assert pairs.outcome is None and list(pairs.items.labels) == LABELS


# ---- posterior predictive ----------------------------------------------------------------------------


def test_replicated_answers_are_single_answers():
    worths = np.tile(WORTHS[:1], (500, 1))
    fit = fit_from_worths(bradley_terry, TABLE, worths)
    tree = bp.posterior_predictive(KEY, bradley_terry, fit, draws=400)
    replicated, observed = tree["posterior_predictive"]["outcome"], tree["observed_data"]["outcome"]
    assert replicated.sizes == {"chain": 1, "draw": 400, "answer": TABLE.answers}
    expanded = TABLE.expanded()
    np.testing.assert_array_equal(observed, expanded.outcome)
    shown = np.asarray(expanded.shown)
    p = expit(WORTHS[0, shown[:, 0]] - WORTHS[0, shown[:, 1]])
    frequency = (replicated.values[0] == 0).mean(0)
    np.testing.assert_array_less(np.abs(frequency - p), 5 * np.sqrt(p * (1 - p) / 400))
    totals = (replicated.values[0] == 0).sum(1)
    assert abs(totals.var() / (p * (1 - p)).sum() - 1) < 5 * np.sqrt(2 / 400)  # independent of each other


def test_large_tables_are_represented_by_a_sample():
    tree = bp.posterior_predictive(KEY, bradley_terry, POOLED, draws=5, answers=20)
    assert tree["posterior_predictive"]["outcome"].shape == (1, 5, 20)
    assert tree["observed_data"]["outcome"].shape == (20,)
    assert (tree.attrs["answers"], tree.attrs["of_answers"]) == (20, TABLE.answers)


def test_ties_can_be_replicated():
    model = functools.partial(models.davidson, scale=1.0)
    data = answers(annotators=False, ties=True)
    fit = fit_from_worths(model, data, WORTHS, log_tie=jnp.full(len(WORTHS), 40.0))
    replicated = bp.posterior_predictive(KEY, model, fit, draws=3)["posterior_predictive"]["outcome"]
    assert (replicated == 2).all()
