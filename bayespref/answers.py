"""What an answer is, by kind of response: how it is coded, checked, mirrored, and read as a preference."""

from __future__ import annotations

import numpy as np

from bayespref.comparisons import Comparisons, refuse

RESPONSES = ("choice", "graded", "ranking")


def checked(outcome, shown: np.ndarray, response: str, levels: int | None) -> tuple[np.ndarray | None, int]:
    """Answers that keep the rules of their kind, and the number of levels (0 but for graded answers).

    Args:
        outcome: (n,) columns or levels, (n, k) ranks, or None to simulate.
        shown: (n, k) item indices, checked.
        response: kind of answer.
        levels: number of levels of graded answers.

    Raises:
        ValueError: for an unknown kind, or answers that break its rules, naming the rows.
    """
    if response not in RESPONSES:
        raise refuse(f"response is one of {', '.join(RESPONSES)}", repr(response))
    if (levels is None) == (response == "graded"):
        must = "graded answers come with the number of their levels, and only they"
        raise refuse(must, f"response {response!r} with levels={levels}")
    if response == "graded":
        _check_levels(shown, levels)
    if outcome is None:
        return None, levels or 0
    outcome = np.asarray(outcome)
    if outcome.shape[:1] != (len(shown),):
        raise refuse(f"'outcome' has one entry for each row, {len(shown)}", f"shape {outcome.shape}")
    check = {"choice": _choice, "graded": _graded, "ranking": _ranking}[response]
    check(outcome, shown, levels or 0)
    return outcome, levels or 0


def _integers(outcome: np.ndarray, must: str, remedy: str) -> None:
    if not np.issubdtype(outcome.dtype, np.integer):
        raise refuse(must, f"dtype {outcome.dtype}", remedy=remedy)


def _choice(outcome: np.ndarray, shown: np.ndarray, levels: int) -> None:
    _integers(
        outcome,
        "outcomes are integers: the chosen column, k for a tie, k + 1 for none of them",
        "With words or other codes, read the table with outcomes={label: column}.",
    )
    k = shown.shape[1]
    if outcome.ndim != 1:
        raise refuse("a choice is one number for each row", f"shape {outcome.shape}")
    if (bad := np.flatnonzero((outcome < 0) | (outcome > k + 1))).size:
        raise refuse(
            f"outcomes lie between 0 and {k + 1} (k = {k} is a tie, {k + 1} none of them)",
            f"outcome {outcome[bad[0]]}",
            rows=bad,
        )
    chosen = np.take_along_axis(shown, np.minimum(outcome, k - 1)[:, None], 1)[:, 0]
    if (bad := np.flatnonzero((chosen < 0) & (outcome < k))).size:
        raise refuse("what is chosen was shown", "a choice of an empty column", rows=bad)


def _check_levels(shown: np.ndarray, levels: int | None) -> None:
    if shown.shape[1] != 2:
        raise refuse("graded answers compare two things at a time", f"k = {shown.shape[1]}")
    if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 2:
        raise refuse("graded answers have at least two levels, counted", f"levels={levels!r}")


def _graded(outcome: np.ndarray, shown: np.ndarray, levels: int) -> None:
    must = f"levels are integers, 0 (the first shown by far) to {levels - 1} (the second by far)"
    _integers(outcome, must, "With words or other codes, read the table with levels=[...], in order.")
    if outcome.ndim != 1:
        raise refuse("a graded answer is one number for each row", f"shape {outcome.shape}")
    if (bad := np.flatnonzero((outcome < 0) | (outcome >= levels))).size:
        raise refuse(must, f"level {outcome[bad[0]]}", rows=bad)


def _ranking(outcome: np.ndarray, shown: np.ndarray, levels: int) -> None:
    _integers(outcome, "ranks are integers, 0 for the best, -1 for unranked", "")
    if outcome.shape != shown.shape:
        raise refuse(f"a ranking has a rank for each column, shape {shown.shape}", f"shape {outcome.shape}")
    if (bad := np.flatnonzero(((outcome >= 0) & (shown < 0)).any(1))).size:
        raise refuse("what is ranked was shown", "a rank for an empty column", rows=bad)
    ranked = (outcome >= 0).sum(1)
    if (bad := np.flatnonzero(ranked == 0)).size:
        raise refuse("a ranking ranks at least one thing", "none ranked", rows=bad)
    # Ranks 0 ... r - 1 once each: sorted, with the unranked (-1) in front.
    k = shown.shape[1]
    expected = np.maximum(np.arange(k)[None, :] - (k - ranked)[:, None], -1)
    if (bad := np.flatnonzero((np.sort(outcome, 1) != expected).any(1))).size:
        raise refuse(
            "ranks are 0, 1, 2, ... without gaps or ties",
            str(outcome[bad[0]]),
            rows=bad,
            remedy="Leave tied rows out; things nobody ranked are -1.",
        )


def reordered(outcome: np.ndarray, order: np.ndarray, response: str, levels: int) -> np.ndarray:
    """The same answers when column j shows what column `order[:, j]` showed."""
    if response == "ranking":
        return np.take_along_axis(outcome, order, 1)
    if response == "graded":
        return np.where(order[:, 0] == 0, outcome, levels - 1 - outcome)
    k = order.shape[1]
    moved = np.take_along_axis(np.argsort(order, 1), np.minimum(outcome, k - 1)[:, None], 1)[:, 0]
    return np.where(outcome < k, moved, outcome)


def preferred(data: Comparisons) -> np.ndarray | None:
    """(n,) answers as choices: the column preferred to the rest, k for a tie, k + 1 for none of them.

    Args:
        data: comparisons; None comes back where they have no outcomes.

    Example:
        >>> ranks = [[1, 0], [0, 1]]
        >>> preferred(Comparisons.from_arrays([[0, 1], [0, 1]], ranks, response="ranking")).tolist()
        [1, 0]
    """
    if data.outcome is None:
        return None
    outcome = np.asarray(data.outcome)
    if data.response == "ranking":
        return np.argmax(outcome == 0, 1)
    if data.response == "graded":
        twice = 2 * outcome - (data.levels - 1)
        return np.where(twice == 0, data.k, (twice > 0).astype(int))
    return outcome


def beats(data: Comparisons, i: int, j: int) -> np.ndarray:
    """(n,) whether column i was preferred to column j, or tied with it."""
    if data.response == "ranking":
        ranks = np.asarray(data.outcome)
        return (ranks[:, i] >= 0) & ((ranks[:, j] < 0) | (ranks[:, i] < ranks[:, j]))
    choice = preferred(data)
    return (choice == i) | (choice == data.k)


def as_deep(ranks: np.ndarray, like: Comparisons) -> np.ndarray:
    """(..., n, k) ranks, only as many things ranked in each row as `like` ranks there."""
    if like.response != "ranking" or like.outcome is None:
        return ranks
    depth = (np.asarray(like.outcome) >= 0).sum(1, keepdims=True)
    return np.where(ranks < depth, ranks, -1)
