"""Any folder of videos, searched to any depth; `NAME.txt` beside `NAME.mp4` is its transcript."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..media import probe, read_audio
from ..records import Clip, Rejected, Seconds
from ..segment import segments
from .found import Found, Report, SourceConfig, Unusable

LONGEST_WITH_TEXT: Seconds = 30.0
"""A transcript cannot be cut without knowing its times, so its video has to be short enough as it is."""
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}


def folder_clips(root: Path, config: SourceConfig) -> list[Found]:
    """List the videos; long ones are cut at silences, unless they come with a transcript.

    The folder a video lies in is its speaker label; a video at the top is its own.
    """
    paths = _videos(root)
    stems = Counter(_stem(root, path) for path in paths)
    found: list[Found] = []
    for path in paths:
        stem = _stem(root, path)
        name = stem if stems[stem] == 1 else path.relative_to(root).as_posix()
        found += _of_video(root, path, name, config)
    return found


def folder_doctor(root: Path) -> Report:
    """Open every container and say which cannot be read."""
    broken = []
    paths = _videos(root)
    for path in paths:
        try:
            probe(path)
        except Rejected as rejected:
            broken.append(f"{path.relative_to(root).as_posix()}: {rejected.reason}")
    texts = sum(path.with_suffix(".txt").exists() for path in paths)
    return Report(
        expected=len(paths),
        present=len(paths) - len(broken),
        broken=tuple(broken),
        notes=(f"{texts} of {len(paths)} videos have a transcript",),
    )


def _of_video(root: Path, path: Path, name: str, config: SourceConfig) -> list[Found]:
    transcript = path.with_suffix(".txt")
    text = transcript.read_text(encoding="utf-8-sig", errors="replace").strip() if transcript.exists() else ""
    if text and _duration(path) > LONGEST_WITH_TEXT:
        message = (
            f"{path.name} is longer than {LONGEST_WITH_TEXT:.0f} s; cut it, or take {transcript.name} away"
        )
        return [Unusable(id=name, reason="bad_input", message=message)]
    spans = [(0.0, None)] if text else _spans(path, config)
    parent = path.parent.relative_to(root).as_posix()
    return [
        Clip(
            id=name if len(spans) == 1 else f"{name}_{number:03d}",
            source="folder",
            speaker=name if parent == "." else parent,
            video=path,
            start=start,
            end=end,
            language=config.language,
            text=" ".join(text.split()) or None,
        )
        for number, (start, end) in enumerate(spans)
    ]


def _duration(path: Path) -> Seconds:
    try:
        return probe(path).duration
    except Rejected:
        return 0.0


def _spans(path: Path, config: SourceConfig) -> list[tuple[Seconds, Seconds | None]]:
    """Cut a long video; one that is short or cannot be read is one clip, judged in its turn."""
    try:
        if probe(path).duration <= config.segment.longest:
            return [(0.0, None)]
        cuts = segments(read_audio(path), config.segment)
    except Rejected:
        return [(0.0, None)]
    return [(start, end) for start, end in cuts] or [(0.0, None)]


def _videos(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _stem(root: Path, path: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
