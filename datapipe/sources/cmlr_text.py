"""CMLR's texts: the sentence in line 1, then the words with their times, in whatever columns."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..records import Seconds, Word
from .found import read_text

NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,9})?", re.ASCII)
SEPARATORS = re.compile(r"[\s,;|\[\](){}<>\"']+|(?<=\d)[~-](?=\d)")
SPAN = re.compile(r"_(-?\d{1,6}(?:\.\d+)?)_(-?\d{1,6}(?:\.\d+)?)$", re.ASCII)
SLACK: Seconds = 0.5
"""How far a word may reach over its clip."""


def read_transcript(path: Path, name: str) -> tuple[str, tuple[Word, ...]]:
    """Read the sentence, without spaces, and the words with times from the start of the clip `name`.

    Lines that hold no word with two times are passed over: their syntax differs between copies. Raises
    `Rejected("bad_annotation")` when the file is no text.
    """
    lines = read_text(path).splitlines() or [""]
    words = tuple(word for line in lines[1:] if (word := _word(line)) is not None)
    return "".join(lines[0].split()), _on_clip_clock(words, name)


def _word(line: str) -> Word | None:
    times: list[float] = []
    texts: list[str] = []
    for field in SEPARATORS.split(line):
        if NUMBER.fullmatch(field):
            times.append(float(field))
        elif field:
            texts.append(field)
    if len(times) != 2 or not texts or times[1] <= times[0]:
        return None
    return Word(text=sys.intern(texts[0]), start=times[0], end=times[1])


def _on_clip_clock(words: tuple[Word, ...], name: str) -> tuple[Word, ...]:
    """Shift times that count from the start of the section, where the clip's own name says it lies.

    Times that already fit into the clip, or fit neither way, stay as they are.
    """
    span = SPAN.search(name)
    if not words or span is None:
        return words
    start, end = float(span[1]), float(span[2])
    first, last = min(word.start for word in words), max(word.end for word in words)
    if last <= end - start + SLACK or first < start - SLACK or last > end + SLACK:
        return words
    return tuple(Word(text=w.text, start=w.start - start, end=w.end - start) for w in words)
