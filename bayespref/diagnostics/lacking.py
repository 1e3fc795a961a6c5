"""Which parameters of the gallery's models answers cannot inform, by counting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import gammaln

from bayespref.comparisons import Comparisons
from bayespref.diagnostics.ladder import Cells, Reach

MANY = 10**9
"""Patterns of one annotator's answers beyond which they are not counted."""
CLASSES = 3
"""Classes up to which a lack of answers for one more is told."""
EFFECTS = (
    "rationality_by_annotator, hurried_readers, bayesian_reward: log_rationality; careless_crowd: lapse; "
    "crowd_bt: reliability; crowd_tastes, mixed_logit, judges_with_covariates: taste; "
    "bradley_terry_position: position_by_annotator"
)


def uninformed(
    data: Comparisons, cells: Cells, found: Reach, groups: int, *, saturated: bool
) -> Iterator[tuple[str, str]]:
    """(models and parameters, why) that answers like these cannot inform.

    Args:
        data: the comparisons.
        cells: their answers by pair and annotator.
        found: what of the ladder is there.
        groups: of items that are compared with each other.
        saturated: whether worths by item fit any answers (`fitted_exactly`).

    Example:
        >>> from bayespref.diagnostics.ladder import cells_of, reach
        >>> one = Comparisons.from_arrays([[0, 1]], [0], presentation="lost")
        >>> next(uninformed(one, cells_of(one), reach(one), 1, saturated=True))
        ('bradley_terry_position: position', 'the order of presentation is not recorded')
    """
    by_items = "features" not in data.items.columns
    if by_items and groups > 1:
        yield (
            "differences of worths between groups, in every model of worths by item",
            "never compared, so the prior alone says: rank within groups",
        )
    if not found.order:
        yield "bradley_terry_position: position", "the order of presentation is not recorded"
    yield from _by_annotator(found)
    if by_items and data.response == "choice":
        yield from _classes(data, cells, groups)
    if saturated and data.k == 2:
        yield "intransitive: cycles", "the pairs form no circuit, so worths fit any answers"
        yield "a lapse rate, or the link (thurstone), in any pooled model", "for the same reason"
    yield from _responses(data)
    columns = {} if data.annotators is None else data.annotators.columns
    flat = [name for name, value in columns.items() if np.ndim(value) == 1 and np.ptp(np.asarray(value)) == 0]
    if flat:
        yield f"judges_with_covariates: slope of {', '.join(flat)}", "the same for every annotator"


def fitted_exactly(data: Comparisons, cells: Cells, worths: int) -> bool:
    """Whether worths by item leave nothing of pooled choices unexplained, whatever was chosen.

    Args:
        data: the comparisons.
        cells: their answers by pair and annotator.
        worths: how many numbers they are: items shown, less one for each group of them.

    Example:
        >>> from bayespref.diagnostics.ladder import cells_of
        >>> chain = Comparisons.from_arrays([[0, 1], [1, 2]], [0, 1])
        >>> fitted_exactly(chain, cells_of(chain), 2)
        True
    """
    if data.response != "choice" or data.has_ties or data.has_none:
        return False
    return int((cells.shown[_first(cells)] - 1).sum()) == worths


def _first(cells: Cells) -> np.ndarray:
    return np.flatnonzero(np.diff(cells.pair, prepend=-1))


def most_classes(data: Comparisons, cells: Cells, groups: int, *, pooled: bool) -> int:
    """The most classes of worths by item that answers' probabilities are enough for.

    K classes of n items shown, in g groups, are K (n - g) + K - 1 numbers: a prior alone says the rest.
    Pooled answers have one free probability for each pair (two outcomes each). Annotators have one for each
    pattern of all their answers but one; annotators who answered the same questions have the same.

    Args:
        data: the comparisons.
        cells: their answers by pair and annotator.
        groups: of items that are compared with each other.
        pooled: whether annotator ids are left aside.

    Example:
        >>> from bayespref.diagnostics.ladder import cells_of
        >>> triangle = Comparisons.from_arrays([[0, 1], [1, 2], [0, 2]] * 2, annotator=[0, 0, 0, 1, 1, 1])
        >>> most_classes(triangle, cells_of(triangle), 1, pooled=False)  # 2^3 - 1 = 7 >= 2 * 3 - 1
        2
    """
    outcomes = _outcomes(data, cells.shown)
    if pooled:
        free = (outcomes - 1)[_first(cells)].sum()
        return int(free + 1) // _each(data, groups)
    answers = cells.answers
    patterns = gammaln(answers + outcomes) - gammaln(outcomes) - gammaln(answers + 1)
    log_patterns = np.bincount(cells.who, patterns)
    mark = np.zeros(len(log_patterns), np.uint64)
    np.add.at(mark, cells.who, _hash(cells.pair * 64 + np.minimum(answers, 63)))
    _, first = np.unique(mark, return_index=True)
    free = (np.exp(np.minimum(log_patterns[first], np.log(MANY))).round() - 1).sum()
    return int(free + 1) // _each(data, groups)


def _each(data: Comparisons, groups: int) -> int:
    """Numbers that a class is: worths of the items shown, less one for each group of them, and its share."""
    return int((np.asarray(data.design.item_answers) > 0).sum()) - groups + 1


def _hash(code: np.ndarray) -> np.ndarray:
    """(c,) 64 bits that look random (splitmix64), so that their sums tell sets of codes apart."""
    x = code.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _by_annotator(found: Reach) -> Iterator[tuple[str, str]]:
    if found.annotators is None:
        yield f"{EFFECTS}; latent_class_bradley_terry, latent_class_logit: weight", "no annotator ids"
    elif found.several < 2:
        yield (
            f"{EFFECTS}, and their sd",
            "one answer by each annotator: only the shape of pooled choices says anything, which a lapse or "
            "another link bends alike",
        )


def _classes(data: Comparisons, cells: Cells, groups: int) -> Iterator[tuple[str, str]]:
    """Classes of worths by item that are more numbers than answers have probabilities."""
    kinds = {"a mixture without ids (populations.mixture)": most_classes(data, cells, groups, pooled=True)}
    if data.annotator is not None:
        kinds["latent_class_bradley_terry"] = most_classes(data, cells, groups, pooled=False)
    for model, most in kinds.items():
        if most < CLASSES:
            least = max(most + 1, 2)
            numbers = least * _each(data, groups) - 1
            yield (
                f"{model}: {least} classes or more of worths by item",
                f"{least} classes are {numbers} numbers, more than answers have probabilities",
            )


def _responses(data: Comparisons) -> Iterator[tuple[str, str]]:
    """Parameters of answers that nobody gave."""
    if data.outcome is None:
        return
    if data.response == "choice" and not data.has_ties:
        models = "davidson, both_bad: log_tie; rao_kupper: threshold"
        yield models, "no answer is a tie: they are bounded from above alone"
    if data.response == "choice" and not data.has_none:
        yield "both_bad: log_bar", "no answer is 'none': it is bounded from above alone"
    if data.response == "graded":
        used = np.bincount(np.asarray(data.outcome), minlength=data.levels) > 0
        if len(unused := np.flatnonzero(~(used | used[::-1]))):
            yield (
                "graded: steps",
                f"nobody used levels {', '.join(map(str, unused))}: bounded on one side alone",
            )


def _outcomes(data: Comparisons, shown: np.ndarray) -> np.ndarray:
    """(c,) how many answers are possible to questions about so many things."""
    if data.response == "graded":
        return np.full(shown.shape, data.levels)
    if data.response == "ranking":
        return np.exp(gammaln(shown + 1.0)).round()
    return shown + data.has_ties + data.has_none
