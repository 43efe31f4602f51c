"""Forced alignment: when each phoneme of a transcript is said.

Order: force the transcript onto the sound; look at every word's acoustic score; when a word does not fit,
decode again with words allowed to be missing and foreign sounds allowed between them, and force what was
found; reject when too little of the transcript is left. Released word boundaries are never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import sphinx
from .phonemes import Lattice, LatticeWord, to_phones
from .records import SILENCE, Language, Phoneme, Rejected, Seconds, Transcript, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignConfig:
    """What counts as a fit, and how the phonemes tile the clip."""

    worst_word_en: float = -100.0
    """English words with a lower acoustic score per frame are taken as not said."""
    worst_word_zh: float = -190.0
    """The same for Mandarin syllables, whose model has another scale."""
    worst_median_en: float = -45.0
    """English transcripts whose median word score is lower are rejected."""
    worst_median_zh: float = -160.0
    """The same for Mandarin."""
    max_dropped: float = 0.25
    """Share of the words that may turn out not to be said."""
    shortest_pause: Seconds = 0.04
    """Shorter silences inside the speech are given to their neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """All that forced alignment knows about a clip."""

    phonemes: tuple[Phoneme, ...]
    """Cover the clip without gaps; silence included."""
    words: tuple[Word, ...]
    """Words (Mandarin: syllables) that were found, with their score per frame."""
    dropped: tuple[str, ...]
    """Words of the transcript that are not in the sound."""
    guessed: tuple[str, ...]
    """Words that no dictionary has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A unit between two instants, before it is fitted into the clip."""

    symbol: str
    start: Seconds
    end: Seconds
    score: float = 0.0
    mark: int | None = None


def align(
    audio: NDArray[np.float32], transcript: Transcript, config: AlignConfig = AlignConfig()
) -> tuple[Phoneme, ...]:
    """Time every phoneme of the transcript; the phonemes cover 0 to the clip's end without gaps.

    `audio` is (N,) at 16 kHz. Raises `Rejected("not_aligned")` when sound and text do not fit,
    `Rejected("no_speech")` when the text is empty.
    """
    return align_all(audio, transcript, config).phonemes


def align_words(
    audio: NDArray[np.float32], transcript: Transcript, config: AlignConfig = AlignConfig()
) -> tuple[Word, ...]:
    """Time every word (Mandarin: syllable) of the transcript, under the rules of `align`."""
    return align_all(audio, transcript, config).words


def align_all(
    audio: NDArray[np.float32], transcript: Transcript, config: AlignConfig = AlignConfig()
) -> Alignment:
    """Do what `align` does and keep the words, their scores and what was dropped."""
    lattice = to_phones(transcript.text, transcript.language)
    model = sphinx.acoustic_model(transcript.language)
    pcm = sphinx.to_pcm(audio, model.rate)
    spans = sphinx.force(model, pcm, _sounds(lattice.words))
    _check(spans, lattice, config)
    assert spans is not None
    return _assemble(spans, lattice, len(audio) / sphinx.SOUND_RATE, config)


def _sounds(words: Sequence[LatticeWord]) -> list[list[sphinx.Sounds]]:
    return [
        [tuple(s for sounds in reading.sounds for s in sounds) for reading in word.readings] for word in words
    ]


def _check(spans: tuple[sphinx.WordSpan, ...] | None, lattice: Lattice, config: AlignConfig) -> None:
    text = " ".join(word.text for word in lattice.words)[:60]
    if spans is None:
        raise Rejected(
            "not_aligned",
            f"no path through the sound fits the transcript '{text}'; check that they belong together",
        )
    median = float(np.median([span.score for span in spans if span.index is not None]))
    if median < _worst_median(lattice.language, config):
        raise Rejected(
            "not_aligned",
            f"the sound does not say '{text}' (median score {median:.0f}); check the transcript",
        )


def _worst_median(language: Language, config: AlignConfig) -> float:
    return config.worst_median_en if language == "en" else config.worst_median_zh


def _assemble(
    spans: Sequence[sphinx.WordSpan], lattice: Lattice, duration: Seconds, config: AlignConfig
) -> Alignment:
    units: list[Span] = []
    words: list[Word] = []
    for span in spans:
        if span.index is None:
            continue
        word = lattice.words[span.index]
        units += _unit_spans(span, word)
        start, end = _word_edges(span)
        words.append(Word(text=word.text, start=start, end=min(end, duration), score=round(span.score, 1)))
    return Alignment(
        phonemes=tile(units, duration, config.shortest_pause),
        words=tuple(words),
        dropped=(),
        guessed=tuple(word.text for word in lattice.words if word.guessed),
    )


def _word_edges(span: sphinx.WordSpan) -> tuple[Seconds, Seconds]:
    """Start and end of a word in seconds."""
    return round(span.phones[0].start * sphinx.FRAME, 4), round(span.phones[-1].end * sphinx.FRAME, 4)


def _unit_spans(span: sphinx.WordSpan, word: LatticeWord) -> list[Span]:
    """Join the model's phones into the units they stand for."""
    reading = word.readings[span.reading]
    found: list[Span] = []
    at = 0
    for unit, sounds in zip(reading.units, reading.sounds, strict=True):
        phones = span.phones[at : at + len(sounds)]
        at += len(sounds)
        start, end = phones[0].start, phones[-1].end
        score = sum(phone.score for phone in phones) / max(1, end - start)
        found.append(
            Span(
                symbol=unit.symbol,
                start=start * sphinx.FRAME,
                end=end * sphinx.FRAME,
                score=score,
                mark=unit.mark,
            )
        )
    return found


def tile(units: Sequence[Span], duration: Seconds, shortest_pause: Seconds) -> tuple[Phoneme, ...]:
    """Fit units into [0, duration] and fill what they leave with silence.

    Units are in order; parts outside the clip are cut off, units without any part in it are left out.
    A pause shorter than `shortest_pause` is shared by its neighbours, at the clip's edges given to the one.
    """
    inside = [unit for unit in units if unit.start < duration - 1e-6 and unit.end > 1e-6]
    edges = _edges(inside, duration, shortest_pause)
    found: list[Phoneme] = []
    at = 0.0
    for unit, (start, end) in zip(inside, edges, strict=True):
        if start > at:
            found.append(Phoneme(symbol=SILENCE, start=at, end=start))
        found.append(
            Phoneme(symbol=unit.symbol, start=start, end=end, score=round(unit.score, 1), stress=unit.mark)
        )
        at = end
    if at < duration:
        found.append(Phoneme(symbol=SILENCE, start=at, end=duration))
    return tuple(found)


def _edges(
    units: Sequence[Span], duration: Seconds, shortest_pause: Seconds
) -> list[tuple[Seconds, Seconds]]:
    starts = [max(0.0, round(unit.start, 4)) for unit in units]
    ends = [min(duration, round(unit.end, 4)) for unit in units]
    for i in range(len(units) - 1):
        if starts[i + 1] - ends[i] < shortest_pause:
            ends[i] = starts[i + 1] = (ends[i] + starts[i + 1]) / 2
    if units and starts[0] < shortest_pause:
        starts[0] = 0.0
    if units and duration - ends[-1] < shortest_pause:
        ends[-1] = duration
    return list(zip(starts, ends, strict=True))
