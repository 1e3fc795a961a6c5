"""The table and the picture of `operating_characteristics.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from worlds import WORLDS

ALPHA = 0.05


def write(rows: pd.DataFrame, cells: list, path: Path, revision: int) -> None:
    """Write the report as Markdown, and its picture beside it as PNG."""
    sound = rates(rows, [cell for cell in cells if cell.right])
    broken = rates(rows, [cell for cell in cells if not cell.right])
    missing = [
        f"{c.world} / {c.model}"
        for c in cells
        if f"{c.world} / {c.model}" not in {*sound.index, *broken.index}
    ]
    old = rows[rows["revision"] < revision]
    old = dict.fromkeys(f"{world} / {model}" for world, model in zip(old["world"], old["model"], strict=True))
    text = (
        HEAD
        + (MISSING.format(cells=", ".join(missing)) if missing else "")
        + (OLD.format(cells=", ".join(old)) if old else "")
        + _size(rows, cells, sound)
        + _power(rows, cells, broken)
    )
    path.write_text(text)
    _picture(pd.concat([sound, broken]), path.with_suffix(".png"))


def rates(rows: pd.DataFrame, cells: list) -> pd.DataFrame:
    """Rejection rates at 5 %, cells by checks; NaN where a check was not made."""
    found = {}
    for cell in cells:
        mine = rows[(rows["world"] == cell.world) & (rows["model"] == cell.model)]
        plain = mine[~mine["what"].str.contains("verdict|named|cured|oracle|seconds")]
        if len(plain):
            found[f"{cell.world} / {cell.model}"] = plain.set_index("what")["rate"]
    table = pd.DataFrame(found).T
    return table[[name for name in ORDER if name in table] + [n for n in table if n not in ORDER]]


ORDER = (
    *("position", "covariate:length", "lapse", "link", "fatigue", "drift", "ties", "field", "rationality"),
    *("position_by_annotator", "covariate_by_annotator:length", "shared_tastes", "personal_tastes"),
    *("cycles", "self_consistency", "pairs", "design"),
)


def _one(rows: pd.DataFrame, cell, what: str) -> float:
    mine = rows[(rows["world"] == cell.world) & (rows["model"] == cell.model) & (rows["what"] == what)]
    return float(mine["rate"].iloc[0]) if len(mine) else np.nan


def _number(rows: pd.DataFrame, cell) -> int:
    mine = rows[(rows["world"] == cell.world) & (rows["model"] == cell.model)]
    return int(mine["simulations"].max())


def bound(simulations: int, tests: int) -> float:
    """Rate that 5 % exceeds with probability 1 % in any of so many tests."""
    from scipy.stats import binom

    return float(binom.isf(0.01 / tests, simulations, ALPHA) / simulations)


def _size(rows: pd.DataFrame, cells: list, table: pd.DataFrame) -> str:
    tests = int(table.notna().sum().sum())
    lines = [
        "| world | model | data sets | largest rate | of | mean rate | family: fails |",
        "|" + "---|" * 7,
    ]
    for cell in cells:
        name = f"{cell.world} / {cell.model}"
        if not cell.right or name not in table.index:
            continue
        row, fails = table.loc[name].dropna(), _one(rows, cell, "verdict:fails")
        number = _number(rows, cell)
        flag = "" if row.max() <= bound(number, tests) else " **above the bound**"
        largest = f"{row.max():.3f}{flag} | {row.idxmax()} | {row.mean():.3f}"
        lines.append(f"| {WORLDS[cell.world].story} | {cell.model} | {number} | {largest} | {fails:.3f} |")
    limit = bound(400, tests)
    return SIZE.format(tests=tests, limit=limit, table="\n".join(lines))


def _power(rows: pd.DataFrame, cells: list, table: pd.DataFrame) -> str:
    lines = [
        "| world | assumed | aimed at it | rejects | family: fails | most often named | cure in first two | "
        "oracle |",
        "|" + "---|" * 8,
    ]
    for cell in cells:
        name = f"{cell.world} / {cell.model}"
        if cell.right or name not in table.index:
            continue
        rate = max(table.loc[name].get(check, np.nan) for check in cell.aimed)
        mine = rows[(rows["world"] == cell.world) & (rows["model"] == cell.model)]
        named = mine[mine["what"].str.startswith("named")].sort_values("rate", ascending=False)
        first = [
            f"{what.removeprefix('named:')} {share:.2f}" for what, share in named[["what", "rate"]].values
        ]
        cured, oracle = _one(rows, cell, "cured"), _one(rows, cell, "oracle")
        lines.append(
            f"| {WORLDS[cell.world].story} | {cell.model} | {' or '.join(cell.aimed)} | {rate:.2f} | "
            f"{_one(rows, cell, 'verdict:fails'):.2f} | {', '.join(first[:2])} | "
            f"{'none in the gallery' if np.isnan(cured) else f'{cured:.2f}'} | "
            f"{'' if np.isnan(oracle) else f'{oracle:.2f}'} |"
        )
    return POWER.format(table="\n".join(lines))


def _picture(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(11, 0.32 * len(table) + 2.4), layout="constrained")
    image = ax.imshow(table, cmap="magma_r", vmin=0, vmax=1, aspect="auto")
    for (row, column), rate in np.ndenumerate(table.to_numpy(float)):
        if np.isfinite(rate):
            colour = "white" if rate > 0.5 else "black"
            ax.text(column, row, f"{rate:.2f}", ha="center", va="center", size=6.5, color=colour)
    ax.set_xticks(range(table.shape[1]), [n.replace("_", " ") for n in table], rotation=55, ha="right")
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title("Share of data sets in which a check rejects at 5 %", loc="left")
    figure.colorbar(image, ax=ax, shrink=0.6)
    figure.savefig(path, dpi=120)


HEAD = """# Operating characteristics of `bp.check`

Made by `python benchmarks/operating_characteristics.py`; worlds in `worlds.py`, every rate in
`operating_characteristics.csv`, all of them in the picture:

![rejection rates](operating_characteristics.png)

Large worlds have 200 annotators with 25 answers each about 12 items, worths of sd 1 unless said; small ones
60 with 20 about 8; the toy is the paper's, 2,000 answers unless said. Worths and effects are drawn anew in
every data set, what is shown to whom is not. Checks have 199 replicates.

"""
MISSING = """Not run yet: {cells}.

"""
OLD = """Measured before the nudge of guesses was bounded (and, with it, the other scalar nudges were made
orthogonal to each replicate's own parameters), to be run again: {cells}.

"""
SIZE = """## Size: the model assumed is right

{tests} checks in all. Were each to reject 5 % of 400 data sets, the largest rate would exceed {limit:.3f}
with probability 1 %.

{table}

"""
POWER = """## Power: the model assumed is wrong

Rejects: the check aimed at the defect, at 5 %, the better one where two are. Named: the culprit of the
verdict, which allows 5 % for the whole family. Oracle: power of the likelihood ratio between the truth and
the nearest Bradley-Terry model, both known.

{table}
"""
