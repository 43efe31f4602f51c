"""Find the held-out clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datapipe.records import Rejected, Sample, read_record

from .records import Case


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
