"""Videos beside the pages, under plain numbers: copied when a browser plays them, encoded anew when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datapipe.container import opened, video_stream
from datapipe.files import hash_once, write_bytes
from datapipe.media import FPS, probe, read_audio, read_frames, write_video
from datapipe.records import Rejected

from ..metrics.flicker import difference_map
from ..records import GROUND_TRUTH, Case, System
from ..report.media import described, write_heats
from ..runs import RunFile

PLAYED_SOUND = (None, "aac", "mp3", "opus")
MAX_ABSENT = 12
"""Systems up to which those without a folder have a cell that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """Which videos may be shown, and which files the runs scored."""

    cases: Mapping[str, Case]
    systems: tuple[System, ...]
    scored: Mapping[tuple[str, str], frozenset[str]]
    """(row, clip) to the sha256 of the videos that runs scored."""
    with_videos: bool
    absent: tuple[str, ...] = ()
    """Systems of the runs whose folder was not given."""


def footage_of(
    files: Sequence[RunFile], cases: Sequence[Case], systems: Sequence[System], with_videos: bool
) -> Footage:
    """Bring videos and runs together; raises `Rejected("bad_input")` for a system that no run has."""
    scored: dict[tuple[str, str], set[str]] = {}
    names: dict[str, None] = {}
    for file in files:
        for key, sha256 in file.run.reference.items():
            scored.setdefault((GROUND_TRUTH, key), set()).add(sha256)
        for row in (each for each in file.run.systems if each.kind == "system"):
            names[row.name] = None
            for key, sha256 in row.videos.items():
                scored.setdefault((row.name, key), set()).add(sha256)
    _check_known([system.name for system in systems], list(names))
    absent = [name for name in names if name not in {system.name for system in systems}]
    return Footage(
        cases={case.key: case for case in cases},
        systems=tuple(systems),
        scored={pair: frozenset(found) for pair, found in scored.items()},
        with_videos=with_videos,
        absent=tuple(absent) if len(names) <= MAX_ABSENT else (),
    )


def _check_known(given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            some = ", ".join(known[:8])
            raise Rejected("bad_input", f"--system {name}: no run has such a system; they have {some}")


def write_clip_media(footage: Footage, key: str, out: Path, place: str) -> dict[str, Any] | None:
    """Write what the player of one clip needs under OUT/PLACE and describe it; None without a case."""
    case = footage.cases.get(key)
    if case is None:
        return None
    tracks = [
        _track(footage, key, name, path, out / f"{place}/{number}.mp4")
        for number, (name, path) in enumerate(_videos(footage, case))
    ]
    tracks += [
        {"name": name, "video": None, "why": "its folder was not given: --system NAME=DIR", "map": None}
        for name in footage.absent
    ]
    heat_max = write_heats(tracks, out, place)
    num_frames = _num_frames(case)
    picture = f"{place}/reference.png" if case.picture and footage.with_videos else None
    if case.picture and picture:
        write_bytes(out / picture, case.picture.read_bytes())
    return {
        **described(case),
        "fps": FPS,
        "num_frames": num_frames,
        "duration": num_frames / FPS,
        "picture": picture,
        "heat_max": heat_max,
        "tracks": [{name: value for name, value in each.items() if name != "map"} for each in tracks],
    }


def _num_frames(case: Case) -> int:
    return case.sample.num_frames if case.sample else max(1, round(probe(case.video).duration * FPS))


def _videos(footage: Footage, case: Case) -> list[tuple[str, Path]]:
    of_systems = [(each.name, each.folder / f"{case.key}.mp4") for each in footage.systems]
    return [(GROUND_TRUTH, case.video), *of_systems]


def _track(footage: Footage, key: str, name: str, path: Path, target: Path) -> dict[str, Any]:
    """One player; a video that cannot be shown becomes a cell that says why."""
    try:
        _check_scored(footage, key, name, path)
        frames = read_frames(path)
    except Rejected as rejected:
        return {"name": name, "video": None, "why": rejected.message, "map": None}
    if plays_in_browsers(path):
        write_bytes(target, path.read_bytes())
    else:
        even = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
        write_video(target, even, read_audio(path) if probe(path).audio_codec else None)
    says = "with its sound" if name == GROUND_TRUTH else ""
    video = "/".join(target.parts[-3:])
    return {"name": name, "video": video, "says": says, "map": difference_map(frames)}


def _check_scored(footage: Footage, key: str, name: str, path: Path) -> None:
    """Let only the very video through that was scored."""
    if not footage.with_videos:
        raise Rejected("missing_file", "left out: the site was made with --no-media")
    if not path.is_file():
        raise Rejected("missing_file", f"{name} has no video of this clip")
    scored = footage.scored.get((name, key))
    if scored and hash_once(path) not in scored:
        raise Rejected("bad_input", "not the video that was scored: its sha256 differs from the run's")


def plays_in_browsers(path: Path) -> bool:
    """Whether every browser of today plays the file as it is: H.264 in 4:2:0, with a common sound."""
    with opened(path) as container:
        codec = video_stream(container, path.name).codec_context
        plain = codec.name == "h264" and codec.pix_fmt in ("yuv420p", "yuvj420p")
        return plain and "mp4" in container.format.name and probe(path).audio_codec in PLAYED_SOUND
