"""What a battery says: a table, a verdict, a paragraph that a person can act on."""

from __future__ import annotations

import dataclasses
import html
import math
import textwrap
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.stats

from bayespref.checks.assumptions import ASSUMPTIONS, CRUCIAL, Spec, assumption
from bayespref.checks.battery import Battery
from bayespref.checks.cures import cures_of, spelled
from bayespref.checks.family import family_wise, p_values, surprise
from bayespref.checks.paragraph import Finding, effect, paragraph
from bayespref.comparisons import refuse

INTERVAL = 0.95
"""Probability of the predictive intervals in the table."""
WIDTH = 110
"""Characters of a printed line."""
FEW = 0.01
"""Share of guesses that is worth the name."""
AGAINST = -2.33
"""Standard deviations against the rest at which an annotator counts as reversed: 1 in 100 by chance."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Check:
    """What `check` found.

    Attributes:
        verdict: "fails", "passes", or "not testable" where nothing fails but an assumption that the
            conclusion rests on cannot be tested.
        table: one row for each check: assumption, statistic, lower, upper (predictive interval), surprise
            (standard deviations), p_value, adjusted_p, effect, testable, needs.
        culprit: the check named as what fails, or None.
        try_next: models of the gallery, with options, that let it vary.
        paragraph: the whole in words.
        observed, replicated: statistics (c,), (r, c) in the order of the table's testable rows.
        alpha: probability of a false alarm about anything. replicates, time: as asked for.
        unit: what sizes are in.
    """

    verdict: str
    table: pd.DataFrame
    culprit: str | None
    try_next: tuple[Spec, ...]
    paragraph: str
    observed: np.ndarray
    replicated: np.ndarray
    alpha: float
    replicates: int = 199
    time: str | None = None
    unit: str = "log-odds"

    def __str__(self) -> str:
        """The paragraph, then the table."""
        return f"{'\n'.join(_lines(self.paragraph, WIDTH))}\n\n{_aligned(self.rows())}"

    __repr__ = __str__

    def words(self) -> dict[str, str]:
        """Check -> its assumption in words, no two alike."""
        words = self.table["assumption"].to_dict()
        shared = [text for text in words.values() if list(words.values()).count(text) > 1]
        return {
            str(name): f"{text} ({str(name).replace('_', ' ')})" if text in shared else text
            for name, text in words.items()
        }

    def tested(self) -> list[str]:
        """The checks that were made, in the table's order, which is that of `observed`."""
        return [str(row["name"]) for row in self._rows() if row["testable"]]

    def failing(self) -> list[str]:
        """The checks that fail, in the table's order: adjusted p at most alpha."""
        return [str(row["name"]) for row in self._rows() if row["adjusted_p"] <= self.alpha]

    def rows(self) -> pd.DataFrame:
        """The table in words and figures that read well: one row a check, all cells text."""
        rows, words = [], self.words()
        for row in self._rows():
            figures = ["", "", ""]
            if row["testable"]:
                adjusted = f"{row['adjusted_p']:.3f}" if np.isfinite(row["adjusted_p"]) else ""
                figures = [f"{round(row['surprise'], 1) + 0.0:.1f}", f"{row['p_value']:.3f}", adjusted]
            rows.append([words[row["name"]], *figures, self._says(row)])
        return pd.DataFrame(rows, columns=["assumption", "surprise", "p", "adjusted p", "says"])

    def _rows(self) -> list[dict]:
        return self.table.reset_index(names="name").to_dict("records")

    def _says(self, row: dict) -> str:
        """What a row tells; of what passes no more than the estimated size, which chance explains."""
        if not row["testable"]:
            held = row["needs"].startswith("nothing")
            return "not tested: the model or its worths take it up" if held else "not testable"
        if row["adjusted_p"] <= self.alpha:
            return f"fails: {row['effect']}"
        if not np.isfinite(row["adjusted_p"]) and row["p_value"] <= self.alpha:
            return f"out of line, but no cause by itself: {row['effect']}"
        size = _estimate(row["name"], row["size"], self.unit)
        return f"in line ({size})" if size else "in line"

    def records(self) -> list[dict]:
        """The table as plain records: what JSON holds."""
        kept = self.table.drop(columns=["assumption", "size"])
        return kept.reset_index(names="name").to_dict("records")

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.paragraph)}</p>{self.rows().to_html(index=False, justify='left')}"


def _estimate(name: str, size: float, unit: str) -> str:
    """The estimated size of what passes, in its unit; "" where it has none that reads."""
    kind = name.partition(":")[0]
    if kind in ("link", "ties"):
        return ""
    if kind in ("lapse", "fatigue"):
        return f"{max(size, 0.0) if kind == 'lapse' else abs(math.expm1(size)):.0%}"
    return f"{round(size, 2) + 0.0:.2f} {unit}"


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _aligned(rows: pd.DataFrame) -> str:
    """Rows as text, no wider than WIDTH where figures leave that much: texts go on below themselves."""
    figures = [title for title in rows.columns if title not in ("assumption", "says")]
    room = {title: max(len(title), *rows[title].str.len()) for title in figures}
    left = min(max(rows["assumption"].str.len()), 50)
    right = WIDTH - left - sum(room.values()) - 2 * (len(room) + 1)
    lines = []
    for row in [dict(zip(rows.columns, rows.columns, strict=True)), *rows.to_dict("records")]:
        texts = _lines(row["assumption"], left), _lines(row["says"], right)
        middle = [row[title].rjust(room[title]) for title in figures]
        for place in range(max(map(len, texts))):
            first, last = (text[place] if place < len(text) else "" for text in texts)
            cells = middle if place == 0 else [" " * len(cell) for cell in middle]
            lines.append("  ".join([first.ljust(left), *cells, last]).rstrip())
    return "\n".join(lines)


def two_sided(name: str) -> bool:
    """Whether small values of a check's statistic are as strange as large ones."""
    return ASSUMPTIONS[name.partition(":")[0]].two_sided


def conclude(found: Battery, model: Spec, alpha: float, allowed: Callable[[str, dict], bool]) -> Check:
    """Turn a battery into a verdict.

    Args:
        found: the statistics.
        model: name and options of the model.
        alpha: probability of a false alarm about anything.
        allowed: a function of a gallery model and its options: whether it takes these data.

    Raises:
        ValueError: where too few replicates could be fitted for so small an alpha.
    """
    if alpha * (len(found.replicated) + 1) < 1:
        raise refuse(
            "alpha is no smaller than 1 / (1 + replicates that could be fitted)",
            f"{alpha} and {len(found.replicated)}",
            remedy="Use more replicates.",
        )
    family = [name for name in found.names if ASSUMPTIONS[name.partition(":")[0]].named]
    out = surprise(
        found.observed, found.replicated, np.array([two_sided(name) for name in found.names], bool)
    )
    p, adjusted = p_values(out), np.full(len(found.names), np.nan)
    inside = np.array([name in family for name in found.names], bool)
    adjusted[inside] = family_wise(out[:, inside])
    table = _table(found, out[0], p, adjusted)
    wrong = [name for name in family if table.loc[name, "adjusted_p"] <= alpha]
    wrong.sort(key=lambda name: -table.loc[name, "surprise"])
    culprit = _named(wrong[0], found) if wrong else None
    untested = not family or any(name in found.missing for name in CRUCIAL)
    verdict = "fails" if culprit else "not testable" if untested else "passes"
    cures = cures_of([culprit, *wrong], model, found.plan.kind, allowed) if culprit else ()
    finding = Finding(found, spelled(model), verdict, culprit, wrong, _reversed(found), cures, table)
    order = [found.names.index(name) for name in table.index if table.loc[name, "testable"]]
    statistics = found.observed[order], found.replicated[:, order]
    unit = "log-odds" if found.logit else "of score"
    return Check(verdict, table, culprit, cures, paragraph(finding), *statistics, alpha, unit=unit)


def _named(name: str, found: Battery) -> str:
    """What a check's failure is called: two things that look alike to one check are told apart here.

    Unreliable annotators of whom more answer in reverse than chance allows are called that. Large
    differences that decide less than the curve says look like guesses, and no score tells them apart.
    """
    size = dict(zip(found.names, found.effect, strict=True))
    if name == "link" and size["link"] < 0 and size.get("lapse", 0.0) > FEW:
        return "lapse"
    if name == "rationality" and len(found.against):
        chance = scipy.stats.poisson.isf(0.01, scipy.stats.norm.cdf(AGAINST) * len(found.against))
        if _reversed(found) > chance:
            return "reversal"
    return name


def _reversed(found: Battery) -> int:
    """How many annotators answer against the rest beyond chance."""
    return int((found.against < AGAINST).sum())


def _table(found: Battery, out: np.ndarray, p: np.ndarray, adjusted: np.ndarray) -> pd.DataFrame:
    tail = (1 - INTERVAL) / 2
    lower, upper = np.quantile(found.replicated, [tail, 1 - tail], axis=0)
    rows = {
        name: {
            "assumption": assumption(name).holds,
            "statistic": found.observed[i],
            "lower": lower[i],
            "upper": upper[i],
            "surprise": out[i],
            "p_value": p[i],
            "adjusted_p": adjusted[i],
            "effect": effect(name, found.effect[i], found),
            "size": found.effect[i],
            "testable": True,
            "needs": "",
        }
        for i, name in enumerate(found.names)
    }
    blank = dict.fromkeys(
        ("statistic", "lower", "upper", "surprise", "p_value", "adjusted_p", "size"), np.nan
    )
    for name in found.held:
        needs = "nothing: the model or its worths take it up"
        rows[name] = blank | {
            "assumption": assumption(name).holds,
            "effect": "",
            "testable": False,
            "needs": needs,
        }
    for name, needs in found.missing.items():
        holds = ASSUMPTIONS[name].holds.format("what things look like")
        rows[name] = blank | {"assumption": holds, "effect": "", "testable": False, "needs": needs}
    order = {name: place for place, name in enumerate(ASSUMPTIONS)}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.loc[sorted(table.index, key=lambda name: order[name.partition(":")[0]])]
