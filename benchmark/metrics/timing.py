"""Speed, from what each system measured itself and wrote into timing.json: model loading is not in it."""

from __future__ import annotations

import math
from collections.abc import Callable

from datapipe.records import Rejected

from ..records import Direction, Timing, protocol
from .metric import Metric, Pair, mean_over_cases, per_case


def _metric(
    name: str,
    title: str,
    unit: str,
    about: str,
    value_of: Callable[[Timing], float | None],
    direction: Direction = "lower",
) -> Metric:
    def value(pair: Pair) -> float:
        """Take the time out of the record, or say that it is not there."""
        measured = value_of(pair.timing) if pair.timing else None
        if measured is None:
            raise Rejected("missing_file", f"{pair.key}: timing.json does not say; let the system write it")
        if not (math.isfinite(measured) and measured > 0):
            what = f"{pair.key}: timing.json says {measured:g}"
            raise Rejected("bad_input", f"{what}, which is no time or size; let the system measure again")
        return measured

    return Metric(
        name=f"video/{name}",
        title=title,
        unit=unit,
        direction=direction,
        best=None,
        protocol=protocol(source="timing.json of the system", batch=1, model_loading="excluded", value=about),
        about=about,
        measure=per_case(value),
        compute=mean_over_cases,
        of="timing",
    )


LATENCY = _metric(
    "latency", "latency", "s", "Seconds from request to finished video, per clip.", lambda t: t.seconds
)
RTF = _metric(
    "rtf",
    "RTF",
    "",
    "Processing time over media time (below 1 is real time).",
    lambda t: t.seconds / t.media_seconds if t.media_seconds else math.inf,
)
FIRST_FRAME = _metric(
    "first_frame", "first frame", "s", "Seconds until the first frame.", lambda t: t.first_frame_seconds
)
FRAME_RATE = _metric(
    "fps",
    "FPS",
    "1/s",
    "Frames made per second of processing.",
    lambda t: t.num_frames / t.seconds if t.seconds > 0 else None,
    "higher",
)
PEAK_MEMORY = _metric(
    "peak_memory",
    "peak memory",
    "GB",
    "Most memory that the system's processes held at once.",
    lambda t: None if t.peak_bytes is None else t.peak_bytes / 1e9,
)
NAMES = tuple(each.name for each in (LATENCY, RTF, FIRST_FRAME, FRAME_RATE, PEAK_MEMORY))
