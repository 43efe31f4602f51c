"""A voice by rule, so that text alone becomes a video with sound: a small formant synthesiser.

It is robotic: it says the phonemes at exactly their times. For a natural voice record one, or let a speech
synthesiser write a wav, and pass that as sound.
Sources: D. H. Klatt, Software for a cascade/parallel formant synthesizer, JASA 67 (1980); vowel formants of
adult men after Peterson & Barney (1952), rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from datapipe.media import SAMPLE_RATE
from datapipe.records import SILENCE, Phoneme

Floats = NDArray[np.float64]
FRAME = SAMPLE_RATE // 200
"""Samples per step of the parameters: 5 ms."""
BANDWIDTHS = (70.0, 100.0, 140.0)
"""Of the three formants, in hertz."""


@dataclass(frozen=True, slots=True)
class Articulation:
    """What the mouth does to the sound in one piece of a phoneme."""

    formants: tuple[float, float, float]
    """Hertz."""
    voice: float = 1.0
    """Level of the vocal cords."""
    noise: float = 0.0
    """Level of the hiss."""
    hiss: float = 4000.0
    """Centre of the hiss in hertz."""


VOWELS: dict[str, tuple[float, float, float]] = {
    "AA": (730, 1090, 2440), "AE": (660, 1720, 2410), "AH": (640, 1190, 2390), "AO": (570, 840, 2410),
    "EH": (530, 1840, 2480), "ER": (490, 1350, 1690), "IH": (390, 1990, 2550), "IY": (270, 2290, 3010),
    "UH": (440, 1020, 2240), "UW": (300, 870, 2240), "UE": (270, 1800, 2200),
}  # fmt: skip
GLIDES = {"AW": "AA UH", "AY": "AA IH", "EY": "EH IH", "OW": "AO UH", "OY": "AO IH"}
CONSONANTS: dict[str, Articulation] = {
    **{name: Articulation((250, 1100, 2200), 0.6) for name in ("M", "NG")},
    "N": Articulation((250, 1500, 2500), 0.6),
    "L": Articulation((360, 1100, 2700), 0.7),
    "R": Articulation((330, 1100, 1500), 0.7),
    "W": Articulation((300, 700, 2200), 0.7),
    "Y": Articulation((270, 2200, 2900), 0.7),
    "HH": Articulation((500, 1500, 2500), 0.0, 0.25, 1500),
    **{name: Articulation((350, 1700, 2600), 0.0, 0.5, 6500) for name in ("S", "TS")},
    "Z": Articulation((300, 1700, 2600), 0.4, 0.3, 6500),
    **{name: Articulation((350, 1800, 2600), 0.0, 0.5, 3000) for name in ("SH", "CH")},
    **{name: Articulation((300, 1800, 2600), 0.4, 0.3, 3000) for name in ("ZH", "JH")},
    **{name: Articulation((400, 1300, 2500), 0.0, 0.2, 5000) for name in ("F", "TH")},
    **{name: Articulation((300, 1300, 2500), 0.4, 0.1, 5000) for name in ("V", "DH")},
    **{name: Articulation((250, 900, 2200), 0.15, 0.1, 900) for name in ("B", "P")},
    **{name: Articulation((250, 1700, 2600), 0.15, 0.15, 4500) for name in ("D", "T")},
    **{name: Articulation((250, 1900, 2300), 0.15, 0.15, 2000) for name in ("G", "K")},
}
INITIALS = {
    "j": "JH",
    "q": "CH",
    "x": "SH",
    "h": "HH",
    "z": "TS",
    "c": "TS",
    "s": "S",
    "ir": "ER",
    "iz": "IH",
}
"""Pinyin whose sound its letters do not name."""
LETTERS = {"ng": "NG", "n": "N", "r": "ER", "a": "AA", "o": "AO", "e": "AH", "i": "IY", "u": "UW", "v": "UE"}


def pieces(symbol: str) -> tuple[str, ...]:
    """Take a phoneme of either language apart into sounds of the tables, in order."""
    if symbol in VOWELS or symbol in CONSONANTS:
        return (symbol,)
    if symbol in GLIDES:
        return tuple(GLIDES[symbol].split())
    if symbol in INITIALS:
        return (INITIALS[symbol],)
    if symbol.upper() in CONSONANTS:
        return (symbol.upper(),)
    found: list[str] = []
    while symbol:
        letter = next(each for each in LETTERS if symbol.startswith(each))
        found.append(LETTERS[letter])
        symbol = symbol[len(letter) :]
    return tuple(found)


def say_by_rule(phonemes: Sequence[Phoneme], pitch: float = 115.0) -> NDArray[np.float32]:
    """Speak phonemes at their times: 16 kHz mono, round(last end * 16000) samples, silent in `SIL`."""
    num_samples = round(phonemes[-1].end * SAMPLE_RATE)
    tracks_FP = _tracks(phonemes, -(-num_samples // FRAME))
    time = np.linspace(0, 1, len(tracks_FP))
    source = _pulses(pitch * (1.08 - 0.16 * time)) * np.repeat(tracks_FP[:, 3], FRAME)
    for index, bandwidth in enumerate(BANDWIDTHS):
        source = _resonate(source, tracks_FP[:, index], bandwidth)
    hiss = np.random.default_rng(0).standard_normal(len(source)) * np.repeat(tracks_FP[:, 4], FRAME)
    sound = source / (np.abs(source).max() + 1e-9) + 0.6 * _resonate(hiss, tracks_FP[:, 5], 1500.0)
    return np.asarray(0.5 * sound / (np.abs(sound).max() + 1e-9), np.float32)[:num_samples]


def _articulation(piece: str) -> Articulation:
    return CONSONANTS[piece] if piece in CONSONANTS else Articulation(VOWELS[piece])


def _tracks(phonemes: Sequence[Phoneme], num_frames: int) -> Floats:
    """Lay the targets along time, (frames, 6): three formants, voice, noise, centre of the noise."""
    targets_FP = np.tile(np.array([500.0, 1500.0, 2500.0, 0.0, 0.0, 4000.0]), (num_frames, 1))
    for phoneme in phonemes:
        if phoneme.symbol == SILENCE:
            continue
        edges = np.linspace(phoneme.start, phoneme.end, len(names := pieces(phoneme.symbol)) + 1) * 200
        for name, start, end in zip(names, edges, edges[1:], strict=False):
            each = _articulation(name)
            values = (*each.formants, each.voice, each.noise, each.hiss)
            targets_FP[round(start) : max(round(end), round(start) + 1)] = values
    smooth_FP = gaussian_filter1d(targets_FP, 3.0, axis=0, mode="nearest")
    smooth_FP[:, 3:5] = gaussian_filter1d(targets_FP[:, 3:5], 1.0, axis=0, mode="nearest")
    return np.asarray(smooth_FP)


def _pulses(pitch_F: Floats) -> Floats:
    """One rounded pulse a period, as the cords give."""
    phase = np.cumsum(np.repeat(pitch_F, FRAME)) / SAMPLE_RATE
    ticks = np.diff(np.floor(phase), prepend=0.0)
    return np.asarray(lfilter([1.0], [1.0, -0.9], ticks) - np.mean(ticks) * 10)


def _resonate(sound: Floats, centre_F: Floats, bandwidth: float) -> Floats:
    """Pass the sound through one resonance whose centre moves, frame by frame with its state kept."""
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    state = np.zeros(2)
    out = np.empty_like(sound)
    for frame, centre in enumerate(centre_F):
        a1 = -2 * radius * np.cos(2 * np.pi * min(centre, 7500.0) / SAMPLE_RATE)
        span = slice(frame * FRAME, (frame + 1) * FRAME)
        out[span], state = lfilter([1 + a1 + radius**2], [1.0, a1, radius**2], sound[span], zi=state)
    return out
