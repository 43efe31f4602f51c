"""Short clips of moving stripes with a tone: what systems are asked to make videos of."""

from pathlib import Path

import numpy as np

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.systems.inputs import SAMPLES_PER_FRAME
from datapipe.media import write_video

NUM_FRAMES = 12
TONE = np.sin(np.arange(NUM_FRAMES * SAMPLES_PER_FRAME, dtype=np.float32) * 0.2) * 0.5


def stripes(num_frames: int, side: int, phase: float) -> np.ndarray:
    """Stripes that move: (T, H, W, 3) RGB, no two frames and no two sides alike."""
    time, row, column = np.mgrid[:num_frames, :side, :side] / side
    waves = [np.sin(9 * row + speed * column + 4 * time + phase) for speed in (1, 3, 7)]
    return np.uint8(np.stack(waves, axis=-1) * 90 + 120)


def striped_cases(folder: Path, num: int) -> tuple[Case, ...]:
    for number in range(num):
        write_video(folder / f"clip{number}.mp4", stripes(NUM_FRAMES, 32, 0.5 * number), TONE)
    return find_cases(folder)
