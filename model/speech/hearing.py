"""What is said, segment by segment: phonemes with times on one clock, and their sound.

Long sound is read as it comes and cut at its quietest instants into segments of at most ten seconds, as the
training data were; each is recognised and aligned alone, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from datapipe.console import say
from datapipe.container import opened
from datapipe.media import FPS, SAMPLE_RATE, read_audio
from datapipe.phonemes import check_language
from datapipe.records import SILENCE, Phoneme, Rejected, Seconds
from datapipe.segment import SegmentConfig, segments
from datapipe.sound import sound_blocks
from datapipe.track import loudness

from .durations import load_durations
from .phonemes import Speech, from_audio, from_text, from_voice
from .synthesis import Synthesiser

Sound = NDArray[np.float32]
LONGEST_TRANSCRIPT: Seconds = 120.0
"""Longer sound is not aligned with a transcript in one piece."""
SEGMENTS = SegmentConfig()
UNSAID = {"silent", "no_speech", "not_aligned"}
"""A segment that is refused for these has a closed mouth; the others go on."""
STEP = SAMPLE_RATE // FPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be said; exactly one of `audio` and `text`."""

    language: str
    audio: Path | None = None
    transcript: str | None = None
    text: str | None = None
    tts: Synthesiser | None = None
    """Who speaks the text; None is the voice by rule."""

    def __post_init__(self) -> None:
        check_language(self.language)
        if (self.audio is None) == (self.text is None):
            raise Rejected(
                "bad_input", "give either --audio FILE (with or without --transcript) or --text WORDS"
            )
        if self.text is not None and self.transcript is not None:
            raise Rejected("bad_input", "--transcript belongs to --audio; with --text it is not needed")
        if self.text is None and self.tts is not None:
            raise Rejected("bad_input", "--tts speaks a text; give --text WORDS with it")


def expected_frames(audio: Path) -> int | None:
    """Read from a file's header how many frames its sound will get; None where the header does not say."""
    with suppress(Rejected), opened(audio) as container:
        return round(container.duration / av.time_base * FPS) if container.duration else None
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """One segment of speech; its phonemes cover it and go on where the segment before ended."""

    phonemes: tuple[Phoneme, ...]
    audio: Sound
    """16 kHz mono."""


def hear(request: Request, run: Path | None = None) -> Iterator[Heard]:
    """Time the phonemes of a request; those of a text by the durations of a run, where it has learned some.

    Raises `Rejected`: unknown_language, missing_file, no_audio, silent, no_speech, not_aligned, too_large (a
    transcript for sound longer than LONGEST_TRANSCRIPT).
    """
    if request.text is not None:
        yield _heard(_read_aloud(request, request.text, run))
        return
    assert request.audio is not None
    if not request.audio.exists():
        raise Rejected("missing_file", f"there is no sound file {request.audio}; check the path")
    if request.transcript is None:
        yield from hear_blocks(sound_blocks(request.audio), request.language)
        return
    audio = read_audio(request.audio, 0.0, LONGEST_TRANSCRIPT + 1.0)
    if len(audio) > LONGEST_TRANSCRIPT * SAMPLE_RATE:
        raise Rejected(
            "too_large",
            f"{request.audio.name} is longer than {LONGEST_TRANSCRIPT:.0f} s, too long to be aligned with a "
            "transcript in one piece; leave --transcript out, or cut the sound",
        )
    yield _heard(from_audio(audio, request.language, request.transcript))


def _read_aloud(request: Request, text: str, run: Path | None) -> Speech:
    if request.tts is not None:
        return from_voice(text, request.language, request.tts)
    durations = load_durations(run) if run is not None else None
    say(
        "durations: "
        + ("by rule (no trained ones in the run)" if durations is None else "as the run learned")
    )
    return from_text(text, request.language, durations)


def hear_blocks(blocks: Iterable[Sound], language: str, config: SegmentConfig = SEGMENTS) -> Iterator[Heard]:
    """Recognise and time sound as it comes, in blocks of any length.

    Raises `Rejected`: unknown_language, no_audio; silent, no_speech or not_aligned when all of it is.
    """
    check_language(language)
    at: Seconds = 0.0
    first: Rejected | None = None
    any_said = False
    for audio in cut_blocks(blocks, config):
        try:
            phonemes, any_said = _recognised(audio, language), True
        except Rejected as rejected:
            if rejected.reason not in UNSAID:
                raise
            first = first or rejected
            phonemes = (Phoneme(symbol=SILENCE, start=0.0, end=len(audio) / SAMPLE_RATE),)
            until = at + phonemes[0].end
            say(f"{at:.1f} to {until:.1f} s: {rejected.message}; the mouth is closed there")
        yield Heard(phonemes=tuple(shifted(phonemes, at)), audio=audio)
        at += len(audio) / SAMPLE_RATE
    if first is not None and not any_said:
        raise first


def _recognised(audio: Sound, language: str) -> tuple[Phoneme, ...]:
    """Recognise and time one piece; words that were guessed and fit badly are no fault of a transcript."""
    try:
        return from_audio(audio, language, None).phonemes
    except Rejected as rejected:
        if rejected.reason != "not_aligned":
            raise
        said = rejected.message.partition(";")[0]
        raise Rejected(
            "not_aligned", f"{said}, though it was recognised so; check that language `{language}` is spoken"
        ) from rejected


def cut_blocks(blocks: Iterable[Sound], config: SegmentConfig = SEGMENTS) -> Iterator[Sound]:
    """Cut sound that comes in blocks at its quietest instants, as `segments` cuts the whole.

    At most the longest and the shortest piece are held at a time.
    """
    waiting = np.zeros(0, np.float32)
    enough = (round((config.longest + config.shortest + config.pause) * FPS) + 1) * STEP
    for block in blocks:
        waiting = np.concatenate((waiting, block))
        while len(waiting) >= enough:
            size = round(_cuts(waiting[:enough], config)[0][1] * FPS) * STEP
            yield waiting[:size]
            waiting = waiting[size:]
    spans = _cuts(waiting, config)
    for index, (start, end) in enumerate(spans):
        stop = len(waiting) if index == len(spans) - 1 else round(end * FPS) * STEP
        yield waiting[round(start * FPS) * STEP : stop]


def shifted(phonemes: Iterable[Phoneme], by: Seconds) -> Iterator[Phoneme]:
    """Move phonemes on the clock."""
    return (
        (replace(each, start=each.start + by, end=each.end + by) for each in phonemes)
        if by
        else iter(phonemes)
    )


def _cuts(audio: Sound, config: SegmentConfig) -> tuple[tuple[Seconds, Seconds], ...]:
    return segments(loudness(audio, max(1, len(audio) // STEP)), config) if len(audio) else ()


def _heard(speech: Speech) -> Heard:
    return Heard(phonemes=speech.phonemes, audio=speech.audio)
