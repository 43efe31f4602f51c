"""What is said: a recogniser when no transcript was released, and the check that there is speech at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .media import SAMPLE_RATE
from .normalise import simplify_words, spell_words
from .phonemes import check_language
from .records import Language, Rejected, Seconds, Transcript, Word
from .weights import resolve

WEIGHTS = ("whisper-base/model", "whisper-base/config", "whisper-base/tokenizer", "whisper-base/vocabulary")


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
    most_compressible: float = 2.4
    """A text that zlib shrinks by more than this repeats itself (Whisper's own limit)."""
    longest_repeat: int = 4
    """Tokens that may come twice when a repetitive text is decoded again."""
    check_released: bool = False
    """Recognise clips with a released transcript too, and report how far the two are apart (cer, wer)."""


def transcribe(
    audio: NDArray[np.float32], language: str | None, config: TranscribeConfig = TranscribeConfig()
) -> Transcript:
    """Recognise speech with Whisper base; `language` None leaves it to the recogniser.

    `audio` is (N,) at 16 kHz and audible (`level.check_audible`). The text is normalised: simplified
    characters, numbers spelled out. Raises `Rejected`: no_speech, unknown_language, missing_weight.
    """
    known = None if language is None else check_language(language)
    spoken = known or _detect(audio, config)
    segments = _recognise(audio, spoken, config)
    heard = [word for segment in segments for word in _words(segment, len(audio) / SAMPLE_RATE)]
    words = spell_words(simplify_words(heard) if spoken == "zh" else heard, spoken)
    text = " ".join("".join(word.text for word in words).split())
    if not any(char.isalnum() for char in text):
        raise Rejected("no_speech", "no words were recognised in the sound; check that somebody speaks")
    stripped = tuple(replace(word, text=word.text.strip()) for word in words)
    return Transcript(language=spoken, text=text, words=stripped, origin="faster-whisper base")


def _recognise(audio: NDArray[np.float32], language: Language, config: TranscribeConfig) -> list[Any]:
    """Decode by beam search, never by sampling, so that a clip always gives the same words.

    Where the recogniser repeats itself it decodes once more with repeats forbidden, and what repeats even
    then is left out.
    """
    segments = _decode(audio, language, config)
    if _repetitive(segments, config):
        segments = _decode(audio, language, config, no_repeat_ngram_size=config.longest_repeat)
    return [each for each in segments if not _repetitive([each], config)]


def _repetitive(segments: Sequence[Any], config: TranscribeConfig) -> bool:
    return any(segment.compression_ratio > config.most_compressible for segment in segments)


def _decode(
    audio: NDArray[np.float32], language: Language, config: TranscribeConfig, **limits: int
) -> list[Any]:
    """Run the recogniser behind its voice detector.

    Without a prompt: a simplified sentence before the sound makes it loop and invent (docs/phonemes.md).
    """
    segments, _ = _model(config.cpu_threads).transcribe(
        audio,
        language=language,
        beam_size=config.beam_size,
        temperature=0.0,
        word_timestamps=True,
        vad_filter=True,
        vad_parameters={"min_speech_duration_ms": config.shortest_speech_ms},
        condition_on_previous_text=False,
        **limits,
    )
    return list(segments)


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


def _cut(word: Word, duration: Seconds) -> Word:
    return Word(text=word.text, start=max(0.0, word.start), end=min(word.end, duration), score=word.score)
