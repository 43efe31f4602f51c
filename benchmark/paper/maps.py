"""Figure 4b's data: where consecutive frames differ, per system and beside the truth on one scale."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.media import read_frames
from datapipe.records import Rejected

from ..metrics.flicker import difference_map
from ..records import GROUND_TRUTH, Case, System

MAPS_SCHEMA = "avatarsync-difference-maps/1"
SIDE = 128
"""Pixels of a map that is kept."""
MAX_SIDE = 2048
"""Pixels of a side of a picture in a record, at most."""
TOP_PERCENTILE = 99.8
"""Of all maps' pixels: what is white on the common scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceMap:
    """One system's mean |I_t - I_t+1| over a clip."""

    system: str
    mean: float | None
    """Over pixels, in grey levels of 255; None where there is no video."""
    png: str = ""
    """Base64 of an 8-bit picture: 255 is the common scale."""
    why: str = ""
    """Why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapsOfClip:
    """One clip: a frame of the truth, and every map, the truth's first."""

    key: str
    frame_png: str
    maps: tuple[DifferenceMap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceMaps:
    """Maps of some clips on one scale."""

    clips: tuple[MapsOfClip, ...]
    scale: float
    """Grey levels that a map's 255 stands for."""
    schema: str = MAPS_SCHEMA


def difference_maps(cases: Sequence[Case], systems: Sequence[System], keys: Sequence[str]) -> DifferenceMaps:
    """Measure the cases whose keys begin so, each in the truth and in all systems.

    A system without a video of a case has a reason in its place. Raises `Rejected("bad_input")` when no case
    begins so.
    """
    chosen = [case for start in keys for case in cases if case.key.startswith(start)][: len(keys)]
    if not chosen:
        raise Rejected("bad_input", f"no case begins with {', '.join(keys)}; known: {cases[0].key}, ...")
    raw = [(case, *_raw(case, systems)) for case in chosen]
    values = np.concatenate(
        [each.ravel() for _, _, maps in raw for each, _ in maps.values() if each is not None]
    )
    scale = max(float(np.percentile(values, TOP_PERCENTILE)), 1.0)
    return DifferenceMaps(
        clips=tuple(
            MapsOfClip(
                key=case.key,
                frame_png=_png(cv2.cvtColor(_small(frame), cv2.COLOR_RGB2BGR)),
                maps=tuple(_shown(name, map_HW, why, scale) for name, (map_HW, why) in maps.items()),
            )
            for case, frame, maps in raw
        ),
        scale=round(scale, 4),
    )


Maps = dict[str, tuple[NDArray[np.float64] | None, str]]


def _raw(case: Case, systems: Sequence[System]) -> tuple[NDArray[np.uint8], Maps]:
    """The middle frame of the truth, and a map or a reason for each row."""
    truth = read_frames(case.video)
    found: Maps = {GROUND_TRUTH: (difference_map(truth), "")}
    for system in systems:
        found[system.name] = _map_of(system, case.key)
    return truth[len(truth) // 2], found


def _map_of(system: System, key: str) -> tuple[NDArray[np.float64] | None, str]:
    path = system.folder / f"{key}.mp4"
    if not path.is_file():
        return None, f"no video {path.name}"
    try:
        return difference_map(read_frames(path)), ""
    except Rejected as error:
        return None, error.message


def _shown(name: str, map_HW: NDArray[np.float64] | None, why: str, scale: float) -> DifferenceMap:
    if map_HW is None:
        return DifferenceMap(system=name, mean=None, why=why)
    grey = np.clip(np.rint(255 * _small(map_HW) / scale), 0, 255).astype(np.uint8)
    return DifferenceMap(system=name, mean=round(float(map_HW.mean()), 6), png=_png(grey))


def _small(picture: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.resize(np.asarray(picture), (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _png(picture: NDArray[Any]) -> str:
    """Base64 of a picture's PNG."""
    return base64.b64encode(cv2.imencode(".png", np.asarray(picture, np.uint8))[1].tobytes()).decode("ascii")


def picture_of(png: str, colour: bool = False) -> NDArray[np.uint8]:
    """Decode what a record holds; `Rejected("bad_input")` for what is no picture of this size."""
    flag = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    try:
        found = cv2.imdecode(np.frombuffer(base64.b64decode(png, validate=True), np.uint8), flag)
    except (ValueError, cv2.error):
        found = None
    if found is None or max(found.shape[:2]) > MAX_SIDE:
        raise Rejected(
            "bad_input", "a picture in a record of maps or frames cannot be read; make the record again"
        )
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB) if colour else found, np.uint8)
