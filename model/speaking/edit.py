"""Change one phoneme of a video: only what depends on it is made anew, every other frame stays bit for bit.

Under one_to_one a phoneme is one keyframe, and a keyframe is seen in its two neighbouring intervals. Moving a
boundary moves the instants of up to three keyframes, whose intervals are rendered again from the same tokens.
The wider scopes write the keyframes again that see the phoneme: its successor too under window2, all later
ones of its block under accumulative and where frames see frames, its whole block under full. What was
rendered is found by comparison, so nothing is rendered that stays the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.records import Phoneme, Rejected, Seconds

from ..avatar import Avatar
from ..avatarsync.decode import generate_tokens
from ..avatarsync.intervals import Drawn, frames_before, hold, instants, render_interval
from ..avatarsync.masks import frames_touched, phonemes_in_reach
from ..avatarsync.write import Reference, draw_keyframes, instant_of
from ..generate import GenerateConfig
from ..marking.watermark import mark_blocks

SHORTEST: Seconds = 0.01
"""A phoneme keeps at least this length."""
Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What made a video, and makes it again."""

    avatar: Avatar
    reference: Reference
    settings: GenerateConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one phoneme."""

    index: int
    """Its number, from 0."""
    to: str | None = None
    """Its new symbol; None keeps it."""
    start: Seconds | None = None
    """Where it shall start; the phoneme before ends there."""
    end: Seconds | None = None
    """Where it shall end; the phoneme after starts there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """Phonemes and the tokens of their keyframes: all that frames depend on, beside the reference."""

    phonemes: tuple[Phoneme, ...]
    tokens_nK: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Consecutive frames that depend on the same keyframes."""

    keyframes: tuple[int, ...]
    """One that is held, or two neighbours."""
    first: int
    stop: int


def changed(phonemes: Sequence[Phoneme], change: Change) -> tuple[Phoneme, ...]:
    """Apply a change to phonemes, which go on covering their time without gaps.

    Raises `Rejected("bad_input")`: no such phoneme, nothing to change, a neighbour would vanish.
    """
    i, last = change.index, len(phonemes) - 1
    if not 0 <= i <= last:
        raise Rejected("bad_input", f"there is no phoneme {i}; they are numbered 0 to {last}")
    if change.to is None and change.start is None and change.end is None:
        raise Rejected("bad_input", "nothing is to be changed; give --to SYMBOL, --start or --end")
    one = phonemes[i]
    start = one.start if change.start is None else change.start
    end = one.end if change.end is None else change.end
    low = 0.0 if i == 0 else phonemes[i - 1].start + SHORTEST
    high = one.end if i == last else phonemes[i + 1].end - SHORTEST
    _check_span(i, (start, end), (low, high))
    if (i == 0 and start != one.start) or (i == last and end != one.end):
        raise Rejected("bad_input", "the video's own start and end cannot be moved; its sound would not fit")
    edited = list(phonemes)
    edited[i] = replace(one, symbol=change.to or one.symbol, start=start, end=end)
    if i:
        edited[i - 1] = replace(edited[i - 1], end=start)
    if i < last:
        edited[i + 1] = replace(edited[i + 1], start=end)
    return tuple(edited)


def rewritten(scene: Scene, old: Score, phonemes: tuple[Phoneme, ...]) -> Score:
    """Write the keyframes again that depend on a phoneme whose symbol changed; the others stay."""
    tokens, avatar, config = old.tokens_nK.clone(), scene.avatar, scene.settings
    before, after = (
        torch.tensor(avatar.keyframes.phoneme_ids(each.symbol for each in said), device=avatar.device)
        for said in (old.phonemes, phonemes)
    )
    for i in range(len(phonemes)):
        if before[i] != after[i]:
            context, kept = _reach(avatar, i, len(phonemes), config)
            ids = after[context.start : context.stop]
            written = generate_tokens(avatar.keyframes, ids, scene.reference.prefix, config.decode).cpu()
            for row, place in enumerate(context):
                if place in kept:
                    tokens[place] = written[row]
    return Score(phonemes=phonemes, tokens_nK=tokens)


def stretches(phonemes: Sequence[Phoneme], num_frames: int) -> tuple[Stretch, ...]:
    """Cut a clip's frames into those of each interval, and those held at both ends."""
    times = [instant_of(phoneme) for phoneme in phonemes]
    edges = [0, *np.maximum.accumulate([frames_before(time) for time in times]).tolist(), num_frames]
    pairs = [(0,), *((i, i + 1) for i in range(len(times) - 1)), (len(times) - 1,)]
    return tuple(
        Stretch(keyframes=keyframes, first=min(a, num_frames), stop=min(b, num_frames))
        for keyframes, (a, b) in zip(pairs, pairwise(edges), strict=True)
    )


def plan(old: Score, new: Score, num_frames: int) -> tuple[tuple[Stretch, bool], ...]:
    """Give the new stretches, each with whether its frames are other ones than before."""
    pairs = zip(stretches(old.phonemes, num_frames), stretches(new.phonemes, num_frames), strict=True)
    return tuple((after, not _is_same(before, after, old, new)) for before, after in pairs)


def edited_frames(
    scene: Scene, kept: Iterator[Frames], old: Score, new: Score, num_frames: int
) -> Iterator[Frames]:
    """Yield every frame (H, W, 3) in order; `kept` yields the old ones, which stand where nothing changed."""
    for stretch, is_new in plan(old, new, num_frames):
        old_frames = islice(kept, stretch.stop - stretch.first)
        if is_new:
            deque(old_frames, maxlen=0)
            yield from _rendered(scene, new, stretch)
        else:
            yield from old_frames


def _is_same(before: Stretch, after: Stretch, old: Score, new: Score) -> bool:
    return before == after and all(
        instant_of(old.phonemes[i]) == instant_of(new.phonemes[i])
        and torch.equal(old.tokens_nK[i], new.tokens_nK[i])
        for i in after.keyframes
    )


def _rendered(scene: Scene, score: Score, stretch: Stretch) -> Iterator[Frames]:
    if stretch.stop == stretch.first:
        return
    drawn = [_draw(scene, score, i) for i in stretch.keyframes]
    if len(drawn) == 1:
        blocks = hold(drawn[0], stretch.stop - stretch.first)
    else:
        t_R = instants(drawn[0].time, drawn[1].time, stretch.first, stretch.stop)
        blocks = render_interval(scene.avatar.interpolator, drawn[0], drawn[1], t_R)
    picture, watermark = scene.reference.picture_HW3, scene.settings.watermark
    for block in mark_blocks(blocks, picture, scene.avatar.run_id, watermark):
        yield from block


def _draw(scene: Scene, score: Score, index: int) -> Drawn:
    tokens_K = score.tokens_nK[index].to(scene.avatar.device)
    phonemes, seen = [score.phonemes[index]], scene.reference.seen
    (drawn,) = draw_keyframes(scene.avatar.tokenizer, seen, phonemes, [tokens_K])
    return drawn


def _reach(avatar: Avatar, index: int, total: int, config: GenerateConfig) -> tuple[range, range]:
    """Phonemes that are to be read again, and those whose keyframes may change, when one phoneme does."""
    scope = avatar.keyframes.config
    narrow = scope.phoneme_scope in ("one_to_one", "window2") and scope.frame_scope == "none"
    first = 0 if narrow else index // config.wide_units * config.wide_units
    block = range(first, total if narrow else min(first + config.wide_units, total))
    touched = frames_touched(scope.phoneme_scope, scope.frame_scope, index - first, len(block))
    again = range(first + touched.start, first + touched.stop)
    return phonemes_in_reach(scope.phoneme_scope, again, total) if narrow else block, again


def _check_span(index: int, span: tuple[Seconds, Seconds], room: tuple[Seconds, Seconds]) -> None:
    (start, end), (low, high) = span, room
    if not low <= start < end <= high or end - start < SHORTEST:
        raise Rejected(
            "bad_input",
            f"phoneme {index} cannot last from {start:.3f} to {end:.3f} s; its neighbours leave "
            f"{low:.3f} to {high:.3f} s",
        )
