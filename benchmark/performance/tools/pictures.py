"""Every frame of a folder of videos as PNG, for the tools that read pictures: `VIDEOS FOLDER`.

The decoder is the one that all sides use, so that all see equal pixels; a thread per core encodes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.machine import usable_cores
from datapipe.media import read_frames


def main(argv: Sequence[str]) -> None:
    """Write FOLDER/NAME-00000.png and so on."""
    videos, folder = map(Path, argv)
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for video in sorted(videos.glob("*.mp4")):
            frames = read_frames(video)
            names = [str(folder / f"{video.stem}-{number:05}.png") for number in range(len(frames))]
            list(pool.map(_write, names, frames))


def _write(path: str, frame_HW3: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(path, frame_HW3[..., ::-1]):
        raise OSError(f"{path} could not be written")


if __name__ == "__main__":
    main(sys.argv[1:])
