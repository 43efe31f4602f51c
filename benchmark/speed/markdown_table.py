"""A Markdown table of plain text: no cell can break it, or be read as HTML."""

from __future__ import annotations

from collections.abc import Sequence

NOT_MEASURED = "not measured"
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", "|": "\\|", "\n": " ", "\r": " "})


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a head and rows of equal length."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(plain(cell) for cell in line)} |" for line in lines)


def plain(text: str) -> str:
    """Escape what Markdown or HTML would read as markup of the table."""
    return text.translate(ESCAPES)


def cell(value: float | None, form: str, unit: str = "") -> str:
    """Format a number; what is not there reads `not measured`."""
    return NOT_MEASURED if value is None else f"{value:{form}}{unit}"
