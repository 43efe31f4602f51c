"""What is said: a recogniser when no transcript was released, and the check that there is speech at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .media import SAMPLE_RATE
from .phonemes import check_language
from .records import Language, Rejected, Seconds, Transcript, Word
from .weights import resolve

WEIGHTS = ("whisper-base/model", "whisper-base/config", "whisper-base/tokenizer", "whisper-base/vocabulary")
_SIMPLIFIED_PROMPT = "以下是普通话的句子。"
"""Whisper flips between traditional and simplified characters at random; a simplified sentence before the
sound biases it to the latter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeConfig:
    """How speech is recognised when no transcript was released."""

    cpu_threads: int = 1
    """Threads of the recogniser."""
    beam_size: int = 5
    """Hypotheses kept while decoding."""
    shortest_speech_ms: int = 200
    """Voiced stretches shorter than this are no speech to the voice detector."""
    least_language_probability: float = 0.5
    """Below it a detected language counts as unknown."""


def transcribe(
    audio: NDArray[np.float32], language: str | None, config: TranscribeConfig = TranscribeConfig()
) -> Transcript:
    """Recognise speech with Whisper base; `language` None leaves it to the recogniser.

    `audio` is (N,) at 16 kHz and audible (`level.check_audible`). Raises `Rejected`: no_speech,
    unknown_language, missing_weight.
    """
    known = None if language is None else check_language(language)
    spoken = known or _detect(audio, config)
    segments, _ = _model(config.cpu_threads).transcribe(
        audio,
        language=spoken,
        beam_size=config.beam_size,
        word_timestamps=True,
        vad_filter=True,
        vad_parameters={"min_speech_duration_ms": config.shortest_speech_ms},
        condition_on_previous_text=False,
        initial_prompt=_SIMPLIFIED_PROMPT if spoken == "zh" else None,
    )
    words = tuple(word for segment in segments for word in _words(segment, len(audio) / SAMPLE_RATE))
    text = "".join(word.text for word in words).strip()
    if not any(char.isalnum() for char in text):
        raise Rejected("no_speech", "no words were recognised in the sound; check that somebody speaks")
    stripped = tuple(_stripped(word) for word in words)
    return Transcript(language=spoken, text=text, words=stripped, origin="faster-whisper base")


def released(text: str, language: str, words: tuple[Word, ...], duration: Seconds) -> Transcript:
    """Take the transcript that came with the corpus; word boundaries are cut to the clip.

    Raises `Rejected`: no_speech when the text holds no word, unknown_language.
    """
    if not any(char.isalnum() for char in text):
        raise Rejected("no_speech", "the released transcript is empty; check the corpus' text file")
    inside = tuple(_cut(word, duration) for word in words if word.start < duration and word.end > 0.0)
    return Transcript(language=check_language(language), text=text.strip(), words=inside, origin="released")


@cache
def _model(cpu_threads: int) -> Any:
    from faster_whisper import WhisperModel

    folder = {resolve(name).parent for name in WEIGHTS}.pop()
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=cpu_threads)


def _detect(audio: NDArray[np.float32], config: TranscribeConfig) -> Language:
    """Ask the recogniser for the language, over the speech alone."""
    code, probability, _ = _model(config.cpu_threads).detect_language(audio, vad_filter=True)
    if probability < config.least_language_probability:
        raise Rejected(
            "unknown_language",
            f"the language could not be told (best guess `{code}` at {probability:.0%}); name it",
        )
    return check_language(code)


def _words(segment: Any, duration: Seconds) -> list[Word]:
    spoken = [word for word in segment.words or () if word.start < duration]
    return [
        Word(
            text=word.word,
            start=at,
            end=max(at + 0.01, min(float(word.end), duration)),
            score=round(float(word.probability), 3),
        )
        for word in spoken
        for at in [max(0.0, float(word.start))]
    ]


def _stripped(word: Word) -> Word:
    return Word(text=word.text.strip(), start=word.start, end=word.end, score=word.score)


def _cut(word: Word, duration: Seconds) -> Word:
    return Word(text=word.text, start=max(0.0, word.start), end=min(word.end, duration), score=word.score)
