"""Forced alignment: when each phoneme of a transcript is said.

Order: force the transcript onto the sound; measure how well each word and each pause fits, against the best
path through any phones; when something does not fit, decode again with words allowed to be missing and
foreign phones allowed between them, and force what was found; reject when too little is left of the
transcript. Released word boundaries are never used. The backend `whisperx` times words by a CTC network
instead, and divides them among their phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import mandarin, sphinx, whisperx
from .media import SAMPLE_RATE
from .phonemes import Lattice, LatticeWord, mark_stress, to_phones
from .records import Phoneme, Rejected, Seconds, Transcript, Word
from .tile import Span, tile


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignConfig:
    """What counts as a fit, and how the phonemes tile the clip.

    A fit is the acoustic log-likelihood per 10 ms frame minus that of the best path through any phones.
    Right words lie between -40 and +20, words that are not said between -150 and -25 (docs/phonemes.md).
    With `whisperx`, a fit is the mean probability of a word's letters instead.
    """

    backend: Literal["pocketsphinx", "whisperx"] = "pocketsphinx"
    """Who times the words. `whisperx` needs `avatarsync tools create speech` and a wav2vec2 network."""
    model: Path | None = None
    """whisperx' network: a local folder as of Hugging Face; None takes whisperx' default of the language."""
    least_score: float = 0.1
    """whisperx: texts whose words score less in the median are refused; three times a guess among 32 letters.
    A wrong text may score more: see docs/backends.md."""
    threads: int = 1
    """whisperx: threads of the network."""
    worst_word: float = -42.0
    """Words that fit worse are taken as not said."""
    worst_pause: float = -16.0
    """Pauses of 0.1 s and more that fit worse hold words that are not in the transcript."""
    hopeless_median: float = -18.0
    """Transcripts whose words fit worse than this in the median, as they are, belong to another sound."""
    hopeless_total: float = -15.0
    """The same for the fit of the whole clip, pauses included."""
    worst_median: float = -12.0
    """The limit for what is left when words may be missing."""
    max_missing: float = 0.3
    """Share of the words that may turn out not to be said."""
    max_foreign: float = 0.4
    """Share of the phones that may be said without being in the transcript."""
    shortest_pause: Seconds = 0.04
    """Shorter silences inside the speech are given to their neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """All that forced alignment knows about a clip."""

    phonemes: tuple[Phoneme, ...]
    """Cover the clip without gaps; silence included. The score is the fit."""
    words: tuple[Word, ...]
    """Words (Mandarin: syllables) that were found; the score is the fit."""
    missing: tuple[str, ...]
    """Words of the transcript that are not in the sound."""
    num_foreign: int
    """Phones in the sound that the transcript does not explain."""
    guessed: tuple[str, ...]
    """Words that no dictionary has."""


def align(
    audio: NDArray[np.float32], transcript: Transcript, config: AlignConfig = AlignConfig()
) -> Alignment:
    """Time every phoneme and word of the transcript, and keep what was missing or foreign.

    `audio` is (N,) at 16 kHz and audible (`level.check_audible`). Raises `Rejected("not_aligned")` when
    sound and text do not fit, `Rejected("no_speech")` when the text is empty; with the backend `whisperx`
    also what `whisperx.place` raises.
    """
    lattice = mark_stress(to_phones(transcript.text, transcript.language))
    if config.backend == "whisperx":
        return _by_whisperx(audio, lattice, config)
    return _by_pocketsphinx(audio, lattice, config)


def _by_pocketsphinx(audio: NDArray[np.float32], lattice: Lattice, config: AlignConfig) -> Alignment:
    model = sphinx.acoustic_model(lattice.language)
    pcm = sphinx.to_pcm(audio, model.rate)
    free = sphinx.free_scores(model, pcm)
    spans = sphinx.force(model, pcm, _sounds(lattice.words))
    if spans is not None:
        _check_hope(spans, free, lattice, config)
    if spans is None or not _all_fit(spans, free, config):
        spans = _second_try(model, pcm, lattice)
    _check(spans, free, lattice, config)
    return _assemble(spans, free, lattice, len(audio) / SAMPLE_RATE, config)


def _by_whisperx(audio: NDArray[np.float32], lattice: Lattice, config: AlignConfig) -> Alignment:
    placed = whisperx.place(audio, lattice, config.model, config.threads)
    _check_missing(1 - len(placed.words) / len(lattice.words), lattice, config)
    median = float(np.median([word.score for word in placed.words]))
    if median < config.least_score:
        said = f"the sound hardly says '{_shown(lattice)}' (median score {median:.2f})"
        raise Rejected("not_aligned", f"{said}; check that they belong together")
    return Alignment(
        phonemes=tile(placed.units, len(audio) / SAMPLE_RATE, config.shortest_pause),
        words=placed.words,
        missing=placed.missing,
        num_foreign=0,
        guessed=tuple(word.text for word in lattice.words if word.guessed),
    )


def _sounds(words: Sequence[LatticeWord]) -> list[list[sphinx.Sounds]]:
    return [
        [tuple(s for sounds in reading.sounds for s in sounds) for reading in word.readings] for word in words
    ]


def _fit(span: sphinx.WordSpan, free: NDArray[np.float64]) -> float:
    ours = sum(phone.score for phone in span.phones) / span.num_frames
    return ours - _level(free, span.phones[0].start, span.phones[-1].end)


def _level(free: NDArray[np.float64], start: int, end: int) -> float:
    window = free[start:end]
    return float(window.mean()) if len(window) else 0.0


def _all_fit(spans: Sequence[sphinx.WordSpan], free: NDArray[np.float64], config: AlignConfig) -> bool:
    """Look for words that are not said and for pauses that are not silent."""
    words = [_fit(span, free) for span in spans if span.index is not None]
    pauses = [_fit(span, free) for span in spans if span.index is None and span.num_frames >= 10]
    return min(words) > config.worst_word and min(pauses, default=0.0) > config.worst_pause


def _check_hope(
    spans: Sequence[sphinx.WordSpan], free: NDArray[np.float64], lattice: Lattice, config: AlignConfig
) -> None:
    """Turn away a transcript of something else before the slow second try could make sense of it."""
    median = float(np.median([_fit(span, free) for span in spans if span.index is not None]))
    total = sum(_fit(span, free) * span.num_frames for span in spans) / sum(span.num_frames for span in spans)
    if median < config.hopeless_median or total < config.hopeless_total:
        raise Rejected(
            "not_aligned", f"the sound does not say '{_shown(lattice)}'; check that they belong together"
        )


def _shown(lattice: Lattice) -> str:
    said = (" " if lattice.language == "en" else "").join(word.text for word in lattice.words)
    return said if len(said) <= 60 else f"{said[:57]}..."


def _second_try(model: sphinx.AcousticModel, pcm: bytes, lattice: Lattice) -> tuple[sphinx.WordSpan, ...]:
    """Let words be missing and phones be foreign, then force what was found."""
    sounds = _sounds(lattice.words)
    path = sphinx.loose_path(model, pcm, sounds)
    if path is None:
        return ()
    words = [sounds[token] if isinstance(token, int) else [(token,)] for token in path]
    spans = sphinx.force(model, pcm, words) or ()
    return tuple(span.renamed(path) for span in spans)


def _check(
    spans: Sequence[sphinx.WordSpan], free: NDArray[np.float64], lattice: Lattice, config: AlignConfig
) -> None:
    text = _shown(lattice)
    fits = [_fit(span, free) for span in spans if span.index is not None]
    if not fits:
        raise Rejected("not_aligned", f"'{text}' does not fit the sound in any way; check the transcript")
    _check_missing(1 - len(fits) / len(lattice.words), lattice, config)
    foreign = _num_foreign(spans) / max(1, sum(len(span.phones) for span in spans))
    if foreign > config.max_foreign:
        raise Rejected(
            "not_aligned", f"{foreign:.0%} of the sounds are not in '{text}'; check that it is complete"
        )
    if float(np.median(fits)) < config.worst_median:
        raise Rejected("not_aligned", f"the sound hardly fits '{text}'; check that they belong together")


def _check_missing(missing: float, lattice: Lattice, config: AlignConfig) -> None:
    if missing > config.max_missing:
        text = _shown(lattice)
        raise Rejected(
            "not_aligned",
            f"{missing:.0%} of the words of '{text}' are not in the sound; check the transcript",
        )


def _num_foreign(spans: Sequence[sphinx.WordSpan]) -> int:
    return sum(len(span.phones) for span in spans if span.foreign)


def _assemble(
    spans: Sequence[sphinx.WordSpan],
    free: NDArray[np.float64],
    lattice: Lattice,
    duration: Seconds,
    config: AlignConfig,
) -> Alignment:
    units = [unit for span in spans for unit in _unit_spans(span, lattice, free)]
    found = [span for span in spans if span.index is not None]
    indices = {span.index for span in found}
    return Alignment(
        phonemes=tile(units, duration, config.shortest_pause),
        words=tuple(_word(span, lattice, free) for span in found),
        missing=tuple(word.text for i, word in enumerate(lattice.words) if i not in indices),
        num_foreign=_num_foreign(spans),
        guessed=tuple(word.text for word in lattice.words if word.guessed),
    )


def _word(span: sphinx.WordSpan, lattice: Lattice, free: NDArray[np.float64]) -> Word:
    assert span.index is not None
    start, end = span.phones[0].start, span.phones[-1].end
    text = lattice.words[span.index].text
    return Word(text=text, start=_seconds(start), end=_seconds(end), score=round(_fit(span, free), 1))


def _seconds(frame: int) -> Seconds:
    return round(frame * sphinx.FRAME, 4)


def _unit_spans(span: sphinx.WordSpan, lattice: Lattice, free: NDArray[np.float64]) -> list[Span]:
    """Join the model's phones into the units they stand for; silence and noise give none."""
    if span.foreign:
        return [_unit(mandarin.unit_of(phone.name), None, (phone,), free) for phone in span.phones]
    if span.index is None:
        return []
    reading = lattice.words[span.index].readings[span.reading]
    found: list[Span] = []
    at = 0
    for unit, sounds in zip(reading.units, reading.sounds, strict=True):
        found.append(_unit(unit.symbol, unit.mark, span.phones[at : at + len(sounds)], free))
        at += len(sounds)
    return found


def _unit(
    symbol: str, mark: int | None, phones: Sequence[sphinx.PhoneSpan], free: NDArray[np.float64]
) -> Span:
    start, end = phones[0].start, phones[-1].end
    fit = sum(phone.score for phone in phones) / max(1, end - start) - _level(free, start, end)
    return Span(symbol=symbol, start=_seconds(start), end=_seconds(end), score=round(fit, 1), mark=mark)
