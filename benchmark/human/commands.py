"""`avatarsync bench human make` and `score`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from datapipe.console import DONE, DONE_WITH_REJECTS, emit, say
from datapipe.files import write_text
from datapipe.records import Rejected, to_json

from ..cases import find_cases
from ..systems.specs import FolderSpec, Spec, open_system, parse_systems
from .design import Design
from .records import Language, Study

MOST_TEXT_BYTES = 100_000


@dataclass(frozen=True, kw_only=True)
class Make:
    """Make a kit: blinded pages that raters open without a network, and the key that stays with you.

    Example: avatarsync bench human make --cases CASES --system ours=A static=B --raters 12 --out KIT
    """

    cases: Path
    """Folder with the ground-truth videos, as for `bench run`."""
    system: tuple[str, ...]
    """NAME=DIR, one per system; DIR holds KEY.mp4."""
    raters: int
    """Pages to make, one per person; a multiple of the number of systems balances the order fully."""
    out: Path
    """New folder for the kit: raters/ is given out, key.json is not."""
    seed: int | None = None
    """All that is random follows from it; drawn, and written into the key, unless it is given."""
    rounds: int | None = None
    """Times that a rater meets each clip, each time made by another system (default: once per system)."""
    repeats: int = 2
    """Items that come a second time, to see how far people agree with themselves."""
    told: int = 1
    """Attention checks that say which answer to give."""
    broken: int = 1
    """Attention checks that show an obviously damaged clip."""
    truth: bool = True
    """Rate the ground truth too, blinded like the systems."""
    sound: Literal["own", "truth"] = "own"
    """Each video with its own sound, as it was scored, or all with the ground truth's."""
    language: Language = "en"
    """Of the pages."""
    title: str = "How real are these videos?"
    """Heading of the pages."""
    consent: Path | None = None
    """Text file that replaces the consent on the pages, such as your ethics board's."""
    contact: str = ""
    """Whom raters can ask, as the pages say."""

    def execute(self) -> int:
        """Write the kit and say what to do with it; exit code 3 when clips were left out."""
        from .kit import KEY_FILE, RATERS, make_kit
        from .page import Words

        design = Design(
            raters=self.raters, rounds=self.rounds, repeats=self.repeats, told=self.told, broken=self.broken
        )
        specs = tuple(_folder(spec) for spec in parse_systems(self.system))
        key = make_kit(
            find_cases(self.cases),
            tuple(open_system(spec.name, spec.folder) for spec in specs),
            design,
            self.out,
            title=self.title,
            seed=secrets.randbits(48) if self.seed is None else self.seed,
            language=self.language,
            words=Words(consent=_text(self.consent), contact=self.contact),
            truth=self.truth,
            sound=self.sound,
        )
        for why in key.left_out.values():
            say(f"left out: {why}")
        say(f"kit {key.hash}: {len(key.plans)} pages of {len(key.plans[0].items)} videos each")
        say(f"give out: {self.out / RATERS}; keep to yourself: {self.out / KEY_FILE}, whose video is whose")
        return DONE_WITH_REJECTS if key.left_out else DONE


def _folder(spec: Spec) -> FolderSpec:
    if not isinstance(spec, FolderSpec):
        what = f"{spec.name}: people rate videos that are there already"
        raise Rejected(
            "bad_input", f"{what}; make them with `avatarsync bench make`, then give {spec.name}=DIR"
        )
    return spec


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        if path.stat().st_size > MOST_TEXT_BYTES:
            raise Rejected("bad_input", f"{path} is longer than a page can show; shorten it")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise Rejected("bad_input", f"{path} cannot be read as text; give a UTF-8 file") from error


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score the answers of raters: means, intervals, agreement, and which metric goes with people.

    Example: avatarsync bench human score --kit KIT --answers answers/*.json --run run.json --out human.json
    """

    kit: Path
    """Folder that `make` wrote, with its key."""
    answers: tuple[Path, ...]
    """Files that raters saved, or folders of them."""
    run: Path | None = None
    """Run that scored the same videos; its metrics are compared with people."""
    out: Path
    """The study's JSON file; its page, with the end .md, is written beside it."""

    def execute(self) -> int:
        """Write the study and print its page."""
        if self.out.suffix == ".md":
            raise Rejected("bad_input", f"{self.out} is the name of the page; give a .json for the study")
        from .markdown import as_markdown
        from .score import score_study

        files = [file for path in self.answers for file in _files(path)]
        study = score_study(self.kit, files, self.run)
        write_text(self.out.with_suffix(".md"), as_markdown(study))
        write_text(self.out, to_json(study) + "\n")
        emit(as_markdown(study).rstrip("\n"))
        return _say_excluded(study)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def _say_excluded(study: Study) -> int:
    for rater in study.raters:
        for why in rater.failed_checks:
            say(f"excluded: rater {rater.name}, item {why}")
    return DONE


@dataclass(frozen=True, kw_only=True)
class HumanCommand:
    """Ask people: `make` writes a kit of blinded pages, `score` reads what comes back."""

    action: Annotated[
        Annotated[Make, tyro.conf.subcommand("make")] | Annotated[Score, tyro.conf.subcommand("score")],
        tyro.conf.arg(name=""),
    ] = field()

    def execute(self) -> int:
        """Do it."""
        return self.action.execute()
