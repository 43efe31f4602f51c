"""Compare an HDTF download with its annotations: which ranges can be had, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..media import probe
from ..records import Probe, Rejected
from .found import Report
from .hdtf import Take, face_window, find_takes, usable_span
from .hdtf_lists import GROUPS, Annotation, Annotations, read_annotations
from .walk import Tree, some, walk

USUAL_HEIGHTS = {720, 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
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


def hdtf_doctor(root: Path) -> Report:
    """Look at every range: its file is opened, nothing is decoded."""
    tree = walk(root)
    annotations = read_annotations(root, tree)
    looks = list(_looks(root, tree, annotations))
    have = [look for look in looks if look.take and not look.fault]
    return Report(
        expected=len(looks),
        have=tuple(look.name for look in have),
        missing=tuple(look.name for look in looks if look.take is None and not look.fault),
        broken=(
            *(f"{look.name}: {look.fault}" for look in looks if look.fault),
            *(f"{fault.id}: {fault.message}" for fault in annotations.faults),
        ),
        counts={group: (_count(have, group), _count(looks, group)) for group in GROUPS},
        notes=(*_list_notes(annotations, looks), *_file_notes(looks), *tree.notes()),
    )


def _looks(root: Path, tree: Tree, annotations: Annotations) -> Iterator[Look]:
    takes = find_takes(root, tree, annotations)
    for video in annotations.videos:
        for index in range(len(video.ranges)):
            yield _look(root, video, index, takes.get(video.clip(index)))


def _look(root: Path, video: Annotation, index: int, take: Take | None) -> Look:
    stretch, facts = video.ranges[index], None
    try:
        stretch.checked()
        if take is not None:
            facts = probe(root / take.path)
            usable_span(stretch, take, facts)
    except Rejected as rejected:
        return Look(video=video, index=index, take=take, facts=facts, fault=rejected.message)
    return Look(video=video, index=index, take=take, facts=facts)


def _count(looks: list[Look], group: str) -> int:
    return sum(look.video.group == group for look in looks)


def _list_notes(annotations: Annotations, looks: list[Look]) -> list[str]:
    """Say what is odd about the annotations themselves."""
    videos = annotations.videos
    spans = [span for video in videos for stretch in video.ranges if (span := stretch.span)]
    hours = sum(end - start for start, end in spans) / 3600
    odd = [f"{v.name} {v.height}" for v in videos if v.height and v.height not in USUAL_HEIGHTS]
    kinds = (
        ("ranges without a crop window", [x.name for x in looks if x.video.ranges[x.index].window is None]),
        (
            "videos without an annotated resolution (windows not used)",
            [v.name for v in videos if not v.height],
        ),
        ("videos of unusual resolution", odd),
        ("videos with an address but no time range", list(annotations.untimed)),
        ("addresses with two names", [" = ".join(names) for names in annotations.shared.values()]),
    )
    head = f"{len(looks)} annotated ranges of {len(videos)} videos, {hours:.2f} h"
    return [head, *_lines(kinds)]


def _file_notes(looks: list[Look]) -> list[str]:
    """Say what is odd about the files."""
    there = [look for look in looks if look.facts is not None]
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


def _silent(looks: list[Look]) -> list[str]:
    return [look.name for look in looks if look.facts and look.facts.audio_codec is None]


def _other_height(looks: list[Look]) -> list[str]:
    return [
        f"{look.name} {look.facts.height} for {look.video.height}"
        for look in looks
        if look.facts and look.is_whole and look.video.height not in (0, look.facts.height)
    ]


def _outside(looks: list[Look]) -> list[str]:
    names = []
    for look in looks:
        stretch = look.video.ranges[look.index]
        if look.take is None or look.facts is None or stretch.window is None:
            continue
        box = face_window(look.video, stretch, look.take, look.facts)
        ratio = look.facts.height / (look.video.height or 1)
        if look.is_whole and look.video.height and box != tuple(value * ratio for value in stretch.window):
            names.append(look.name)
    return names


def _late(looks: list[Look]) -> list[str]:
    names = []
    for look in looks:
        span = look.video.ranges[look.index].span
        if span and look.is_whole and look.facts and span[1] > look.facts.duration + 0.5:
            names.append(look.name)
    return names
