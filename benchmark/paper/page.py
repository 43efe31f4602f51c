"""An artefact as a page that loads nothing from elsewhere; each number of ours is a link to its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from ..leaderboard import ARROWS
from ..report.shell import asset, head
from .document import Artefact, Cell, Column, Footnotes, Grid, Row, Trace, letter, traces

OWN_STYLE = (Path(__file__).parent / "paper.css").read_text(encoding="utf-8")


def render(artefact: Artefact, out: Path, names: Sequence[str]) -> str:
    """The page of an artefact, with links to all others of the same folder."""
    parts = (
        _top(artefact.title, f"{artefact.where}. Rows of the paper are as printed.", names, artefact.name),
        "<main>",
        *(_picture(each.stem, each.alt, each.caption) for each in artefact.pictures),
        *(_section(grid, out) for grid in artefact.grids),
        _sources(artefact, out),
        "</main></body></html>\n",
    )
    return "\n".join(parts)


def index(artefacts: Sequence[Artefact], out: Path, lines: Sequence[str]) -> str:
    """The list of all artefacts, with what is measured; `lines` are said of all."""
    heads = "<tr><th>artefact</th><th>in</th><th>ours</th><th>numbers of ours from</th></tr>"
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    body = "".join(_entry(each, out) for each in artefacts)
    table = (
        f'<div class="scroll"><table class="list"><thead>{heads}</thead><tbody>{body}</tbody></table></div>'
    )
    top = _top(
        "The papers' tables and figures, ours beside theirs", "", [each.name for each in artefacts], ""
    )
    return f"{top}\n<main><section>{said}{table}</section></main></body></html>\n"


def _entry(artefact: Artefact, out: Path) -> str:
    files = ", ".join(_file(each, out) for each in traces(artefact))
    state = "measured" if artefact.is_measured else "not measured"
    link = f'<a href="{artefact.name}.html">{escape(artefact.title)}</a>'
    return f"<tr><td>{link}</td><td>{escape(artefact.where)}</td><td>{state}</td><td>{files or '–'}</td></tr>"


def _top(title: str, line: str, names: Sequence[str], here: str) -> str:
    links = "".join(
        f"<b>{name}</b>" if name == here else f'<a href="{name}.html">{name}</a>' for name in names
    )
    first = '<a href="index.html">all</a>' if here else ""
    style = asset("style.css") + OWN_STYLE
    return (
        f'{head(title, style, ())}<header><h1>{escape(title)}</h1><p class="soft">{escape(line)}</p>'
        f'<nav aria-label="Tables and figures">{first}{links}</nav></header>'
    )


def _picture(stem: str, alt: str, caption: str) -> str:
    image = f'<img src="{stem}.png" alt="{escape(alt)}">'
    return (
        f'<section><figure class="picture">{image}<figcaption>{escape(caption)} '
        f'<a href="{stem}.svg">as SVG</a></figcaption></figure></section>'
    )


def _section(grid: Grid, out: Path) -> str:
    notes = Footnotes()
    heads = _heads(grid, notes)
    body = "".join(_row(row, len(grid.columns), notes, out) for row in grid.rows)
    said = "".join(f"<li><sup>{letter(k)}</sup> {escape(text)}</li>" for k, text in enumerate(notes.texts))
    said += "".join(f"<li>{escape(text)}</li>" for text in grid.notes)
    return (
        f'<section><h2>{escape(grid.caption)}</h2><div class="scroll" tabindex="0"><table class="paper">'
        f"<thead>{heads}</thead><tbody>{body}</tbody></table></div>"
        f'<ul class="notes">{said}</ul></section>'
    )


def _heads(grid: Grid, notes: Footnotes) -> str:
    lines = ""
    if any(each.group for each in grid.columns):
        groups = [(group, len(list(each))) for group, each in groupby(grid.columns, lambda c: c.group)]
        spans = "".join(f'<th class="group" colspan="{n}">{escape(group)}</th>' for group, n in groups)
        lines = f"<tr><th></th><th></th>{spans}</tr>"
    titles = "".join(f'<th scope="col">{_title(each, notes)}</th>' for each in grid.columns)
    return f'{lines}<tr><th scope="col">{escape(grid.head)}</th><th scope="col">from</th>{titles}</tr>'


def _title(column: Column, notes: Footnotes) -> str:
    arrow = f" {ARROWS[column.arrow]}" if column.arrow else ""
    return escape(column.title) + arrow + _raised(notes.marks(column.notes))


def _row(row: Row, width: int, notes: Footnotes, out: Path) -> str:
    label = f'<th scope="row">{escape(row.label)}{_raised(notes.marks(row.notes))}</th><td>{row.origin}</td>'
    span = f' colspan="{width}"' if len(row.cells) < width else ""
    filled = "".join(f"<td{_class(each)}{span}>{_cell(each, notes, out)}</td>" for each in row.cells)
    return f'<tr class="{row.origin}">{label}{filled}</tr>'


def _class(cell: Cell) -> str:
    return ' class="none"' if cell.value is None else ""


def _cell(cell: Cell, notes: Footnotes, out: Path) -> str:
    text = escape(cell.text)
    text = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(cell.mark, text)
    if cell.trace:
        place, words = quote(cell.trace.place(out)), escape(cell.trace.words())
        text = f'<a href="{place}" title="{words}">{text}</a>'
    text += _raised(notes.marks(cell.notes))
    small = " ".join(filter(None, (cell.interval, cell.count)))
    return text + (f"<small>{escape(small)}</small>" if small else "")


def _raised(marks: str) -> str:
    return f"<sup>{marks}</sup>" if marks else ""


def _sources(artefact: Artefact, out: Path) -> str:
    found = "".join(
        f"<li>{_file(each, out)}, sha256 <code>{each.file_id}</code></li>" for each in traces(artefact)
    )
    protocols = "".join(
        f"<li>{escape(title)}: <code>{escape(words)}</code></li>" for title, words in _protocols(artefact)
    )
    parts = [f"<p>Measured by <code>{escape(artefact.command)}</code></p>"]
    parts += [f"<ul>{found}</ul>"] if found else ["<p>Nothing of ours was measured.</p>"]
    parts += [f"<details><summary>Protocols</summary><ul>{protocols}</ul></details>"] if protocols else []
    return f'<section id="sources"><h2>Where our numbers are from</h2>{"".join(parts)}</section>'


def _protocols(artefact: Artefact) -> Iterator[tuple[str, str]]:
    seen = set()
    for grid in artefact.grids:
        for row in grid.rows:
            for column, cell in zip(grid.columns, row.cells, strict=False):
                words = cell.trace.words() if cell.trace and cell.trace.protocol else ""
                if words and (column.title, words) not in seen:
                    seen.add((column.title, words))
                    yield column.title, words


def _file(trace: Trace, out: Path) -> str:
    return f'<a href="{quote(trace.place(out))}">{escape(trace.path.name)}</a>'
