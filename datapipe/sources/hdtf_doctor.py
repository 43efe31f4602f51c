"""Compare an HDTF download with its annotations: which ranges can be had, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..records import Probe, Rejected
from .found import Report
from .hdtf import Take, face_window, find_takes, usable_span
from .hdtf_lists import GROUPS, Annotation, Annotations, read_annotations
from .look import Look
from .walk import Tree, some, walk

USUAL_HEIGHTS = {720, 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One annotated range and what is there of it."""

    video: Annotation
    index: int
    take: Take | None = None
    facts: Probe | None = None
    fault: str = ""

    @property
    def name(self) -> str:
        """The range's name, `GROUP_NAME_III`."""
        return self.video.clip(self.index)

    @property
    def is_whole(self) -> bool:
        """Whether the whole video is there and readable."""
        return self.take is not None and self.take.whole and self.facts is not None


def hdtf_doctor(root: Path, look: Look) -> Report:
    """Look at every range: its file is opened, nothing is decoded."""
    tree = walk(root)
    annotations = read_annotations(root, tree)
    ranges = list(_seen_all(root, tree, annotations, look))
    have = [each for each in ranges if each.take and not each.fault]
    return Report(
        expected=len(ranges),
        have=tuple(each.name for each in have),
        missing=tuple(each.name for each in ranges if each.take is None and not each.fault),
        broken=(
            *(f"{each.name}: {each.fault}" for each in ranges if each.fault),
            *(f"{fault.id}: {fault.message}" for fault in annotations.faults),
        ),
        counts={group: (_count(have, group), _count(ranges, group)) for group in GROUPS},
        notes=(*_list_notes(annotations, ranges), *_file_notes(ranges), *tree.notes()),
    )


def _seen_all(root: Path, tree: Tree, annotations: Annotations, look: Look) -> Iterator[Seen]:
    takes = find_takes(root, tree, annotations, look)
    for video in annotations.videos:
        for index in range(len(video.ranges)):
            yield _seen(root, video, index, takes.get(video.clip(index)), look)


def _seen(root: Path, video: Annotation, index: int, take: Take | None, look: Look) -> Seen:
    stretch, facts = video.ranges[index], None
    try:
        stretch.checked()
        if take is not None:
            facts = look.probe(root / take.path)
            usable_span(stretch, take, facts)
    except Rejected as rejected:
        return Seen(video=video, index=index, take=take, facts=facts, fault=rejected.message)
    return Seen(video=video, index=index, take=take, facts=facts)


def _count(ranges: list[Seen], group: str) -> int:
    return sum(each.video.group == group for each in ranges)


def _list_notes(annotations: Annotations, ranges: list[Seen]) -> list[str]:
    """Say what is odd about the annotations themselves."""
    videos = annotations.videos
    spans = [span for video in videos for stretch in video.ranges if (span := stretch.span)]
    hours = sum(end - start for start, end in spans) / 3600
    odd = [f"{v.name} {v.height}" for v in videos if v.height and v.height not in USUAL_HEIGHTS]
    kinds = (
        ("ranges without a crop window", [x.name for x in ranges if x.video.ranges[x.index].window is None]),
        (
            "videos without an annotated resolution (windows not used)",
            [v.name for v in videos if not v.height],
        ),
        ("videos of unusual resolution", odd),
        ("videos with an address but no time range", list(annotations.untimed)),
        ("addresses with two names", [" = ".join(names) for names in annotations.shared.values()]),
    )
    head = f"{len(ranges)} annotated ranges of {len(videos)} videos, {hours:.2f} h"
    return [head, *_lines(kinds)]


def _file_notes(ranges: list[Seen]) -> list[str]:
    """Say what is odd about the files."""
    there = [each for each in ranges if each.facts is not None]
    kinds = (
        (
            "ranges come from clips that are cut and cropped already",
            [x.name for x in there if not x.is_whole],
        ),
        ("ranges without sound, which will be rejected (no_audio)", _silent(there)),
        ("ranges of a height that is not the annotated one (windows are rescaled)", _other_height(there)),
        ("crop windows that reach outside the picture (cut off there)", _outside(there)),
        ("ranges that end after their video (cut off there)", _late(there)),
    )
    return _lines(kinds)


def _lines(kinds: tuple[tuple[str, list[str]], ...]) -> list[str]:
    return [f"{len(names)} {what}: {some(names, 15)}" for what, names in kinds if names]


def _silent(ranges: list[Seen]) -> list[str]:
    return [each.name for each in ranges if each.facts and each.facts.audio_codec is None]


def _other_height(ranges: list[Seen]) -> list[str]:
    return [
        f"{each.name} {each.facts.height} for {each.video.height}"
        for each in ranges
        if each.facts and each.is_whole and each.video.height not in (0, each.facts.height)
    ]


def _outside(ranges: list[Seen]) -> list[str]:
    names = []
    for each in ranges:
        stretch = each.video.ranges[each.index]
        if each.take is None or each.facts is None or stretch.window is None:
            continue
        box = face_window(each.video, stretch, each.take, each.facts)
        ratio = each.facts.height / (each.video.height or 1)
        if each.is_whole and each.video.height and box != tuple(value * ratio for value in stretch.window):
            names.append(each.name)
    return names


def _late(ranges: list[Seen]) -> list[str]:
    names = []
    for each in ranges:
        span = each.video.ranges[each.index].span
        if span and each.is_whole and each.facts and span[1] > each.facts.duration + 0.5:
            names.append(each.name)
    return names
