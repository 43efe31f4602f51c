"""A static, offline report of a run: players, tables, curves and heat-maps in one folder."""

from __future__ import annotations

from pathlib import Path

from datapipe.files import write_bytes, write_text
from datapipe.records import Rejected

from .media import write_media
from .page import page
from .sheet import contact_sheet
from .sources import Sources, open_ledger, preview_places, read_curves
from .summary import summary

__all__ = ["Sources", "contact_sheet", "write_report"]

SHEET_CASES = 2


def write_report(sources: Sources, out: Path) -> Path:
    """Write media, then index.md, and index.html last: when it is there, all that it shows is too."""
    curves = read_curves(sources.train_log) if sources.train_log else ()
    ledgers = tuple(open_ledger(folder) for folder in sources.ledgers)
    cases = write_media(sources, out)
    contact_sheet(sources.cases, sources.systems, _pictured(sources), out / "media" / "frames.png")
    _copy_previews(sources, out)
    write_text(out / "index.md", summary(sources, curves, ledgers, "media/frames.png"))
    write_text(out / "index.html", page(sources, cases, curves, ledgers))
    return out / "index.html"


def _copy_previews(sources: Sources, out: Path) -> None:
    for preview, place in zip(sources.previews, preview_places(sources), strict=True):
        if not preview.exists():
            what = f"there is no picture {preview}"
            raise Rejected("missing_file", f"{what}; make it with `avatarsync data preview`")
        write_bytes(out / place, preview.read_bytes())


def _pictured(sources: Sources) -> list[str]:
    """Choose the cases of the contact sheet: those asked for, one for each start of a key."""
    scored = [case.key for case in sources.cases if case.key in sources.run.reference]
    if not sources.pictures:
        return scored[:SHEET_CASES]
    found = {
        start: next((key for key in scored if key.startswith(start)), start) for start in sources.pictures
    }
    return list(found.values())
