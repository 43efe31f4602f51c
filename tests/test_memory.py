"""Frames' memory is used again, and never while somebody holds a part of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from datapipe import memory
from datapipe.memory import frames_like


def place(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_it_is_used_again_when_nothing_of_it_is_left() -> None:
    first = frames_like((5, 40, 30, 3))
    where = place(first)
    del first
    smaller = frames_like((4, 40, 30, 3))
    assert place(smaller) == where and smaller.flags.c_contiguous and smaller.shape == (4, 40, 30, 3)
    del smaller
    assert len(memory._buffer) >= 5 * 40 * 30 * 3


def test_any_part_of_it_keeps_it() -> None:
    for keep in (
        lambda frames: frames[2:3],
        lambda frames: frames[1, ::-1, 4:9],
        lambda frames: torch.from_numpy(frames).float().permute(0, 3, 1, 2)[1:],
        lambda frames: torch.from_numpy(frames[0]),
        lambda frames: memoryview(frames[3]),
        lambda frames: frames.reshape(-1).view(np.int8),
    ):
        frames = frames_like((6, 20, 20, 3))
        frames[:] = 7
        kept = keep(frames)
        del frames
        frames_like((6, 20, 20, 3))[:] = 99
        assert set(np.asarray(kept).ravel().tolist()) == {7}


def test_threads_get_memory_of_their_own() -> None:
    def work(number: int) -> bool:
        frames = frames_like((3, 50, 50, 3))
        frames[:] = number
        return all(bool((frames == number).all()) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
