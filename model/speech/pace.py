"""How long phonemes last by rule, when nobody has said them and no run has learned it: the floor."""

from __future__ import annotations

from dataclasses import dataclass

from datapipe.phonemes import VOWELS
from datapipe.records import SILENCE, Seconds

SHORTEST: Seconds = 0.03
LONGEST: Seconds = 0.6
"""Predicted lengths are kept between these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceConfig:
    """How long phonemes last by their kind, and pauses by their sign."""

    vowel: Seconds = 0.11
    """An English vowel."""
    consonant: Seconds = 0.075
    """A consonant of either language."""
    final: Seconds = 0.16
    """A Mandarin final."""
    pause: Seconds = 0.25
    """Silence before and after."""
    comma: Seconds = 0.2
    """Silence at a comma and what is like it."""
    stop: Seconds = 0.4
    """Silence at the end of a sentence."""


USUAL = PaceConfig()


def usual_length(symbol: str, pace: PaceConfig = USUAL) -> Seconds:
    """Length of a phoneme by its kind alone."""
    if symbol == SILENCE:
        return pace.pause
    if symbol.isupper():
        return pace.vowel if symbol in VOWELS else pace.consonant
    return pace.final if symbol[0] in "aeiouv" else pace.consonant
