"""Stage 1 from end to end: phonemes, as they come, to keyframe pictures of one reference.

Phonemes are taken in blocks; the keyframes of a block are written in lockstep. Under one_to_one a keyframe
depends on its phoneme alone, so a phoneme that was written before is not written again, and blocks change
nothing. Under window2 the last phoneme of the block before is kept. Under the wider scopes a keyframe sees
what its block holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.keyframes import choose_keyframes
from datapipe.records import Phoneme, Rejected, Seconds

from ..published.network import AnyTokenizer
from ..tokenizer import Seen
from .decode import DecodeConfig, Prefix, generate_tokens
from .intervals import Drawn
from .keyframes import KeyframeConfig, KeyframeTransformer

FIRST = 2
"""Keyframes of the first block where blocks change nothing: with a pair the first frames can be made."""
GAP: Seconds = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A picture as the generator needs it, read once for any number of sentences."""

    picture_HW3: NDArray[np.uint8]
    """As the run wants it: square, of its size."""
    prefix: Prefix
    """Tokens of the picture, run through the keyframe transformer."""
    seen: Seen
    """What the tokenizer's decoder needs of it."""


def is_local(config: KeyframeConfig) -> bool:
    """Tell whether a keyframe depends on its own phoneme alone."""
    return config.phoneme_scope == "one_to_one" and config.frame_scope == "none"


def gapless(phonemes: Iterable[Phoneme]) -> Iterator[Phoneme]:
    """Pass phonemes on. Raises `Rejected("bad_input")` for none at all, and for gaps between them."""
    end = 0.0
    for phoneme in phonemes:
        if abs(phoneme.start - end) > GAP:
            raise Rejected(
                "bad_input",
                f"the phoneme {phoneme.symbol} starts at {phoneme.start:.3f} s, the one before ends at "
                f"{end:.3f} s; "
                "phonemes follow each other without gaps, silence is SIL",
            )
        end = phoneme.end
        yield phoneme
    if not end:
        raise Rejected("bad_input", "there is nothing to say: no phonemes were given")


def in_blocks(phonemes: Iterable[Phoneme], first: int, units: int) -> Iterator[tuple[Phoneme, ...]]:
    """Cut a stream into a first block and equal ones, whatever the pieces in which it comes."""
    stream, size = iter(phonemes), first
    while block := tuple(islice(stream, size)):
        yield block
        size = units


def write_keyframes(
    tokenizer: AnyTokenizer,
    model: KeyframeTransformer,
    reference: Reference,
    blocks: Iterable[Sequence[Phoneme]],
    config: DecodeConfig,
) -> Iterator[Drawn]:
    """Yield the keyframes of each block in order, decoded one by one.

    Raises `Rejected("bad_input")` for a phoneme that the model does not know, by name.
    """
    known: dict[int, Tensor] = {}
    before: list[int] = []
    for block in blocks:
        ids = model.phoneme_ids(phoneme.symbol for phoneme in block)
        if is_local(model.config):
            tokens = _written_once(model, ids, reference.prefix, known, config)
        else:
            tokens = list(_write(model, [*before, *ids], reference.prefix, config)[len(before) :])
            before = ids[-1:] if model.config.phoneme_scope == "window2" else []
        yield from draw_keyframes(tokenizer, reference.seen, block, tokens)


def draw_keyframes(
    tokenizer: AnyTokenizer, seen: Seen, phonemes: Sequence[Phoneme], tokens: Sequence[Tensor]
) -> Iterator[Drawn]:
    """Decode the pictures of written keyframes, each alone, and give each its instant."""
    for phoneme, tokens_K in zip(phonemes, tokens, strict=True):
        with torch.no_grad():
            picture = tokenizer.draw(tokenizer.codes(tokens_K[None]), seen)
        yield Drawn(time=instant_of(phoneme), phoneme=phoneme, tokens_K=tokens_K, picture_13SS=picture)


def instant_of(phoneme: Phoneme) -> Seconds:
    """When a phoneme's keyframe is shown: by the rule that training's keyframes were chosen by."""
    return choose_keyframes((phoneme,), 1)[0].time


def _written_once(
    model: KeyframeTransformer, ids: list[int], prefix: Prefix, known: dict[int, Tensor], config: DecodeConfig
) -> list[Tensor]:
    fresh = sorted(set(ids) - set(known))
    if fresh:
        known |= dict(zip(fresh, _write(model, fresh, prefix, config), strict=True))
    return [known[each] for each in ids]


def _write(model: KeyframeTransformer, ids: list[int], prefix: Prefix, config: DecodeConfig) -> Tensor:
    return generate_tokens(model, torch.tensor(ids, device=prefix.reference_K.device), prefix, config)
