"""Frames kept bit for bit: FFV1 in Matroska, written as they come and read one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .container import opened, video_stream
from .files import publish
from .film import FPS


class Roll:
    """A lossless film that grows."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._stream: Any = None

    def add(self, frames_THW3: NDArray[np.uint8]) -> None:
        """Append (T, H, W, 3) RGB pictures, all of one size."""
        for picture in frames_THW3:
            if self._stream is None:
                self._stream = self._out.add_stream("ffv1", rate=FPS)
                self._stream.height, self._stream.width = picture.shape[:2]
                self._stream.pix_fmt = "bgra"
                self._stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(_with_alpha(picture), format="bgra")
            self._out.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._out.mux(self._stream.encode(None))


@contextmanager
def new_roll(path: Path) -> Iterator[Roll]:
    """Open a lossless film to append to; it appears whole or not at all."""
    with publish(path) as temporary, av.open(str(temporary), "w", format="matroska") as out:
        roll = Roll(out)
        yield roll
        roll.finish()


def read_roll(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures (H, W, 3) of a lossless film in order. Raises what `container.opened` raises."""
    with opened(path) as container:
        for frame in container.decode(video_stream(container, path.name)):
            yield np.ascontiguousarray(frame.to_ndarray(format="bgra")[..., 2::-1])


def _with_alpha(picture_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    padded = np.full((*picture_HW3.shape[:2], 4), 255, np.uint8)
    padded[..., :3] = picture_HW3[..., ::-1]
    return padded
