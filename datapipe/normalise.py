"""Text in one form: simplified characters, numbers as words, and the tokens that error rates count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

from .english import spoken_words
from .mandarin import is_han
from .numerals import spell_english, spell_mandarin
from .records import Language, Word

_PIECES = {"zh": re.compile(r"[㐀-鿿〇][^㐀-鿿〇]*|[^㐀-鿿〇]+"), "en": re.compile(r"\s*\S+\s*")}
"""What a stretch of time is shared among: characters of Mandarin, words of English."""
_UNITS = {"zh": re.compile(r".", re.DOTALL), "en": re.compile(r"\s*\S+|\s+")}
"""What is compared to find the places that spelling has changed."""


_ZHE = re.compile(r"著(?![名作称者述书录文])(?<![名原显卓昭土专编巨论译遗合拙]著)")
"""著 where it stands for 着 (看著, 执著); the tables leave it, since 著 is a simplified character too."""


def narrow(text: str) -> str:
    """Give full-width letters, digits and signs their usual form (NFKC).

    The full-width comma becomes another sign: between digits it ends a clause, the narrow one groups them.
    """
    return unicodedata.normalize("NFKC", text.replace("，", "、"))


def simplify(text: str) -> str:
    """Turn traditional characters into simplified ones, by phrase; the length stays.

    Source: the TSPhrases and TSCharacters tables of OpenCC, and 着 for 著 outside of its own words.
    """
    simple = _ZHE.sub("着", _converter().convert(text))
    return simple if len(simple) == len(text) else text


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def tokens(text: str, language: Language) -> tuple[str, ...]:
    """Give what an error rate counts: characters of Mandarin, words of English.

    Both as they are said: simplified, numbers spelled out, no punctuation, no case.
    """
    plain = narrow(text)
    if language == "en":
        return tuple(spoken_words(plain))
    said = spell_mandarin(simplify(plain)).casefold()
    return tuple(char for char in said if is_han(char) or char.isalnum())


def simplify_words(words: Sequence[Word]) -> tuple[Word, ...]:
    """Turn words into simplified characters, looking across their borders; times stay."""
    text = simplify("".join(word.text for word in words))
    edges = accumulate((len(word.text) for word in words), initial=0)
    return tuple(replace(word, text=text[a:b]) for word, (a, b) in zip(words, pairwise(edges), strict=True))


def spell(text: str, language: Language) -> str:
    """Spell out the numbers of a text, with one space where several would be left."""
    if language == "zh":
        return spell_mandarin(text)
    return re.sub(r"\s+(?=[.,;:!?])", "", re.sub(r"\s+", " ", spell_english(text)))


def spell_words(words: Sequence[Word], language: Language) -> tuple[Word, ...]:
    """Spell out the numbers in words with times; their texts, spaces included, join to the sentence.

    A number is read in its context (50%, 2015年), so the words it spreads over become one stretch, which
    the words it is said with share by their lengths. All others keep their times.
    """
    text = "".join(word.text for word in words)
    spelled = spell(text, language)
    places = _moved(text, spelled, language)
    edges = list(accumulate((len(word.text) for word in words), initial=0))
    kept = [index for index, edge in enumerate(edges) if edge in places]
    found: list[Word] = []
    for first, last in pairwise(kept):
        said = spelled[places[edges[first]] : places[edges[last]]]
        if last == first + 1 and said.strip() == words[first].text.strip():
            found.append(words[first])
        else:
            found += _share(said, words[first:last], language)
    return tuple(found)


def _moved(text: str, spelled: str, language: Language) -> dict[int, int]:
    """Say where the places of a text are in its spelled form; those inside of a change are left out."""
    written, said = (_UNITS[language].findall(each) for each in (text, spelled))
    at, to = (list(accumulate(map(len, units), initial=0)) for units in (written, said))
    keys, others = ([unit.strip() or unit for unit in units] for units in (written, said))
    blocks = SequenceMatcher(None, keys, others, autojunk=False).get_matching_blocks()
    before = {at[block.a + block.size]: to[block.b + block.size] for block in blocks}
    after = {at[block.a + i]: to[block.b + i] for block in blocks for i in range(block.size)}
    inside = {
        at[block.a + i + 1] - back: to[block.b + i + 1] - back
        for block in blocks
        for i in range(block.size)
        for back in range(1, len(written[block.a + i].strip()))
    }
    return {**before, **after, **inside, 0: 0, len(text): len(spelled)}


def _share(text: str, words: Sequence[Word], language: Language) -> Iterator[Word]:
    """Divide the time from the first to the last word among the pieces of a text, by their lengths."""
    pieces = _PIECES[language].findall(text)
    start, end = words[0].start, words[-1].end
    ends = list(accumulate((len(piece.strip()) or 1 for piece in pieces), initial=0))
    times = [start + (end - start) * each / max(1, ends[-1]) for each in ends]
    score = min(word.score for word in words)
    for piece, (begun, done) in zip(pieces, pairwise(times), strict=True):
        yield Word(text=piece, start=begun, end=done, score=score)
