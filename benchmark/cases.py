"""Find the held-out clips and each system's videos, and bring a pair to the same length and size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cattrs
import cv2
import numpy as np

from datapipe.records import Rejected, Sample, from_dict, read_record

from .features import Footage, Store, open_footage
from .metrics import Pair
from .records import GROUND_TRUTH, Case, System, Timing

FRAMES_TO_TRIM = 1
"""A video that is longer or shorter by this much is trimmed; by more, it is a failure."""


def find_cases(folder: Path) -> tuple[Case, ...]:
    """Read CASES in the order of the keys: KEY.mp4, with optional KEY.png and KEY.json (a `Sample`)."""
    if not folder.is_dir():
        raise Rejected("bad_input", f"{folder} is no folder; give the one with the ground-truth videos")
    cases = tuple(_case(video) for video in sorted(folder.glob("*.mp4")) if not video.name.startswith("."))
    if not cases:
        raise Rejected("bad_input", f"{folder} holds no .mp4; export cases first (`avatarsync data export`)")
    return cases


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


def pair_up(case: Case, truth: Footage, system: System | None, store: Store) -> tuple[Pair, str]:
    """Open a system's video beside its ground truth; the sentence says what was done to make them comparable.

    `system` None is the ground truth against itself. Raises `Rejected`: missing_file, bad_input for another
    length, and what decoding raises.
    """
    if system is None:
        return Pair(case.key, truth, truth), ""
    path = system.folder / f"{case.key}.mp4"
    if not path.is_file():
        why = f": {system.failures[case.key]}" if case.key in system.failures else ""
        raise Rejected("missing_file", f"{case.key}: {system.name} has no video for it{why}")
    generated, note = align(case.key, truth, open_footage(path, store))
    if len(generated.frames) < len(truth.frames):
        truth = Footage(truth.sha256, truth.frames[: len(generated.frames)], store)
    return Pair(case.key, truth, generated, system.timings.get(case.key)), note


def align(key: str, truth: Footage, generated: Footage) -> tuple[Footage, str]:
    """Bring a video to the length (by at most one frame) and the size of its ground truth."""
    num_true, num_made = len(truth.frames), len(generated.frames)
    if abs(num_true - num_made) > FRAMES_TO_TRIM:
        raise Rejected(
            "bad_input", f"{key}: {num_made} frames at 25 fps, the truth has {num_true}; make them equal"
        )
    notes = [f"trimmed from {max(num_made, num_true)} to {min(num_made, num_true)} frames"] * (
        num_true != num_made
    )
    frames, (height, width) = generated.frames[:num_true], truth.frames.shape[1:3]
    if frames.shape[1:3] != (height, width):
        notes.append(f"resized from {frames.shape[2]}x{frames.shape[1]} to {width}x{height}, bicubic")
        frames = np.stack(
            [cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in frames]
        )
    return Footage(generated.sha256, frames, generated.store), "; ".join(notes)
