"""Choice distributions: scores of what was shown become a distribution over answers, in log space.

Outcomes are coded as in `Comparisons`. A choice: the chosen column, k for a tie, k + 1 for none of them.
Graded: the level, 0 where the first is strongly preferred. A ranking: the rank of every column, 0 the best,
-1 unranked. Scores are (..., k) in log-odds; columns that show nothing are masked by `observe`.
"""

from bayespref.choices.base import Choice
from bayespref.choices.graded import graded
from bayespref.choices.lapse import lapse
from bayespref.choices.links import laplace_noise, logit, probit
from bayespref.choices.mixture import Mixture
from bayespref.choices.opt_out import or_none
from bayespref.choices.rankings import plackett_luce
from bayespref.choices.ties import davidson, rao_kupper

__all__ = [
    "Choice",
    "Mixture",
    "davidson",
    "graded",
    "laplace_noise",
    "lapse",
    "logit",
    "or_none",
    "plackett_luce",
    "probit",
    "rao_kupper",
]
