"""Which columns of a table are what, guessed from their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bayespref.comparisons import refuse

PAIRS = (
    ("left", "right"),
    *(tuple(f"{word}_{side}" for side in "ab") for word in ("model", "item", "option", "response", "player")),
    *(tuple(f"{word}_{side}" for side in "12") for word in ("option", "item", "response", "model", "player")),
    *(tuple(f"{word}{side}" for side in "12") for word in ("option", "item", "response", "model", "player")),
    ("player0", "player1"),
    ("a", "b"),
)
WINNERS = (("winner", "loser"), ("chosen", "rejected"), ("preferred", "rejected"))
OUTCOMES = ("outcome", "winner", "choice", "preference", "preferred", "answer", "label", "result", "vote")
ANNOTATORS = (
    *("annotator", "annotator_id", "rater", "rater_id", "judge", "reader", "worker", "worker_id"),
    *(
        "user",
        "user_id",
        "respondent",
        "respondent_id",
        "evaluator",
        "voter",
        "participant",
        "participant_id",
    ),
)
CHOICES = ("choice_id", "chid", "case", "choice_set", "task_id")
ALTERNATIVES = ("alternative", "alt", "item", "option")
CHOSEN = ("chosen", "choice", "selected")


def guess_columns(column_names: Iterable[str]) -> dict:
    """Guess `read_table`'s keywords from the names of a table's columns.

    Args:
        column_names: the names; upper and lower case are the same.

    Returns:
        Keywords of `read_table`, with the names as the table spells them. Whoever answered is left out
        where several columns could say it.

    Raises:
        ValueError: when the names do not say what was shown.

    Example:
        >>> guess_columns(["model_a", "model_b", "winner", "judge", "turn"])
        {'shown': ('model_a', 'model_b'), 'outcome': 'winner', 'annotator': 'judge'}
    """
    listed = [str(name) for name in column_names]
    known = {name.lower(): name for name in reversed(listed)}
    guess = _shown(known)
    if guess is None:
        raise refuse(
            "column names say what was shown, such as left and right, winner and loser, or choice_id",
            f"columns {', '.join(listed)}",
            remedy="Name the columns: shown=(...) and outcome=..., see read_table.",
        )
    annotators = [known[name] for name in ANNOTATORS if name in known]
    if len(annotators) == 1:
        guess["annotator"] = annotators[0]
    if "count" in known:
        guess["count"] = known["count"]
    return guess


def _shown(known: Mapping[str, str]) -> dict | None:
    for winner, loser in WINNERS:
        if winner in known and loser in known:
            return {"winner": known[winner], "loser": known[loser]}
    for pair in PAIRS:
        if all(name in known for name in pair):
            return {"shown": tuple(known[name] for name in pair)} | _first("outcome", OUTCOMES, known)
    choice, alternative = _first("choice_id", CHOICES, known), _first("alternative", ALTERNATIVES, known)
    if choice and alternative:
        return choice | alternative | _first("chosen", CHOSEN, known)
    return None


def _first(keyword: str, names: Sequence[str], known: Mapping[str, str]) -> dict:
    return next(({keyword: known[name]} for name in names if name in known), {})
