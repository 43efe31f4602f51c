"""English words: spelled-out numbers and abbreviations, the CMU dictionary, letter-to-sound for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ARPABET = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY"),
    *("JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y"),
    *("Z", "ZH"),
)
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


def spoken_words(text: str) -> Iterator[str]:
    """Lower-case words in the order they are said."""
    yield from _WORD.findall(text.lower().replace("’", "'"))


def pronounce(word: str) -> tuple[tuple[Phones, ...], bool]:
    """Give the readings of a word and whether they are guessed."""
    known = dictionary().get(word) or dictionary().get(word.strip("'"))
    if known:
        return known, False
    return (_spell(word),), True


def _spell(word: str) -> Phones:
    letters = [dictionary()[f"{letter}."][0] for letter in word if letter.isalpha()]
    return tuple(phone for phones in letters for phone in phones)
