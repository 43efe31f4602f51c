"""Everything under reports/ that is rendered from the records in its runs/; nothing in it is typed.

Same records, same bytes: no dates, no paths of this machine. `make report` also draws the pages of
reports/performance, each by its own package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datapipe.console import DONE, emit
from datapipe.files import write_text
from datapipe.records import Rejected

from .records import RUN_SCHEMA
from .runs import read_run

RUNS = "runs"
RECORDS = "records"
"""Records that are no runs: maps, curves, crops, timings, studies; only the papers' artefacts show them."""
PAPER = "paper"
ABLATION = "ablation-"
"""Start of the names of runs that compare a generator with itself: they have tables of their own."""
HEAD = """# Leaderboard

Rendered by `make report` from the runs in [runs](runs); how every column is defined stands in
[docs/metrics.md](../docs/metrics.md). A value is a mean over clips with its 95 % interval.
"""


@dataclass(frozen=True, kw_only=True)
class RenderCommand:
    """Render what stands in reports/ from its records: the leaderboard, and the papers' tables and figures.

    Example: avatarsync bench render --reports reports
    """

    reports: Path = Path("reports")
    """Folder whose runs/ holds the records; the pages are written beside it."""

    def execute(self) -> int:
        """Write the files and print where they are."""
        for path in render_reports(self.reports):
            emit(str(path))
        return DONE


def render_reports(reports: Path) -> tuple[Path, ...]:
    """Write leaderboard and paper/; raises `Rejected("bad_input")` when there is no run, or a broken one."""
    from . import leaderboard
    from .paper.render import render_all
    from .paper.sources import read_sources

    files = run_files(reports / RUNS)
    runs = [read_run(path) for path in files]
    named = zip(files, runs, strict=True)
    sources = "".join(f"- [{path.name}](runs/{path.name}), {run.created}\n" for path, run in named)
    page = f"{HEAD}\n{leaderboard.markdown(runs)}\n## Runs\n\n{sources}"
    write_text(reports / "leaderboard.md", page)
    write_text(reports / "leaderboard.csv", leaderboard.as_csv(runs))
    places = tuple(reports / name for name in (RUNS, RECORDS) if (reports / name).is_dir())
    render_all(read_sources(places), reports / PAPER)
    return reports / "leaderboard.md", reports / "leaderboard.csv", reports / PAPER / "index.html"


def run_files(folder: Path) -> Sequence[Path]:
    """Runs of a folder in the order of their names; records of other kinds and ablations are passed over."""
    names = (path for path in sorted(folder.glob("*.json")) if not path.name.startswith(ABLATION))
    files = [path for path in names if _schema(path) == RUN_SCHEMA]
    if not files:
        raise Rejected("bad_input", f"{folder} holds no run; make one with `avatarsync bench run --out`")
    return files


def _schema(path: Path) -> object:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected(
            "bad_input", f"{path} is not JSON; take it out of the folder or make it again"
        ) from error
    return value.get("schema") if isinstance(value, dict) else None
