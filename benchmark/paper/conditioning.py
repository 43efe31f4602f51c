"""Figure 5's data: losses and frames of generators trained with and without phoneme-level conditioning."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.media import read_frames
from datapipe.records import SILENCE, Rejected

from ..ablation import RECORD
from ..records import GROUND_TRUTH, Case
from .curves import LOG, Curve, curves_of

CONDITIONING_SCHEMA = "avatarsync-conditioning/1"
GRID = "conditioning"
SIDE = 96
"""Pixels of a frame that is kept."""
NUM_FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One variant and seed."""

    variant: str
    label: str
    is_ours: bool
    """Whether it is the phoneme-level one."""
    seed: int
    curves: tuple[Curve, ...]
    """Terms of the training of its keyframes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Frames of one row at the same instants as all others of the clip."""

    row: str
    png: str
    """Base64 of a colour picture, frames side by side; empty without a video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripsOfClip:
    """One clip: the truth, then every variant."""

    key: str
    said: tuple[str, ...]
    """The phoneme at each frame."""
    strips: tuple[Strip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """The finished comparison."""

    trained: tuple[Trained, ...]
    clips: tuple[StripsOfClip, ...]
    schema: str = CONDITIONING_SCHEMA


def read_conditioning(ablation: Path, cases: Sequence[Case], keys: Sequence[str]) -> Conditioning | None:
    """Gather the grid `conditioning` of an ablation's folder; None when it has none.

    Raises `Rejected("bad_input")` when a record of it cannot be read.
    """
    files = sorted((ablation / GRID).glob(f"*/seed*/{RECORD}"))
    trained = sorted(
        (_trained(file) for file in files), key=lambda each: (each.is_ours, each.variant, each.seed)
    )
    if not trained:
        return None
    first = {each.variant: each for each in reversed(trained)}
    folders = {
        each.label: ablation / GRID / name / f"seed{each.seed}" for name, each in reversed(first.items())
    }
    chosen = [case for start in keys for case in cases if case.key.startswith(start)][: len(keys)]
    return Conditioning(trained=tuple(trained), clips=tuple(_strips(case, folders) for case in chosen))


def _trained(file: Path) -> Trained:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        name, label = str(record["variant"]), str(record["label"])
        is_ours, seed = bool(record["is_ours"]), int(record["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected("bad_input", f"{file} cannot be read ({error!r}); run the ablation again") from error
    logs = sorted(file.parent.glob(f"run/keyframes/{LOG}"))
    curves = tuple(curve for log in logs for curve in curves_of(log))
    return Trained(variant=name, label=label, is_ours=is_ours, seed=seed, curves=curves)


def _strips(case: Case, folders: dict[str, Path]) -> StripsOfClip:
    truth = read_frames(case.video)
    moments = _moments(case, len(truth))
    rows = [
        (GROUND_TRUTH, case.video),
        *((label, folder / f"{case.key}.mp4") for label, folder in folders.items()),
    ]
    return StripsOfClip(
        key=case.key,
        said=tuple(symbol for _, symbol in moments),
        strips=tuple(
            Strip(row=label, png=_strip(path, [frame for frame, _ in moments])) for label, path in rows
        ),
    )


def _moments(case: Case, num_frames: int) -> list[tuple[int, str]]:
    """(frame, phoneme) at the middles of evenly chosen phonemes; evenly chosen frames without phonemes."""
    spoken = [each for each in (case.sample.keyframes if case.sample else ()) if each.phoneme != SILENCE]
    if len(spoken) < NUM_FRAMES:
        return [(int(frame), "") for frame in np.linspace(0, num_frames - 1, NUM_FRAMES).round()]
    chosen = np.linspace(0, len(spoken) - 1, NUM_FRAMES).round().astype(int)
    return [(min(spoken[k].frame, num_frames - 1), spoken[k].phoneme) for k in chosen]


def _strip(path: Path, frames: Sequence[int]) -> str:
    if not path.is_file():
        return ""
    try:
        video = read_frames(path)
    except Rejected:
        return ""
    pictures = [_small(video[min(frame, len(video) - 1)]) for frame in frames]
    strip = cv2.cvtColor(np.concatenate(pictures, axis=1), cv2.COLOR_RGB2BGR)
    return base64.b64encode(cv2.imencode(".png", strip)[1].tobytes()).decode("ascii")


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
