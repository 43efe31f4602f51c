"""Short clips of moving stripes with a tone: what systems are asked to make videos of."""

from pathlib import Path

import numpy as np

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.selftest.selftest import pattern
from benchmark.systems.inputs import SAMPLES_PER_FRAME
from datapipe.media import write_video

NUM_FRAMES = 12
TONE = np.sin(np.arange(NUM_FRAMES * SAMPLES_PER_FRAME, dtype=np.float32) * 0.2) * 0.5


def striped_cases(folder: Path, num: int) -> tuple[Case, ...]:
    for number in range(num):
        write_video(folder / f"clip{number}.mp4", pattern(NUM_FRAMES, 32, 0.5 * number), TONE)
    return find_cases(folder)
