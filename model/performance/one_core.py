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

from ..avatar import Avatar
from .clocks import clocked


def main(plan: dict[str, Any]) -> dict[str, Any]:
    """Make one video a repeat, after one that does not count."""
    began = time.perf_counter()
    avatar = Avatar.load(plan["run"])
    loaded = time.perf_counter() - began
    films = [_film(avatar, plan) for _ in range(plan["repeats"] + 1)]
    return {"cores": usable_cores(), "load": loaded, "cold": films[0], "films": films[1:]}


def _film(avatar: Avatar, plan: dict[str, Any]) -> dict[str, Any]:
    """From files to a file: stages, all of it, and the time until the first frames."""
    began, worked = time.perf_counter(), time.process_time()
    with clocked(avatar) as stages:
        bound = avatar.set_reference(Path(plan["reference"]), face="largest")
        until_bound = time.perf_counter() - began
        video = bound.speak(language=plan["language"], audio=plan["audio"], transcript=plan["transcript"])
        made = video.save(plan["out"])
    return {
        "stages": stages,
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - worked,
        "first_frame": until_bound + made.first_frame_seconds,
        "media_seconds": made.media_seconds,
        "num_frames": made.num_frames,
    }


if __name__ == "__main__":
    answer = main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")
