"""What a battery says: a table, a verdict, a paragraph that a person can act on."""

from __future__ import annotations

import dataclasses
import html
import textwrap

import numpy as np
import pandas as pd
import scipy.stats

from bayespref.checks.assumptions import ASSUMPTIONS, CRUCIAL, Spec, assumption
from bayespref.checks.battery import Battery
from bayespref.checks.family import family_wise, p_values, surprise

INTERVAL = 0.95
"""Probability of the predictive intervals in the table."""
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
        alpha: probability of a false alarm about anything.
    """

    verdict: str
    table: pd.DataFrame
    culprit: str | None
    try_next: tuple[Spec, ...]
    paragraph: str
    observed: np.ndarray
    replicated: np.ndarray
    alpha: float

    def __str__(self) -> str:
        """The paragraph, then the table."""
        return f"{textwrap.fill(self.paragraph, 100)}\n\n{self.rows().to_string(index=False)}"

    __repr__ = __str__

    def rows(self) -> pd.DataFrame:
        """The table in figures that read well."""
        rows = []
        for row in self.table.reset_index(names="name").to_dict("records"):
            name = row["name"]
            if not row["testable"]:
                rows.append([name, "", "", "", "", f"not testable: {row['needs']}"])
                continue
            interval = f"{_plain(row['lower'])} to {_plain(row['upper'])}"
            small = f"{row['p_value']:.3f}", f"{row['adjusted_p']:.3f}"
            rows.append([name, _plain(row["statistic"]), interval, *small, row["effect"]])
        expected = f"expected ({INTERVAL:.0%})"
        return pd.DataFrame(rows, columns=["check", "observed", expected, "p", "adjusted p", "says"])

    def records(self) -> list[dict]:
        """The table as plain records: what JSON holds."""
        kept = self.table.drop(columns=["assumption", "size"])
        return kept.reset_index(names="name").to_dict("records")

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.paragraph)}</p>{self.rows().to_html(index=False)}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def two_sided(name: str) -> bool:
    """Whether small values of a check's statistic are as strange as large ones."""
    return ASSUMPTIONS[name.partition(":")[0]].two_sided


def conclude(found: Battery, model: str, alpha: float, allowed) -> Check:
    """Turn a battery into a verdict.

    Args:
        found: the statistics.
        model: name of the model, for the words.
        alpha: probability of a false alarm about anything.
        allowed: a function of a gallery model and its options: whether it takes these data.
    """
    family = [name for name in found.names if ASSUMPTIONS[name.partition(":")[0]].named]
    out = surprise(found.observed, found.replicated, np.array([two_sided(name) for name in found.names]))
    p, adjusted = p_values(out), np.full(len(found.names), np.nan)
    inside = np.array([name in family for name in found.names])
    adjusted[inside] = family_wise(out[:, inside])
    table = _table(found, out[0], p, adjusted)
    wrong = [name for name in family if table.loc[name, "adjusted_p"] <= alpha]
    wrong.sort(key=lambda name: -table.loc[name, "surprise"])
    culprit = _named(wrong[0], found) if wrong else None
    untested = [name for name in CRUCIAL if name in found.missing]
    verdict = "fails" if culprit else "not testable" if untested else "passes"
    cures = _cures([culprit, *wrong] if culprit else [], model, allowed)
    said = _paragraph(found, model, verdict, culprit, wrong, cures, table)
    return Check(verdict, table, culprit, cures, said, found.observed, found.replicated, alpha)


def _named(name: str, found: Battery) -> str:
    """Unreliable annotators of whom more answer in reverse than chance allows are called that."""
    if name == "rationality" and len(found.against):
        chance = scipy.stats.poisson.isf(0.01, scipy.stats.norm.cdf(AGAINST) * len(found.against))
        if (found.against < AGAINST).sum() > chance:
            return "reversal"
    return name


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
            "effect": assumption(name).effect(found.effect[i]),
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
        needs = "nothing: the model lets it vary, or the worths do already"
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


def _cures(wrong: list[str], model: str, allowed) -> tuple[Spec, ...]:
    """Models that let what fails vary, the likeliest failure's first, without the model itself."""
    found: list[Spec] = []
    for name in wrong:
        for cure in assumption(name).cures:
            if cure not in found and cure[0] != model and allowed(*cure):
                found.append(cure)
    return tuple(found)


def spelled(spec: Spec) -> str:
    """A model and its options, as in Python.

    Example:
        >>> spelled(("crowd_tastes", {"dimensions": 2}))
        'crowd_tastes(dimensions=2)'
    """
    name, options = spec
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})" if options else name


def _paragraph(found: Battery, model: str, verdict, culprit, wrong, cures, table: pd.DataFrame) -> str:
    said = []
    if verdict == "fails":
        said += _failure(found, model, culprit, wrong, cures, table)
    else:
        smallest = np.nanmin(table["adjusted_p"].to_numpy(float))
        said.append(
            f"Nothing that these data can test speaks against {model} (smallest adjusted p {smallest:.2f} of "
            f"{int(np.isfinite(table['adjusted_p'].to_numpy(float)).sum())} checks)."
        )
    crucial = [name for name in CRUCIAL if name in found.missing]
    if crucial:
        said.append(
            "Whether annotators differ, in taste or in reliability, is not testable with this data: it needs "
            f"{found.missing[crucial[0]]}. Without that, disagreement looks like noise, and a leaderboard "
            "that nobody agrees with can fit perfectly."
        )
    others: dict[str, list[str]] = {}
    for name, needs in found.missing.items():
        if name not in crucial and not (crucial and needs == found.missing[crucial[0]]):
            others.setdefault(needs, []).append(name.replace("_", " "))
    if others:
        parts = [f"{', '.join(names)} ({needs})" for needs, names in others.items()]
        said.append(
            f"Not testable either for want of data: {'; '.join(parts)}.".replace(
                "either ", "either " if crucial else ""
            )
        )
    return " ".join(said)


def _failure(found: Battery, model: str, culprit, wrong, cures, table: pd.DataFrame) -> list[str]:
    first, main = assumption(culprit), wrong[0]
    size = float((found.against < AGAINST).sum()) if culprit == "reversal" else table.loc[main, "size"]
    adjusted = table.loc[main, "adjusted_p"]
    said = [
        f"{model} fails: {first.fails} ({first.effect(size)}; {table.loc[main, 'surprise']:.1f} standard "
        f"deviations from what the model expects, adjusted p {_p(adjusted, len(found.replicated))}).",
        f"What that does: {first.consequence}.",
    ]
    if shift := found.moves.get(main):
        said.append(f"Allowing for it moves worths by up to {shift:.2f} in log-odds.")
    if rest := [name for name in wrong[1:] if name != main]:
        said.append(
            f"Also out of line: {', '.join(name.replace('_', ' ') for name in rest)}; they may be shadows "
            "of the first, so cure that and check again."
        )
    if cures:
        said.append(f"Try next: {', '.join(spelled(cure) for cure in cures[:4])}.")
    else:
        said.append("The gallery has no model of it that takes these data: declare one.")
    return said


def _p(value: float, replicates: int) -> str:
    return f"{value:.3f}" if value > 1.5 / (replicates + 1) else f"at most {1 / (replicates + 1):.3f}"
