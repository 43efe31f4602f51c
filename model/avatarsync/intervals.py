"""The frames between keyframes, interval by interval, as the keyframes come.

An interval is computed alone, from its two keyframes and its own instants: the same bytes come out whether
the clip is made at once, streamed, or edited elsewhere. Before the first and after the last keyframe the
nearest one is held. Shapes: R instants of one interval, S side of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.media import FPS
from datapipe.records import Phoneme, Seconds

from ..layers import to_bytes
from .allocate import Strategy, allocate, count_frames
from .interpolate import Interpolator

BLOCK = 32
"""Pictures that are rendered or held at once."""
PAIRS = 8
"""Intervals that are encoded at once where the whole clip is known."""
Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A keyframe that is written and decoded."""

    time: Seconds
    phoneme: Phoneme
    tokens_K: Tensor
    picture_13SS: Tensor
    """In [-1, 1]."""


@torch.no_grad()
def render_interval(
    model: Interpolator, left: Drawn, right: Drawn, t_R: NDArray[np.float32]
) -> Iterator[Frames]:
    """Yield the pictures of one interval at instants t from 0 to 1, in blocks; the pair is encoded once."""
    if not len(t_R):
        return
    device = left.picture_13SS.device
    seconds = torch.tensor([right.time - left.time], dtype=left.picture_13SS.dtype, device=device)
    features = model.pairs(left.picture_13SS, right.picture_13SS, seconds)
    for start in range(0, len(t_R), BLOCK):
        t = torch.from_numpy(t_R[start : start + BLOCK]).to(left.picture_13SS)
        at = torch.zeros(len(t), dtype=torch.long, device=device)
        made = model.render(features.at(at), left.picture_13SS[at], right.picture_13SS[at], t)
        yield to_bytes(made).cpu().numpy()


def hold(keyframe: Drawn, count: int) -> Iterator[Frames]:
    """Yield a keyframe's picture `count` times, in blocks."""
    if count > 0:
        still = to_bytes(keyframe.picture_13SS).cpu().numpy()
        for start in range(0, count, BLOCK):
            yield np.repeat(still, min(BLOCK, count - start), axis=0)


def fill_frames(
    model: Interpolator,
    keyframes: Iterator[Drawn],
    duration: Seconds | None,
    strategy: Strategy = "dynamic",
    seed: int = 0,
    packed: bool = False,
) -> Iterator[Frames]:
    """Yield the whole clip: interval by interval as keyframes come, or packed once all are there.

    The paper's other allocations than `dynamic` need all keyframes anyway.
    """
    if strategy == "dynamic" and not packed:
        return fill_between(model, keyframes, duration)
    return fill_by_plan(model, tuple(keyframes), duration, strategy, seed)


def fill_between(
    model: Interpolator, keyframes: Iterator[Drawn], duration: Seconds | None
) -> Iterator[Frames]:
    """Yield the whole clip at FPS; an interval follows as soon as its right keyframe is there.

    Frame j stands at (j + 0.5) / FPS. `duration` None ends with the last phoneme.
    """
    left = next(keyframes)
    done = frames_before(left.time)
    yield from hold(left, done)
    for right in keyframes:
        stop = max(done, frames_before(right.time))
        yield from render_interval(model, left, right, instants(left.time, right.time, done, stop))
        left, done = right, stop
    yield from hold(left, _count(left, duration) - done)


@torch.no_grad()
def fill_by_plan(
    model: Interpolator,
    keyframes: Sequence[Drawn],
    duration: Seconds | None,
    strategy: Strategy,
    seed: int = 0,
) -> Iterator[Frames]:
    """Yield the whole clip, with all keyframes known beforehand, from one list of (pair, t) without padding.

    PAIRS intervals are encoded together, which keeps accelerators busy: the same pictures as one by one to
    rounding (2e-5 of the range; about one byte in 60,000 by one level), whatever PAIRS and BLOCK are.
    """
    num_frames = _count(keyframes[-1], duration)
    if len(keyframes) == 1:
        yield from hold(keyframes[0], num_frames)
        return
    times_n = np.array([each.time for each in keyframes])
    where = allocate(times_n, num_frames, FPS, strategy, seed)
    used = np.unique(where.pair)
    for start in range(0, len(used), PAIRS):
        group_P = used[start : start + PAIRS]
        pictures = [torch.cat([keyframes[p + side].picture_13SS for p in group_P]) for side in (0, 1)]
        is_here = (where.pair >= group_P[0]) & (where.pair <= group_P[-1])
        at_R = np.searchsorted(group_P, where.pair[is_here])
        yield from _render_packed(model, pictures, np.diff(times_n)[group_P], at_R, where.t[is_here])


def _render_packed(
    model: Interpolator,
    pictures: list[Tensor],
    seconds_P: NDArray[np.float64],
    at_R: NDArray[np.int64],
    t_R: NDArray[np.float32],
) -> Iterator[Frames]:
    """Encode pairs once, then yield instants t of the pairs `at` in blocks."""
    left, right = pictures
    features = model.pairs(left, right, torch.from_numpy(seconds_P).to(left))
    for start in range(0, len(t_R), BLOCK):
        at = torch.from_numpy(at_R[start : start + BLOCK]).to(left.device)
        t = torch.from_numpy(t_R[start : start + BLOCK]).to(left)
        yield to_bytes(model.render(features.at(at), left[at], right[at], t)).cpu().numpy()


def _count(last: Drawn, duration: Seconds | None) -> int:
    return count_frames(last.phoneme.end if duration is None else duration, FPS)


def frames_before(time: Seconds) -> int:
    """Count the frames whose middle lies before an instant."""
    count = max(0, round(time * FPS) - 1)
    while (count + 0.5) / FPS < time:
        count += 1
    return count


def instants(left: Seconds, right: Seconds, first: int, stop: int) -> NDArray[np.float32]:
    """Place frames `first` to `stop` inside an interval, 0 to 1; (stop - first,)."""
    middles = (np.arange(first, stop) + 0.5) / FPS
    return np.clip((middles - left) / max(right - left, 1e-9), 0.0, 1.0).astype(np.float32)
