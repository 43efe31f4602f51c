"""Mandarin text to pinyin units: initials and finals with the tone apart, and erhua by its table.

Finals follow the strict scheme (`yan` is y + ian, `wei` is w + uei, `ju` is j + v); y and w are kept as
initials, since the lips move for them. The two apical vowels have symbols of their own, `ir` (zhi chi shi
ri) and `iz` (zi ci si), since they look nothing like `i`. `v` is ü.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .numerals import spell_mandarin
from .symbols import of_kind

INITIALS = of_kind("initial")
FINALS = of_kind("final")
RHOTIC = of_kind("rhotic")
_ERHUA_TABLE = json.loads(
    (Path(__file__).with_name("data") / "mandarin_erhua.json").read_text(encoding="utf-8")
)
ERHUA: dict[str, str] = _ERHUA_TABLE["finals"]
"""Final before 儿 to its rhotic form: -i and -n drop, the apical vowels give way, -ng nasalises the vowel."""
SYLLABIC_ER = frozenset(_ERHUA_TABLE["syllabic"])
"""Words in which 儿 is a syllable of its own; elsewhere after a character it is merged (erhua)."""
_ER_WORDS = re.compile("|".join(sorted((*SYLLABIC_ER, *_ERHUA_TABLE["merged"]), key=len, reverse=True)))
_SYLLABLE = re.compile(r"^([a-zêü]+?)([1-5])$")
_ODD_SYLLABLES = {
    **dict.fromkeys(("n", "en", "hn"), ("", "en")),
    **dict.fromkeys(("ng", "hng"), ("", "eng")),
    **{"m": ("m", "u"), "hm": ("h", "en"), "r": ("", "er"), "ê": ("", "ei"), "io": ("y", "o")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinyin:
    """A syllable: one character, or two when 儿 is merged into it."""

    text: str
    initial: str
    """Empty when the syllable starts with its vowel."""
    final: str
    tone: int
    """1 to 4, 5 is neutral."""
    erhua: bool = False
    """Whether 儿 is merged into it."""

    @property
    def symbol(self) -> str:
        """The final as it is said: rhotic when 儿 is merged into it."""
        return ERHUA[self.final] if self.erhua else self.final


def syllables(text: str) -> tuple[Pinyin, ...]:
    """Read numbers and Han characters, polyphones by their context; what has no reading is left out.

    Source of the readings: pypinyin's phrase and character tables.
    """
    from pypinyin import Style, lazy_pinyin

    han = "".join(each for each in spell_mandarin(text) if is_han(each))
    spoken = lazy_pinyin(han, style=Style.TONE3, neutral_tone_with_five=True, errors=_unreadable)
    merged = merged_positions(han)
    found: list[Pinyin] = []
    for position, (char, syllable) in enumerate(zip(han, spoken, strict=True)):
        if position in merged and found:
            found[-1] = replace(found[-1], text=found[-1].text + char, erhua=True)
        elif syllable:
            found.append(parse_syllable(char, syllable))
    return tuple(found)


def _unreadable(chars: str) -> Any:
    """Stand in for characters without a reading, one empty string for each (pypinyin's stub wants a str)."""
    return [""] * len(chars)


def is_han(char: str) -> bool:
    """Tell whether a character is a Chinese one (unified ideographs, extension A and compatibility)."""
    return "㐀" <= char <= "鿿" or char == "〇" or "豈" <= char <= "﫿"


def merged_positions(han: str) -> frozenset[int]:
    """Where 儿 (or 兒) is merged into the syllable before it.

    Not at the start, not in a word of `SYLLABIC_ER`, and only one into each syllable.
    """
    plain = han.replace("兒", "儿")
    words = [match for match in _ER_WORDS.finditer(plain) if match[0] in SYLLABIC_ER]
    own = {i for match in words for i in range(*match.span())}
    merged: set[int] = set()
    for i, char in enumerate(plain):
        if char == "儿" and i > 0 and i not in own and i - 1 not in merged:
            merged.add(i)
    return frozenset(merged)


def parse_syllable(char: str, syllable: str) -> Pinyin:
    """Split `xing2` into initial, final and tone.

    Raises ValueError for what is no pinyin; every syllable of pypinyin's tables is accepted (tested).
    """
    match = _SYLLABLE.match(syllable.replace("ü", "v"))
    if match is None:
        raise ValueError(f"`{syllable}` is not a pinyin syllable with a tone digit")
    initial, final = split_syllable(match.group(1))
    return Pinyin(text=char, initial=initial, final=final, tone=int(match.group(2)))


def split_syllable(plain: str) -> tuple[str, str]:
    """Split a toneless syllable into initial (or empty) and final."""
    if plain in _ODD_SYLLABLES:
        return _ODD_SYLLABLES[plain]
    initial = next((i for i in sorted(INITIALS, key=len, reverse=True) if plain.startswith(i)), "")
    rest = plain[len(initial) :]
    final = _full_final(initial, rest)
    if final not in FINALS:
        raise ValueError(f"`{plain}` is not a pinyin syllable")
    return initial, final


_AFTER_Y = {
    **{"i": "i", "a": "ia", "e": "ie", "ao": "iao", "ou": "iou", "an": "ian", "in": "in", "ang": "iang"},
    **{"ing": "ing", "ong": "iong", "u": "v", "ue": "ve", "uan": "van", "un": "vn", "o": "o", "ai": "ai"},
}
_SHORT = {"ui": "uei", "iu": "iou", "un": "uen", "ue": "ve", "ê": "ie", "vn": "vn", "ven": "vn", "io": "o"}
_AFTER_JQX = {"u": "v", "ue": "ve", "uan": "van", "un": "vn"}


def _full_final(initial: str, rest: str) -> str:
    """Undo the spelling rules of pinyin (GB/T 16159): y, w, j/q/x + u, iu, ui, un, apical i."""
    if initial == "y":
        return _AFTER_Y.get(rest, rest)
    if initial == "w":
        return {"u": "u", "ong": "ueng"}.get(rest, "u" + {"ei": "ei", "en": "en"}.get(rest, rest))
    if initial in ("j", "q", "x") and rest in _AFTER_JQX:
        return _AFTER_JQX[rest]
    if rest == "i" and initial in ("zh", "ch", "sh", "r"):
        return "ir"
    if rest == "i" and initial in ("z", "c", "s"):
        return "iz"
    return _SHORT.get(rest, rest)


MODEL_PHONES = (
    *INITIALS,
    *(
        "a",
        "ai",
        "an",
        "ang",
        "ao",
        "e",
        "ei",
        "en",
        "eng",
        "er",
        "i",
        "ia",
        "ian",
        "iang",
        "iao",
        "ib",
        "ie",
        "if",
    ),
    *("in", "ing", "iong", "iu", "o", "ong", "ou", "u", "ua", "uai", "uan", "uang", "ui", "un", "uo"),
    *("ux", "uxan", "uxe", "uxn"),
)
"""Phones of the TDT-SC model that can stand for a unit of ours."""
_MODEL_FINAL = {
    **{"ir": "ib", "iz": "if", "uei": "ui", "iou": "iu", "uen": "un"},
    **{"v": "ux", "ve": "uxe", "van": "uxan", "vn": "uxn"},
}
_MODEL_UMLAUT = {"v": "ux", "ve": "uxe", "van": "an", "vn": "en"}
_MODEL_ONSET = {"a": "as", "e": "es", "o": "os"}


def unit_of(model_phone: str) -> str:
    """Name the unit that a phone of the model, met outside of a word, stands for."""
    return {model: unit for unit, model in _MODEL_FINAL.items()}.get(model_phone, model_phone)


def sounds_of(syllable: Pinyin) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Give the readings of a syllable in the phones of the TDT-SC acoustic model, per unit.

    The model's lexicon is not published with it; the spellings are those that its triphone table was
    trained on (`y v` is uxs ux, a vowel without initial has an onset as, es or os).
    """
    tail = ("er",) if syllable.erhua else ()
    first, rest = _model_phones(syllable.initial, syllable.final)
    if syllable.initial:
        return (((first,), (rest, *tail)),)
    onset = _MODEL_ONSET[rest[0]]
    return (((onset, rest, *tail),), ((rest, *tail),))


def _model_phones(initial: str, final: str) -> tuple[str, str]:
    if initial == "y" and final in _MODEL_UMLAUT:
        return "uxs", _MODEL_UMLAUT[final]
    if initial == "y":
        return "y", {"ia": "a", "iao": "ao", "iou": "ou", "ian": "an", "iang": "ang", "iong": "ong"}.get(
            final, final
        )
    if initial == "w" and final != "u":
        return "w", final[1:]
    return initial, _MODEL_FINAL.get(final, final)
