"""Tokens of clips for the keyframes' training: encoded once, kept on disk while tokenizer and data stay."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datapipe.records import Rejected

from ..checkpoint import load_noted, save_tensors
from ..data import TalkingClip
from ..layers import to_signed
from ..published.network import AnyTokenizer

CODES = "codes.safetensors"
BLOCK = 32
"""Pictures that are encoded at once."""
STRIDE = 4
"""Of the pixels that tell clips of one key apart: asked at every step, so not all of them are read."""


class Codes:
    """Tokens by clip; what is not known yet is encoded when it is asked for."""

    def __init__(self, tokenizer: AnyTokenizer, most: int | None = None) -> None:
        self.tokenizer, self.most = tokenizer, most
        self.known: OrderedDict[str, Tensor] = OrderedDict()

    def of(self, clip: TalkingClip) -> Tensor:
        """Tokens of the clip's first frame, then of all its keyframes; (1 + n, K)."""
        name = name_of(clip)
        if name not in self.known:
            self.known[name] = encode_clip(self.tokenizer, clip)
        self.known.move_to_end(name)
        while self.most is not None and len(self.known) > self.most:
            self.known.popitem(last=False)
        return self.known[name].long()

    def fill(self, clips: Sequence[TalkingClip], path: Path, identity: str) -> None:
        """Know all these clips: read a file of the same identity, or encode them and write one."""
        self.known.update(read_codes(path, identity))
        missing = [clip for clip in clips if name_of(clip) not in self.known]
        if missing:
            for clip in missing:
                self.of(clip)
            save_tensors(path, dict(self.known), {"identity": identity})


def read_codes(path: Path, identity: str) -> dict[str, Tensor]:
    """Read a file of codes; one of another tokenizer or other data, or a broken one, counts as none."""
    if not path.exists():
        return {}
    try:
        tensors, notes = load_noted(path)
    except Rejected:
        return {}
    return tensors if notes.get("identity") == identity else {}


def name_of(clip: TalkingClip) -> str:
    """Name a clip by its key and a sum over what is encoded of it, since two corpora may use one key."""
    seen = clip.frames_THW3[np.concatenate(([0], clip.keyframes_n)), ::STRIDE, ::STRIDE]
    return f"{clip.speaker}/{clip.key}/{zlib.crc32(seen.tobytes()):08x}"


@torch.no_grad()
def encode_clip(tokenizer: AnyTokenizer, clip: TalkingClip) -> Tensor:
    """Tokens of the clip's first frame, then of all its keyframes; (1 + n, K), on the CPU."""
    frames = clip.frames_THW3[np.concatenate(([0], clip.keyframes_n))]
    device = next(tokenizer.parameters()).device
    parts = np.array_split(frames, max(1, len(frames) // BLOCK))
    ids = [tokenizer.encode(to_signed(torch.from_numpy(part)).to(device)) for part in parts]
    return torch.cat(ids).to("cpu", torch.int32)
