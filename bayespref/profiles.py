"""Preference profiles: at every posterior draw, how each annotator answers every pair of items."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array
from numpyro.distributions import Distribution

from bayespref.choices import Mixture
from bayespref.choices.base import Scored
from bayespref.choices.lapse import Lapse
from bayespref.choices.opt_out import OrNone
from bayespref.comparisons import Comparisons, refuse
from bayespref.elpd import thin
from bayespref.inference.fit import data_of, latent_of
from bayespref.inference.program import Model, Values, generator, map_draws, run, sites_of
from bayespref.inference.relabel import classes_of, log_memberships
from bayespref.populations import LatentClasses
from bayespref.subsetting import _positions

MAX_ITEMS = 60
MAX_ROWS = 500_000
"""Answers (annotators x ordered pairs) that are worked out at a time; more annotators are sampled."""
LEVEL = 1e-4
"""Annotators whose worths of an item differ by less are equally badly off with it, in nats."""


class Tally(NamedTuple):
    """What a profile comes to, at one draw or, with (s, ...), at all of them.

    Attributes:
        wins: (m, m) proportional to the mean probability that the row is chosen over the column.
        mean, least: (m,) mean and least of annotators' worths u of an item, in nats.
        favourite: (m,) share of annotators whose favourite it is.
        lowest: (a, m) who is worst off with it, or level with them.
    """

    wins: Any
    mean: Any
    least: Any
    favourite: Any
    lowest: Any


class Profile(NamedTuple):
    """A tally at every draw, of whom and of what.

    Attributes:
        tally: NumPy arrays (s, ...).
        items, annotators: labels. population: who they are, in words.
        scored: whether worths are the model's scores, or the log-odds of answers where it has none.
        together: (m, m) how often two items were shown together in the fit's data.
    """

    tally: Tally
    items: np.ndarray
    annotators: np.ndarray
    population: str
    scored: bool
    together: np.ndarray


def profile(
    key: Array, model: Model, fit: xr.DataTree, *, items: Sequence[str | int] | None = None, draws: int = 200
) -> Profile:
    """How annotators answer every pair: P_i(a over b), and worths u_i(a) = log softmax_a of their scores.

    The model itself is run on every ordered pair, asked of every annotator who answered; those of latent
    classes are of one class at each draw, from its probability given their answers. Both orders count alike,
    a tie is half a win of each, "none of them" is left aside.

    Args:
        key: a `jax.random.key`, for classes, and for annotators where they are sampled.
        model: the model that made the fit.
        fit: what an inference function returned.
        items: labels or indices of the items in question; None for all.
        draws: posterior draws used at most, evenly thinned.

    Raises:
        ValueError: for more than 60 items or fewer than two, a model that reads more than who answers and
            which items are shown, or a mixture that does not say who is who.

    Example:
        >>> profile(jax.random.key(0), crowd_tastes, fit).tally.favourite  # doctest: +SKIP
    """
    known, latent = data_of(fit), thin(latent_of(fit), draws)
    place = _places(known, items)
    people_key, class_key = jax.random.split(key)
    who, population = _people(people_key, known, len(place))
    asked = every_pair(known, place, who)
    scored = _check(model, asked, latent)
    of_class = _classes(class_key, model, known, latent, who)
    chunk = max(1, min(64, MAX_ROWS // len(asked)))
    tally = _tally(model, len(place), chunk, asked, {"latent": latent, "class": of_class})
    annotators = None if known.annotators is None else known.annotators.labels
    return Profile(
        tally=Tally(*(np.asarray(part) for part in tally)),
        items=_names(known.items.labels, place),
        annotators=np.array(["everyone"]) if who is None else _names(annotators, who),
        population=population,
        scored=scored,
        together=_together(known, place),
    )


# ---- what is asked of whom ---------------------------------------------------------------------------


def _places(known: Comparisons, items: Sequence[str | int] | None) -> np.ndarray:
    """Indices of the items to choose from."""
    size = known.items.size
    place = np.arange(size) if items is None else _positions("item", items, known.items.labels, size)
    if not 2 <= len(place) <= MAX_ITEMS:
        raise refuse(
            f"rules of aggregation choose from 2 to {MAX_ITEMS} items",
            f"{len(place)}",
            remedy="Name those in question, items=[...]; of a space, a few of the points that were shown.",
        )
    return place


def _people(key: Array, known: Comparisons, size: int) -> tuple[np.ndarray | None, str]:
    """Indices of the annotators counted, None where nobody knows who answered, and who they are."""
    if known.annotator is None:
        return None, "everyone as one annotator (the answers do not say whose they are)"
    who = np.unique(np.asarray(known.annotator))
    room = max(1, MAX_ROWS // (size * (size - 1)))
    if len(who) <= room:
        return who, f"each of the {len(who):,} annotators who answered alike"
    sample = np.sort(generator(key).choice(who, room, replace=False))
    return sample, f"alike {room:,} of the {len(who):,} annotators who answered, drawn at random"


def _ordered(size: int) -> np.ndarray:
    """(p, 2) every ordered pair of different items."""
    pairs = np.stack(np.divmod(np.arange(size * size), size), 1)
    return pairs[pairs[:, 0] != pairs[:, 1]]


def every_pair(known: Comparisons, place: np.ndarray, who: np.ndarray | None) -> Comparisons:
    """Every ordered pair of items, asked of one annotator after the other, on the tables of the data.

    Args:
        known: the data.
        place: (m,) indices of the items.
        who: (a,) indices of the annotators; None for answers without.

    Example:
        >>> answers = Comparisons.from_arrays([[0, 1]], [0], annotator=[0])
        >>> every_pair(answers, np.arange(2), np.arange(1)).shown.tolist()
        [[0, 1], [1, 0]]
    """
    pairs = place[_ordered(len(place))]
    people = 1 if who is None else len(who)
    return known.replace(
        shown=jnp.asarray(np.tile(pairs, (people, 1)), jnp.int32),
        outcome=None,
        count=jnp.ones(people * len(pairs), jnp.int32),
        weight=jnp.ones(people * len(pairs)),
        annotator=None if who is None else jnp.asarray(np.repeat(who, len(pairs)), jnp.int32),
        row_columns={},
        shown_columns={},
        has_ties=False,
        has_none=False,
        ragged=False,
        source_rows=None,
    )


def _together(known: Comparisons, place: np.ndarray) -> np.ndarray:
    """(m, m) how often two of the items were shown together."""
    shown, count = np.asarray(known.shown), np.asarray(known.count, np.float64)
    index = np.full(known.items.size + 1, len(place))  # the last stands for what is not among them
    index[place] = np.arange(len(place))
    weight = np.zeros((len(place) + 1, len(place) + 1))
    for i in range(known.k):
        for j in range(i):
            np.add.at(weight, (index[shown[:, i]], index[shown[:, j]]), count)
    weight = weight[:-1, :-1]
    return weight + weight.T


def _names(labels: np.ndarray | None, index: np.ndarray) -> np.ndarray:
    return index.astype(str) if labels is None else labels[index].astype(str)


# ---- what models say ---------------------------------------------------------------------------------


def _check(model: Model, asked: Comparisons, latent: Values) -> bool:
    """Refuse models that say nothing about such pairs; whether all their answers are given by scores."""
    try:
        sites = sites_of(model, asked)
    except KeyError:  # a column of the rows
        sites = {}
    if {site.name: site.shape for site in sites.values() if site.latent} != {
        name: value.shape[1:] for name, value in latent.items()
    }:
        raise refuse(
            "rules of aggregation are for answers that depend on which items are shown and on who answers",
            "a model that reads other columns of the comparisons, or of what was shown",
            remedy="Fit a model of items and annotators to these answers.",
        )
    found: list[bool] = []

    def record() -> None:
        answers = run(model, asked, {})["outcome"]["fn"]
        if isinstance(answers.choice, Mixture) and all(s.annotator_axis is None for s in sites.values()):
            raise refuse(
                "rules of aggregation need to know who is who",
                "a mixture, in which every answer is of anybody",
                remedy="Fit latent_class_bradley_terry to answers with annotators.",
            )
        found.append(all(_score(choice) is not None for choice, _ in _parts(answers)))

    jax.eval_shape(record)
    return found[0]


def _parts(answers: Any) -> list[tuple[Distribution, Array]]:
    """The choice, and its (n, outcomes) log-probabilities; of latent classes, one for each."""
    if isinstance(answers, LatentClasses):
        return [(choice, choice.log_probs()) for choice in answers.components]
    return [(answers.choice, answers.outcome_log_probs())]


def _score(choice: Distribution) -> Array | None:
    """(n, 2) scores that a choice is made by, slips aside; None where it has none."""
    while isinstance(choice, Lapse):
        choice = choice.choice
    return choice.score if isinstance(choice, (Scored, OrNone)) else None


def _classes(key: Array, model: Model, known: Comparisons, latent: Values, who: np.ndarray | None) -> Array:
    """(s, a) a class for each annotator at every draw, from its distribution given what they answered."""
    size, people = len(next(iter(latent.values()))), 1 if who is None else len(who)
    if classes_of(model, known)[0] == 0:
        return jnp.zeros((size, people), jnp.int32)
    return jax.random.categorical(key, log_memberships(model, known, latent)[:, who])


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _tally(model: Model, size: int, chunk: int, asked: Comparisons, draws: dict[str, Any]) -> Tally:
    """Tallies (s, ...) of the answers to every pair."""
    first, second = _ordered(size).T

    def one(draw: dict[str, Any]) -> Tally:
        of_class = draw["class"]
        people = jnp.arange(len(of_class))
        parts = _parts(run(model, asked, draw["latent"])["outcome"]["fn"])
        sides = jnp.stack([_sides(choice, log_probs) for choice, log_probs in parts])
        ahead = jnp.stack([_ahead(choice, log_probs) for choice, log_probs in parts])
        won = sides.reshape(len(parts), len(people), -1, 2)[of_class, people].mean(0)
        wins = jnp.zeros((size, size)).at[first, second].add(won[:, 0]).at[second, first].add(won[:, 1])
        gap = jnp.zeros((len(people), size, size))
        gap = gap.at[:, first, second].set(ahead.reshape(len(parts), len(people), -1)[of_class, people])
        worth = jax.nn.log_softmax((gap - gap.mT).mean(-1) / 2, -1)
        best = worth >= worth.max(-1, keepdims=True)
        liked = (best / best.sum(-1, keepdims=True)).mean(0)
        least = worth.min(0)
        return Tally(wins, worth.mean(0), least, liked, worth <= least + LEVEL)

    return map_draws(one, draws, chunk=chunk)


def _sides(choice: Distribution, log_probs: Array) -> Array:
    """(n, 2) probability that either is chosen, a tie half of each."""
    probability = jnp.exp(log_probs)
    if getattr(choice, "response", "choice") == "graded":
        half = probability.shape[-1] // 2
        sides = jnp.stack([probability[:, :half].sum(-1), probability[:, -half:].sum(-1)], -1)
        tie = probability[:, half:-half]
    else:
        sides, tie = probability[:, :2], probability[:, 2:3]
    sides = sides + tie.sum(-1, keepdims=True) / 2
    return sides / sides.sum(-1, keepdims=True)


def _ahead(choice: Distribution, log_probs: Array) -> Array:
    """(n,) how far the first is ahead: by scores, or in log-odds."""
    score = _score(choice)
    score = jnp.log(jnp.maximum(_sides(choice, log_probs), 1e-37)) if score is None else score
    return score[:, 0] - score[:, 1]
