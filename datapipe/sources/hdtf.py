"""HDTF (Zhang et al. 2021): annotated time ranges of long videos, cut further at silences.

Either the whole videos are there (`NAME.mp4`, `GROUP_NAME.mp4`), or the ranges already cut and cropped
(`NAME_I.mp4` as the release names them, `GROUP_NAME_III.mp4` as most projects do), in any folder of the root.
A name may end in a number of its own: what the lists call a video is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..records import Box, Clip, Probe, Rejected, Seconds
from .cut import Span
from .found import Found, SourceConfig, Unusable
from .hdtf_lists import Annotation, Annotations, Range, read_annotations
from .look import Look
from .walk import Tree, walk

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".m4v")
LICENCE = "HDTF: annotations CC BY 4.0; the videos have their uploaders' terms"
CONSENT = "not stated by the corpus"
SHORTEST: Seconds = 0.04
"""Less than a frame is no range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A file that holds a range."""

    path: str
    """Below the root."""
    whole: bool
    """Whether it is the whole video; else it is the range itself, cut and cropped."""


def hdtf_clips(root: Path, config: SourceConfig, look: Look) -> list[Found]:
    """List the pieces of every annotated range; what cannot become a clip is listed as unusable."""
    tree = walk(root)
    annotations = read_annotations(root, tree)
    takes = find_takes(root, tree, annotations, look)
    found: list[Found] = list(annotations.faults)
    for video in annotations.videos:
        for index in range(len(video.ranges)):
            take = takes.get(video.clip(index))
            try:
                found += _pieces(root, video, index, take, config, look)
            except Rejected as rejected:
                found.append(Unusable(id=video.clip(index), reason=rejected.reason, message=rejected.message))
    return found


def find_takes(root: Path, tree: Tree, annotations: Annotations, look: Look) -> dict[str, Take]:
    """Find the file of every range, by the range's name: the whole video before a clip cut from it.

    Where the whole video has no sound and the clip has, the clip is taken.
    """
    stems = _stems(tree.files)
    videos = {name for video in annotations.videos for name in (video.name, f"{video.group}_{video.name}")}
    takes = {}
    for video in annotations.videos:
        whole = _place(stems, video.group, (f"{video.group}_{video.name}", video.name))
        for index in range(len(video.ranges)):
            part = _place(
                stems, video.group, (name for name in _clip_names(video, index) if name not in videos)
            )
            if part and (whole is None or _only_second_sounds(root / whole, root / part, look)):
                takes[video.clip(index)] = Take(path=part, whole=False)
            elif whole:
                takes[video.clip(index)] = Take(path=whole, whole=True)
    return takes


def usable_span(stretch: Range, take: Take, facts: Probe) -> Span:
    """Say which part of its file a range is; it ends where the file does.

    Raises `Rejected("bad_annotation")` for what is no range, holds part of another, or lies beyond the end.
    """
    annotated = stretch.checked()
    span = annotated if take.whole else (0.0, facts.duration)
    end = min(span[1], facts.duration) if facts.duration > 0 else span[1]
    if end - span[0] < SHORTEST:
        name = take.path.rpartition("/")[2]
        message = f"{stretch.text} begins beyond the end of {name} ({facts.duration:.1f} s); correct it"
        raise Rejected("bad_annotation", message)
    return span[0], end


def face_window(video: Annotation, stretch: Range, take: Take, facts: Probe) -> Box | None:
    """Bring a range's window to the pixels of the file, cut off at the picture's border.

    None where there is nothing to bring over: no window, no annotated resolution, a file already cropped.
    """
    if stretch.window is None or video.height == 0 or not take.whole:
        return None
    ratio = facts.height / video.height
    x0, y0, x1, y1 = (value * ratio for value in stretch.window)
    box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(facts.width)), min(y1, float(facts.height)))
    return box if box[2] - box[0] >= 1 and box[3] - box[1] >= 1 else None


def _pieces(
    root: Path, video: Annotation, index: int, take: Take | None, config: SourceConfig, look: Look
) -> list[Found]:
    """Cut a range at silences; one whose sound cannot be read stays whole and is judged in its turn."""
    stretch = video.ranges[index]
    stretch.checked()
    if take is None:
        message = f"neither {video.name}.mp4 nor {video.clip(index)}.mp4 is there; complete the download"
        raise Rejected("missing_file", message)
    facts = look.probe(root / take.path)
    span = usable_span(stretch, take, facts)
    try:
        spans = look.cut(root, take.path, span, config.segment) or [span]
    except Rejected:
        spans = [span]
    return [
        Clip(
            id=f"{video.clip(index)}_{number:03d}",
            source="hdtf",
            speaker=video.speaker,
            video=root / take.path,
            start=start,
            end=end,
            language="en",
            crop_hint=face_window(video, stretch, take, facts),
            licence=config.licence or LICENCE,
            consent=config.consent or CONSENT,
        )
        for number, (start, end) in enumerate(spans)
    ]


def _stems(files: Iterable[str]) -> dict[str, list[str]]:
    """Sort the videos by name without suffix; the preferred format and the least deep folder first."""
    stems: dict[str, list[str]] = {}
    for path in files:
        stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
        if dot + suffix.lower() in VIDEO_SUFFIXES:
            stems.setdefault(stem, []).append(path)
    for paths in stems.values():
        paths.sort(key=lambda path: (VIDEO_SUFFIXES.index(Path(path).suffix.lower()), path.count("/"), path))
    return stems


def _place(stems: dict[str, list[str]], group: str, names: Iterable[str]) -> str | None:
    """Find a file by its possible names; one in a folder of another group is not meant."""
    for name in names:
        for path in stems.get(name, []):
            folders = set(re.split("/", path)[:-1]) & {"RD", "WDA", "WRA"}
            if not folders or group in folders:
                return path
    return None


def _clip_names(video: Annotation, index: int) -> list[str]:
    names = (f"{video.group}_{video.name}", video.name)
    return [f"{name}_{number}" for name in names for number in (f"{index:03d}", f"{index}")]


def _only_second_sounds(first: Path, second: Path, look: Look) -> bool:
    return _is_silent(first, look) and not _is_silent(second, look)


def _is_silent(path: Path, look: Look) -> bool:
    """Tell whether a file lacks sound; one that cannot be read has none."""
    try:
        return look.probe(path).audio_codec is None
    except Rejected:
        return True
