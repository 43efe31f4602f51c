"""CSIM in insightface's way, of two folders of videos: `GENERATED TRUTH EVERY OUT`.

SCRFD at 640 pixels on every compared frame, alignment by five points and ArcFace one face at a time, with
onnxruntime on all cores, as `FaceAnalysis.get` does it.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from datapipe import faces
from datapipe.machine import usable_cores
from datapipe.media import read_frames

DETECTOR_SIZE = 640


def main(argv: Sequence[str]) -> None:
    """Compare the largest face of every `EVERY`-th frame; the mean over frames, then over clips."""
    generated, truth, every, out = argv
    config = faces.FaceConfig(
        detector_size=DETECTOR_SIZE, detector_size_small=0, look_closer=False, threads=usable_cores()
    )
    values = []
    for path in sorted(Path(generated).glob("*.mp4")):
        ours, theirs = (_vectors(each, int(every), config) for each in (path, Path(truth) / path.name))
        values.append(statistics.mean(float(a @ b) for a, b in zip(ours, theirs, strict=True)))
    Path(out).write_text(json.dumps({"csim": statistics.mean(values)}), encoding="utf-8")


def _vectors(path: Path, every: int, config: faces.FaceConfig) -> list[faces.Floats]:
    frames = read_frames(path)[::every]
    return [faces.embed(frame, faces.detect(frame, config)[0], config) for frame in frames]


if __name__ == "__main__":
    main(sys.argv[1:])
