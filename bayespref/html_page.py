"""A page of HTML that needs nothing else: text, tables, pictures."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOTS = 160
"""Dots an inch of the pictures."""


def text(value: Any) -> str:
    """Any value, with what HTML reads as its own escaped."""
    return html.escape(str(value))


def prose(said: str) -> str:
    """Text of a docstring, `code` marked."""
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", text(said))


def section(heading: str, *parts: str) -> str:
    """Parts under a heading."""
    return f"<section><h2>{text(heading)}</h2>{''.join(parts)}</section>"


def table(rows: list[dict[str, str]], note: str) -> str:
    """A table of text, numbers set flush right, with a note below."""
    titles = list(rows[0])
    flush = {title: _numeric([row[title] for row in rows]) for title in titles}
    head = "".join(
        f"<th scope='col'{' class=n' if flush[title] else ''}>{text(title)}</th>" for title in titles
    )
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if flush[t] else ''}>{text(row[t])}</td>" for t in titles) + "</tr>"
        for row in rows
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='wide'>{whole}</div><p class='small'>{text(note)}</p>"


def _numeric(cells: list[str]) -> bool:
    return all(cell.strip("[]=<>") == "" or cell.lstrip("[=<>-")[:1].isdigit() for cell in cells)


def figure(draw: Callable[[], Any], caption: str) -> str:
    """A picture inside the page; where it cannot be drawn, the reason."""
    from matplotlib import pyplot as plt

    try:
        drawn = draw().figure
    except ValueError as error:
        return f"<p class='small'>{text(caption)} Not drawn: {text(error)}</p>"
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DOTS, bbox_inches="tight", facecolor="white")
    width = round(drawn.get_figwidth() * 96)
    plt.close(drawn)
    picture = base64.b64encode(buffer.getvalue()).decode()
    image = f"<img src='data:image/png;base64,{picture}' alt='{text(caption)}' style='width:{width}px'>"
    return f"<figure>{image}<figcaption>{text(caption)}</figcaption></figure>"


def page(title: str, parts: list[str]) -> str:
    """The whole document."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{text(title)}</h1>\n{'\n'.join(parts)}\n</main></body></html>\n"
    )


def write(path: Path, content: str) -> None:
    """Write a file whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)


STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6168; --paper: #fff; --line: #d9dce0;
  --good: #e7f3ec; --warn: #fdf0dc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7e9; --soft: #a3a9b0; --paper: #16181b; --line: #3a3f45; --good: #1b3326;
    --warn: #44330f; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
h1 + section h2 { border: 0; padding: 0; margin-top: 0; font-size: 1rem; color: var(--soft); }
p { margin: .6rem 0; max-width: 44rem; }
.lead { font-size: 1.25rem; line-height: 1.45; }
.small, figcaption { font-size: .85rem; color: var(--soft); }
.good, .warn { padding: .55rem .8rem; border-radius: 6px; background: var(--good); }
.warn { background: var(--warn); }
.wide { overflow-x: auto; margin: 1rem 0 .5rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid var(--ink); white-space: nowrap; }
tbody td, .facts th, .facts td { border-bottom: 1px solid var(--line); }
.facts th { font-weight: 600; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
figure { margin: 1.5rem 0; break-inside: avoid; }
img { max-width: 100%; height: auto; display: block; background: #fff; border-radius: 6px; }
figcaption { margin-top: .4rem; }
footer table { font-size: .78rem; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } .wide { overflow: visible; }
  :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --good: #fff; --warn: #fff; } }
"""
