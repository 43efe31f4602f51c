"""HDTF's annotation files, `{RD,WDA,WRA}_{video_url,resolution,annotion_time,crop_wh,crop_ratio}.txt`.

The misspelling is the release's; the right spelling is read too. One list begins with a byte order mark, one
resolution is 0, 15 ranges have no crop window, one range overlaps another, and one address has two names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..records import Box, Rejected, Seconds
from .found import Unusable, clip_id, is_name, read_lines
from .walk import Tree

GROUPS = ("RD", "WDA", "WRA")
KINDS = {
    "url": ("video_url",),
    "resolution": ("resolution",),
    "time": ("annotion_time", "annotation_time"),
    "crop": ("crop_wh",),
}
"""Names of the lists that are used; `crop_ratio` only restates what our own crop decides."""
CLOCK = r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d{1,6})?)"
RANGE = re.compile(rf"{CLOCK}[-–~]{CLOCK}", re.ASCII)
NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?", re.ASCII)
ADDRESS = re.compile(r"(?:v=|youtu\.be/|shorts/|embed/)([\w-]{6,20})", re.ASCII)
UNNAMED = ("RD",)
"""Groups whose videos are numbered (`Radio11`): the name says nothing of who speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A stretch of speech as it is annotated."""

    text: str
    span: tuple[Seconds, Seconds] | None
    """None when the text is no range of time."""
    overlaps: str = ""
    """An earlier range of the video that holds a part of this one."""
    window: Box | None = None
    """Where the face is (x0, y0, x1, y1), in pixels of the annotated resolution."""

    def checked(self) -> tuple[Seconds, Seconds]:
        """Give the span; `Rejected("bad_annotation")` where there is none of its own."""
        if self.span is None:
            message = f"`{self.text[:80]}` is no mm:ss-mm:ss range; correct the annotation"
            raise Rejected("bad_annotation", message)
        if self.overlaps:
            message = f"{self.text} overlaps {self.overlaps} of the same video; correct the annotation"
            raise Rejected("bad_annotation", message)
        return self.span


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What the lists say of a video."""

    group: str
    name: str
    ranges: tuple[Range, ...]
    height: int = 0
    """Vertical resolution that the windows refer to; 0 when the lists do not say."""
    address: str = ""
    """Key of the video at YouTube."""
    speaker: str = ""

    def clip(self, index: int) -> str:
        """Name a range as most projects do, `GROUP_NAME_III`."""
        return clip_id(f"{self.group}_{self.name}_{index:03d}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """All that the lists say."""

    videos: tuple[Annotation, ...]
    faults: tuple[Unusable, ...]
    """Lines that name no video, or one that is named before."""
    untimed: tuple[str, ...]
    """Videos with an address but without ranges."""
    shared: dict[str, tuple[str, ...]]
    """Addresses that several videos have."""


def read_annotations(root: Path, tree: Tree) -> Annotations:
    """Read the lists wherever they lie below the root; for each, the least deep file of its name.

    Raises `Rejected("bad_input")` when a list cannot be read.
    """
    videos: list[Annotation] = []
    faults: list[Unusable] = []
    untimed = []
    for group in GROUPS:
        rows = {kind: _rows(root, tree, group, names, faults) for kind, names in KINDS.items()}
        videos += [_annotation(group, name, rows) for name in rows["time"]]
        untimed += [f"{group}_{name}" for name in rows["url"] if name not in rows["time"]]
    shared = _shared(videos)
    named = tuple(replace(video, speaker=_speaker(video, shared)) for video in videos)
    return Annotations(
        videos=named,
        faults=tuple(faults),
        untimed=tuple(untimed),
        shared={address: tuple(video.name for video in group) for address, group in shared.items()},
    )


def _annotation(group: str, name: str, rows: dict[str, dict[str, list[str]]]) -> Annotation:
    height = "".join(rows["resolution"].get(name, [])[:1])
    address = ADDRESS.search("".join(rows["url"].get(name, [])[:1]))
    ranges: list[Range] = []
    for index, text in enumerate(rows["time"][name]):
        window = _window(rows["crop"].get(f"{name}_{index}", []))
        ranges.append(_range(text, window, ranges))
    return Annotation(
        group=group,
        name=name,
        ranges=tuple(ranges),
        height=int(height) if re.fullmatch(r"[0-9]{1,5}", height) else 0,
        address=address[1] if address else "",
    )


def _rows(
    root: Path, tree: Tree, group: str, kinds: tuple[str, ...], faults: list[Unusable]
) -> dict[str, list[str]]:
    """Read one list: what follows the name, by name without suffix; other lines become faults."""
    names = {f"{group}_{kind}.txt".lower() for kind in kinds}
    places = [path for path in tree.files if path.rpartition("/")[2].lower() in names]
    rows: dict[str, list[str]] = {}
    for path in sorted(places, key=lambda path: (path.count("/"), path))[:1]:
        for number, line in enumerate(read_lines(root / path), start=1):
            name, *rest = re.sub(r"(?<=\d)\s+[-–~]\s+(?=\d)", "-", line).split() or [""]
            name = name.removesuffix(".mp4")
            if is_name(name) and name not in rows:
                rows[name] = rest
            elif name:
                file = path.rpartition("/")[2]
                what = "is named before" if name in rows else "is no name of a video"
                message = f"line {number} of {file}: `{name[:80]}` {what}; correct it"
                faults.append(
                    Unusable(id=clip_id(f"{file}:{number}"), reason="bad_annotation", message=message)
                )
    return rows


def _range(text: str, window: Box | None, before: list[Range]) -> Range:
    match = RANGE.fullmatch(text)
    if match is None:
        return Range(text=text, span=None)
    start, end = (_seconds(*match.groups()[half : half + 3]) for half in (0, 3))
    if end <= start:
        return Range(text=text, span=None)
    over = [other.text for other in before if other.span and other.span[0] < end and start < other.span[1]]
    return Range(text=text, span=(start, end), overlaps=over[0] if over else "", window=window)


def _seconds(hours: str | None, minutes: str, seconds: str) -> Seconds:
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)


def _window(fields: list[str]) -> Box | None:
    """Read `min_width width min_height height`."""
    if len(fields) < 4 or not all(NUMBER.fullmatch(field) for field in fields[:4]):
        return None
    x, width, y, height = map(float, fields[:4])
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _shared(videos: list[Annotation]) -> dict[str, list[Annotation]]:
    by: dict[str, list[Annotation]] = {}
    for video in videos:
        if video.address:
            by.setdefault(video.address, []).append(video)
    return {address: group for address, group in by.items() if len(group) > 1}


def _speaker(video: Annotation, shared: dict[str, list[Annotation]]) -> str:
    """Name the person: the video's name without its number, the same in all groups.

    Videos of one address show the same person, so they share the first label.
    """
    labels = []
    for each in shared.get(video.address, [video]):
        person = re.sub(r"\d+$", "", each.name)
        labels.append(each.name if each.group in UNNAMED or not person else person)
    return clip_id(min(labels))
