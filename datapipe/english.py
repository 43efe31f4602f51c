"""English words: spelled-out numbers and abbreviations, the CMU dictionary, letter-to-sound for the rest."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from . import letters
from .numerals import spell_english
from .symbols import of_kind
from .weights import resolve

ARPABET = of_kind("vowel", "consonant")
"""The 39 phones of English, without stress."""
STRESS_WEIGHT = "cmudict"
"""The registry file with the stress of English words."""
Phones = tuple[str, ...]
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*'?|'[a-z]+")


def model_folder() -> Path:
    """Where the English acoustic model and dictionary lie: inside the pocketsphinx wheel."""
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pocketsphinx is not installed")
    return Path(spec.origin).parent / "model" / "en-us"


@cache
def dictionary() -> dict[str, tuple[Phones, ...]]:
    """Word to its pronunciations, the usual one first. Source: cmudict-en-us, 39 phones, no stress."""
    entries: dict[str, list[Phones]] = {}
    for line in (model_folder() / "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines():
        head, *phones = line.split()
        entries.setdefault(head.split("(")[0], []).append(tuple(phones))
    return {word: tuple(dict.fromkeys(readings)) for word, readings in entries.items()}


@cache
def stressed() -> dict[str, tuple[str, ...]]:
    """Word to its pronunciations with stress, as written (`T AH0 D EY1`); empty for none.

    Source: cmudict, the dictionary that the model's was made from by dropping the digits.
    """
    entries: dict[str, list[str]] = {}
    for line in resolve(STRESS_WEIGHT).read_text(encoding="utf-8").splitlines():
        head, phones = line.split("#")[0].split(maxsplit=1)
        entries.setdefault(head.split("(")[0], []).append(phones)
    return {word: tuple(readings) for word, readings in entries.items()}


def stresses(word: str, phones: Phones) -> tuple[int | None, ...]:
    """Give each phone of a reading its stress: 0, 1 or 2 for vowels, None for consonants.

    All None when the stressed dictionary does not have this reading of the word (or of its stem, for `'s`).
    """
    for entry in stressed().get(word, ()):
        said = entry.split()
        if tuple(each.rstrip("012") for each in said) == phones:
            return tuple(int(each[-1]) if each[-1] in "012" else None for each in said)
    if word.endswith("'s") and len(word) > 2:
        tail: tuple[int | None, ...] = (0, None) if phones[-2:] == ("AH", "Z") else (None,)
        stem = stresses(word[:-2], phones[: -len(tail)])
        return (*stem, *tail) if any(each is not None for each in stem) else (None,) * len(phones)
    return (None,) * len(phones)


TITLES = {
    **{"mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "st": "saint", "vs": "versus"},
    **{"jr": "junior", "sr": "senior", "prof": "professor", "gov": "governor", "sen": "senator"},
    **{"gen": "general", "capt": "captain", "col": "colonel", "lt": "lieutenant"},
}
_ABBREVIATION = re.compile(rf"\b({'|'.join(TITLES)})\.", re.IGNORECASE)
_NUMBER_SIGN = re.compile(r"\bNo\.\s*(?=\d)|#(?=\d)")
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}|\b[A-Z]+(?:&[A-Z]+)+")
_CAPITALS = re.compile(r"\b[A-Z]{2,5}\b")
_SIGNS = {"&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "°": " degrees ", "’": "'"}


def spoken_words(text: str) -> list[str]:
    """Give the lower-case words as they are said: numbers, titles, initials and signs spelled out."""
    text = _NUMBER_SIGN.sub(" number ", text)
    text = _ABBREVIATION.sub(lambda match: f" {TITLES[match[1].lower()]} ", text)
    text = _INITIALS.sub(lambda match: " ".join(each for each in match[0] if each.isalpha()), text)
    if text != text.upper():
        text = _CAPITALS.sub(_letters_or_word, text)
    text = spell_english(text)
    for sign, said in _SIGNS.items():
        text = text.replace(sign, said)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _WORD.findall(plain.lower())


def _letters_or_word(match: re.Match[str]) -> str:
    """Spell out an acronym unless the dictionary says it as a word (NATO)."""
    return match[0] if match[0].lower() in dictionary() else " ".join(match[0])


def pronounce(word: str) -> tuple[tuple[Phones, ...], bool]:
    """Give the readings of a lower-case word, the usual one first, and whether they are guessed.

    Order: dictionary, dictionary + possessive, two dictionary words written as one, letter-to-sound rules.
    """
    known = _known(word)
    if known:
        return known, False
    if word.endswith("'s") and len(word) > 2:
        stems, guessed = pronounce(word[:-2])
        return tuple(stem + _possessive(stem) for stem in stems), guessed
    word = word.strip("'")
    halves = _compound(word)
    if halves:
        return (halves,), True
    return (letters.pronounce(word) or ("AH",),), True


def _known(word: str) -> tuple[Phones, ...]:
    if word == "a":
        return (("AH",), ("EY",))
    return dictionary().get(word) or dictionary().get(word.strip("'")) or ()


def _possessive(stem: Phones) -> Phones:
    if stem[-1] in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return ("AH", "Z")
    return ("S",) if stem[-1] in ("P", "T", "K", "F", "TH") else ("Z",)


def _compound(word: str) -> Phones | None:
    """Split where both halves are words of three letters or more, as evenly as possible."""
    places = sorted(range(3, len(word) - 2), key=lambda cut: abs(2 * cut - len(word)))
    for cut in places:
        first, second = dictionary().get(word[:cut]), dictionary().get(word[cut:])
        if first and second:
            return first[0] + second[0]
    return None
