"""Find the held-out clips, and each system's videos."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cattrs

from datapipe.records import Rejected, Sample, from_dict, read_record

from .records import GROUND_TRUTH, Case, System, Timing


def find_cases(folder: Path) -> tuple[Case, ...]:
    """Read CASES in the order of the keys: KEY.mp4, with optional KEY.png and KEY.json (a `Sample`)."""
    if not folder.is_dir():
        raise Rejected("bad_input", f"{folder} is no folder; give the one with the ground-truth videos")
    cases = tuple(_case(video) for video in sorted(folder.glob("*.mp4")) if not video.name.startswith("."))
    if not cases:
        raise Rejected("bad_input", f"{folder} holds no .mp4; export cases first (`avatarsync data export`)")
    return tuple(replace(case, other=_other(case, cases)) for case in cases)


def _other(case: Case, cases: tuple[Case, ...]) -> Path | None:
    """The next clip of another speaker, round the list; of another clip where no speakers are known."""
    at = next(number for number, each in enumerate(cases) if each.key == case.key)
    following = (*cases[at + 1 :], *cases[:at])
    return next((each.video for each in following if _differs(case.sample, each.sample)), None)


def _differs(one: Sample | None, other: Sample | None) -> bool:
    return one is None or other is None or one.speaker != other.speaker


def _case(video: Path) -> Case:
    picture, meta = video.with_suffix(".png"), video.with_suffix(".json")
    return Case(
        key=video.stem,
        video=video,
        picture=picture if picture.exists() else None,
        sample=read_record(meta, Sample, "export the cases again") if meta.exists() else None,
    )


def parse_system(text: str) -> System:
    """Read `NAME=DIR`; the name is for the table, the folder holds KEY.mp4 and perhaps timing.json."""
    name, separator, folder = text.partition("=")
    if not separator or not name.strip() or not folder:
        raise Rejected("bad_input", f"`{text}` is not NAME=DIR; for example avatarsync=out/generated")
    if name == GROUND_TRUTH:
        raise Rejected("bad_input", f"a system cannot be called `{GROUND_TRUTH}`: that row is there already")
    if not Path(folder).is_dir():
        raise Rejected("bad_input", f"{folder} (system {name}) is no folder; give the one with its videos")
    return _with_record(System(name=name, folder=Path(folder)), Path(folder) / "timing.json")


def parse_systems(texts: tuple[str, ...]) -> tuple[System, ...]:
    """Read all systems; names must differ."""
    systems = tuple(parse_system(text) for text in texts)
    if not systems:
        raise Rejected("bad_input", "no system to score; add --system NAME=DIR")
    if len({system.name for system in systems}) < len(systems):
        raise Rejected("bad_input", "two systems have the same name; give each its own")
    return systems


def _with_record(system: System, path: Path) -> System:
    """Add what the system wrote about itself, when it did."""
    if not path.exists():
        return system
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        load = content.get("load_seconds")
        return replace(
            system,
            load_seconds=None if load is None else float(load),
            timings={key: from_dict(value, Timing) for key, value in content.get("clips", {}).items()},
            failures={key: str(why) for key, why in content.get("failures", {}).items()},
        )
    except (ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", f"{path} is not a timing record; see docs/adding-a-method.md") from error
