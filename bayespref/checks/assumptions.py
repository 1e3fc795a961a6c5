"""Every assumption that is checked, in plain words: what fails, what that does, what to try."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

Spec = tuple[str, dict]
"""A model of the gallery and its options."""


class Assumption(NamedTuple):
    """One assumption about the annotators.

    Attributes:
        holds: the assumption. fails: how its failure reads; {} stands for a column.
        effect: estimated size of the failure, from the number that the check estimates.
        consequence: what the failure does to the fit.
        cures: models of the gallery that let it vary, the nearest first: of named items, of features.
        two_sided: whether the statistic may be too small as well.
        named: whether it may be named as the culprit; others say what follows from one.
    """

    holds: str
    fails: str
    effect: Callable[[float], str]
    consequence: str
    cures: tuple[Spec, ...] = ()
    two_sided: bool = False
    named: bool = True


def _signed(text: str) -> Callable[[float], str]:
    return lambda size: text.format(size)


def _guessed(size: float) -> str:
    if size < 0.005:
        return "too few to count: a handful of answers that the model takes for all but impossible"
    return f"about {size:.0%} of answers would be guesses"


def _tires(size: float) -> str:
    less = "less" if size < 0 else "more"
    return f"a standard deviation of time later, differences count {abs(math.expm1(size)):.0%} {less}"


def _bends(size: float) -> str:
    return "large differences decide " + ("more" if size > 0 else "less") + " than the assumed curve says"


def _thins(size: float) -> str:
    how = "more common" if size > 0 else "rarer"
    return f"between things that differ much, ties are {how} than the assumed rule says"


OF_FEATURES: tuple[Spec, ...] = (("mixed_logit", {}), ("latent_class_logit", {}))

ASSUMPTIONS: dict[str, Assumption] = {
    "position": Assumption(
        "what is shown first has no advantage",
        "what is shown first has an advantage or a disadvantage",
        _signed("what is shown first gains {:+.2f} in log-odds"),
        "things that were shown first more often are ranked too high or too low",
        (("bradley_terry_position", {}),),
        two_sided=True,
    ),
    "covariate": Assumption(
        "{} does not pull answers",
        "{} pulls answers",
        _signed("a standard deviation more of it is worth {:+.2f} in log-odds"),
        "worths mix what things are with how they were shown",
        (("bradley_terry_covariates", {}), ("conditional_logit", {})),
        two_sided=True,
    ),
    "lapse": Assumption(
        "nobody guesses",
        "some answers look like guesses (or differences are felt on another scale)",
        _guessed,
        "worths are pulled together, and a few upsets weigh too much",
        (("careless_crowd", {}), ("hurried_readers", {}), ("rationality_by_annotator", {})),
    ),
    "link": Assumption(
        "differences decide as the assumed curve says",
        "differences do not decide as the assumed curve says",
        _bends,
        "worths far apart are on the wrong scale; their order mostly stands",
        (("thurstone", {}), ("bradley_terry", {})),
        two_sided=True,
    ),
    "fatigue": Assumption(
        "answers are as decisive late as early",
        "answers get more or less decisive with time",
        _tires,
        "early and late answers count alike although some say less",
        two_sided=True,
    ),
    "drift": Assumption(
        "worths stay as they are",
        "worths change with time",
        _signed("a standard deviation of time moves worths by about {:.2f} in log-odds"),
        "the ranking is an average over a time in which it changed: fit recent answers apart",
    ),
    "ties": Assumption(
        "ties thin out with the difference as assumed",
        "ties do not thin out with the difference as assumed",
        _thins,
        "worths of things that tie often are pulled too close together or too far apart",
        (("rao_kupper", {}), ("davidson", {})),
        two_sided=True,
    ),
    "design": Assumption(
        "worths do not depend on which pairs were shown",
        "close pairs and lopsided pairs tell of different worths",
        _signed("the two sets of worths differ by about {:.2f} in log-odds"),
        "the ranking depends on who was compared with whom",
        named=False,
    ),
    "field": Assumption(
        "one density explains all pairs of regions",
        "no single density explains the answers between regions",
        _signed("log-odds between regions miss by about {:.2f}"),
        "the fitted density is a compromise between annotators that may be nobody's",
        (("two_viewpoints_1d", {}),),
    ),
    "rationality": Assumption(
        "annotators are equally reliable",
        "annotators differ in how reliably they answer",
        _signed("the log of their rationality spreads by about {:.2f}"),
        "careless answers weigh as much as careful ones, and worths are pulled together",
        (("rationality_by_annotator", {}), ("careless_crowd", {}), ("crowd_bt", {})),
    ),
    "reversal": Assumption(
        "nobody answers in reverse",
        "some annotators answer the other way round",
        _signed("{:.0f} annotators answer against the rest beyond chance"),
        "reversed answers cancel sound ones, and worths are pulled together",
        (("crowd_bt", {}), ("latent_class_bradley_terry", {}), ("rationality_by_annotator", {})),
    ),
    "position_by_annotator": Assumption(
        "the advantage of position is everyone's alike",
        "annotators differ in how much position sways them",
        _signed("their advantages spread by about {:.2f} in log-odds"),
        "answers of the same annotator are taken for independent: intervals are too narrow",
        (("bradley_terry_position", {"spread": 0.5}),),
    ),
    "covariate_by_annotator": Assumption(
        "{} counts alike for everyone",
        "annotators differ in how much {} counts",
        _signed("its weight spreads by about {:.2f} in log-odds"),
        "one group's taste is taken for everyone's: intervals are too narrow",
        (("mixed_logit", {}), ("latent_class_logit", {})),
    ),
    "shared_tastes": Assumption(
        "annotators have the same preferences",
        "annotators fall into camps, or along an axis, with different preferences",
        _signed("their own worths spread by about {:.2f} in log-odds around the common ones"),
        "the ranking is a compromise that may be nobody's, with intervals that are too narrow",
        (("latent_class_bradley_terry", {}), ("crowd_tastes", {}), *OF_FEATURES),
    ),
    "personal_tastes": Assumption(
        "annotators have the same preferences, noise aside",
        "annotators have preferences of their own",
        _signed("their own worths spread by about {:.2f} in log-odds around the common ones"),
        "the ranking is an average over different people, with intervals that are too narrow",
        (("crowd_tastes", {"dimensions": 2}), ("latent_class_bradley_terry", {}), *OF_FEATURES),
    ),
    "cycles": Assumption(
        "nothing beats better things in a circle",
        "some things beat each other in a circle",
        _signed("log-odds of pairs miss by about {:.2f}"),
        "no ranking fits all pairs: a better one may lose to a worse one",
        (("intransitive", {}), ("latent_class_bradley_terry", {})),
    ),
    "pairs": Assumption(
        "pairs scatter around the worths by chance alone",
        "pairs scatter more around the worths than chance allows",
        _signed("log-odds of pairs miss by about {:.2f}"),
        "no ranking fits all pairs, and intervals are too narrow",
        (("intransitive", {}), ("latent_class_bradley_terry", {})),
        named=False,
    ),
    "self_consistency": Assumption(
        "asked again, an annotator answers afresh",
        "annotators repeat themselves more than the model says",
        _signed("their own log-odds for a pair spread by about {:.2f}"),
        "repeated answers count as if they were news: intervals are too narrow",
        (("crowd_tastes", {"dimensions": 2}),),
    ),
}
"""In the order of reports."""

CRUCIAL = ("rationality", "shared_tastes", "personal_tastes")
"""Assumptions that every conclusion about a population rests on."""


def assumption(name: str) -> Assumption:
    """The assumption behind a check; of a column, in its words.

    Example:
        >>> assumption("covariate:length").fails
        'length pulls answers'
    """
    kind, _, column = name.partition(":")
    one = ASSUMPTIONS[kind]
    return one._replace(holds=one.holds.format(column), fails=one.fails.format(column))
