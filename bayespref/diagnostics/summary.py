"""What a table of answers holds, before any model: sizes, ties, connectivity, what was recorded."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bayespref.answers import beats, preferred
from bayespref.comparisons import Comparisons
from bayespref.diagnostics.ladder import ALL, quantiles, reach, spread, untestable

SUSPICIOUS = 20
"""Answers from which on one side that always wins is no accident."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """Counts that describe the data, each with its sentence; prints as text and as an HTML table."""

    answers: int
    rows: int
    items: int
    set_sizes: tuple[int, int]
    annotators: int | None
    ties: int
    nones: int
    first_share: float | None
    presentation: str
    components: int
    strong_components: int
    answers_per_item: tuple[float, float, float]
    answers_per_annotator: tuple[float, float, float] | None
    rungs: tuple[str, ...]
    untestable: tuple[str, ...]
    features: tuple[str, ...]
    uncounted_columns: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[tuple[str, str]]:
        """(name, text) pairs, in reading order."""
        low, high = self.set_sizes
        lines = [
            ("answers", f"{self.answers:,} in {self.rows:,} distinct rows"),
            ("items", f"{self.items:,}, {low if low == high else f'{low} to {high}'} shown at a time"),
            ("annotators", "not recorded" if self.annotators is None else f"{self.annotators:,}"),
            ("answers per item", spread(self.answers_per_item)),
        ]
        if self.answers_per_annotator is not None:
            lines.append(("answers per annotator", spread(self.answers_per_annotator)))
        share = "" if self.first_share is None else f"; first shown chosen in {self.first_share:.1%}"
        lines += [
            ("ties", f"{self.ties:,} ({self.ties / self.answers:.1%})" if self.ties else "none"),
            ("presentation", self.presentation + (share if self.presentation == "recorded" else "")),
            ("connectivity", self._connectivity()),
            ("data ladder", self._ladder()),
        ]
        if self.nones:
            lines.insert(-3, ("none of them", f"{self.nones:,} ({self.nones / self.answers:.1%})"))
        if self.features:
            lines.append(("features", ", ".join(self.features)))
        return lines

    def _connectivity(self) -> str:
        if self.components > 1 and self.features:
            return (
                f"{self.components} groups of items never compared with each other, joined by their features"
            )
        if self.components > 1:
            return f"DISCONNECTED: {self.components} groups of items were never compared with each other"
        if self.strong_components > 1:
            return (
                "connected, but some items only ever win or lose against the rest: priors bound their worth"
            )
        return "connected, and every group of items both wins and loses"

    def _ladder(self) -> str:
        names = ", ".join(name.replace("_", " ") for name in self.untestable) or "none"
        told = "nothing about annotators is testable" if self.untestable == ALL else f"not testable: {names}"
        return f"{' '.join(self.rungs)}; {told}"

    def __str__(self) -> str:
        """Aligned text, notes at the end."""
        return as_text(self.lines(), self.notes)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.lines(), self.notes)


def as_text(lines: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """Names and values in two columns, then the notes.

    Args:
        lines: (name, value) pairs.
        notes: sentences.

    Example:
        >>> print(as_text([("items", "3"), ("ties", "none")], ["Few."]))
        items  3
        ties   none
        ! Few.
    """
    width = max(len(name) for name, _ in lines)
    text = [f"{name:<{width}}  {value}" for name, value in lines]
    return "\n".join([*text, *(f"! {note}" for note in notes)])


def as_html(lines: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """The same as a table and paragraphs, whatever is in names and labels escaped.

    Args:
        lines: (name, value) pairs.
        notes: sentences.

    Example:
        >>> as_html([("items", "<3")], [])[-29:]
        "left'>&lt;3</td></tr></table>"
    """
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in lines
    )
    return f"<table>{rows}</table>" + "".join(f"<p>&#9888; {html.escape(note)}</p>" for note in notes)


def components(data: Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """Weak and strong component of each item: compared at all, and beaten as well as beating.

    Ties join both ways. Returns two (m,) arrays of component numbers. Ford (1957): a maximum-likelihood
    worth exists exactly when the graph of wins is strongly connected.
    """
    shown, m = np.asarray(data.shown), data.items.size
    pairs = [(i, j) for i in range(data.k) for j in range(data.k) if i != j]
    weak_edges, strong_edges = [], []
    for i, j in pairs:
        there = (shown[:, i] >= 0) & (shown[:, j] >= 0)
        weak_edges.append(shown[there][:, [i, j]])
        if data.outcome is not None:
            won = there & beats(data, i, j)
            strong_edges.append(shown[won][:, [i, j]])
    weak = _component_labels(np.concatenate(weak_edges), m, "weak")
    strong = _component_labels(np.concatenate(strong_edges), m, "strong") if strong_edges else weak
    return weak, strong


def _component_labels(edges: np.ndarray, m: int, connection: str) -> np.ndarray:
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(m, m))
    return connected_components(graph.tocsr(), directed=True, connection=connection)[1]


def summarise(data: Comparisons) -> Summary:
    """Describe comparisons: what they hold, whether items are connected, what was lost.

    Args:
        data: comparisons with or without outcomes.

    Returns:
        A `Summary`, which prints itself; its `notes` are what a user should know before fitting.

    Example:
        >>> from bayespref import Comparisons
        >>> summarise(Comparisons.from_arrays([[0, 1], [2, 3]], [0, 1])).components
        2
    """
    shown, count = np.asarray(data.shown), np.asarray(data.count)
    outcome = preferred(data)
    by_features = data.items.labels is not None and "features" in data.items.columns
    weak, strong = components(data)
    groups, strong_groups = len(np.unique(weak)), len(np.unique(strong))
    answered = 0 if outcome is None else int(count[outcome < data.k].sum())
    first_share = float(count[outcome == 0].sum() / answered) if answered else None
    found, each = reach(data), data.design.annotator_answers
    extra = tuple(data.row_columns) + tuple(name for name in data.shown_columns if name != "features")
    return Summary(
        answers=data.answers,
        rows=len(data),
        items=data.items.size,
        set_sizes=(int((shown >= 0).sum(1).min()), int((shown >= 0).sum(1).max())),
        annotators=None if data.annotators is None else len(data.annotators),
        ties=0 if outcome is None else int(count[outcome == data.k].sum()),
        nones=0 if outcome is None else int(count[outcome == data.k + 1].sum()),
        first_share=first_share,
        presentation=data.presentation,
        components=groups,
        strong_components=strong_groups,
        answers_per_item=quantiles(data.design.item_answers),
        answers_per_annotator=None if each is None else quantiles(each),
        rungs=found.rungs,
        untestable=untestable(data, found),
        features=tuple(data.feature_names),
        uncounted_columns=extra,
        notes=tuple(_notes(data, weak, groups, extra, by_features=by_features)),
    )


def one_sided(data: Comparisons) -> str:
    """A warning where the item shown first was always, or never, chosen; else nothing.

    Args:
        data: comparisons with or without outcomes.

    Example:
        >>> one_sided(Comparisons.from_arrays([[0, 1]], [0], count=[20]))[:37]
        'The item shown first was always chose'
    """
    outcome = preferred(data)
    if data.presentation != "recorded" or data.k != 2 or outcome is None:
        return ""
    first, second = (int(np.asarray(data.count)[outcome == side].sum()) for side in (0, 1))
    if min(first, second) > 0 or max(first, second) < SUSPICIOUS:
        return ""
    return (
        f"The item shown first was {'always' if first else 'never'} chosen: these look like winners "
        "and losers, not an order of presentation. Read them with winner=... and loser=..., or position "
        "and worth cannot be told apart."
    )


def _notes(data: Comparisons, weak, groups: int, extra, *, by_features: bool) -> list[str]:
    notes = []
    if groups > 1 and not by_features:
        sizes = np.sort(np.bincount(weak))[::-1]
        notes.append(
            f"The items fall into {groups} groups (sizes {', '.join(map(str, sizes[:6]))}"
            f"{', ...' if groups > 6 else ''}) that were never compared with each other: a ranking across "
            "groups comes from the prior alone. Rank within groups, or collect answers that join them."
        )
    notes += [note] if (note := one_sided(data)) else []
    if data.presentation == "lost":
        notes.append(
            "The order of presentation is not recorded: sides were shuffled with a fixed seed, and position "
            "effects cannot be estimated."
        )
    if data.annotator is None:
        notes.append(
            "No annotator ids: whether annotators differ, or one is merely noisy, cannot be told from "
            "these data."
        )
    elif float(np.max(np.asarray(data.design.annotator_answers))) < 2:
        notes.append("No annotator answered twice: differences between annotators cannot be told from noise.")
    if extra:
        notes.append(f"Rows that differ only in {', '.join(extra)} are not counted together.")
    return notes
