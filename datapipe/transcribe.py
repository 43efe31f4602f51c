"""What is said: a recogniser when no transcript was released, and the check that there is speech at all."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import whisperx
from .files import hash_once
from .media import SAMPLE_RATE
from .normalise import simplify_words, spell_words
from .phonemes import check_language
from .records import Language, Rejected, Seconds, Transcript, Word
from .weights import lookup, resolve

WEIGHTS = ("whisper-base/model", "whisper-base/config", "whisper-base/tokenizer", "whisper-base/vocabulary")


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeConfig:
    """How speech is recognised when no transcript was released."""

    backend: Literal["faster-whisper", "whisperx"] = "faster-whisper"
    """Who recognises; `whisperx` needs `avatarsync tools create speech`, and times no words."""
    model: Path | None = None
    """Folder of a CTranslate2 Whisper; None takes Whisper base of the weights registry."""
    batch: int = 4
    """whisperx: voiced stretches that are decoded at once."""
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
    """Recognise speech with Whisper; `language` None leaves it to the recogniser.

    `audio` is (N,) at 16 kHz and audible (`level.check_audible`). The text is normalised: simplified
    characters, numbers spelled out. Raises `Rejected`: no_speech, unknown_language, missing_weight; with the
    backend `whisperx` also missing_tool and what `whisperx.recognise` raises.
    """
    known = None if language is None else check_language(language)
    recogniser = _by_whisperx if config.backend == "whisperx" else _by_faster_whisper
    spoken, heard = recogniser(audio, known, config)
    words = spell_words(simplify_words(heard) if spoken == "zh" else heard, spoken)
    text = " ".join("".join(word.text for word in words).split())
    if not any(char.isalnum() for char in text):
        raise Rejected("no_speech", "no words were recognised in the sound; check that somebody speaks")
    timed = () if config.backend == "whisperx" else words
    stripped = tuple(replace(word, text=word.text.strip()) for word in timed)
    return Transcript(language=spoken, text=text, words=stripped, origin=describe(config))


def describe(config: TranscribeConfig) -> str:
    """Name the recogniser in words."""
    return f"{config.backend} {'base' if config.model is None else config.model.name}"


def used_weights(config: TranscribeConfig) -> dict[str, str]:
    """Name the files of the recogniser, with their sha256."""
    if config.model is None:
        return {name: lookup(name).sha256 for name in WEIGHTS}
    path = config.model / "model.bin"
    return {f"{config.model.name}/model.bin": hash_once(path)} if path.is_file() else {}


def _by_faster_whisper(
    audio: NDArray[np.float32], language: Language | None, config: TranscribeConfig
) -> tuple[Language, Sequence[Word]]:
    spoken = language or _detect(audio, config)
    segments = _recognise(audio, spoken, config)
    return spoken, [word for segment in segments for word in _words(segment, len(audio) / SAMPLE_RATE)]


def _by_whisperx(
    audio: NDArray[np.float32], language: Language | None, config: TranscribeConfig
) -> tuple[Language, Sequence[Word]]:
    """As in core: what repeats itself is decoded again with repeats forbidden, and else left out."""
    settings = {"beam_size": config.beam_size, "batch": config.batch, "threads": config.cpu_threads}
    folder = _folder(config.model)
    heard = whisperx.recognise(audio, language, folder, settings | {"no_repeat": 0})
    spoken = language or _checked(heard.language, heard.probability, config)
    if any(_loops(each.text, config) for each in heard.stretches):
        again = settings | {"no_repeat": config.longest_repeat}
        heard = whisperx.recognise(audio, spoken, folder, again)
    return spoken, [each for each in heard.stretches if not _loops(each.text, config)]


def _loops(text: str, config: TranscribeConfig) -> bool:
    """Tell whether a text repeats itself, by the same measure as faster-whisper does."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data)) > config.most_compressible


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
    segments, _ = _model(config.model, config.cpu_threads).transcribe(
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


def _folder(model: Path | None) -> Path:
    """The recogniser's folder; raises `Rejected("missing_weight")`."""
    if model is None:
        return {resolve(name).parent for name in WEIGHTS}.pop()
    if not (model / "model.bin").is_file():
        message = f"{model} holds no model.bin; name a CTranslate2 Whisper folder with transcribe.model"
        raise Rejected("missing_weight", message)
    return model


@cache
def _model(model: Path | None, cpu_threads: int) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(_folder(model)), device="cpu", compute_type="int8", cpu_threads=cpu_threads)


def _detect(audio: NDArray[np.float32], config: TranscribeConfig) -> Language:
    """Ask the recogniser for the language, over the speech alone."""
    model = _model(config.model, config.cpu_threads)
    code, probability, _ = model.detect_language(audio, vad_filter=True)
    return _checked(code, probability, config)


def _checked(code: str, probability: float, config: TranscribeConfig) -> Language:
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
