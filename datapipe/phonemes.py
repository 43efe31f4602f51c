"""Text to phonemes as a lattice: word -> syllable -> unit -> the aligner's sounds.

Units that merge characters (事儿) stay one unit of one syllable: no index ever shifts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from . import english, mandarin
from .normalise import narrow
from .records import Language, Rejected
from .symbols import PHONEMES as PHONEMES
from .symbols import VERSION as VERSION
from .symbols import of_kind

VOWELS = frozenset(of_kind("vowel"))
"""The vowels of English."""
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One phoneme of the inventory."""

    symbol: str
    mark: int | None = None
    """Tone 1-5 of a Mandarin final, stress 0-2 of an English vowel after `mark_stress`; None elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Syllable:
    """Units spoken together, and the characters they stand for."""

    text: str
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to say a word."""

    syllables: tuple[Syllable, ...]
    sounds: tuple[tuple[str, ...], ...]
    """For each unit, in order, the phones of the acoustic model that it spans (at least one)."""

    @property
    def units(self) -> tuple[Unit, ...]:
        """The word's units in order."""
        return tuple(unit for syllable in self.syllables for unit in syllable.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeWord:
    """A word of the text with all its readings, the most usual one first."""

    text: str
    readings: tuple[Reading, ...]
    guessed: bool = False
    """True when no dictionary has it and rules made the reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A text as the aligner and the generator read it."""

    language: Language
    words: tuple[LatticeWord, ...]

    def units(self) -> tuple[Unit, ...]:
        """The first reading of every word, joined: what a generator says when it has the text alone."""
        return tuple(unit for word in self.words for unit in word.readings[0].units)


def check_language(code: str) -> Language:
    """Accept `en` or `zh` (also with a region, `zh-CN`).

    Raises `Rejected("unknown_language")` for all others.
    """
    short = code.lower().replace("_", "-").split("-")[0]
    for known in LANGUAGES:
        if short == known:
            return known
    raise Rejected(
        "unknown_language", f"the language `{code}` cannot be aligned; known are {', '.join(LANGUAGES)}"
    )


def to_phones(text: str, language: Language) -> Lattice:
    """Turn a text into its lattice: punctuation goes, numbers are spelled out, unknown words are guessed.

    Raises `Rejected("no_speech")` when nothing is left to say.
    """
    plain = narrow(text)
    words = tuple(_mandarin_words(plain) if language == "zh" else _english_words(plain))
    if not words:
        raise Rejected("no_speech", f"the transcript {text[:40]!r} holds no word of language `{language}`")
    return Lattice(language=language, words=words)


def mark_stress(lattice: Lattice) -> Lattice:
    """Give the vowels of an English lattice their stress, where the dictionary has the reading.

    Kept apart from `to_phones`, since a text alone is read without it. Raises `Rejected("missing_weight")`.
    """
    if lattice.language != "en":
        return lattice
    words = tuple(
        replace(word, readings=tuple(_stressed(word.text, reading) for reading in word.readings))
        for word in lattice.words
    )
    return replace(lattice, words=words)


def _stressed(word: str, reading: Reading) -> Reading:
    marks = iter(english.stresses(word, tuple(unit.symbol for unit in reading.units)))
    syllables = tuple(
        replace(syllable, units=tuple(replace(unit, mark=next(marks)) for unit in syllable.units))
        for syllable in reading.syllables
    )
    return replace(reading, syllables=syllables)


def _english_words(text: str) -> Iterator[LatticeWord]:
    for spoken in english.spoken_words(text):
        phones, guessed = english.pronounce(spoken)
        yield LatticeWord(
            text=spoken, readings=tuple(_english_reading(spoken, each) for each in phones), guessed=guessed
        )


def _english_reading(word: str, phones: tuple[str, ...]) -> Reading:
    syllables = tuple(
        Syllable(text=word, units=tuple(Unit(symbol=symbol) for symbol in group))
        for group in syllabify(phones)
    )
    return Reading(syllables=syllables, sounds=tuple((phone,) for phone in phones))


def syllabify(phones: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Cut before the last consonant ahead of each later vowel; a word without a vowel is one group."""
    nuclei = [i for i, phone in enumerate(phones) if phone in VOWELS]
    cuts = [b - 1 if b - a > 1 else b for a, b in pairwise(nuclei)]
    edges = [0, *cuts, len(phones)]
    return tuple(phones[a:b] for a, b in pairwise(edges))


def _mandarin_words(text: str) -> Iterator[LatticeWord]:
    for syllable in mandarin.syllables(text):
        onset = (Unit(symbol=syllable.initial),) if syllable.initial else ()
        units = (*onset, Unit(symbol=syllable.symbol, mark=syllable.tone))
        whole = (Syllable(text=syllable.text, units=units),)
        readings = tuple(Reading(syllables=whole, sounds=sounds) for sounds in mandarin.sounds_of(syllable))
        yield LatticeWord(text=syllable.text, readings=readings)
