"""Real-time factors for the plot, as `avatarsync bench latency` measured them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cattrs

from datapipe.records import Rejected, from_dict

from ..speed.latency_report import LATENCY_SCHEMA, LatencyReport

HOW = "give the latency.json of `avatarsync bench latency`"


def read_speeds(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """System to its real-time factor over all its clips, and what that rests on.

    Raises `Rejected("bad_input")` naming file and field for what is no record of a timing session, and for a
    system that two files time.
    """
    speeds: dict[str, dict[str, Any]] = {}
    for path in paths:
        report = _read(path)
        if report.system in speeds:
            raise Rejected(
                "bad_input", f"{path}: system is {report.system!r}, timed by another file; give one"
            )
        speeds[report.system] = _speed(report, path)
    return speeds


def _read(path: Path) -> LatencyReport:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != LATENCY_SCHEMA:
            raise Rejected("bad_input", f"{path}: schema is {schema!r}, not {LATENCY_SCHEMA!r}; {HOW}")
        return from_dict(content, LatencyReport)
    except FileNotFoundError as error:
        raise Rejected("bad_input", f"{path} is not there; {HOW}") from error
    except cattrs.BaseValidationError as error:
        raise Rejected("bad_input", f"{path}: {cattrs.transform_error(error)[0]}; {HOW}") from error
    except (ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise Rejected("bad_input", f"{path} is no timing record; {HOW}") from error


def _speed(report: LatencyReport, path: Path) -> dict[str, Any]:
    media = math.fsum(clip.media_seconds for clip in report.clips)
    rtf = math.fsum(clip.median for clip in report.clips) / media if report.clips and media > 0 else None
    if rtf is None or not (math.isfinite(rtf) and rtf > 0):
        raise Rejected("bad_input", f"{path}: clips have no times above 0; {HOW}")
    runs = sum(len(clip.trials) for clip in report.clips)
    machine = report.environment.get("processor", "unknown processor")
    gpu = report.environment.get("gpu", "none")
    says = f"{path.name}: {runs} runs of {len(report.clips)} clips, {machine}, GPU {gpu}"
    return {"rtf": float(f"{rtf:.5g}"), "says": says}
