"""A trained run, ready to speak: its three networks and their name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from datapipe.files import sha256_of

from .avatarsync.interpolate import Interpolator
from .avatarsync.keyframes import KeyframeTransformer
from .checkpoint import WEIGHTS
from .tokenizer import Tokenizer
from .training import load_interpolator, load_keyframes, load_tokenizer

PARTS = ("tokenizer", "keyframes", "interpolator")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Avatar:
    """The generator."""

    tokenizer: Tokenizer
    keyframes: KeyframeTransformer
    interpolator: Interpolator
    run_id: str
    """First 12 digits of the hash of all weights: names what made a video."""

    @property
    def size(self) -> int:
        """Side of its pictures in pixels."""
        return self.tokenizer.config.size


def load_avatar(run: Path) -> Avatar:
    """Load a run; `Rejected("missing_weight")` says which part is not trained yet."""
    tokenizer, keyframes, interpolator = load_tokenizer(run), load_keyframes(run), load_interpolator(run)
    digest = hashlib.sha256("".join(sha256_of(run / part / WEIGHTS) for part in PARTS).encode())
    return Avatar(
        tokenizer=tokenizer, keyframes=keyframes, interpolator=interpolator, run_id=digest.hexdigest()[:12]
    )
