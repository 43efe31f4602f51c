"""A Fréchet distance of stored features in a process of its own, with its peak memory: `FOLDER CLIPS OUT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...extract import Rows
from ...intervals import frechet_of_clips
from .evaluation import peak_bytes


def main(argv: Sequence[str]) -> None:
    """Take the distance of the first `CLIPS` clips: FOLDER holds N-generated.npy and N-truth.npy."""
    folder, num_clips, out = Path(argv[0]), int(argv[1]), Path(argv[2])
    clips = [
        (_rows(folder / f"{number}-generated.npy"), _rows(folder / f"{number}-truth.npy"))
        for number in range(num_clips)
    ]
    value = frechet_of_clips(clips, "FID", ddof=1).value
    out.write_text(json.dumps({"peak_bytes": peak_bytes(), "value": value}), encoding="utf-8")


def _rows(path: Path) -> Rows:
    return Rows(len(np.load(path, mmap_mode="r", allow_pickle=False)), None, path)


if __name__ == "__main__":
    main(sys.argv[1:])
