"""The videos of a kit: those of a clip have one size, length and codec, and say nothing of their maker."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.console import track
from datapipe.files import sha256_of
from datapipe.media import SAMPLE_RATE, write_video
from datapipe.records import Rejected

from ..alignment import Alignment, align, check_rate
from ..footage import Footage, Store, fitted, open_footage
from ..records import GROUND_TRUTH, Case, System
from .design import Files
from .records import Shown

CRF = 16
"""Visually lossless, so that the kit's own coding is not what is rated."""
LIKE_TRUTH = Alignment()
"""Rate, size and length are brought to the truth's, as `bench run` does by default."""
EPOCH = 946684800
"""Time of change of every file (2000-01-01), or their order would tell who made them."""
BLOCK = 16
HELD = 12
"""Frames that a damaged picture stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footages:
    """What was written, and which clips could not be."""

    videos: tuple[Shown, ...]
    files: Files
    cases: tuple[str, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pictures and sound as raters will get them."""

    frames_THW3: NDArray[np.uint8]
    audio: NDArray[np.float32] | None
    source: str
    notes: tuple[str, ...]


Sound = Literal["own", "truth"]


def write_footage(
    cases: Sequence[Case], systems: Sequence[System], folder: Path, seed: int, truth: bool, sound: Sound
) -> Footages:
    """Write every (system, case) and the two checks into `folder`, under names drawn from the seed.

    A case that any system cannot show is left out with its reason, so that all are rated on the same clips.
    Raises `Rejected("bad_input")` when no case is left.
    """
    shown: list[Shown] = []
    left_out: dict[str, str] = {}
    for case in track(cases, "preparing videos"):
        try:
            made = _prepared(case, systems, truth, sound)
        except Rejected as rejected:
            left_out[case.key] = rejected.message
            continue
        shown += [_write(case.key, name, each, folder, seed) for name, each in made.items()]
    if not shown:
        first = next(iter(left_out.values()), "there are no cases")
        raise Rejected("bad_input", f"no case can be shown by every system; the first: {first}")
    kept = tuple(dict.fromkeys(each.case for each in shown))
    first_case = next(case for case in cases if case.key == kept[0])
    checks = _checks(first_case, folder, seed)
    files = {(each.system, each.case): each.file for each in shown}
    return Footages(
        videos=(*shown, *checks),
        files=Files(of=files, plain=checks[0].file, broken=checks[1].file, case=first_case.key),
        cases=kept,
        left_out=left_out,
    )


def _prepared(case: Case, systems: Sequence[System], truth: bool, sound: Sound) -> dict[str, Prepared]:
    true = open_footage(case.video, Store())
    length = len(true.frames) - LIKE_TRUTH.most_trimmed
    if length < 2:
        raise Rejected("too_short", f"{case.key}: {len(true.frames)} frames; a clip needs three")
    found = {GROUND_TRUTH: _cut(true, true, length, (), "own")} if truth else {}
    for system in systems:
        path = system.folder / f"{case.key}.mp4"
        if not path.is_file():
            said = system.failures.get(case.key, "the file is not there")
            raise Rejected("missing_file", f"{case.key}: no video of {system.name}: {said}")
        resampled = check_rate(case.key, path, LIKE_TRUTH)
        aligned = align(case.key, true, open_footage(path, Store()), LIKE_TRUTH)
        notes = (*resampled, *aligned.notes)
        found[system.name] = _cut(aligned.generated, true, length, notes, sound)
    return found


def _cut(made: Footage, true: Footage, length: int, notes: tuple[str, ...], sound: Sound) -> Prepared:
    """One length for every maker of a clip, even height and width, and sound from where it is to come."""
    height, width = (size // 2 * 2 for size in made.frames.shape[1:3])
    audio = made.audio if sound == "own" else true.audio
    if audio is None and true.audio is not None:
        audio, notes = true.audio, (*notes, "no sound of its own: the truth's")
    heard = None if audio is None else fitted(audio, length)
    return Prepared(made.frames[:length, :height, :width], heard, made.source, notes)


def _checks(case: Case, folder: Path, seed: int) -> tuple[Shown, Shown]:
    """The clip whose answer is told, and the damaged one; neither file is shown as a rating."""
    true = open_footage(case.video, Store())
    plain = _cut(true, true, len(true.frames) - LIKE_TRUTH.most_trimmed, (), "own")
    damaged = Prepared(
        damaged_frames(plain.frames_THW3, seed), _late(plain.audio), plain.source, ("damaged",)
    )
    return (
        _write(case.key, GROUND_TRUTH, plain, folder, seed, "told"),
        _write(case.key, GROUND_TRUTH, damaged, folder, seed, "broken"),
    )


def damaged_frames(frames_THW3: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Frames that whoever looks rates worst: the picture stands, then jumps, half of its blocks out of place.

    It jumps about twice a second and keeps its brightness: flashes of three a second or more can harm.
    """
    random = np.random.default_rng(seed)
    damaged = np.empty_like(frames_THW3)
    for first in range(0, len(frames_THW3), HELD):
        damaged[first : first + HELD] = _misplaced(frames_THW3[first], random)
    return damaged


def _misplaced(frame_HW3: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """One picture with half of its blocks in other places; what is left at the edges stays."""
    rows, columns = (size // BLOCK for size in frame_HW3.shape[:2])
    mixed = frame_HW3.copy()
    inner = mixed[: rows * BLOCK, : columns * BLOCK]
    blocks = inner.reshape(rows, BLOCK, columns, BLOCK, 3).swapaxes(1, 2)
    flat = blocks.reshape(rows * columns, BLOCK, BLOCK, 3).copy()
    moved = random.choice(len(flat), size=len(flat) // 2, replace=False)
    flat[moved] = flat[np.roll(moved, 1)]
    whole = flat.reshape(rows, columns, BLOCK, BLOCK, 3).swapaxes(1, 2)
    inner[:] = whole.reshape(rows * BLOCK, columns * BLOCK, 3)
    return mixed


def _late(audio: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """The sound a second late."""
    return None if audio is None else np.roll(audio, SAMPLE_RATE)


def _write(case: str, system: str, made: Prepared, folder: Path, seed: int, what: str = "") -> Shown:
    file = f"{_token(seed, case, system, what)}.mp4"
    write_video(folder / file, made.frames_THW3, made.audio, crf=CRF)
    os.utime(folder / file, (EPOCH, EPOCH))
    shown = sha256_of(folder / file)
    return Shown(case=case, system=system, source=made.source, file=file, sha256=shown, notes=made.notes)


def _token(*parts: object) -> str:
    """Sixteen hexadecimal digits that do not give away what they stand for without the seed."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def sources_of(videos: Sequence[Shown]) -> Mapping[tuple[str, str], str]:
    """(system, case) to the sha256 of the video that was given."""
    return {(each.system, each.case): each.source for each in videos}
