"""Speed, from what each system measured itself and wrote into timing.json: model loading is not in it."""

from __future__ import annotations

from collections.abc import Callable

from datapipe.records import Rejected

from ..records import Timing, protocol
from .metric import Metric, Pair, mean_over_cases, per_case


def _metric(
    name: str, title: str, unit: str, about: str, value_of: Callable[[Timing], float | None]
) -> Metric:
    def value(pair: Pair) -> float:
        """Take the time out of the record, or say that it is not there."""
        measured = value_of(pair.timing) if pair.timing else None
        if measured is None:
            raise Rejected(
                "missing_file", f"{pair.key}: timing.json has no such time; let the system write it"
            )
        return measured

    return Metric(
        name=f"video/{name}",
        title=title,
        unit=unit,
        direction="lower",
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
    lambda t: t.seconds / t.media_seconds,
)
FIRST_FRAME = _metric(
    "first_frame", "first frame", "s", "Seconds until the first frame.", lambda t: t.first_frame_seconds
)
