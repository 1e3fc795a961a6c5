import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import EPS, ITEMS, answers, log_joint, one_draw, outcome_log_probs, prior, without_outcomes
from numpyro import handlers

import bayespref as bp
from bayespref import choices, rewards
from bayespref.design import with_design
from bayespref.inference.minibatch import minibatch
from bayespref.inference.program import run, sites_of


def from_table(comparisons, **options):
    bp.observe(comparisons, choices.logit(rewards.item_table(comparisons, **options)[comparisons.shown]))


def from_features(comparisons, **options):
    bp.observe(comparisons, choices.logit(rewards.linear(comparisons, **options)(comparisons.features)))


def from_whatever(comparisons, **options):
    bp.observe(comparisons, choices.logit(rewards.from_columns(comparisons, **options)))


MEMBERS = {
    "item_table": (from_table, None),
    "linear, features of items": (from_features, "items"),
    "linear, features of what was shown": (from_features, "shown"),
    "from_columns, names only": (from_whatever, None),
    "from_columns, features of items": (from_whatever, "items"),
    "from_columns, features of what was shown": (from_whatever, "shown"),
}
member = pytest.mark.parametrize(("model", "features"), MEMBERS.values(), ids=MEMBERS)


def test_every_reward_is_in_the_list():
    over_points = {"gp", "neural", "flow", "cycles"}  # in test_density.py; cycles below
    assert set(rewards.__all__) == {name.split(",")[0] for name in MEMBERS} | over_points
    for name in rewards.__all__:
        assert inspect.isfunction(getattr(rewards, name))


@member
def test_the_same_sites_with_and_without_outcomes(model, features):
    data = answers(features=features)
    with_outcomes, without = sites_of(model, data), sites_of(model, without_outcomes(data))
    assert with_outcomes == without
    for site in with_outcomes.values():
        if site.documented:
            assert not any("_dim_" in dim for dim in site.dims), site


@member
def test_deterministic_in_the_key(model, features):
    data = without_outcomes(answers(features=features))
    first, again, other = (prior(model, data, 2, seed=seed) for seed in (1, 1, 2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert (first["outcome"] != other["outcome"]).any() and (first["outcome"][0] != first["outcome"][1]).any()


@member
def test_the_density_over_items_is_normalised(model, features):
    data = answers(features=features)
    drawn = prior(model, data, 1)
    densities = [name for name in ("log_density", "constant") if name in drawn]
    if model is from_features and features == "shown":
        assert densities == []  # no items to spread a density over
        return
    assert densities == ["constant" if features == "shown" else "log_density"]
    value = drawn[densities[0]][0]
    assert sites_of(model, data)[densities[0]].dims == ("item",)
    assert value.shape == (ITEMS,)
    assert abs(np.log(np.exp(value).sum())) < 8 * EPS
    assert np.ptp(value) > 0.01


@member
def test_relabelling_items_permutes_the_density(model, features):
    data = answers(features=features)
    new = np.array([3, 0, 4, 1, 2])  # item i is now item new[i]
    old = np.argsort(new)
    items = bp.Items({name: value[old] for name, value in data.items.columns.items()}, ITEMS)
    design = data.design._replace(item_answers=data.design.item_answers[old])
    moved = data.replace(shown=jnp.asarray(new)[data.shown], items=items, design=design)
    values = one_draw(model, data)
    permuted = {name: value[old] if value.shape == (ITEMS,) else value for name, value in values.items()}
    before, after = at(model, data, values), at(model, moved, permuted)
    for name in {"log_density", "constant"} & set(before):
        np.testing.assert_allclose(after[name], before[name][old], rtol=8 * EPS, atol=8 * EPS)
    np.testing.assert_allclose(after["p"], before["p"], rtol=64 * EPS)


def at(model, data, values):
    """What a model computes at given values of its latents, and probabilities `p` of outcomes."""
    computed = evaluated(model)(values, data)
    return {name: np.asarray(value) for name, value in computed.items()}


@functools.cache
def evaluated(model):
    def compute(values, data):
        trace = run(model, data, values)
        sites = {name: site["value"] for name, site in trace.items() if site["type"] == "deterministic"}
        return sites | {"p": jnp.exp(trace["outcome"]["fn"].outcome_log_probs())}

    return jax.jit(compute)


def with_item_answers(data, number):
    return data.replace(design=data.design._replace(item_answers=jnp.full(ITEMS, float(number))))


@pytest.mark.parametrize("scale", [None, 2.0])
def test_centring_leaves_the_prior_unchanged(scale):
    data, draws = answers(), 4000

    def model(comparisons):
        rewards.item_table(comparisons, scale=scale)

    few, many = (prior(model, with_item_answers(data, n), draws, seed=n) for n in (0, 10_000))
    # Same prior, other coordinates.
    sampled = [np.std(drawn["_log_density"][:, 0]) for drawn in (few, many)]
    assert sampled[0] == pytest.approx(1 * np.sqrt(1 - 1 / ITEMS), rel=0.1) and sampled[1] > 1.2 * sampled[0]
    gaps = [drawn["log_density"][:, 0] - drawn["log_density"][:, 1] for drawn in (few, many)]
    assert scipy.stats.ks_2samp(*gaps).pvalue > 1e-3
    sd = 1.5 if scale is None else scale
    for gap in gaps:  # the worths of two items differ by sqrt(2) s, exactly, however many items there are
        kurtosis = 9 if scale is None else 3  # of a product of two normals, of one
        error = np.sqrt((kurtosis - 1) / 4 / draws)
        assert abs(gap.std() / (np.sqrt(2) * sd) - 1) < 5 * error
        assert abs(gap.mean()) < 5 * gap.std() / np.sqrt(draws)


def test_prior_of_worths_as_documented():
    """`item_table`: 95 % of pairs between .01 and .99, half of them between .32 and .68."""

    def model(comparisons):
        rewards.item_table(comparisons)

    draws = 40_000
    log_density = prior(model, answers(rows=10), draws)["log_density"]
    win = 1 / (1 + np.exp(log_density[:, 1] - log_density[:, 0]))
    wide, half = ((win > low) & (win < 1 - low) for low in (0.01, 0.32))
    assert abs(wide.mean() - 0.95) < 0.005 + 5 * np.sqrt(0.95 * 0.05 / draws)
    assert abs(half.mean() - 0.5) < 0.01 + 5 * np.sqrt(0.25 / draws)


@pytest.mark.parametrize("where", ["items", "shown"])
def test_units_of_features_do_not_matter(where):
    data = answers(features=where)
    factor = jnp.array([1.0, 1000.0])
    if where == "items":
        columns = {"features": data.items.features * factor}
        table = bp.Items(columns, ITEMS, data.items.feature_names)
        scaled = {"items": table}
    else:
        scaled = {"shown_columns": {"features": data.shown_columns["features"] * factor}}
    scaled = with_design(data.replace(**scaled))
    values = one_draw(from_features, data)
    before, after = at(from_features, data, values), at(from_features, scaled, values)
    np.testing.assert_allclose(before["coefficient"] / after["coefficient"], factor, rtol=64 * EPS)
    np.testing.assert_allclose(after["p"], before["p"], atol=64 * EPS)


def test_a_constant_added_to_a_feature_does_not_matter():
    data = answers(features="shown")
    moved = with_design(data.replace(shown_columns={"features": data.shown_columns["features"] + 8.0}))
    values = one_draw(from_features, data)
    before, after = at(from_features, data, values), at(from_features, moved, values)
    np.testing.assert_allclose(after["p"], before["p"], atol=1000 * EPS)  # features of about 20 lose eps each


def test_linear_prior_as_documented():
    """Two things that differ typically in one feature have log-odds of standard deviation 2."""
    data = answers(features="items")

    def model(comparisons):
        rewards.linear(comparisons)

    coefficient = prior(model, data, 20_000)["coefficient"]
    typical = 2 * np.asarray(data.design.feature_scale)  # of a pair, the difference is twice the spread
    np.testing.assert_allclose((coefficient * typical).std(0), 2, rtol=5 / np.sqrt(2 * 20_000))
    pairs = np.asarray(data.features, np.float64)
    difference = np.repeat(pairs[:, 0] - pairs[:, 1], np.asarray(data.count), axis=0)
    np.testing.assert_allclose(np.sqrt((difference**2).mean(0)), typical, rtol=1e-5)


@pytest.mark.parametrize("features", [None, "items", "shown"])
def test_minibatches_stand_for_the_data(features):
    data = answers(features=features, rows=40)
    data = data.replace(count=jnp.arange(len(data)) % 3 + 1)
    values = one_draw(from_whatever, data)
    full = outcome_log_probs(from_whatever, data, values)
    full = (np.take_along_axis(full, np.asarray(data.outcome)[:, None], 1)[:, 0] * data.count).sum()

    def batch_log_likelihood(key):
        batch = minibatch(key, data, 8)
        return run(from_whatever, batch, values)["outcome"]["fn"].log_prob(batch.outcome).sum()

    batches = jax.jit(jax.vmap(batch_log_likelihood))(jax.random.split(jax.random.key(0), 4000))
    batches = np.asarray(batches, np.float64)
    assert batches.std() > 0
    assert abs(batches.mean() - full) < 5 * batches.std() / np.sqrt(len(batches))


@pytest.mark.parametrize("features", [None, "items", "shown"])
def test_latents_mean_the_same_in_a_minibatch(features):
    data = answers(features=features)
    batch = minibatch(jax.random.key(0), data, 7)
    latents = [
        {name: site for name, site in sites_of(from_whatever, part).items() if site.latent}
        for part in (data, batch)
    ]
    assert latents[0] == latents[1]
    values, silent = one_draw(from_whatever, data), jnp.zeros(7)
    of_data, of_batch = (
        log_joint(from_whatever, part.replace(weight=weight), values)[0]
        for part, weight in ((data, jnp.zeros(len(data))), (batch, silent))
    )
    assert of_data == of_batch  # the prior alone


def test_a_row_in_a_minibatch_is_scored_as_in_the_data():
    data = answers(rows=6, annotators=False, merge=False)
    values = one_draw(from_whatever, data)
    batch = minibatch(jax.random.key(1), data, 5)
    full, part = (outcome_log_probs(from_whatever, data, values) for data in (data, batch))
    shown = np.asarray(batch.items.index)[np.asarray(batch.shown)]
    for row, probs in zip(shown, part, strict=True):
        source = np.flatnonzero((np.asarray(data.shown) == row).all(1))[0]
        np.testing.assert_allclose(probs, full[source], rtol=8 * EPS)


def test_a_table_of_one_item_is_refused():
    data = answers().replace(items=bp.Items({}, 1))
    with pytest.raises(ValueError, match="at least two items"):
        handlers.seed(from_table, jax.random.key(0))(data)


def test_two_rewards_live_in_one_model():
    def model(comparisons):
        quality = rewards.item_table(comparisons, name="quality")
        style = rewards.item_table(comparisons, name="style", scale=0.5)
        bp.observe(comparisons, choices.logit((quality + style)[comparisons.shown]))

    assert {"quality", "quality_scale", "style"} <= set(sites_of(model, answers()))


# ---- classes and cycles ------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [None, "items", "shown"])
def test_a_class_is_a_reward_of_its_own(features):
    """Rewards for 3 classes: at the values of one class, what one reward alone gives."""
    data = answers(features=features)

    def by_class(comparisons):
        scores = rewards.from_columns(comparisons, scale=1.0, classes=3)
        bp.observe(comparisons, choices.logit(scores[2]))

    def alone(comparisons):
        bp.observe(comparisons, choices.logit(rewards.from_columns(comparisons, scale=1.0)))

    values = one_draw(by_class, data)
    sites = sites_of(by_class, data)
    assert all(site.dims[0] == "class" and site.shape[0] == 3 for site in sites.values())
    # Worths are centred by the answers that each class has: one share for all classes, another for one.
    thin = data if features == "items" else with_item_answers(data, 3.0)
    thick = data if features == "items" else with_item_answers(data, 1.0)
    mine, theirs = at(by_class, thin, values), at(alone, thick, {k: v[2] for k, v in values.items()})
    np.testing.assert_allclose(mine["p"], theirs["p"], atol=16 * EPS)
    for name in ("log_density", "coefficient", "constant"):
        if name in mine:
            np.testing.assert_allclose(mine[name][2], theirs[name], rtol=8 * EPS, atol=8 * EPS)


def circular(comparisons, **options):
    score = rewards.cycles(comparisons, **options)
    bp.observe(comparisons, choices.logit(score))


PAIRS = bp.Comparisons.from_arrays(
    [[i, j] for i in range(ITEMS) for j in range(ITEMS) if i != j], items=ITEMS
)


def test_cycles_are_skew_and_say_nothing_about_worths():
    values = one_draw(circular, PAIRS)
    found = at(circular, PAIRS, values)
    advantage = found["cycles"]
    np.testing.assert_allclose(advantage, -advantage.T, atol=EPS * np.abs(advantage).max())
    np.testing.assert_allclose(advantage.sum(1), 0, atol=16 * EPS * np.abs(advantage).max())
    shown = np.asarray(PAIRS.shown)
    log_odds = np.log(found["p"][:, 0] / found["p"][:, 1])
    np.testing.assert_allclose(log_odds, advantage[shown[:, 0], shown[:, 1]], atol=64 * EPS)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_cycles_prior_as_documented(dimensions):
    """s is the standard deviation of A_ij; a priori half of all below 0.13, 95 % below 1.06."""
    draws = 40_000
    fixed = prior(lambda c: circular(c, scale=0.7, dimensions=dimensions), PAIRS, draws)["cycles"][:, 0, 1]
    kurtosis = (fixed**4).mean() / (fixed**2).mean() ** 2
    assert abs(fixed.std() / 0.7 - 1) < 5 * np.sqrt((kurtosis - 1) / 4 / draws)
    if dimensions == 1:
        size = np.abs(prior(circular, PAIRS, draws)["cycles"][:, 0, 1])
        for bound, share in ((0.134, 0.5), (1.06, 0.95)):
            assert abs((size < bound).mean() - share) < 0.005 + 5 * np.sqrt(share * (1 - share) / draws), (
                size < bound
            ).mean()


def test_blades_and_chests_turn_without_a_difference():
    values = one_draw(circular, PAIRS)
    turned = jnp.asarray([[0.8, -0.6], [0.6, 0.8]]) @ values["_cycles"]
    after = at(circular, PAIRS, values | {"_cycles": turned})
    np.testing.assert_allclose(after["cycles"], at(circular, PAIRS, values)["cycles"], atol=32 * EPS)
    assert sites_of(circular, PAIRS)["_cycles"].turns


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (answers(k=3), r"cycles are of pairs; got k = 3"),
        (bp.Comparisons.from_arrays([[0, 1]], items=2), r"at least three items"),
    ],
    ids=["threes", "two items"],
)
def test_cycles_of_what(data, match):
    with pytest.raises(ValueError, match=match):
        sites_of(circular, data.replace(outcome=None))
