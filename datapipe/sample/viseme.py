"""From phonemes with times to a mouth that moves: poses, coarticulation, and lips that do close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import SILENCE, Phoneme

COARTICULATION = 0.3
"""How much of a pose its neighbours take."""
WEIGHTS = {"T": 0.36, "K": 0.36, "F": 0.08, "W": 0.08, "M": 0.0, SILENCE: 0.0}
HOLD_INSET = 0.06
"""Seconds at each end of a unit that belong to the way to the next one (35 % of short units)."""
CURVE_RATE = 200
SMOOTHING_SECONDS = 0.012

POSES: dict[str, tuple[float, float, float, float, float, float]] = {
    SILENCE: (0, 0, 0, 0, 0, 0),
    "AA": (1, 0.1, 0, 0.3, 0, 0),
    "AE": (0.75, 0.5, 0, 0.35, 0, 0),
    "AH": (0.5, 0.05, 0, 0.15, 0, 0),
    "EH": (0.5, 0.45, 0, 0.25, 0, 0),
    "AO": (0.62, 0, 0.65, 0.1, 0, 0),
    "OW": (0.48, 0, 0.8, 0.1, 0, 0),
    "UW": (0.2, 0, 1, 0.05, 0, 0),
    "UH": (0.3, 0, 0.6, 0.1, 0, 0),
    "YU": (0.16, 0, 0.95, 0, 0, 0),
    "IY": (0.17, 1, 0, 0.45, 0, 0),
    "IH": (0.3, 0.55, 0, 0.3, 0, 0),
    "E": (0.42, 0.15, 0, 0.15, 0, 0),
    "ER": (0.3, 0, 0.45, 0, 0, 0),
    "M": (0, 0, 0, 0, 0, 1),
    "F": (0.1, 0.1, 0, 0.4, 1, 0),
    "TH": (0.2, 0.2, 0, 0.2, 0, 0),
    "S": (0.1, 0.6, 0, 0.35, 0, 0),
    "SH": (0.14, 0, 0.6, 0.45, 0, 0),
    "T": (0.22, 0.2, 0, 0.15, 0, 0),
    "K": (0.3, 0.05, 0, 0.15, 0, 0),
    "R": (0.2, 0, 0.55, 0, 0, 0),
    "W": (0.1, 0, 1, 0, 0, 0),
    "Y": (0.15, 0.7, 0, 0.3, 0, 0),
}
"""jaw, wide, round, raise, tuck, press of every mouth shape."""

ARPABET: dict[str, tuple[str, ...]] = {
    **{
        symbol: (symbol,)
        for symbol in ("AA", "AE", "AH", "EH", "AO", "UW", "UH", "IY", "IH", "ER", "R", "W", "Y")
    },
    **dict.fromkeys(("M", "B", "P"), ("M",)),
    **dict.fromkeys(("F", "V"), ("F",)),
    **dict.fromkeys(("TH", "DH"), ("TH",)),
    **dict.fromkeys(("S", "Z"), ("S",)),
    **dict.fromkeys(("SH", "ZH", "CH", "JH"), ("SH",)),
    **dict.fromkeys(("T", "D", "N", "L"), ("T",)),
    **dict.fromkeys(("K", "G", "NG", "HH"), ("K",)),
    "OW": ("OW", "UH"),
    "AW": ("AA", "UH"),
    "AY": ("AA", "IH"),
    "EY": ("EH", "IY"),
    "OY": ("AO", "IH"),
}
PINYIN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("b", "p", "m"), ("M",)),
    "f": ("F",),
    **dict.fromkeys(("d", "t", "n", "l"), ("T",)),
    **dict.fromkeys(("g", "k", "h"), ("K",)),
    **dict.fromkeys(("j", "q", "x"), ("Y",)),
    **dict.fromkeys(("zh", "ch", "sh", "r"), ("SH",)),
    **dict.fromkeys(("z", "c", "s"), ("S",)),
    "y": ("Y",),
    "w": ("W",),
    "a": ("AA",),
    "o": ("OW",),
    "e": ("E",),
    "ê": ("EH",),
    "i": ("IY",),
    "ir": ("SH",),
    "iz": ("S",),
    "u": ("UW",),
    "v": ("YU",),
    "er": ("ER",),
    "ai": ("AA", "IH"),
    "ei": ("EH", "IY"),
    "ao": ("AA", "UH"),
    "ou": ("OW", "UH"),
    "an": ("AA", "T"),
    "en": ("E", "T"),
    "ang": ("AA", "K"),
    "eng": ("E", "K"),
    "ong": ("UW", "K"),
    "ia": ("IY", "AA"),
    "ie": ("IY", "EH"),
    "iao": ("IY", "AA", "UH"),
    "iou": ("IY", "OW", "UH"),
    "ian": ("IY", "EH", "T"),
    "in": ("IY", "T"),
    "iang": ("IY", "AA", "K"),
    "ing": ("IY", "K"),
    "iong": ("YU", "UW", "K"),
    "io": ("IY", "OW"),
    "ua": ("W", "AA"),
    "uo": ("W", "OW"),
    "uai": ("W", "AA", "IH"),
    "uei": ("W", "EH", "IY"),
    "uan": ("W", "AA", "T"),
    "uen": ("W", "E", "T"),
    "uang": ("W", "AA", "K"),
    "ueng": ("W", "E", "K"),
    "ve": ("YU", "EH"),
    "van": ("YU", "EH", "T"),
    "vn": ("YU", "T"),
}
RHOTIC_STEMS = {"ue": "uei", "va": "van"}
"""Finals whose rhotic form is not written as the final and an r."""
SPLITS = {1: (1.0,), 2: (0.6, 0.4), 3: (0.25, 0.45, 0.3)}
"""How a phoneme's time is shared among its shapes."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A mouth shape and its interval in seconds."""

    shape: str
    start: float
    end: float


def shapes_of(symbol: str) -> tuple[str, ...]:
    """Mouth shapes that a phoneme goes through; an unknown symbol is an error by name."""
    if symbol == SILENCE:
        return (SILENCE,)
    if symbol in ARPABET:
        return ARPABET[symbol]
    if symbol in PINYIN:
        return PINYIN[symbol]
    if not symbol.endswith("r"):
        raise KeyError(f"no mouth shape for phoneme `{symbol}`")
    stem = symbol.removesuffix("r")
    shapes = PINYIN[RHOTIC_STEMS.get(stem, stem)]
    return (*(shapes[:-1] or shapes), "ER")


def mouth_units(phonemes: Sequence[Phoneme]) -> list[Unit]:
    """Split diphthongs and compound finals; the units cover what the phonemes cover."""
    units: list[Unit] = []
    for phoneme in phonemes:
        time = phoneme.start
        shapes = shapes_of(phoneme.symbol)
        for shape, part in zip(shapes, SPLITS[len(shapes)], strict=True):
            end = time + part * (phoneme.end - phoneme.start)
            units.append(Unit(shape, time, end))
            time = end
    return units


def mouth_curve(phonemes: Sequence[Phoneme], num_frames: int, fps: float, gain: float) -> NDArray[np.float32]:
    """Pose (T, 6) of the mouth at every frame's time `frame / fps`.

    Args:
        phonemes: cover the clip without gaps.
        num_frames: T.
        fps: frames per second.
        gain: loudness of the articulation; scales the jaw. 1 is a shout.
    """
    units = mouth_units(phonemes)
    keys = _coarticulated(units)
    keys[:, 0] *= gain
    dense = _interpolate(units, keys, units[-1].end)
    times = np.arange(num_frames) / fps
    index = np.clip(np.rint(times * CURVE_RATE).astype(int), 0, len(dense) - 1)
    curve = dense[index]
    _close_lips(curve, units, fps)
    return np.asarray(curve, dtype=np.float32)


def _coarticulated(units: list[Unit]) -> NDArray[np.float64]:
    """Key pose (N, 6) of every unit: its own, drawn towards its neighbours, more so when it is short."""
    own = np.array([POSES[unit.shape] for unit in units], dtype=np.float64)
    padded = np.concatenate([own[:1], own, own[-1:]])
    around = (padded[:-2] + padded[2:]) / 2
    around[:, 5] = 0.0  # pressing the lips is not anticipated
    weight = np.array([_weight(unit) for unit in units])[:, None]
    return np.asarray((1 - weight) * own + weight * around)


def _weight(unit: Unit) -> float:
    base = WEIGHTS.get(unit.shape, COARTICULATION)
    short = max(0.0, 1 - (unit.end - unit.start) / 0.08)
    return base if base == 0 else base + 0.3 * short


def _interpolate(units: list[Unit], keys: NDArray[np.float64], duration: float) -> NDArray[np.float64]:
    """Curve (duration * CURVE_RATE, 6): held in the middle of each unit, cosine between."""
    stops, values = [], []
    for unit, key in zip(units, keys, strict=True):
        inset = min(HOLD_INSET, 0.35 * (unit.end - unit.start))
        stops += [unit.start + inset, unit.end - inset]
        values += [key, key]
    times = np.arange(int(np.ceil(duration * CURVE_RATE)) + 1) / CURVE_RATE
    place = np.interp(times, stops, np.arange(len(stops)))
    base = np.minimum(place.astype(int), len(stops) - 2)
    part = (1 - np.cos(np.pi * (place - base)))[:, None] / 2
    table = np.array(values)
    curve = table[base] * (1 - part) + table[base + 1] * part
    return _smooth(curve)


def _smooth(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    radius = int(3 * SMOOTHING_SECONDS * CURVE_RATE)
    offsets = np.arange(-radius, radius + 1) / CURVE_RATE
    kernel = np.exp(-0.5 * (offsets / SMOOTHING_SECONDS) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(curve, ((radius, radius), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(curve.shape[1])], axis=1)


def _close_lips(curve: NDArray[np.float64], units: list[Unit], fps: float) -> None:
    """Give every bilabial a frame with closed lips, however short it is; `curve` is changed in place."""
    closed = np.array(POSES["M"], dtype=np.float64)
    for unit in units:
        if unit.shape != "M":
            continue
        frame = round((unit.start + unit.end) / 2 * fps)
        if frame >= len(curve):
            continue
        curve[frame] = closed
        for near in (frame - 1, frame + 1):
            if 0 <= near < len(curve):
                curve[near, 0] = min(curve[near, 0], 0.45)
