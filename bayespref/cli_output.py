"""What the command line prints: tables and sentences, plain text in a pipe."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.console import Console, JustifyMethod

    from bayespref.checks.verdict import Check


def console() -> Console:
    """A console on what stdout is now: colours on a terminal, plain text in a pipe."""
    from rich.console import Console

    return Console(highlight=False, markup=False)


def tell(text: str) -> None:
    """One paragraph on stderr."""
    print(" ".join(text.split()), file=sys.stderr, flush=True)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print a warning as one paragraph on stderr, without the place in the code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: tell(f"warning: {message}")
        yield


def _grid(**options):
    from rich.table import Table

    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", **options)


def pairs(lines: Sequence[tuple[str, str]]):
    """A grid of names and texts; long texts continue under their own column."""
    grid = _grid(show_header=False)
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column()
    for line in lines:
        grid.add_row(*line)
    return grid


def _filled(headings: Mapping[str, JustifyMethod], rows) -> Any:
    """A table; headings map each title to its alignment."""
    table = _grid()
    for title, justify in headings.items():
        table.add_column(title, justify=justify, overflow="fold", no_wrap=justify == "right")
    for row in rows:
        table.add_row(*row)
    return table


def ranking_table(table: pd.DataFrame):
    """A ranking, best first."""
    from bayespref.wording import ranking_rows

    headings = ("rank", "item", "worth", "interval", "rank interval", "P(best)")
    return _filled(
        {title: "left" if title == "item" else "right" for title in headings},
        [row.values() for row in ranking_rows(table)],
    )


def comparison_table(table: pd.DataFrame):
    """A comparison of fits, best first."""
    from bayespref.wording import comparison_rows

    rows = comparison_rows(table)
    return _filled(
        {title: "left" if title == "fit" else "right" for title in rows[0]}, [r.values() for r in rows]
    )


def check_table(check: Check):
    """Every check of a fit: its assumption, how far out, p-values, what it says."""
    titles = list(check.rows().columns)
    text = ("assumption", "says")
    return _filled(
        {title: "left" if title in text else "right" for title in titles},
        check.rows().itertuples(index=False),
    )


def check_record(check: Check) -> dict[str, Any]:
    """A check as plain records."""
    return {
        "verdict": check.verdict,
        "culprit": check.culprit,
        "alpha": check.alpha,
        "paragraph": check.paragraph,
        "checks": check.records(),
        "try_next": [name for name, _ in check.try_next],
        "try_next_options": [options for _, options in check.try_next],
    }


def print_quantities(out: Console, fit: xr.DataTree) -> None:
    """Print the fit's small quantities, if it has any."""
    from bayespref.wording import quantities

    if rows := quantities(fit):
        out.print(
            _filled(
                {title: "left" if title == "quantity" else "right" for title in rows[0]},
                [r.values() for r in rows],
            )
        )
        out.print()


def trust_record(fit: xr.DataTree) -> dict[str, Any]:
    """The verdict on a fit, and the figures behind it."""
    from bayespref import convergence, verdict

    return {"problems": verdict(fit), "convergence": convergence(fit)}


def write_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    """JSON's types: NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
