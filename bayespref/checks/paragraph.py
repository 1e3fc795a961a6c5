"""A verdict in words: one paragraph that a person who is no statistician can act on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayespref.checks.assumptions import CRUCIAL, Spec, assumption
from bayespref.checks.battery import Battery
from bayespref.checks.cures import spelled

PARTS = {
    "items": "their own worths spread",
    "features": "what a standard deviation of an attribute counts for them spreads",
    "regions": "how they like a region spreads",
}
LISTED = 4
"""Cures named."""


class Finding(NamedTuple):
    """What was concluded: the verdict, the checks out of line (largest surprise first), the table."""

    battery: Battery
    model: str
    verdict: str
    culprit: str | None
    wrong: list[str]
    reversed: int
    cures: tuple[Spec, ...]
    table: pd.DataFrame


def effect(name: str, size: float, found: Battery) -> str:
    """The size of a failure in words, in the unit of what annotators judge and of the model's scores."""
    text = assumption(name).effect(size).replace(PARTS["items"], PARTS[found.plan.kind])
    if not found.logit:
        return text.replace("in log-odds", found.unit).replace("log-odds", "scores")
    if name == "position":
        share = 1 / (1 + (found.k - 1) * math.exp(-size))
        return f"{text}: {share:.0%} where equals should have {1 / found.k:.0%}"
    return text


def paragraph(finding: Finding) -> str:
    """The verdict, what it does, what to try, and what cannot be told."""
    said = [*(_failure(finding) if finding.culprit else _nothing(finding)), *_untested(finding.battery)]
    return " ".join(said)


def _nothing(finding: Finding) -> list[str]:
    adjusted = finding.table["adjusted_p"].to_numpy(float)
    if not np.isfinite(adjusted).any():
        return [f"Nothing that {finding.model} assumes of the annotators can be tested with these data."]
    return [
        f"Nothing that these data can test speaks against {finding.model} (smallest adjusted p "
        f"{np.nanmin(adjusted):.2f} of {int(np.isfinite(adjusted).sum())} checks)."
    ]


def _failure(finding: Finding) -> list[str]:
    found, culprit, main = finding.battery, finding.culprit or "", finding.wrong[0]
    rows = finding.table.to_dict("index")
    size = finding.reversed if culprit == "reversal" else rows[culprit]["size"]
    adjusted = _p(rows[main]["adjusted_p"], len(found.replicated))
    said = [
        f"{finding.model} fails: {assumption(culprit).fails} ({effect(culprit, size, found)}; "
        f"{rows[main]['surprise']:.1f} standard deviations from what the model expects, adjusted p "
        f"{adjusted}).",
        f"What that does: {assumption(culprit).consequence}.",
    ]
    if shift := found.moves.get(main):
        said.append(f"Allowing for it moves worths by up to {shift:.2f} {found.unit}.")
    if rest := [_plain(name) for name in finding.wrong if name not in (main, culprit)]:
        said.append(
            f"Also out of line: {', '.join(rest)}; that may be a shadow of the first, so cure the first and "
            "check again."
        )
    return [*said, *remedies(finding, culprit)]


def remedies(finding: Finding, culprit: str) -> list[str]:
    """Models to try; and where the gallery's models of the culprit do not take the data, that."""
    own, said = {name for name, _ in assumption(culprit).cures}, []
    others = sorted(own - {finding.model.partition("(")[0]})
    if others and not any(name in own for name, _ in finding.cures):
        ties = "; for a first look, leave ties out" if "ties" in finding.battery.names else ""
        said.append(
            f"The gallery's models of it ({', '.join(others)}) do not take these data: declare one{ties}."
        )
    listed = ", ".join(spelled(cure) for cure in finding.cures[:LISTED])
    if listed:
        said.append(f"Try next{' for the rest' if said else ''}: {listed}.")
    elif not said:
        said.append("The gallery has no model of it: declare one.")
    return said


def _untested(found: Battery) -> list[str]:
    """What data cannot tell: whether annotators differ at all, and the rest."""
    crucial = [found.missing[name] for name in CRUCIAL if name in found.missing]
    others: dict[str, list[str]] = {}
    for name, needs in found.missing.items():
        if needs not in crucial:
            others.setdefault(needs, []).append(_plain(name))
    said = []
    if crucial:
        said.append(
            "Whether annotators differ, in taste or in reliability, is not testable with this data: it needs "
            f"{crucial[0]}. Without that, disagreement looks like noise, and a leaderboard that nobody "
            "agrees with can fit perfectly."
        )
    if others:
        parts = "; ".join(f"{', '.join(names)} ({needs})" for needs, names in others.items())
        said.append(f"Not testable{' either' if crucial else ''}, for want of data: {parts}.")
    return said


def _plain(name: str) -> str:
    return name.replace("_", " ").replace(":", " of ")


def _p(value: float, replicates: int) -> str:
    return f"{value:.3f}" if value > 1.5 / (replicates + 1) else f"at most {1 / (replicates + 1):.3f}"
