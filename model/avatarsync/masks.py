"""Who may look at whom: the Phoneme-Frame Causal Attention Mask and its ablations (paper 3.2 and A.4).

The sequence is {phonemes}[B]{reference}{frame 1}..{frame n}. Two switches that the paper leaves entangled:
`phoneme_scope` says which phonemes a frame sees, `frame_scope` which earlier frames. A mask on frame rows
alone would leak: under the narrow scopes phoneme rows see only themselves, [B] sees only itself and the
reference sees [B] and itself, so that no second layer can read back what the mask hid.

`mask_mod` and `score_mod` are the one definition, in the (batch, head, query, key) form of FlexAttention; the
dense bias derives from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

PhonemeScope = Literal["full", "accumulative", "window2", "one_to_one"]
FrameScope = Literal["none", "previous", "all"]
PHONEME, BEGIN, REFERENCE, FRAME = range(4)
MAX_DISTANCE = 8
"""Units between frame and phoneme beyond which the learned bias stays the same."""
MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

PHONEME_REACH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "full": lambda frame, phoneme: torch.ones_like(frame == phoneme),
    "accumulative": lambda frame, phoneme: phoneme <= frame,
    "window2": lambda frame, phoneme: (phoneme <= frame) & (phoneme >= frame - 1),
    "one_to_one": lambda frame, phoneme: phoneme == frame,
}
"""Phonemes that frame i may see."""
PHONEME_ROWS: dict[str, str] = {"full": "full", "accumulative": "accumulative"}
"""Phonemes that a phoneme may see, where it is more than itself."""
FRAME_REACH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "none": lambda query, key: torch.zeros_like(query == key),
    "previous": lambda query, key: key == query - 1,
    "all": lambda query, key: key < query,
}
"""Other frames that frame i may see."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What stands at every place of the sequence; three int64 vectors of its length L."""

    kind: Tensor
    """PHONEME, BEGIN, REFERENCE or FRAME."""
    unit: Tensor
    """Number of the phoneme or frame; 0 for [B] and reference."""
    place: Tensor
    """Raster index inside a picture; 0 for phonemes and [B]."""

    def __len__(self) -> int:
        return len(self.kind)


def layout(num_units: int, num_tokens: int, device: torch.device | None = None) -> Layout:
    """Lay out n phonemes, [B], K reference tokens and n frames of K tokens."""
    units = torch.arange(num_units, device=device)
    places = torch.arange(num_tokens, device=device)
    zero, still = units.new_zeros(1), torch.zeros_like(places)
    frames = units.repeat_interleave(num_tokens)
    kinds = (torch.zeros_like(units), zero + BEGIN, still + REFERENCE, torch.full_like(frames, FRAME))
    return Layout(
        kind=torch.cat(kinds),
        unit=torch.cat((units, zero, still, frames)),
        place=torch.cat((torch.zeros_like(units), zero, places, places.repeat(num_units))),
    )


def mask_mod(where: Layout, phoneme_scope: PhonemeScope, frame_scope: FrameScope) -> MaskMod:
    """Return the visibility function of one layout: true where query q may look at key k."""

    def visible(batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        kind_q, kind_k = where.kind[q], where.kind[k]
        unit_q, unit_k = where.unit[q], where.unit[k]
        earlier = where.place[k] <= where.place[q]
        phoneme_row = PHONEME_REACH[PHONEME_ROWS.get(phoneme_scope, "one_to_one")](unit_q, unit_k)
        reference_row = (kind_k == BEGIN) | ((kind_k == REFERENCE) & earlier)
        same_frame = (unit_k == unit_q) & earlier
        frame_row = (
            ((kind_k == PHONEME) & PHONEME_REACH[phoneme_scope](unit_q, unit_k))
            | (kind_k == BEGIN)
            | (kind_k == REFERENCE)
            | ((kind_k == FRAME) & (same_frame | FRAME_REACH[frame_scope](unit_q, unit_k)))
        )
        return (
            ((kind_q == PHONEME) & (kind_k == PHONEME) & phoneme_row)
            | ((kind_q == BEGIN) & (kind_k == BEGIN))
            | ((kind_q == REFERENCE) & reference_row)
            | ((kind_q == FRAME) & frame_row)
        )

    return visible


def score_mod(where: Layout, distance_hS: Tensor) -> ScoreMod:
    """Return the bias function of one layout: learned by head and distance, from frames to phonemes only."""

    def biased(score: Tensor, batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        paired = (where.kind[q] == FRAME) & (where.kind[k] == PHONEME)
        bias = distance_hS[head, steps_between(where.unit[q], where.unit[k])]
        return score + torch.where(paired, bias, 0.0)

    return biased


def steps_between(frame: Tensor, phoneme: Tensor) -> Tensor:
    """Column of the learned bias for a frame and a phoneme."""
    return (frame - phoneme).clamp(-MAX_DISTANCE, MAX_DISTANCE) + MAX_DISTANCE


def dense_mask(where: Layout, phoneme_scope: PhonemeScope, frame_scope: FrameScope) -> Tensor:
    """Boolean (L, L) mask of the same definition."""
    index = torch.arange(len(where), device=where.kind.device)
    nothing = torch.zeros_like(index[0])
    visible = mask_mod(where, phoneme_scope, frame_scope)
    return visible(nothing, nothing, index[:, None], index[None, :])


def dense_bias(
    where: Layout, phoneme_scope: PhonemeScope, frame_scope: FrameScope, distance_hS: Tensor
) -> Tensor:
    """Additive (h, L, L) mask of the same definition: minus infinity where nothing is seen."""
    index = torch.arange(len(where), device=where.kind.device)
    head = torch.arange(len(distance_hS), device=index.device)[:, None, None]
    still = distance_hS.new_zeros(())
    bias = score_mod(where, distance_hS)(still, index[0], head, index[:, None], index[None, :])
    return bias.masked_fill(~dense_mask(where, phoneme_scope, frame_scope), float("-inf"))


def phonemes_in_reach(scope: PhonemeScope, frames: range, num_units: int) -> range:
    """The phonemes that have to be run for these neighbouring frames to be written."""
    first = {"one_to_one": frames.start, "window2": max(0, frames.start - 1)}.get(scope, 0)
    return range(first, num_units if scope == "full" else frames.stop)


def frames_touched(
    phoneme_scope: PhonemeScope, frame_scope: FrameScope, phoneme: int, num_units: int
) -> range:
    """The keyframes whose tokens may change when one phoneme does; all others stay as they are."""
    if phoneme_scope == "full":
        return range(num_units)
    if phoneme_scope == "accumulative" or frame_scope != "none":
        return range(phoneme, num_units)
    reach = {"one_to_one": 1, "window2": 2}[phoneme_scope]
    return range(phoneme, min(phoneme + reach, num_units))
