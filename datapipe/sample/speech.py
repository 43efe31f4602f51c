"""The sound: real recordings whose words and phonemes are timed, cut at words and joined anew.

Cutting at known word boundaries keeps the events exact: a joined utterance's phoneme times are the
recordings' own, shifted. The times were aligned once and are numbers in `manifests/sample-speech.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..media import SAMPLE_RATE, read_audio
from ..records import SILENCE, Language, Phoneme, Seconds, Word, from_dict
from ..weights import resolve

SPEECH_PATH = Path(__file__).parent.parent.parent / "manifests" / "sample-speech.json"
FADE = 0.012
"""Half the length of a cross-fade between two pieces, in seconds."""
LOUDNESS = 0.06
"""Every recording is brought to this root mean square."""
ROOM_NOISE = 1e-4
"""Standard deviation of the noise that fills pauses; digital silence exists in no recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file of the registry and what is said in it when."""

    name: str
    weight: str
    language: Language
    voice: str
    text: str
    duration: Seconds
    rms: float
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]
    phrases: tuple[int, ...]
    """Numbers of words between the places where it may be cut; negative: too unclear to stand alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of words of one recording."""

    recording: str
    first: int
    last: int
    """Index of the last word, included."""
    pause: Seconds = 0.0
    """Silence before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Pieces said one after another, and silence to the end."""

    pieces: tuple[Piece, ...]
    duration: Seconds
    """Of the whole, with the pauses; a whole number of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What an utterance says and when."""

    language: Language
    text: str
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]
    """Cover 0 to the duration without gaps."""


@cache
def recordings() -> dict[str, Recording]:
    """Every timed recording by name."""
    rows = json.loads(SPEECH_PATH.read_text(encoding="utf-8"))["recordings"]
    return {row["name"]: _recording(row) for row in rows}


def _recording(row: dict[str, object]) -> Recording:
    words = [{"text": text, "start": start, "end": end} for text, start, end in _rows(row["words"])]
    phonemes = [
        {"symbol": symbol, "start": start, "end": end, "stress": mark[0] if mark else None}
        for symbol, start, end, *mark in _rows(row["phonemes"])
    ]
    return from_dict({**row, "words": words, "phonemes": phonemes}, Recording)


def _rows(value: object) -> list[list[object]]:
    assert isinstance(value, list)
    return value


def span_of(piece: Piece) -> tuple[Seconds, Seconds]:
    """Start and end of a piece in its recording; a neighbouring pause is not part of it."""
    words = recordings()[piece.recording].words
    return words[piece.first].start, words[piece.last].end


def speech_seconds(pieces: tuple[Piece, ...]) -> Seconds:
    """Length of pieces joined, with the pauses before them."""
    return sum(piece.pause + end - start for piece in pieces for start, end in [span_of(piece)])


def timeline(utterance: Utterance) -> Timeline:
    """Shift the recordings' events to where their pieces come to lie."""
    words: list[Word] = []
    phonemes: list[Phoneme] = []
    offset = 0.0
    for piece in utterance.pieces:
        recording = recordings()[piece.recording]
        start, end = span_of(piece)
        offset += piece.pause
        shift = offset - start
        words += [_moved_word(word, shift) for word in recording.words[piece.first : piece.last + 1]]
        phonemes += [
            _cut(each, start, end, shift) for each in recording.phonemes if _inside(each, start, end)
        ]
        offset += end - start
    language = recordings()[utterance.pieces[0].recording].language
    joint = "" if language == "zh" else " "
    return Timeline(
        language=language,
        text=joint.join(word.text for word in words),
        words=tuple(words),
        phonemes=_without_gaps(phonemes, utterance.duration),
    )


def _inside(phoneme: Phoneme, start: Seconds, end: Seconds) -> bool:
    return start < (phoneme.start + phoneme.end) / 2 < end


def _moved_word(word: Word, shift: Seconds) -> Word:
    return Word(text=word.text, start=round(word.start + shift, 4), end=round(word.end + shift, 4))


def _cut(phoneme: Phoneme, start: Seconds, end: Seconds, shift: Seconds) -> Phoneme:
    return Phoneme(
        symbol=phoneme.symbol,
        start=round(max(phoneme.start, start) + shift, 4),
        end=round(min(phoneme.end, end) + shift, 4),
        stress=phoneme.stress,
    )


def _without_gaps(phonemes: list[Phoneme], duration: Seconds) -> tuple[Phoneme, ...]:
    """Fill what no phoneme covers with silence; gaps of a few milliseconds go to the phoneme before."""
    covered: list[Phoneme] = []
    time = 0.0
    for each in phonemes:
        start = each.start
        if start - time > 0.02:
            covered.append(Phoneme(symbol=SILENCE, start=time, end=start))
        else:
            start = time
        covered.append(Phoneme(symbol=each.symbol, start=start, end=each.end, stress=each.stress))
        time = each.end
    if duration > time:
        covered.append(Phoneme(symbol=SILENCE, start=time, end=duration))
    return tuple(covered)


@cache
def samples_of(name: str) -> NDArray[np.float32]:
    """Decode a recording (N,) at 16 kHz, at the common loudness."""
    recording = recordings()[name]
    sound = read_audio(resolve(recording.weight))
    return (sound * (LOUDNESS / recording.rms)).astype(np.float32)


def sound_of(utterance: Utterance, seed: int) -> NDArray[np.float32]:
    """Join the pieces (N,) with short cross-fades centred on the boundaries, over faint room noise."""
    count = round(utterance.duration * SAMPLE_RATE)
    mixed = np.random.default_rng(seed).normal(0, ROOM_NOISE, count).astype(np.float32)
    offset = 0.0
    for piece in utterance.pieces:
        start, end = span_of(piece)
        offset += piece.pause
        faded, first = _faded(samples_of(piece.recording), start, end)
        at = round((offset - start) * SAMPLE_RATE) + first
        skip = max(0, -at)
        room = mixed[at + skip : at + len(faded)]
        room += faded[skip : skip + len(room)]
        offset += end - start
    return np.clip(mixed, -0.99, 0.99)


def _faded(sound: NDArray[np.float32], start: Seconds, end: Seconds) -> tuple[NDArray[np.float32], int]:
    """Cut a span with a linear fade around each end; also returns the index of its first sample."""
    fade = round(FADE * SAMPLE_RATE)
    first = max(0, round(start * SAMPLE_RATE) - fade)
    last = min(len(sound), round(end * SAMPLE_RATE) + fade)
    times = np.arange(first, last)
    rise = np.clip((times - (round(start * SAMPLE_RATE) - fade)) / (2 * fade), 0, 1)
    fall = np.clip(((round(end * SAMPLE_RATE) + fade) - times) / (2 * fade), 0, 1)
    return (sound[first:last] * np.minimum(rise, fall)).astype(np.float32), first
