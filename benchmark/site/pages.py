"""The pages as text. Everything from outside is escaped here, or travels as data that only scripts read."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..report.sections import CHECKS_MEAN
from ..report.shell import asset, embedded, head, inert_json, players

HERE = Path(__file__).parent
PACK_ABOVE = 400_000
"""Characters of data above which a page carries them gzipped; below, anybody can read them in its source."""
MAX_WARNED = 6
"""Failed checks that stand above the table; all stand at their run."""
CHOOSER = '<div id="tracks" class="checks" role="group" aria-label="Videos to play"></div>'


def index_page(title: str, site: dict[str, Any]) -> str:
    """The board's page."""
    runs = "".join(_run(run) for run in site["runs"])
    parts = {"title": escape(title), "line": _line(site), "warning": _warning(site["runs"]), "runs": runs}
    body = _filled("index.html", parts)
    return _page(title, body, ("table.js", "pareto.js", "index.js"), {"site": site})


def _line(site: dict[str, Any]) -> str:
    systems = max(row_kinds.count(2) for row_kinds in (board["kinds"] for board in site["boards"]))
    clips, runs = len(site["clips"]), len(site["runs"])
    return f"{_count(systems, 'system')} · {_count(clips, 'clip')} · {_count(runs, 'run file')}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def clip_page(title: str, clip: dict[str, Any], site: dict[str, Any], case: dict[str, Any] | None) -> str:
    """The page of one clip; without a case it has scores alone."""
    near = ((clip["before"], "prev", "‹ previous clip"), (clip["after"], "next", "next clip ›"))
    nav = " ".join(
        f'<a href="{page}.html" rel="{rel}">{words}</a>' for page, rel, words in near if page is not None
    )
    parts = {
        "title": escape(clip["name"]),
        "line": escape(f"{title} · {clip['label']}"),
        "nav": nav,
        "players": players(CHOOSER) if case else _no_players(),
    }
    scripts = ("table.js", "player.js", "clip.js") if case else ("table.js", "clip.js")
    data = {"site": site, **({"data": {"cases": [case]}} if case else {})}
    return _page(f"{clip['name']} · {title}", _filled("clip.html", parts), scripts, data)


def _no_players() -> str:
    why = "Its ground truth was not given: make the site again with --cases FOLDER and --system NAME=DIR."
    return f"<section><h2>Side by side</h2><p>{why}</p></section>"


def _filled(name: str, parts: dict[str, str]) -> str:
    """A shell with its gaps filled, each once and by our own names: filled text is never searched."""
    pieces = (HERE / name).read_text(encoding="utf-8").split("<!--")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        gap, rest = piece.split("-->", 1)
        filled += [parts[gap], rest]
    return "".join(filled)


def _page(title: str, body: str, names: Sequence[str], data: dict[str, Any]) -> str:
    scripts = {name: _script(name) for name in ("theme.js", *names)}
    theme, *others = scripts.values()
    carried = "".join(carry(name, value) for name, value in data.items())
    tail = "".join(f"<script>{text}</script>" for text in others)
    top = head(title, asset("style.css") + _own("site.css"), list(scripts.values()))
    return f"{top}<script>{theme}</script>\n{body}\n{carried}\n{tail}</body></html>\n"


def _script(name: str) -> str:
    return asset(name) if name == "player.js" else _own(name)


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def carry(name: str, value: Any) -> str:
    """Data in the page: JSON that cannot leave its element, gzipped where there is much of it."""
    text = inert_json(value)
    if name == "data" or len(text) <= PACK_ABOVE:
        return embedded(name, value)
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{name}" data-packed="gzip">{packed}</script>'


def _warning(runs: Sequence[dict[str, Any]]) -> str:
    failed = [f"{run['file']}: {line}" for run in runs for line in run["failed"]]
    if not failed:
        return ""
    lines = "".join(f"<li>{escape(line)}</li>" for line in failed[:MAX_WARNED])
    more = len(failed) - MAX_WARNED
    lines += f"<li>and {more} more, at their runs below</li>" if more > 0 else ""
    return (
        f'<section class="warning"><details><summary><b>{_count(len(failed), "control check")} came out '
        f"wrong</b></summary><p>{escape(CHECKS_MEAN)}</p><ul>{lines}</ul></details></section>"
    )


def _run(run: dict[str, Any]) -> str:
    name = f"{run['file']}, made {run['created']}"
    link = f'<a href="{escape(run["place"])}">{escape(name)}</a>' if run["place"] else escape(name)
    counts = f"{_count(run['systems'], 'system')} on {_count(run['clips'], 'clip')}, set {run['set']}"
    facts = [counts, f"failed clips: {run['on_failure']}", run["checks"]]
    lists = (
        ("Checks that fail", run["failed"]),
        ("Weights", run["weights"]),
        ("Machine", run["environment"]),
    )
    folded = "".join(
        f"<details><summary>{title}</summary>{_list(lines)}</details>" for title, lines in lists if lines
    )
    place = run["number"]
    return f'<div class="run" id="run-{place}"><h3>{link}</h3><p>{escape("; ".join(facts))}</p>{folded}</div>'


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
