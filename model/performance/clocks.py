"""A clock in every stage of the generator, put there from outside while it runs as it always does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from datapipe.records import Seconds

from ..avatar import Avatar
from ..avatarsync import write
from ..marking import watermark
from ..speaking import speaker
from ..speech import hearing

STAGES = ("speech", "picture", "reference", "keyframes", "pictures", "pairs", "frames", "mark")
MEANINGS = {
    "speech": "sound to timed phonemes",
    "picture": "the picture cropped to the face",
    "reference": "its tokens and prefix",
    "keyframes": "the keyframes' tokens",
    "pictures": "tokens to pixels",
    "pairs": "features of neighbouring keyframes",
    "frames": "everything between them",
    "mark": "the invisible mark",
}


@contextmanager
def clocked(avatar: Avatar) -> Iterator[dict[str, Seconds]]:
    """Yield a dict that fills with the seconds of each stage; the clocks are gone afterwards.

    A stage that is not gone through has 0. Accelerators are waited for at both ends of each stage, so a
    clocked run is a little slower there than a free one.
    """
    spent = dict.fromkeys(STAGES, 0.0)
    places: tuple[tuple[str, Any, str], ...] = (
        ("speech", hearing, "from_audio"),
        ("picture", speaker, "prepare"),
        ("reference", speaker, "bind"),
        ("keyframes", write, "generate_tokens"),
        ("pictures", avatar.tokenizer, "draw"),
        ("pairs", avatar.interpolator.pairs, "forward"),
        ("frames", avatar.interpolator, "render"),
        ("mark", watermark, "make_mark"),
        ("mark", watermark, "add_mark"),
    )
    with ExitStack() as stack:
        for stage, owner, name in places:
            stack.enter_context(_replaced(owner, name, _timed(getattr(owner, name), stage, spent)))
        yield spent


def now() -> Seconds:
    """Read the clock once the accelerator, if there is one, has done all it was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _timed(inner: Callable[..., Any], stage: str, spent: dict[str, Seconds]) -> Callable[..., Any]:
    def outer(*arguments: Any, **keywords: Any) -> Any:
        began = now()
        try:
            return inner(*arguments, **keywords)
        finally:
            spent[stage] += now() - began

    return outer


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute be another one for a while; what was only inherited is inherited again."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)
