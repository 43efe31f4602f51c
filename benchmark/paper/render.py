"""All artefacts, by name, and how they are written: READ FIRST.

Records in, files out: the same sources give the same bytes, wherever and whenever they are rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from datapipe.console import track
from datapipe.files import publish, write_text
from datapipe.records import Rejected

from . import latex, markdown, page, table_csv
from .ablation_tables import table3, table5, table6
from .crops_table import table4
from .document import Artefact, Picture
from .figures import fig4b, fig5, fig9, fig10, fig11
from .scored_tables import eartalking, table1, table2
from .sources import Sources

Format = Literal["md", "latex", "csv", "html"]
FORMATS: tuple[Format, ...] = ("md", "latex", "csv", "html")
ARTEFACTS: dict[str, Callable[[Sources], Artefact]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "fig4b": fig4b,
    "fig5": fig5,
    "fig9": fig9,
    "fig10": fig10,
    "fig11": fig11,
    "eartalking": eartalking,
}
"""What `avatarsync bench paper` renders, in the order of AvatarSync; EARTalking's tables stand last."""
LINES = (
    "Every number of a paper stands as printed, in a row of its own; where a paper contradicts itself, a "
    "remark says so.",
    "Ours were measured with this suite: a number is a link to the file it was read from. Papers do not "
    "publish their clips, crops and extractors: compare orders, not values.",
)


def render_all(
    sources: Sources, out: Path, names: Sequence[str] = tuple(ARTEFACTS), formats: Sequence[Format] = FORMATS
) -> tuple[Artefact, ...]:
    """Write the named artefacts into a folder, and the index last.

    Raises `Rejected("bad_input")` for a name that is none.
    """
    if unknown := [name for name in names if name not in ARTEFACTS]:
        raise Rejected("bad_input", f"no table or figure `{unknown[0]}`; known: {', '.join(ARTEFACTS)}, all")
    artefacts = tuple(ARTEFACTS[name](sources) for name in names)
    for artefact in track(artefacts, "paper"):
        _write(artefact, out, names, formats)
    if "latex" in formats:
        write_text(out / "paper.tex", latex.document(names))
    if "html" in formats:
        write_text(out / "index.html", page.index(artefacts, out, LINES))
    return artefacts


def _write(artefact: Artefact, out: Path, names: Sequence[str], formats: Sequence[Format]) -> None:
    for picture in artefact.pictures:
        _draw(picture, out)
    texts: dict[Format, tuple[str, Callable[[], str]]] = {
        "md": ("md", lambda: markdown.render(artefact, out)),
        "latex": ("tex", lambda: latex.render(artefact, out)),
        "csv": ("csv", lambda: table_csv.render(artefact, out)),
        "html": ("html", lambda: page.render(artefact, out, names)),
    }
    for name in formats:
        end, text = texts[name]
        write_text(out / f"{artefact.name}.{end}", text())


def _draw(picture: Picture, out: Path) -> None:
    for end in ("png", "svg"):
        with publish(out / f"{picture.stem}.{end}") as temporary:
            picture.draw(temporary)
