"""What the labels of an outcome column mean; a label that means nothing is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from bayespref.comparisons import NONE, TIE, refuse
from bayespref.io.source import Codes

NUMERIC = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?|true|false", re.IGNORECASE)


def resolve(
    codes: Codes,
    names: Sequence[str],
    *,
    outcomes: Mapping | None,
    shown: np.ndarray,
    items: Sequence[str] | None,
) -> np.ndarray:
    """Turn outcome labels into columns of `shown`, k for a tie and k + 1 for none of them.

    Args:
        codes: the labels of the n outcomes.
        names: the k positions.
        outcomes: label -> position name, column index, "tie" or "none"; None to go by names or ids.
        shown: (n, k) item indices.
        items: the items' labels, or None where what was shown has no ids.

    Returns:
        (n,) outcomes.

    Raises:
        ValueError: for missing outcomes, labels that mean nothing, or labels that mean two things.
    """
    codes.complete("an outcome", remedy="Drop these rows, or read with outcome=None to simulate or predict.")
    meaning = {name: place for place, name in enumerate(names)} | {TIE: len(names), NONE: len(names) + 1}
    if outcomes is not None:
        return _mapped(codes, meaning, outcomes)
    by_name = np.array([meaning.get(label, -1) for label in codes.labels])[codes.index]
    by_id = _by_id(codes, len(names), shown, items)
    named, identified = (by_name >= 0).all(), (by_id >= 0).all()
    if named and (not identified or (by_name == by_id).all()):
        return by_name
    plain = [label for label in codes.labels if label not in (TIE, NONE)]
    numeric = bool(plain) and all(NUMERIC.fullmatch(label) for label in plain)
    if not named and numeric and not (identified and _beyond_positions(plain, len(names))):
        raise refuse(
            "numbers in the outcome column come with their meaning",
            f"{', '.join(plain[:6])}",
            remedy="Codings differ between files: say what they mean, outcomes={0: 'left', 1: 'right'}.",
        )
    doubtful = items is not None and any(word in items and word in codes.labels for word in (TIE, NONE))
    if identified and (named or doubtful):
        raise refuse(
            "an outcome label means one thing",
            f"labels that are names of positions, 'tie' or 'none', and items as well: {codes.labels[:6]}",
            remedy="Say what they mean with outcomes={label: position, 'tie' or 'none'}.",
        )
    if identified:
        return by_id
    raise _unknown(codes, names, by_name, by_id)


def _mapped(codes: Codes, meaning: Mapping[str, int], outcomes: Mapping) -> np.ndarray:
    k = len(meaning) - 2
    known = {}
    for label, what in outcomes.items():
        place = meaning.get(what, -1) if isinstance(what, str) else what
        if isinstance(place, bool) or place not in range(k + 2 if isinstance(what, str) else k):
            allowed = f"{', '.join(map(repr, meaning))}, or a column index below {k}"
            raise refuse(f"outcomes maps labels to {allowed}", f"{what!r} for label {label!r}")
        known[spelling(label)] = int(place)
    fold = any(isinstance(label, (bool, np.bool_)) for label in outcomes)
    labels = [label.lower() if fold else label for label in codes.labels]
    unknown = [label for label, folded in zip(codes.labels, labels, strict=True) if folded not in known]
    if unknown:
        raise refuse(
            "every outcome label is in outcomes",
            ", ".join(map(repr, unknown[:6])),
            rows=codes.rows(unknown),
            remedy=f"Say what it means, such as outcomes={{..., {unknown[0]!r}: 'tie'}}, or drop these rows.",
        )
    return np.array([known[label] for label in labels])[codes.index]


def spelling(label) -> str:
    """A label of `outcomes` as `Source.codes` spells it."""
    if isinstance(label, (bool, np.bool_)):
        return str(label).lower()
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _by_id(codes: Codes, k: int, shown: np.ndarray, items: Sequence[str] | None) -> np.ndarray:
    """Outcome by the winner's id, -1 where it was not shown in its row."""
    if items is None:
        return np.full(len(shown), -1)
    place = {label: index for index, label in enumerate(items)}
    winner = np.array([place.get(label, -2) for label in codes.labels])[codes.index]
    hit = shown == winner[:, None]
    special = np.array([{TIE: k, NONE: k + 1}.get(label, -1) for label in codes.labels])[codes.index]
    return np.where(hit.any(1), hit.argmax(1), np.where(winner == -2, special, -1))


def _beyond_positions(labels: Sequence[str], k: int) -> bool:
    """Whether numbers cannot be codes of positions, so that they can only be ids."""
    numbers = [float(label) for label in labels if label.lower() not in ("true", "false")]
    return len(numbers) == len(labels) and max(numbers) > k + 1


def _unknown(codes: Codes, names: Sequence[str], by_name: np.ndarray, by_id: np.ndarray) -> ValueError:
    plain = np.isin(
        codes.index, [place for place, label in enumerate(codes.labels) if label not in (TIE, NONE)]
    )
    wrong = np.flatnonzero(by_name < 0 if (by_name[plain] >= 0).any() else by_id < 0)
    labels = [codes.labels[place] for place in np.unique(codes.index[wrong])]
    return refuse(
        f"an outcome is {', '.join(map(repr, names))}, 'tie' or 'none', or the id of an item in its row",
        ", ".join(map(repr, labels[:6])) + (", ..." if len(labels) > 6 else ""),
        rows=wrong,
        remedy=f"Say what other labels mean, such as outcomes={{..., {labels[0]!r}: 'tie'}}.",
    )
