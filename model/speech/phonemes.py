"""Speech to phonemes with times: from sound (recognised or with its transcript), or from text alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datapipe.align import align
from datapipe.level import check_audible
from datapipe.media import SAMPLE_RATE
from datapipe.phonemes import check_language
from datapipe.records import SILENCE, Phoneme, Seconds
from datapipe.transcribe import released, transcribe

from .durations import DurationModel, predict
from .pace import USUAL, PaceConfig, usual_length
from .synthesis import Synthesiser
from .voice import say_by_rule
from .wording import read_phrases


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What is said and when; phonemes cover 0 to `duration` without gaps."""

    language: str
    phonemes: tuple[Phoneme, ...]
    duration: Seconds
    audio: NDArray[np.float32]
    """16 kHz mono."""


def from_audio(audio: NDArray[np.float32], language: str, transcript: str | None) -> Speech:
    """Time the phonemes of a recording; without a transcript it is recognised first.

    Raises `Rejected`: unknown_language, silent, no_speech, not_aligned.
    """
    code = check_language(language)
    duration = len(audio) / SAMPLE_RATE
    check_audible(audio)
    said = transcribe(audio, code) if transcript is None else released(transcript, code, (), duration)
    return Speech(language=code, phonemes=align(audio, said).phonemes, duration=duration, audio=audio)


def from_text(
    text: str, language: str, durations: DurationModel | None = None, pace: PaceConfig = USUAL
) -> Speech:
    """Time the phonemes of a text, by a run's learned durations or else by rule, and speak it by rule.

    Raises `Rejected`: unknown_language, no_speech, bad_input (letters that the language cannot say); with
    durations, missing_weight (the dictionary of English stress).
    """
    code = check_language(language)
    phrases = read_phrases(text, code, pace, stress=durations is not None)
    symbols, pauses = [SILENCE], [pace.pause]
    marks: list[int | None] = [None]
    for phrase in phrases:
        symbols += [*(unit.symbol for unit in phrase.units), SILENCE]
        marks += [*(unit.mark for unit in phrase.units), None]
        pauses.append(phrase.pause)
    pauses[-1] = max(pauses[-1], pace.pause)
    lengths = np.array([usual_length(symbol, pace) for symbol in symbols])
    if durations is not None:
        lengths = predict(durations, symbols, marks)
    lengths[np.array(symbols) == SILENCE] = pauses
    phonemes = _in_a_row(symbols, marks, lengths)
    return Speech(language=code, phonemes=phonemes, duration=phonemes[-1].end, audio=say_by_rule(phonemes))


def from_voice(text: str, language: str, voice: Synthesiser) -> Speech:
    """Have a text spoken by a program, and time its phonemes in what was said.

    Raises `Rejected`: as `from_text`, as `Synthesiser.speak`, and not_aligned (something else was said).
    """
    code = check_language(language)
    read_phrases(text, code)  # refused before anything is run
    return from_audio(voice.speak(text, code), code, text)


def _in_a_row(
    symbols: Sequence[str], marks: Sequence[int | None], lengths: NDArray[np.float64]
) -> tuple[Phoneme, ...]:
    ends = np.cumsum(lengths)
    starts = np.concatenate(([0.0], ends[:-1]))
    return tuple(
        Phoneme(symbol=symbol, start=float(start), end=float(end), stress=mark)
        for symbol, start, end, mark in zip(symbols, starts, ends, marks, strict=True)
    )
