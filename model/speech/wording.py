"""A text as it is to be said: phrases of phonemes with a pause after each, or why it cannot be said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass

from datapipe import mandarin
from datapipe.english import TITLES
from datapipe.normalise import narrow, simplify
from datapipe.phonemes import Unit, check_language, mark_stress, to_phones
from datapipe.records import Language, Rejected, Seconds

from .pace import USUAL, PaceConfig

STOPS = frozenset(".!?。！？…")
SIGNS = re.compile(r"(?:[.,:](?=[\"'”’)\]]*(?:\s|$))|(?<=[㐀-鿿])[,.:]|[!?;…。！？；：、，—]|--)+[\"'”’)\]]*")
"""What ends a phrase; a point or comma inside a number or an initial does not."""
INITIALS = re.compile(r"[A-Z]|(?:[A-Za-z]\.)+[A-Za-z]")
"""What a point belongs to: J. Doe, the U.S. policy, i.e. this."""
SHOWN = 40
"""Characters that a complaint names."""
ADVICE = {
    "zh": "write foreign words in Chinese characters, or leave them out",
    "en": "write them in Latin letters, or leave them out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Phonemes said in one go."""

    units: tuple[Unit, ...]
    pause: Seconds
    """Silence after it."""


def read_phrases(
    text: str, language: str, pace: PaceConfig = USUAL, stress: bool = False
) -> tuple[Phrase, ...]:
    """Cut a text at its signs and turn every phrase into phonemes; `stress` marks English vowels.

    Raises `Rejected`: unknown_language; bad_input (letters that the language cannot say); no_speech (nothing
    to say); with `stress`, missing_weight.
    """
    code = check_language(language)
    check_sayable(text, code)
    found = []
    for words, pause in _cut(narrow(text), pace):
        lattice = to_phones(words, code)
        units = (mark_stress(lattice) if stress else lattice).units()
        found.append(Phrase(units=units, pause=pause))
    if not found:
        shown = f"{text.strip()[:40]!r} holds no word to say" if text.strip() else "the text is empty"
        raise Rejected("no_speech", f"{shown}; give some words of language `{code}`")
    return tuple(found)


def check_sayable(text: str, language: Language) -> None:
    """Refuse letters that would silently go unsaid: of another script, or without a known reading.

    Signs and pictures (emoji) are not letters; they are left out. Raises `Rejected("bad_input")`.
    """
    is_said = _said_in_mandarin if language == "zh" else _said_in_english
    said = simplify(narrow(text))
    letters = {each for each in said if each.isalpha()}
    unsaid = {each for each in letters if not is_said(each)}
    if unsaid and unsaid == letters:
        raise Rejected(
            "unknown_language",
            f"{text.strip()[:40]!r} is not in language `{language}`; give --language as the text has it",
        )
    if unsaid:
        shown = _runs(said, unsaid)
        raise Rejected(
            "bad_input",
            f"language `{language}` cannot say `{shown}`, and one text has one language; {ADVICE[language]}",
        )


def _runs(text: str, letters: Set[str]) -> str:
    """The words (in Mandarin, strings) that those letters make up, each once."""
    runs = " ".join(dict.fromkeys("".join(each if each in letters else " " for each in text).split()))
    return runs if len(runs) <= SHOWN else f"{runs[:SHOWN]}..."


def _said_in_mandarin(letter: str) -> bool:
    return mandarin.is_han(letter) and bool(mandarin.syllables(letter))


def _said_in_english(letter: str) -> bool:
    return bool(unicodedata.normalize("NFKD", letter).encode("ascii", "ignore"))


def _cut(text: str, pace: PaceConfig) -> list[tuple[str, Seconds]]:
    """Cut at the signs; what has no letter or digit is no phrase."""
    phrases, first = [], 0
    for sign in [*SIGNS.finditer(text), None]:
        words = text[first : sign.start() if sign else len(text)]
        if sign and sign[0][0] == "." and _keeps_point(words):
            continue
        first = sign.end() if sign else len(text)
        if any(each.isalnum() for each in words):
            full = words + (sign[0] if sign else "")
            phrases.append((full, pace.stop if sign and STOPS & set(sign[0]) else pace.comma))
    return phrases


def _keeps_point(words: str) -> bool:
    last = words.split()[-1] if words.split() else ""
    return last.lower() in TITLES or INITIALS.fullmatch(last) is not None
