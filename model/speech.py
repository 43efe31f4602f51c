"""Speech to phonemes with times: from sound (recognised or with its transcript), or from text by rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datapipe.align import align
from datapipe.level import check_audible
from datapipe.media import SAMPLE_RATE
from datapipe.phonemes import VOWELS, check_language, to_phones
from datapipe.records import SILENCE, Phoneme, Seconds
from datapipe.transcribe import released, transcribe

from .voice import say_by_rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What is said and when; phonemes cover 0 to `duration` without gaps."""

    language: str
    phonemes: tuple[Phoneme, ...]
    duration: Seconds
    audio: NDArray[np.float32]
    """16 kHz mono."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceConfig:
    """How long phonemes last when nobody has said them yet."""

    vowel: Seconds = 0.11
    """An English vowel."""
    consonant: Seconds = 0.075
    """A consonant of either language."""
    final: Seconds = 0.16
    """A Mandarin final."""
    pause: Seconds = 0.25
    """Silence before and after."""


def from_audio(audio: NDArray[np.float32], language: str, transcript: str | None) -> Speech:
    """Time the phonemes of a recording; without a transcript it is recognised first.

    Raises `Rejected`: unknown_language, silent, no_speech, not_aligned.
    """
    code = check_language(language)
    duration = len(audio) / SAMPLE_RATE
    check_audible(audio)
    said = transcribe(audio, code) if transcript is None else released(transcript, code, (), duration)
    return Speech(language=code, phonemes=align(audio, said).phonemes, duration=duration, audio=audio)


def from_text(text: str, language: str, pace: PaceConfig = PaceConfig()) -> Speech:
    """Give every phoneme of a text the usual length of its kind, and speak it by rule.

    Raises `Rejected`: unknown_language, no_speech.
    """
    code = check_language(language)
    symbols = [SILENCE, *(unit.symbol for unit in to_phones(text, code).units()), SILENCE]
    ends = np.cumsum([_usual_length(symbol, pace) for symbol in symbols])
    starts = np.concatenate(([0.0], ends[:-1]))
    phonemes = tuple(
        Phoneme(symbol=symbol, start=float(start), end=float(end))
        for symbol, start, end in zip(symbols, starts, ends, strict=True)
    )
    sound = say_by_rule(phonemes)
    return Speech(language=code, phonemes=phonemes, duration=float(ends[-1]), audio=sound)


def _usual_length(symbol: str, pace: PaceConfig) -> Seconds:
    if symbol == SILENCE:
        return pace.pause
    if symbol.isupper():
        return pace.vowel if symbol in VOWELS else pace.consonant
    return pace.final if symbol[0] in "aeiouv" else pace.consonant
