"""Time any generator from outside: a command line per clip, warm-up first, every raw time kept."""

from __future__ import annotations

import re
import shlex
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datapipe.media import FPS, probe
from datapipe.records import Rejected, Seconds

from .records import Case

PLACES = ("{reference}", "{audio}", "{out}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyConfig:
    """How often a command is run."""

    warmup: int = 1
    """Runs before the clock counts."""
    repeats: int = 3
    """Timed runs per clip; the median is reported, and a percentile only from eleven runs on."""
    timeout: Seconds = 600.0
    """A run that takes longer is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """All times of one clip, process start included."""

    key: str
    seconds: tuple[Seconds, ...]
    """Raw times in the order of the runs."""
    media_seconds: Seconds
    num_frames: int

    @property
    def median(self) -> Seconds:
        """Median of the timed runs."""
        return statistics.median(self.seconds)

    @property
    def rtf(self) -> float:
        """Median processing time over media time."""
        return self.median / self.media_seconds


def command_for(template: str, case: Case, out: Path) -> list[str]:
    """Fill a template such as `python run.py --image {reference} --audio {audio} --out {out}`.

    The template is split like a shell would, then filled, so that no path can add an argument; no shell runs.
    """
    words = shlex.split(template)
    missing = [place for place in ("{out}",) if not any(place in word for word in words)]
    if missing or not words:
        raise Rejected("bad_input", f"the command must hold {{out}}, and may hold {', '.join(PLACES[:2])}")
    picture = case.picture or case.video
    values = dict(zip(PLACES, (str(picture), str(case.video.with_suffix(".wav")), str(out)), strict=True))
    return [_filled(word, values) for word in words]


def _filled(word: str, values: dict[str, str]) -> str:
    """Fill each place once: a path that holds `{out}` stays as it is."""
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found.group()], word)


def time_command(
    template: str,
    cases: Sequence[Case],
    out: Path,
    config: LatencyConfig = LatencyConfig(),
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Latency, ...]:
    """Run the command for each case; raises `Rejected` when it fails, takes too long or writes no video."""
    out.mkdir(parents=True, exist_ok=True)
    return tuple(_time_case(template, case, out / f"{case.key}.mp4", config, clock) for case in cases)


def _time_case(
    template: str, case: Case, video: Path, config: LatencyConfig, clock: Callable[[], float]
) -> Latency:
    command = command_for(template, case, video)
    seconds = []
    for run in range(config.warmup + config.repeats):
        video.unlink(missing_ok=True)
        began = clock()
        _run(command, config.timeout)
        if run >= config.warmup:
            seconds.append(clock() - began)
    made = probe(video)
    frames = made.num_frames if made.fps == FPS else round(made.duration * FPS)
    return Latency(key=case.key, seconds=tuple(seconds), media_seconds=made.duration, num_frames=frames)


def _run(command: list[str], timeout: Seconds) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=timeout)
    except FileNotFoundError as error:
        raise Rejected(
            "bad_input", f"`{command[0]}` is not a program on this machine; check --command"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Rejected(
            "timeout", f"`{command[0]}` took longer than {timeout:.0f} s; raise --timeout"
        ) from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise Rejected(
            "bad_input", f"`{command[0]}` ended with code {error.returncode}: {last[0]}"
        ) from error


def timing_record(system: str, latencies: Sequence[Latency]) -> dict[str, object]:
    """The content of timing.json, with the raw times beside the medians."""
    clips = {
        each.key: {
            "seconds": each.median,
            "media_seconds": each.media_seconds,
            "num_frames": each.num_frames,
            "first_frame_seconds": None,
        }
        for each in latencies
    }
    raw = {each.key: list(each.seconds) for each in latencies}
    return {"system": system, "load_seconds": None, "clips": clips, "raw_seconds": raw}
