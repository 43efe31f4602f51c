"""The phoneme inventory, read from `data/phonemes.json`: symbols, embedding ids, kinds and visemes.

Upper case is English (ARPAbet-39), lower case is Mandarin (pinyin initials, finals, rhotic finals), so the
two never clash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .records import SILENCE, Language

TABLE = Path(__file__).with_name("data") / "phonemes.json"
Kind = Literal["silence", "vowel", "consonant", "initial", "final", "rhotic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """One phoneme of the inventory."""

    symbol: str
    id: int
    """Row of the generator's embedding; frozen within a version."""
    language: Language | None
    """None for silence."""
    kind: Kind
    viseme: str
    """Class of the mouth at the phoneme's middle; the table says what each looks like, and its source."""
    path: tuple[str, ...]
    """Classes the mouth goes through inside it: medial, vowel and coda of a Mandarin final in turn."""


def _read() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def _symbols(rows: list[dict[str, Any]]) -> tuple[Symbol, ...]:
    symbols = tuple(Symbol(**{**row, "path": tuple(row["path"].split())}) for row in rows)
    if [each.id for each in symbols] != list(range(len(symbols))) or symbols[0].symbol != SILENCE:
        raise ValueError(f"{TABLE.name}: ids have to count from 0, silence first")
    return symbols


_TABLE = _read()
VERSION: str = _TABLE["version"]
"""Changes whenever a symbol is added, renamed or moved: a model's embedding rows go by `PHONEMES`."""
SYMBOLS = _symbols(_TABLE["phonemes"])
"""The inventory in order of id."""
PHONEMES = tuple(each.symbol for each in SYMBOLS)
"""Every symbol of both languages: the generator's vocabulary, in this order, silence first."""
VISEMES: dict[str, str] = {each.symbol: each.viseme for each in SYMBOLS}
"""Phoneme to viseme, many to one."""


def of_kind(*kinds: Kind) -> tuple[str, ...]:
    """List the symbols of some kinds, in order."""
    return tuple(each.symbol for each in SYMBOLS if each.kind in kinds)
