"""An artefact as LaTeX: booktabs tables that compile with pdflatex, and one document that holds all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ..leaderboard import ARROWS
from .document import Artefact, Cell, Footnotes, Grid, Row, letter, traces

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[a4paper,landscape,margin=14mm]{geometry}
\usepackage{booktabs,graphicx,textcomp,amsmath,amssymb}
\usepackage[hyphens]{url}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\begin{document}
\sloppy
"""
SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}", "≠": r"\ensuremath{\neq}", "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}", "→": r"\ensuremath{\rightarrow}", "–": "--", "—": "---", "’": "'",
    "‡": r"\ensuremath{\ddagger}", "-": "{-}",
    "−": r"\ensuremath{-}", "\n": " ", "\r": " ", "\t": " ", "[": "{[}", "]": "{]}",
}  # fmt: skip


def render(artefact: Artefact, out: Path) -> str:
    r"""The tables of one artefact, to be \input into a paper that loads booktabs and graphicx."""
    return "\n".join(_lines(artefact, out)) + "\n"


def document(names: Sequence[str]) -> str:
    """A whole document that holds the named artefacts."""
    inputs = "\\clearpage\n".join(f"\\input{{{name}.tex}}\n" for name in names)
    return f"{PREAMBLE}{inputs}\\end{{document}}\n"


def plain(text: str) -> str:
    """Escape all that LaTeX reads as markup; what its fonts lack stands as its code point."""
    return "".join(SIGNS.get(sign, sign if " " <= sign <= "~" else _code(sign)) for sign in text)


def _code(sign: str) -> str:
    return sign if "\xa1" <= sign <= "\xff" else f"\\texttt{{U+{ord(sign):04X}}}"


def _lines(artefact: Artefact, out: Path) -> Iterator[str]:
    yield f"\\section*{{{plain(artefact.title)}}}"
    yield f"{plain(artefact.where)}. The paper as printed; ours with 95\\,\\% intervals in brackets.\n"
    for picture in artefact.pictures:
        size = "width=\\linewidth,height=0.62\\textheight,keepaspectratio"
        yield f"\\begin{{center}}\\includegraphics[{size}]{{{picture.stem}.png}}\\end{{center}}"
        yield f"{plain(picture.caption)}\n"
    for grid in artefact.grids:
        yield from _grid(grid)
    yield f"{{\\footnotesize Measured by \\texttt{{{plain(artefact.command)}}}.\\par}}"
    for trace in traces(artefact):
        place = plain(trace.place(out))
        yield f"{{\\footnotesize Ours from \\texttt{{{place}}}, sha256 \\texttt{{{trace.file_id}}}.\\par}}"


def _grid(grid: Grid) -> Iterator[str]:
    notes = Footnotes()
    heads = list(_heads(grid, notes))
    rows = [_row(row, len(grid.columns), notes) for row in grid.rows]
    yield f"\\subsection*{{{plain(grid.caption)}}}"
    yield f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{_begin(grid)}"
    yield "\\toprule"
    yield from heads
    yield "\\midrule"
    yield from rows
    yield "\\bottomrule\n\\end{tabular}}\n"
    said = [f"\\textsuperscript{{{letter(k)}}} {plain(text)}" for k, text in enumerate(notes.texts)]
    yield from (f"{{\\footnotesize {text}\\par}}" for text in (*said, *map(plain, grid.notes)))


def _begin(grid: Grid) -> str:
    return f"\\begin{{tabular}}{{ll{'r' * len(grid.columns)}}}"


def _heads(grid: Grid, notes: Footnotes) -> Iterator[str]:
    if any(each.group for each in grid.columns):
        groups = [(group, len(list(each))) for group, each in groupby(grid.columns, lambda c: c.group)]
        spans = " & ".join(f"\\multicolumn{{{n}}}{{c}}{{{plain(group)}}}" for group, n in groups)
        yield f" &  & {spans} \\\\"
    titles = [
        plain(f"{each.title} {ARROWS[each.arrow]}" if each.arrow else each.title)
        + _raised(notes.marks(each.notes))
        for each in grid.columns
    ]
    yield f"{plain(grid.head)} & from & {' & '.join(titles)} \\\\"


def _row(row: Row, width: int, notes: Footnotes) -> str:
    label = plain(row.label) + _raised(notes.marks(row.notes))
    filled = [_cell(each, notes) for each in row.cells]
    if len(filled) < width:
        filled = [f"\\multicolumn{{{width}}}{{l}}{{{filled[0]}}}"]
    return f"{label} & {row.origin} & {' & '.join(filled)} \\\\"


def _cell(cell: Cell, notes: Footnotes) -> str:
    text = plain(cell.text)
    text = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}"}.get(cell.mark, text)
    text += _raised(notes.marks(cell.notes))
    small = " ".join(filter(None, (cell.interval, cell.count)))
    if not small:
        return text
    return f"\\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}\\\\[-1ex] \\scriptsize {plain(small)}\\end{{tabular}}"


def _raised(marks: str) -> str:
    return f"\\textsuperscript{{{marks}}}" if marks else ""
