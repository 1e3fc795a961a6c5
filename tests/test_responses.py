"""Answers that say more than which: graded ones and rankings, from the table to the posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from helpers import EPS, ITEMS, answers, outcome_log_probs

import bayespref as bp
from bayespref import choices
from bayespref.answers import preferred
from bayespref.comparisons import Comparisons
from bayespref.inference.program import run, sites_of
from bayespref.io.datatree import from_datatree, to_datatree
from bayespref.io.table import read_table

RNG = np.random.default_rng(2)
WORTH = jnp.array([0.4, -1.0, 0.9, 0.1, -0.4])
GRADED = answers(response="graded", levels=5, outcomes=RNG.integers(5, size=300), rows=300)
RANKS = RNG.permuted(np.tile([0, 1, 2, 3], (60, 1)), axis=1)
RANKED = answers(k=4, response="ranking", outcomes=np.where(RANKS < 2, RANKS, -1))
"""The first two of four."""


def graded(comparisons):
    bp.observe(comparisons, choices.graded(WORTH[comparisons.shown], jnp.array([0.5, 1.0])))


def ranked(comparisons):
    bp.observe(comparisons, choices.plackett_luce(WORTH[comparisons.shown]))


def log_likelihood(model, data):
    return np.asarray(run(model, data, {})["outcome"]["fn"].log_prob(data.outcome))


# ---- tables ------------------------------------------------------------------------------------------

STRENGTHS = pd.DataFrame(
    {"a": ["x", "y", "z", "x"], "b": ["y", "z", "x", "y"], "verdict": ["much a", "same", "b", "much b"]}
)
LEVELS = ["much a", "a", "same", "b", "much b"]
ORDERS = pd.DataFrame({"first": ["x", "z"], "second": ["y", "x"], "third": ["z", None]})
PLACES = pd.DataFrame(
    {"p": ["x", "y"], "q": ["y", "z"], "r": ["z", "x"], "rp": [2, 1], "rq": [1, None], "rr": [3, 2]}
)
LONG = pd.DataFrame(
    {"id": [1, 1, 1, 2, 2, 2], "what": ["x", "y", "z", "y", "z", "x"], "rank": [2, 1, 3, 1, None, 2]}
)


def test_strengths_are_read_in_the_order_given():
    data = read_table(STRENGTHS, shown=("a", "b"), outcome="verdict", levels=LEVELS)
    assert data.response == "graded" and data.levels == 5 and data.outcome.tolist() == [0, 2, 3, 4]
    numbers = STRENGTHS.assign(verdict=[-2, 0, 1, 2])
    same = read_table(numbers, shown=("a", "b"), outcome="verdict", levels=range(-2, 3))
    assert to_datatree(same).identical(to_datatree(data))


def test_rankings_are_read_by_place_and_by_order():
    wide = read_table(PLACES, shown=("p", "q", "r"), ranks=("rp", "rq", "rr"))
    assert wide.response == "ranking" and wide.outcome.tolist() == [[1, 0, 2], [0, -1, 1]]
    long = read_table(LONG, choice_id="id", alternative="what", ranks="rank", presentation="recorded")
    assert to_datatree(long).identical(to_datatree(wide))
    order = read_table(ORDERS, ranking=("first", "second", "third"))
    assert order.presentation == "lost" and order.ragged
    labels = order.items.labels
    for shown, ranks, names in zip(order.shown, order.outcome, (["x", "y", "z"], ["z", "x"]), strict=True):
        by_rank = np.argsort(np.where(np.asarray(ranks) < 0, 9, ranks))[: len(names)]
        assert [labels[int(shown[place])] for place in by_rank] == names


REFUSED = {
    "a level that is none": (
        lambda: read_table(STRENGTHS, shown=("a", "b"), outcome="verdict", levels=LEVELS[1:]),
        r"one of the levels 'a', 'same', 'b', 'much b'; got 'much a' in 1 row\(s\).*: 0",
    ),
    "one level": (
        lambda: read_table(STRENGTHS, shown=("a", "b"), outcome="verdict", levels=["same"]),
        r"in order, from the first shown by far to the second",
    ),
    "levels and meanings": (
        lambda: read_table(STRENGTHS, shown=("a", "b"), outcome="verdict", levels=LEVELS, outcomes={"b": 1}),
        r"said in one way",
    ),
    "ranks and an outcome": (
        lambda: read_table(PLACES, shown=("p", "q", "r"), outcome="p", ranks=("rp", "rq", "rr")),
        r"said in one way",
    ),
    "ranks of some positions": (
        lambda: read_table(PLACES, shown=("p", "q", "r"), ranks=("rp", "rq")),
        r"one column for each of the positions",
    ),
    "tied ranks": (
        lambda: read_table(PLACES.assign(rq=[2, 3]), shown=("p", "q", "r"), ranks=("rp", "rq", "rr")),
        r"without gaps or ties; got \[1 1 2\] in 1 row\(s\)",
    ),
    "ranks from 2": (
        lambda: read_table(
            PLACES.assign(rq=[4, 5], rp=[2, 3]), shown=("p", "q", "r"), ranks=("rp", "rq", "rr")
        ),
        r"least rank of 2",
    ),
    "half a rank": (
        lambda: read_table(PLACES.assign(rq=[1.5, 3]), shown=("p", "q", "r"), ranks=("rp", "rq", "rr")),
        r"whole numbers",
    ),
    "winners with ranks": (
        lambda: read_table(PLACES, winner="p", loser="q", ranks=("rp", "rq")),
        r"ranks in a winner table",
    ),
    "graded threes": (
        lambda: Comparisons.from_arrays([[0, 1, 2]], [1], response="graded", levels=3),
        r"two things at a time; got k = 3",
    ),
    "no levels": (
        lambda: Comparisons.from_arrays([[0, 1]], [1], response="graded"),
        r"number of their levels",
    ),
    "levels of a choice": (
        lambda: Comparisons.from_arrays([[0, 1]], [1], levels=3),
        r"number of their levels",
    ),
    "a level too many": (
        lambda: Comparisons.from_arrays([[0, 1]], [3], response="graded", levels=3),
        r"to 2 \(the second by far\); got level 3 in 1 row",
    ),
    "nothing ranked": (
        lambda: Comparisons.from_arrays([[0, 1]], [[-1, -1]], response="ranking"),
        r"at least one thing",
    ),
    "a rank of nothing": (
        lambda: Comparisons.from_arrays([[0, 1, -1]], [[1, 2, 0]], response="ranking"),
        r"what is ranked was shown",
    ),
    "another response": (
        lambda: Comparisons.from_arrays([[0, 1]], [0], response="star"),
        r"one of choice, graded",
    ),
    "grades under logit": (
        lambda: sites_of(lambda c: bp.observe(c, choices.logit(WORTH[c.shown])), GRADED),
        r"response 'graded'.*got a logit.*choices\.graded",
    ),
    "choices under graded": (
        lambda: sites_of(graded, answers()),
        r"response 'choice'.*got a graded.*choices\.logit",
    ),
    "rankings under logit": (
        lambda: sites_of(lambda c: bp.observe(c, choices.logit(WORTH[c.shown])), RANKED),
        r"response 'ranking'.*plackett_luce",
    ),
    "other levels": (
        lambda: sites_of(lambda c: bp.observe(c, choices.graded(WORTH[c.shown], jnp.ones(1))), GRADED),
        r"in 5 levels has as many; got 3",
    ),
}


@pytest.mark.parametrize(("make", "match"), REFUSED.values(), ids=REFUSED)
def test_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


# ---- data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "model"), [(GRADED, graded), (RANKED, ranked)], ids=["graded", "ranked"])
def test_what_data_go_through(data, model):
    assert from_datatree(to_datatree(data)).outcome.tolist() == data.outcome.tolist()
    again = from_datatree(to_datatree(data))
    assert (again.response, again.levels) == (data.response, data.levels)
    total = log_likelihood(model, data).sum()
    assert len(data) < data.answers or data is RANKED
    assert log_likelihood(model, data.expanded()).sum() == pytest.approx(total, rel=64 * EPS)
    assert log_likelihood(model, data.expanded().counted()).sum() == pytest.approx(total, rel=64 * EPS)
    part = data.subset(rows=np.arange(len(data)) % 2 == 0)
    assert part.response == data.response and part.outcome.tolist() == data.outcome[::2].tolist()


def test_shuffled_sides_say_the_same():
    """A file that lost the order of sides gives the same likelihood, and the same preferences by label."""
    for data, model in ((GRADED, graded), (RANKED, ranked)):
        flat = data.expanded()
        lost = Comparisons.from_arrays(
            np.asarray(flat.shown),
            np.asarray(flat.outcome),
            items=ITEMS,
            presentation="lost",
            response=flat.response,
            levels=flat.levels or None,
            merge=False,
        )
        assert not np.array_equal(lost.shown, flat.shown)
        np.testing.assert_allclose(log_likelihood(model, lost), log_likelihood(model, flat), rtol=16 * EPS)


def test_preferences_are_read_off():
    assert preferred(GRADED).tolist() == [[0, 0, 2, 1, 1][level] for level in GRADED.outcome.tolist()]
    best = np.argmax(np.asarray(RANKED.outcome) == 0, 1)
    assert preferred(RANKED).tolist() == best.tolist()
    summary = GRADED.summary()
    count = np.asarray(GRADED.count)
    assert summary.ties == count[np.asarray(GRADED.outcome) == 2].sum()
    assert RANKED.summary().ties == 0 and 0 < RANKED.summary().first_share < 1
    # Ranked above two that nobody ranked: three that lose to one and two, and each other never.
    one = Comparisons.from_arrays([[0, 1, 2]], [[0, -1, -1]], response="ranking").summary()
    assert one.components == 1 and one.strong_components == 3


def test_simulated_answers_are_of_the_models_kind():
    pairs = Comparisons.from_arrays(np.asarray(GRADED.shown), items=ITEMS)
    drawn = bp.simulate(jax.random.key(0), graded, pairs)
    assert drawn.response == "graded" and drawn.levels == 5 and not drawn.has_ties
    again = bp.simulate(jax.random.key(0), ranked, RANKED)
    assert ((np.asarray(again.outcome) >= 0).sum(1) == 2).all()
    full = bp.simulate(jax.random.key(0), ranked, RANKED.replace(outcome=None))
    assert (np.sort(full.outcome, 1) == np.arange(4)).all()


def test_probabilities_of_outcomes():
    """Levels each; of rankings, of being ranked first."""
    assert outcome_log_probs(graded, GRADED).shape == (len(GRADED), 5)
    first = np.exp(outcome_log_probs(ranked, RANKED))
    worth = np.exp(np.asarray(WORTH, np.float64))[np.asarray(RANKED.shown)]
    np.testing.assert_allclose(first, worth / worth.sum(1, keepdims=True), rtol=16 * EPS)
