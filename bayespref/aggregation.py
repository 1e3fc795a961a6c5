"""Who wins under which rule of aggregation: what annotators who differ mean for the choice of one item."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr
from jax import Array

from bayespref.comparisons import refuse
from bayespref.inference.fit import check_same_model
from bayespref.inference.program import Model
from bayespref.losses import refuse_loss
from bayespref.pooled import bradley_terry
from bayespref.profiles import Profile, profile

RULES = ("Borda", "mean utility", "max-min", "Copeland", "Bradley-Terry")
INTERVAL = ("mean", "lower", "upper")
EVEN = 1e-6
"""Scores nearer than this, relatively, share the win: they come from numbers in single precision."""
SHOWN = 0.05
"""Probability below which something is left out of the text."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Consequences:
    """Who wins under which rule, according to a posterior; prints as text.

    Attributes:
        winner: (rule, item) posterior probability of winning; items that share a win have part of it each.
        score: (rule, item) what a rule maximises: `mean`, `lower` and `upper`.
        differ: (rule, rule_other) probability that two rules have no winner in common.
        p_differ: probability that no item wins under every rule.
        favourite: (item) share of annotators whose favourite it is: `mean`, `lower` and `upper`.
        compromise: (item) probability that it wins by Borda and is the favourite of few.
        worst_off: (item, annotator) probability that nobody is worse off with the item than this annotator.
        population: whom the rules count.
        worth: what annotators' worths of items are.
        few, draws, prob: as in `consequences`; the number of draws used.
    """

    winner: xr.DataArray
    score: xr.Dataset
    differ: xr.DataArray
    p_differ: float
    favourite: xr.Dataset
    compromise: xr.DataArray
    worst_off: xr.DataArray
    population: str
    worth: str
    few: float
    draws: int
    prob: float

    def __str__(self) -> str:
        """Winners by rule, whether they differ, who wins as a compromise, who is worst off."""
        lines = [f"Who wins, counting {self.population} ({self.draws} posterior draws):"]
        for rule in self.winner["rule"].values:
            lines.append(f"  {rule:<14}{_listed(self.winner.sel(rule=rule), 'item')}")
        lines.append(f"The winners differ with probability {self.p_differ:.2f}.")
        for item in self.compromise["item"].values[self.compromise.values >= SHOWN]:
            mean, lower, upper = (float(self.favourite[name].sel(item=item)) for name in INTERVAL)
            lines.append(
                f"{item} wins by Borda as a compromise with probability "
                f"{float(self.compromise.sel(item=item)):.2f}: it is the favourite of {mean:.0%} of "
                f"annotators ({self.prob:.0%} interval {lower:.0%} to {upper:.0%})."
            )
        best = self.winner["item"].values[self.winner.sel(rule="max-min").values.argmax()]
        if float((1 - self.worst_off.sel(item=best)).sum()) > 0.5:  # else they are all level
            lines.append(f"Worst off with {best}: {self._worst_off(best)}.")
        return "\n".join(lines)

    __repr__ = __str__

    def _worst_off(self, item: str) -> str:
        """Who they are; how many, where they are level, as annotators of one class are."""
        lowest = self.worst_off.sel(item=item)
        level = float(lowest.sum())
        if level < 1.5:
            return _listed(lowest, "annotator")
        return f"{level:.0f} of {lowest.size:,} annotators on average, level with each other"


def _listed(probability: xr.DataArray, dim: str) -> str:
    """The most probable, and two more that are not improbable."""
    order = np.argsort(-probability.values, kind="stable")
    kept = order[: max(1, int((probability.values >= SHOWN).sum()))]
    names = [f"{probability[dim].values[index]} ({probability.values[index]:.2f})" for index in kept[:3]]
    return ", ".join(names) + (f", and {len(kept) - 3:,} more" if len(kept) > 3 else "")


def consequences(
    key: Array,
    model: Model,
    fit: xr.DataTree,
    *,
    items: Sequence[str | int] | None = None,
    pairs: str = "all",
    few: float = 0.1,
    prob: float = 0.89,
    draws: int = 200,
) -> Consequences:
    """Who wins under which rule of aggregation: P(item = argmax of the rule | answers), draw by draw.

    P_ab is the mean over annotators of the probability that they choose a over b; u_i(a) is annotator i's
    log-density over the items, by their scores.

    - Borda: mean_b P_ab. Copeland: the number of b with P_ab > 1/2, even ones counting half.
    - mean utility: mean_i u_i(a). max-min: min_i u_i(a). Worths are in log-odds of an annotator's own
      answers, so that the steadier ones weigh more; where choices have no scores, they are those log-odds.
    - Bradley-Terry: the limit r of a pooled fit, in the order of Borda where all pairs are asked alike.

    Annotators are those who answered, each counting alike; beyond 500,000 answers (annotators x ordered
    pairs) a random sample of them. Those of latent classes are of one class at each draw, from its
    probability given what they answered. They differ only as far as the model lets them: if it is
    pooled, and has worths, all rules agree. Sources: Siththaranjan, Laidlaw and
    Hadfield-Menell (2024), Chakraborty et al. (2024) for max-min.

    Args:
        key: a `jax.random.key`, for classes, and for annotators where they are sampled.
        model: the model that made the fit.
        fit: what an inference function returned.
        items: labels (or indices) of the items to choose from, at most 60; None for all.
        pairs: of the pooled Bradley-Terry fit: "all" alike, or as often as they were "asked" of anybody.
        few: the largest share of annotators whose favourite a compromise may be.
        prob: probability of the equal-tailed intervals.
        draws: posterior draws used at most, evenly thinned.

    Raises:
        ValueError: for more than 60 items or fewer than two, a model that reads more than who answers and
            which items are shown, a mixture that does not say who is who, a fit by a loss, or pairs as asked
            that do not connect the items.

    Example:
        >>> print(consequences(jax.random.key(0), latent_class_bradley_terry, fit))  # doctest: +SKIP
    """
    check_same_model(model, fit)
    refuse_loss(fit, "rules that count how often an item is chosen")
    if pairs not in ("all", "asked"):
        raise refuse("pairs are 'all' or 'asked'", repr(pairs))
    if not (0 < prob < 1 and 0 <= few < 1 and draws >= 1):
        raise refuse(
            "prob and few are shares, and draws at least 1", f"prob {prob}, few {few}, draws {draws}"
        )
    found = profile(key, model, fit, items=items, draws=draws)
    score = _by_rule(found, found.together if pairs == "asked" else None)
    return _concluded(found, score, few, prob)


def _by_rule(found: Profile, design: np.ndarray | None) -> np.ndarray:
    """(rule, s, m) what each rule maximises."""
    wins = found.tally.wins.astype(np.float64)
    size = wins.shape[-1]
    wins = wins + np.eye(size)
    chosen = wins / (wins + wins.mT)
    majority = (chosen > 0.5 + EVEN) + 0.5 * (np.abs(chosen - 0.5) <= EVEN)
    inner = np.clip(chosen, 1e-9, 1 - 1e-9)  # an item that always wins would be infinitely far ahead
    return np.stack(
        [
            (chosen.sum(-1) - 0.5) / (size - 1),
            found.tally.mean,
            found.tally.least,
            majority.sum(-1) - 0.5,
            np.stack([bradley_terry(one, design=design) for one in inner]),
        ]
    )


def _concluded(found: Profile, score: np.ndarray, few: float, prob: float) -> Consequences:
    """Winners at every draw, and how often whom."""
    most = score.max(-1, keepdims=True)
    best = score >= most - EVEN * (1 + np.abs(most))
    won = best / best.sum(-1, keepdims=True)
    apart = ~(best[:, None] & best).any(-1)
    coords = {
        "rule": list(RULES),
        "item": found.items,
        "annotator": found.annotators,
        "rule_other": list(RULES),
    }
    favourite = found.tally.favourite

    def array(values: np.ndarray, *dims: str) -> xr.DataArray:
        return xr.DataArray(values, coords={dim: coords[dim] for dim in dims}, dims=dims)

    def interval(values: np.ndarray, *dims: str) -> xr.Dataset:
        lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=-2)
        parts = zip(INTERVAL, (values.mean(-2), lower, upper), strict=True)
        arrays = {name: array(value, *dims) for name, value in parts}
        return xr.Dataset(arrays, attrs={"interval": f"equal-tailed, {prob:g}"})

    return Consequences(
        winner=array(won.mean(1), "rule", "item"),
        score=interval(score, "rule", "item"),
        differ=array(apart.mean(-1), "rule", "rule_other"),
        p_differ=float(1 - best.all(0).any(-1).mean()),
        favourite=interval(favourite, "item"),
        compromise=array((won[0] * (favourite <= few)).mean(0), "item"),
        worst_off=array(found.tally.lowest.mean(0).T, "item", "annotator"),
        population=found.population,
        worth="the model's scores" if found.scored else "log-odds of answers",
        few=few,
        draws=score.shape[1],
        prob=prob,
    )
