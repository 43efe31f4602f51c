"""syncnet-python's pipeline on a folder of videos: `VIDEOS WEIGHTS BOXES WORK OUT`.

WEIGHTS holds sfd_face.pth and syncnet_v2.model, BOXES a face box per video. Detection runs its network on
every frame and then gives the box, since S3FD without its trained weights finds nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .torchvision_beside import ready_torchvision

CONFIDENCE = 0.99


def main(argv: Sequence[str]) -> None:
    """Score every video; its crops and sound stay in WORK, so that they can be scored again."""
    videos, weights, boxes, work, out = (Path(each) for each in argv)
    ready_torchvision()
    pipeline = import_module("syncnet_python").SyncNetPipeline(
        {
            "s3fd_weights": str(weights / "sfd_face.pth"),
            "syncnet_weights": str(weights / "syncnet_v2.model"),
        },
        device="cpu",
    )
    planted = json.loads(boxes.read_text(encoding="utf-8"))
    detect = pipeline.s3fd.detect_faces
    found = {}
    for video in sorted(videos.glob("*.mp4")):
        pipeline.s3fd.detect_faces = _planted(detect, planted[video.stem])
        with contextlib.redirect_stdout(io.StringIO()):
            offsets, confidences, distances, *_ = pipeline.inference(
                str(video), cache_dir=str(work / video.stem)
            )
        found[video.stem] = {"offset": offsets, "confidence": confidences, "distance": distances}
    out.write_text(json.dumps(found), encoding="utf-8")


def _planted(detect: Any, box: Sequence[float]) -> Any:
    def detected(*args: Any, **kwargs: Any) -> Any:
        found = detect(*args, **kwargs)
        if len(found):
            raise RuntimeError("S3FD with random weights found a face; its boxes would change the crops")
        return np.array([[*box, CONFIDENCE]])

    return detected


if __name__ == "__main__":
    main(sys.argv[1:])
