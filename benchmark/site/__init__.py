"""The leaderboard as a folder of static pages: a board to sort and filter, and a page for every clip.

Pages hold their own style, script and data and ask for nothing over a network; they open from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datapipe.console import track
from datapipe.files import hash_once, write_bytes, write_text

from ..leaderboard import as_csv
from ..records import Case, System
from ..runs import RunFile
from .boards import Board, board_data, make_boards
from .clips import ClipPage, clip_columns, clip_data, clip_pages
from .media import Footage, footage_of, write_clip_media
from .pages import clip_page, index_page
from .provenance import column_tips, run_data
from .speeds import read_speeds
from .worst import worst_clips

__all__ = ["SiteSources", "write_site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSources:
    """Everything that a site shows."""

    files: tuple[RunFile, ...]
    cases: tuple[Case, ...] = ()
    """Ground truth, for the players, the phonemes and the corpora."""
    systems: tuple[System, ...] = ()
    """Folders of videos, by the names that the runs have."""
    latency: tuple[Path, ...] = ()
    """Records of timing sessions; a system without one has the RTF of its run."""
    media: bool = True
    """Whether videos and pictures are put beside the pages."""
    title: str = "Talking-head leaderboard"


def write_site(sources: SiteSources, out: Path) -> Path:
    """Write run files, media and the clips' pages, and index.html last: when it is there, all is.

    Raises `Rejected("bad_input")` for a system that no run has, or a timing record that is none.
    """
    speeds = read_speeds(sources.latency)
    footage = footage_of(sources.files, sources.cases, sources.systems, sources.media)
    boards = make_boards(sources.files, _corpora(sources))
    runs = [_copy_run(number, file, out) for number, file in enumerate(sources.files)]
    write_text(out / "leaderboard.csv", as_csv([file.run for file in sources.files]))
    pages = clip_pages(boards)
    names = _clip_names(sources, pages)
    _write_clips(_Clips(sources.title, boards, pages, names, footage, sources.files, runs), out)
    site = {**_site(sources.files, boards, pages, runs), "speeds": speeds, "clips": names}
    write_text(out / "index.html", index_page(sources.title, site))
    return out / "index.html"


def _corpora(sources: SiteSources) -> dict[str, str]:
    """Corpus of each clip whose ground truth is the one that a run scored."""
    scored = {(key, sha) for file in sources.files for key, sha in file.run.reference.items()}
    return {
        case.key: case.sample.source
        for case in sources.cases
        if case.sample and (case.key, hash_once(case.video)) in scored
    }


def _copy_run(number: int, file: RunFile, out: Path) -> dict[str, Any]:
    place = f"runs/{number}.json"
    write_bytes(out / place, file.path.read_bytes())
    return run_data(number, file, place)


def _clip_names(sources: SiteSources, pages: Sequence[ClipPage]) -> list[dict[str, str]]:
    samples = {case.key: case.sample for case in sources.cases}
    found = [(page.key, samples.get(page.key)) for page in pages]
    return [
        {
            "name": sample.id if sample else key,
            "corpus": sample.source if sample else "",
            "text": sample.text if sample else "",
        }
        for key, sample in found
    ]


def _site(
    files: Sequence[RunFile], boards: Sequence[Board], pages: Sequence[ClipPage], runs: list[dict[str, Any]]
) -> dict[str, Any]:
    """Data of the board's page."""
    texts: dict[str, int] = {}
    made = []
    for number, board in enumerate(boards):
        by_key = _pages_of(board, number, boards, pages)
        made.append(
            {
                **board_data(board, texts, column_tips(board, files)),
                "worst": worst_clips(board, by_key),
                "pages": list(by_key.values()),
            }
        )
    return {
        "boards": made,
        "runs": [{**run, "anchor": f"#run-{run['number']}"} for run in runs],
        "texts": list(texts),
    }


def _pages_of(
    board: Board, number: int, boards: Sequence[Board], pages: Sequence[ClipPage]
) -> dict[str, int]:
    """Pages of a board's clips; a corpus' clips have theirs with the set that they are from."""
    return {
        page.key: page.number
        for page in pages
        if page.board == number
        or (board.corpus and page.key in board.keys and set(board.files) & set(boards[page.board].files))
    }


@dataclass(frozen=True, slots=True)
class _Clips:
    """What all pages of clips are made from."""

    title: str
    boards: tuple[Board, ...]
    pages: tuple[ClipPage, ...]
    names: list[dict[str, str]]
    footage: Footage
    files: tuple[RunFile, ...]
    runs: list[dict[str, Any]]


def _write_clips(clips: _Clips, out: Path) -> None:
    columns = {page.board: clip_columns(clips.boards[page.board]) for page in clips.pages}
    tips = {number: column_tips(clips.boards[number], clips.files) for number in columns}
    for page in track(clips.pages, "writing clips"):
        case = write_clip_media(clips.footage, page.key, out / "clips", f"media/{page.number}")
        texts: dict[str, int] = {}
        board = clip_data(page, clips.boards[page.board], columns[page.board], texts, tips[page.board])
        runs = [{**_told(run), "anchor": f"../index.html#run-{run['number']}"} for run in clips.runs]
        site = {"board": board, "runs": runs, "texts": list(texts)}
        text = clip_page(clips.title, _head_of(page, clips), site, case)
        write_text(out / f"clips/{page.number}.html", text)


def _told(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a clip's page says of a run; the rest stands on the board's page."""
    return {"file": run["file"], "created": run["created"]}


def _head_of(page: ClipPage, clips: _Clips) -> dict[str, Any]:
    last = len(clips.pages) - 1
    return {
        "name": clips.names[page.number]["name"],
        "label": clips.boards[page.board].label,
        "before": page.number - 1 if page.number > 0 else None,
        "after": page.number + 1 if page.number < last else None,
    }
