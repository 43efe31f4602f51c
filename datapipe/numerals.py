"""Numbers as they are said, in English and in Mandarin; a transcript with digits cannot be aligned."""

from __future__ import annotations

import re
from collections.abc import Callable

from .records import Rejected

_ONES = (
    *(
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    **{
        "one": "first",
        "two": "second",
        "three": "third",
        "five": "fifth",
        "eight": "eighth",
        "nine": "ninth",
    },
    "twelve": "twelfth",
}
_CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yuan", "fen")}
_PLURALS = {"penny": "pence", "yuan": "yuan", "fen": "fen"}
_AMOUNTS = "hundred|thousand|million|billion|trillion"
Spell = Callable[[re.Match[str]], str]
LARGEST = 10**15
"""Numbers from here on are read digit by digit."""
LONGEST = 1000
"""Digits of a number; a transcript with more is none."""


def spell_english(text: str) -> str:
    """Replace every number in an English text by words: money, percent, clock, rank, year, decimal, whole."""
    for pattern, spell in _ENGLISH_RULES:
        text = pattern.sub(_spaced(spell), text)
    return text


def _spaced(spell: Spell) -> Spell:
    return lambda match: f" {spell(match)} "


def spell_mandarin(text: str) -> str:
    """Replace every number in a Mandarin text by characters: percent, year, fraction, decimal, whole."""
    for pattern, spell in _MANDARIN_RULES:
        text = pattern.sub(spell, text)
    return text


def cardinal(number: int) -> str:
    """Say a whole number in English: 1204 is `one thousand two hundred four`."""
    if number >= LARGEST:
        return digits(str(number))
    groups: list[str] = []
    scale = 0
    while number or not groups:
        number, group = divmod(number, 1000)
        if group or (not number and not groups):
            groups.append(f"{_below_thousand(group)} {_SCALES[scale]}".strip())
        scale += 1
    return " ".join(reversed(groups))


def ordinal(number: int) -> str:
    """Say a rank in English: 21 is `twenty first`."""
    *before, last = cardinal(number).split()
    return " ".join(
        [*before, _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")]
    )


def year(number: int) -> str:
    """Say a year in English: 1905 is `nineteen oh five`, 2015 `twenty fifteen`, 2005 `two thousand five`."""
    high, low = divmod(number, 100)
    if low == 0 and high % 10:
        return f"{cardinal(high)} hundred"
    if high % 10 == 0 and low < 10:
        return cardinal(number)
    return f"{cardinal(high)} {'oh ' if low < 10 else ''}{cardinal(low)}"


def digits(text: str) -> str:
    """Say digit after digit."""
    return " ".join(_ONES[int(each)] for each in text)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words += [_TENS[rest // 10]] + ([_ONES[rest % 10]] if rest % 10 else [])
    elif rest or not hundreds:
        words.append(_ONES[rest])
    return " ".join(words)


def _plain(match: re.Match[str], group: int | str = 1) -> int:
    return _whole(match[group].replace(",", ""))


def _whole(text: str) -> int:
    if len(text) > LONGEST:
        raise Rejected(
            "bad_annotation", f"nobody says a number of {len(text)} digits; correct the transcript"
        )
    return int(text)


def _decimal(match: re.Match[str]) -> str:
    return f"{cardinal(_plain(match))} point {digits(match[2])}"


def _money(match: re.Match[str]) -> str:
    unit, small = _CURRENCIES[match[1]]
    whole, cents, amount = _plain(match, 2), match[3], match[4]
    if amount:
        number = f"{cardinal(whole)} point {digits(cents)}" if cents else cardinal(whole)
        return f"{number} {amount} {_plural(unit, 2)}"
    said = f"{cardinal(whole)} {_plural(unit, whole)}"
    few = _whole(cents or "0")
    return f"{said} {cardinal(few)} {_plural(small, few)}" if few else said


def _plural(unit: str, count: int) -> str:
    return unit if count == 1 else _PLURALS.get(unit, f"{unit}s")


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    return (
        cardinal(hour)
        if minute == 0
        else f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    )


def _decade(match: re.Match[str]) -> str:
    *before, last = year(int(match[1])).split()
    return " ".join([*before, f"{last[:-1]}ies" if last.endswith("y") else f"{last}s"])


_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_ENGLISH_RULES: tuple[tuple[re.Pattern[str], Spell], ...] = (
    (re.compile(rf"([$€£¥]){_NUMBER}(?:\.(\d+))?(?:\s+({_AMOUNTS})\b)?", re.IGNORECASE), _money),
    (re.compile(r"%"), lambda match: "percent"),
    (re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b"), _clock),
    (re.compile(rf"{_NUMBER}\.(\d+)"), _decimal),
    (re.compile(rf"\b{_NUMBER}(?:st|nd|rd|th)\b", re.IGNORECASE), lambda match: ordinal(_plain(match))),
    (re.compile(r"\b(1[1-9]\d0|20\d0)'?s\b"), _decade),
    (re.compile(r"\b(1[1-9]\d\d|20\d\d)\b(?!,\d)"), lambda match: year(int(match[1]))),
    (re.compile(r"(?<![\d,.])(0\d+)"), lambda match: digits(match[1])),
    (re.compile(_NUMBER), lambda match: cardinal(_plain(match))),
)

_HAN_DIGITS = "零一二三四五六七八九"
_HAN_UNITS = ("", "十", "百", "千")
_HAN_SCALES = ("", "万", "亿", "万亿")


def han_cardinal(number: int) -> str:
    """Say a whole number in Mandarin: 10 is 十, 105 is 一百零五, 20030 is 二万零三十."""
    if number >= LARGEST:
        return han_digits(str(number))
    if number == 0:
        return "零"
    groups: list[str] = []
    scale = 0
    while number:
        number, group = divmod(number, 10_000)
        if group:
            gap = "零" if number and group < 1000 else ""
            groups.append(f"{gap}{_below_myriad(group)}{_HAN_SCALES[scale]}")
        elif groups and number and not groups[-1].startswith("零"):
            groups.append("零")
        scale += 1
    said = "".join(reversed(groups))
    return said[1:] if said.startswith("一十") else said


def han_digits(text: str) -> str:
    """Say digit after digit."""
    return "".join(_HAN_DIGITS[int(each)] for each in text)


def _below_myriad(number: int) -> str:
    said = ""
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            said += _HAN_DIGITS[digit] + _HAN_UNITS[place]
        elif said and not said.endswith("零") and number % 10**place:
            said += "零"
    return said


def _han_number(text: str) -> str:
    whole, _, fraction = text.replace(",", "").partition(".")
    said = han_digits(whole) if len(whole) > 1 and whole.startswith("0") else han_cardinal(_whole(whole))
    return f"{said}点{han_digits(fraction)}" if fraction else said


_HAN_NUMBER = r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_MANDARIN_RULES: tuple[tuple[re.Pattern[str], Spell], ...] = (
    (re.compile(rf"{_HAN_NUMBER}[%％]"), lambda match: "百分之" + _han_number(match[1])),
    (re.compile(rf"{_HAN_NUMBER}‰"), lambda match: "千分之" + _han_number(match[1])),
    (re.compile(r"(\d{4}|\d{2})(?=年)"), lambda match: han_digits(match[1])),
    (re.compile(r"(\d+)/(\d+)"), lambda match: f"{_han_number(match[2])}分之{_han_number(match[1])}"),
    (re.compile(rf"(?<![\d.])-{_HAN_NUMBER}"), lambda match: "负" + _han_number(match[1])),
    (re.compile(r"(?<![\d,.])2(?=[万亿千个位名次年天条件只倍])"), lambda match: "两"),
    (re.compile(r"(\d{11,})(?![万亿元])"), lambda match: han_digits(match[1])),
    (re.compile(_HAN_NUMBER), lambda match: _han_number(match[1])),
)
