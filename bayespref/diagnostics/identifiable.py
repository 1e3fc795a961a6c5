"""What a table of answers can tell of its annotators, and what it cannot, before any fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from bayespref.answers import beats
from bayespref.checks.design import design_of
from bayespref.checks.rows import groups_of, rows_of, totals_of
from bayespref.comparisons import Comparisons
from bayespref.diagnostics.lacking import fitted_exactly, uninformed
from bayespref.diagnostics.ladder import ALL, RUNGS, Reach, Spread, cells_of, quantiles, reach, spread
from bayespref.diagnostics.summary import as_html, as_text, components, one_sided

FEW = 5
"""Labels, and groups of items, that are named."""
CIRCUIT = "pairs that form a circuit (a-b, b-c, c-a): worths fit these exactly"


@dataclasses.dataclass(frozen=True)
class Identifiability:
    """What data can identify; prints as text and as HTML.

    Attributes:
        answers, items: how many. reach: what of the ladder of data is there.
        groups: labels of items that are compared with each other, the largest group first.
        never_shown: labels of items in no answer. joined: whether features make all items comparable.
        only_win, only_lose: labels of items that never lost, or never won.
        strong_groups: sets of items, each of which beats every other, perhaps through others. With more of
            them than `groups`, maximum likelihood is infinite. None before there are answers.
        answers_per_item, answers_per_annotator: least, median, most.
        testable: assumptions about annotators that `checks` can test with these data.
        untestable: assumption -> what data would make it testable.
        uninformed: parameters of models of the gallery that answers cannot inform, and why.
        notes: what else to know.
    """

    answers: int
    items: int
    reach: Reach
    groups: tuple[tuple[str, ...], ...]
    never_shown: tuple[str, ...]
    joined: bool
    only_win: tuple[str, ...]
    only_lose: tuple[str, ...]
    strong_groups: int | None
    answers_per_item: Spread
    answers_per_annotator: Spread | None
    testable: tuple[str, ...]
    untestable: dict[str, str]
    uninformed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def lines(self) -> list[tuple[str, str]]:
        """(name, text) pairs, in reading order."""
        found = [("connectivity", self._connectivity()), ("separation", self._separation())]
        if self.never_shown:
            found.append(("never shown", _named(self.never_shown)))
        found += [
            ("answers per item", spread(self.answers_per_item)),
            ("answers per pair", f"{spread(self.reach.answers_per_pair)}, {self.reach.pairs:,} pairs"),
        ]
        if self.answers_per_annotator is not None:
            found.append(("answers per annotator", spread(self.answers_per_annotator)))
        found += [(f"{rung} {name}", self._rung(rung)) for rung, name in RUNGS.items()]
        found.append(("testable", ", ".join(self.testable) or "nothing about annotators"))
        reasons: dict[str, list[str]] = {}
        for name, reason in self.untestable.items():
            reasons.setdefault(reason, []).append(name)
        found += _listed("not testable", [f"{', '.join(n)}: needs {why}" for why, n in reasons.items()])
        return found + _listed("not informed", [f"{what}: {why}" for what, why in self.uninformed])

    def _connectivity(self) -> str:
        if self.joined:
            return "items are joined by their features"
        if len(self.groups) < 2:
            return "every item is compared with every other, perhaps through others"
        named = "; ".join(f"{_named(group)} ({len(group):,})" for group in self.groups[:FEW])
        more = "; ..." if len(self.groups) > FEW else ""
        return f"NOT COMPARABLE: {len(self.groups):,} groups of items: {named}{more}"

    def _separation(self) -> str:
        if self.joined:
            return "decided by features, not by wins of items"
        if self.strong_groups is None:
            return "not known before there are answers"
        if self.strong_groups <= len(self.groups):
            return "none: every group of items both wins and loses"
        named = [f"only win: {_named(self.only_win)}"] * bool(self.only_win)
        named += [f"only lose: {_named(self.only_lose)}"] * bool(self.only_lose)
        told = f" ({'; '.join(named)})" if named else ""
        apart = f"{self.strong_groups:,} groups never beat each other both ways{told}"
        return f"{apart}: maximum likelihood is infinite (Ford, 1957), priors bound the worths"

    def _rung(self, rung: str) -> str:
        r, everyone = self.reach, self.reach.annotators
        order = "order recorded" if r.order else "order lost"
        columns = f"covariates {', '.join(r.covariates)}" if r.covariates else "no covariates"
        ids = (
            "no ids"
            if everyone is None
            else f"{r.several:,} of {everyone:,} annotators have two answers or more"
        )
        return {
            "L0": f"{self.answers:,} answers",
            "L1": f"{r.repeated:,} of {r.pairs:,} pairs answered more than once",
            "L2": ids,
            "L3": f"{r.shared:,} of {r.pairs:,} pairs answered by several annotators",
            "L4": f"{r.again:,} times an annotator answered a pair again",
            "L5": f"{order}, {columns}, {'times recorded' if r.time else 'no times'}",
        }[rung]

    def __str__(self) -> str:
        """Aligned text, notes at the end."""
        return as_text(self.lines(), self.notes)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.lines(), self.notes)


def identifiability(comparisons: Comparisons, *, time: str | None = None) -> Identifiability:
    """Say what answers can identify and test before any model is fitted to them.

    Connectivity and separation, overlap and repeats, the rungs of data reached (L0 single answers, L1
    repeated pairs, L2 annotator ids, L3 overlap, L4 test-retest, L5 order, covariates, times), which
    assumptions about annotators are testable and what would make the others so, and which parameters of the
    gallery's models such answers cannot inform. Counts of parameters against answers are necessary, not
    sufficient; `local_identifiability` is of one declared model and exact.

    Args:
        comparisons: the answers, or a design without answers yet.
        time: name of the row column that holds times; None takes `time`.

    Returns:
        An `Identifiability`, which prints itself.

    Example:
        >>> apart = Comparisons.from_arrays([[0, 1], [2, 3]], [0, 1], items=list("abcd"))
        >>> identifiability(apart).groups, identifiability(apart).only_win
        ((('a', 'b'), ('c', 'd')), ('a', 'd'))
    """
    labels = comparisons.items.labels
    labels = np.arange(comparisons.items.size) if labels is None else labels
    weak, strong = components(comparisons)
    there = np.asarray(comparisons.design.item_answers) > 0
    won, lost = _wins(comparisons)
    cells, found = cells_of(comparisons), reach(comparisons, time=time)
    joined, groups = "features" in comparisons.items.columns, _groups(weak, there, labels)
    by_items = not joined and "features" not in comparisons.shown_columns
    saturated = by_items and fitted_exactly(comparisons, cells, int(there.sum()) - len(groups))
    testable, untestable = _testable(comparisons, time, found, saturated=saturated)
    each = comparisons.design.annotator_answers
    return Identifiability(
        answers=comparisons.answers,
        items=comparisons.items.size,
        reach=found,
        groups=groups,
        never_shown=_labels(labels, ~there),
        joined=joined,
        only_win=() if joined else _labels(labels, won & ~lost),
        only_lose=() if joined else _labels(labels, lost & ~won),
        strong_groups=None if comparisons.outcome is None else len(np.unique(strong[there])),
        answers_per_item=quantiles(comparisons.design.item_answers),
        answers_per_annotator=None if each is None else quantiles(each),
        testable=testable,
        untestable=untestable,
        uninformed=tuple(uninformed(comparisons, cells, found, len(groups), saturated=saturated)),
        notes=tuple(_notes(comparisons, found)),
    )


def _labels(labels: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(str(label) for label in labels[chosen])


def _named(labels: Sequence[str]) -> str:
    return ", ".join(labels[:FEW]) + (", ..." if len(labels) > FEW else "")


def _listed(name: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [("" if place else name, text) for place, text in enumerate(texts)]


def _groups(weak: np.ndarray, there: np.ndarray, labels: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Labels of the items shown by component, the largest first."""
    order = np.flatnonzero(there)[np.argsort(weak[there], kind="stable")]
    starts = np.flatnonzero(np.diff(weak[order], prepend=-1))
    parts = np.split(order, starts[1:]) if len(order) else []
    return tuple(_labels(labels, part) for part in sorted(parts, key=len, reverse=True))


def _wins(data: Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """(m,) whether each item ever won, and ever lost; a tie is both."""
    won, lost = np.zeros((2, data.items.size), bool)
    shown = np.asarray(data.shown)
    for i, j in np.argwhere(~np.eye(data.k, dtype=bool)) if data.outcome is not None else ():
        rows = (shown[:, i] >= 0) & (shown[:, j] >= 0) & beats(data, i, j)
        won[shown[rows, i]] = lost[shown[rows, j]] = True
    return won, lost


def _testable(
    data: Comparisons, time: str | None, found: Reach, *, saturated: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """What `checks` can test, and for the rest what is missing."""
    if data.response == "ranking":
        return (), dict.fromkeys(ALL, "choices or graded answers: read them as choices of the best")
    rows, row = rows_of(data)
    every = groups_of(np.arange(len(rows)), len(rows))
    _, plan = design_of(data, rows, totals_of(data, row, len(rows)), rows, every, time)
    missing = dict(plan.missing)
    if not data.has_ties:
        missing["ties"] = "answers that are ties"
    if saturated:
        silent = ("design", "cycles", "pairs", *(("lapse", "link") if found.several < 2 else ()))
        missing |= {name: CIRCUIT for name in plan.names if name in silent}
    return tuple(name for name in plan.names if name not in missing), missing


def _notes(data: Comparisons, found: Reach) -> Iterator[str]:
    if note := one_sided(data):
        yield note
    if found.annotators is not None and 2 <= found.several < found.annotators:
        yield (
            f"{found.annotators - found.several:,} of {found.annotators:,} annotators gave fewer than two "
            "answers: what is said of each of them comes from the others."
        )
    yield (
        "Counts are necessary, not sufficient: diagnostics.local_identifiability(key, model, comparisons) "
        "says which parameters of a declared model answers to this design inform."
    )
