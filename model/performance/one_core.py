"""Program of (d): load a run, make the same video again and again, and write down what each stage took.

`python -m model.performance.one_core PLAN.json OUT.json`; who starts it decides on the cores.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from datapipe.machine import usable_cores
from datapipe.media import SAMPLE_RATE, probe, read_audio, write_video
from datapipe.records import Seconds

from ..avatar import load_avatar
from ..film import read_reference
from ..provenance import tag
from ..speech import from_audio
from .flow import StopWatch, timed


def main(plan: dict[str, Any]) -> dict[str, Any]:
    """Make one video a repeat, after one that does not count."""
    began = time.perf_counter()
    avatar = load_avatar(Path(plan["run"]))
    loaded = time.perf_counter() - began
    films = [_film(avatar, plan) for _ in range(plan["repeats"] + 1)]
    facts = probe(Path(plan["out"]))
    return {
        "cores": usable_cores(),
        "load": loaded,
        "media_seconds": len(read_audio(Path(plan["audio"]))) / SAMPLE_RATE,
        "num_frames": facts.num_frames,
        "cold": films[0],
        "films": films[1:],
    }


def _film(avatar: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """From files to a file; stages, their sum, and the time until the first frames."""
    watch, worked = StopWatch(), time.process_time()
    speech = from_audio(read_audio(Path(plan["audio"])), plan["language"], plan["transcript"])
    watch.lap("speech")
    picture = read_reference(Path(plan["reference"]), avatar.size, True)
    until_flow = watch.lap("picture")
    made = timed(avatar, picture, speech.phonemes, speech.duration)
    watch.lap("flow")
    write_video(
        Path(plan["out"]), made.frames_THW3, speech.audio, metadata=tag("avatarsync", avatar.run_id, picture)
    )
    watch.lap("mp4")
    stages: dict[str, Seconds] = {"speech": watch.stages["speech"], "picture": watch.stages["picture"]}
    stages |= made.stages | {"mp4": watch.stages["mp4"]}
    return {
        "stages": stages,
        "first_frame": until_flow + made.first_frame,
        "processor": time.process_time() - worked,
        "keyframes": len(speech.phonemes),
    }


if __name__ == "__main__":
    answer = main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
