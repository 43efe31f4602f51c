"""Our sync stage on a folder of videos: `VIDEOS WEIGHTS OUT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datapipe.machine import usable_cores

from ...extract import rows_of
from ...footage import Store, open_footage
from ...machine import use_one_thread
from ...metrics.sync import lip_extractor, sound_extractor
from ...sync.distances import score
from ...sync.judge import Judge, load_judge


def main(argv: Sequence[str]) -> None:
    """Decode, follow the face, crop, embed and compare; a video per core at a time."""
    videos, weights, out = (Path(each) for each in argv)
    judge = load_judge(weights / "syncnet_v2.model")
    paths = sorted(videos.glob("*.mp4"))
    with ThreadPoolExecutor(usable_cores()) as pool:
        scores = pool.map(lambda path: _score(path, judge), paths)
        found = {path.stem: each for path, each in zip(paths, scores, strict=True)}
    out.write_text(json.dumps(found), encoding="utf-8")


def _score(path: Path, judge: Judge) -> dict[str, float]:
    use_one_thread()
    footage = open_footage(path, Store())
    lips, sound = (rows_of(footage, each) for each in (lip_extractor(judge), sound_extractor(judge)))
    result = score(lips, sound, judge.edges)
    return {"offset": result.offset, "confidence": result.confidence, "distance": result.distance}


if __name__ == "__main__":
    main(sys.argv[1:])
