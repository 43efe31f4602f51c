"""Time any generator: batch 1, loading apart, warm-up first, from the request to the finished video.

A system is a command line or a session (`session.Session`). Every raw time is kept; an outlier is named,
never removed; what was not measured is None, never a guess.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from datapipe.console import track
from datapipe.media import probe
from datapipe.records import Rejected, Seconds, to_dict
from datapipe.template import fill, places_in, split

from ..records import Case, Timing
from ..systems.inputs import audio_file, check_key, reference_file, text_of
from .own_record import OwnRecord, read_own_record
from .percentiles import outliers
from .process_tree import run_command
from .session import Request, Session

PLACES = ("out", "reference", "audio", "video", "text", "key")
"""What a command may hold in braces."""
DECLARED_FPS = 25.0
"""Frame rate that all systems are held to, beside their own: fewer frames a second are less work."""

Clock = Literal["outside", "inside"]
"""Who timed: we around the whole process, or the system (or its session's process) without loading."""
FirstFrameFrom = Literal["record", "out", "stdout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyConfig:
    """How often a system is asked."""

    warmup: int = 1
    """Runs before the clock counts; kept apart."""
    repeats: int = 3
    """Timed runs per clip; the median is reported, and a percentile only from eleven runs on."""
    timeout: Seconds = 600.0
    """A run that takes longer is a failure."""
    first_frame: FirstFrameFrom = "record"
    """Where a command's first frame shows: its own record, its growing file, or its standard output."""

    def __post_init__(self) -> None:
        if self.warmup < 0 or self.repeats < 1 or not self.timeout > 0:
            message = f"{self.warmup} warm-ups, {self.repeats} repeats, {self.timeout} s cannot be timed"
            raise Rejected("bad_input", f"{message}; ask for at least one repeat and a time limit above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run, from the request to the finished video."""

    seconds: Seconds
    clock: Clock = "outside"
    wall_seconds: Seconds | None = None
    """Of a command: the whole process, loading included."""
    load_seconds: Seconds | None = None
    """As a command's own record has it."""
    first_frame_seconds: Seconds | None = None
    cpu_seconds: Seconds | None = None
    """Processor time of all processes; a command's includes its loading."""
    peak_bytes: int | None = None
    gpu_peak_bytes: int | None = None
    stages: dict[str, Seconds] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """All runs of one clip."""

    key: str
    trials: tuple[Trial, ...]
    """Timed runs, in their order."""
    warmups: tuple[Trial, ...] = ()
    """Runs before; the first of them is the cold one."""
    media_seconds: Seconds
    """Length of the video that was made."""
    num_frames: int
    """Frames of the video that was made, at its own rate."""
    fps: float = DECLARED_FPS
    """The video's own rate."""

    @property
    def seconds(self) -> tuple[Seconds, ...]:
        """Raw times in the order of the runs."""
        return tuple(trial.seconds for trial in self.trials)

    @property
    def median(self) -> Seconds:
        """Median of the timed runs."""
        return statistics.median(self.seconds)

    @property
    def rtf(self) -> float:
        """Median processing time over media time, at the video's own frame rate; below 1 is real time."""
        return self.median / self.media_seconds

    @property
    def frames_per_second(self) -> float:
        """Frames made per second of processing."""
        return self.num_frames / self.median

    @property
    def rtf_declared(self) -> float:
        """Processing time over media time if the same frames were played at the declared 25 per second."""
        return DECLARED_FPS / self.frames_per_second

    @property
    def outliers(self) -> tuple[int, ...]:
        """Indices of runs far from the median; flagged, not removed."""
        return outliers(self.seconds)


class Speaker(Protocol):
    """One run: makes the video of a case at `out` and says what it took."""

    def __call__(self, case: Case, out: Path) -> Trial:
        """Raises `Rejected` when the system fails."""
        ...


def command_for(template: str, case: Case, out: Path) -> list[str]:
    """Fill a template such as `python run.py --image {reference} --audio {audio} --out {out}`.

    The template is split like a shell would, then filled, so that no path can add an argument; no shell runs.
    A picture or sound that the case has only inside its video is written beside `out`.
    """
    words = split(template, PLACES, ("out",))
    values = {"out": str(out), "video": str(case.video.resolve()), "key": case.key, "text": text_of(case)}
    if "reference" in (used := places_in(words)):
        values["reference"] = str(reference_file(case, out.parent))
    if "audio" in used:
        values["audio"] = str(audio_file(case, out.parent))
    return [fill(word, values) for word in words]


def command_speaker(
    template: str, config: LatencyConfig, clock: Callable[[], float] = time.perf_counter
) -> Speaker:
    """Run the command for each query, process start included.

    Loading is told apart only if the command writes timing.json beside the video (docs/latency.md).
    """

    def speak(case: Case, out: Path) -> Trial:
        """Run it once in the folder of `out`."""
        to_stdout = config.first_frame == "stdout"
        watched = {"record": None, "out": out, "stdout": out.with_name("stdout.stream")}[config.first_frame]
        command = command_for(template, case, out)
        usage = run_command(command, config.timeout, watched, to_stdout, clock)
        own = read_own_record(out.parent / "timing.json", case.key, usage.wall_seconds)
        trial = Trial(
            seconds=usage.wall_seconds,
            wall_seconds=usage.wall_seconds,
            first_frame_seconds=usage.first_frame_seconds,
            cpu_seconds=usage.cpu_seconds,
            peak_bytes=usage.peak_bytes,
        )
        return _with_own(trial, own) if own else trial

    return speak


def _with_own(trial: Trial, own: OwnRecord) -> Trial:
    """Let the command's own clock count: it alone can leave loading out."""
    return replace(
        trial,
        seconds=own.seconds,
        clock="inside",
        load_seconds=own.load_seconds,
        first_frame_seconds=own.first_frame_seconds,
        stages=own.stages,
    )


def session_speaker(session: Session) -> Speaker:
    """Ask a loaded session for each query."""

    def speak(case: Case, out: Path) -> Trial:
        """Ask once."""
        answer = session.ask(
            Request(
                reference=reference_file(case, out.parent),
                audio=audio_file(case, out.parent),
                phonemes=case.sample.phonemes if case.sample else (),
                out=out,
            )
        )
        return Trial(
            seconds=answer.seconds,
            clock="inside",
            first_frame_seconds=answer.first_frame_seconds,
            cpu_seconds=answer.cpu_seconds,
            peak_bytes=answer.peak_bytes,
            gpu_peak_bytes=answer.gpu_peak_bytes,
            stages=answer.stages,
        )

    return speak


@contextmanager
def speaking(
    command: str | None, factory: str | None, config: LatencyConfig
) -> Iterator[tuple[Speaker, Seconds | None]]:
    """Yield what asks the system, and the seconds it took to load where that is known.

    Raises `Rejected("bad_input")` unless exactly one of the two is given.
    """
    if (command is None) == (factory is None):
        raise Rejected("bad_input", "give either --command or --callable, to say what is timed")
    if factory is None:
        yield command_speaker(command or "", config), None
        return
    with Session(factory, config.timeout) as session:
        yield session_speaker(session), session.load_seconds


def time_command(
    template: str,
    cases: Sequence[Case],
    out: Path,
    config: LatencyConfig = LatencyConfig(),
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Latency, ...]:
    """Run the command for each case; raises `Rejected` when it fails, takes too long or writes no video."""
    speak = command_speaker(template, config, clock)
    return tuple(time_case(speak, case, out, config) for case in cases)


def time_cases(
    speak: Speaker, cases: Sequence[Case], out: Path, config: LatencyConfig
) -> tuple[tuple[Latency, ...], dict[str, str]]:
    """Time all cases; the second value is the reason of each that failed."""
    measured: list[Latency] = []
    failures: dict[str, str] = {}
    for case in track(cases, "time"):
        try:
            measured.append(time_case(speak, case, out, config))
        except Rejected as rejected:
            failures[case.key] = rejected.message
    return tuple(measured), failures


def time_case(speak: Speaker, case: Case, out: Path, config: LatencyConfig) -> Latency:
    """Warm up, then time one case; the last run's video is left at `out`/KEY.mp4."""
    runs = [run_once(speak, case, out) for _ in range(config.warmup + config.repeats)]
    return latency_of(case.key, out, runs[: config.warmup], runs[config.warmup :])


def run_once(speak: Speaker, case: Case, out: Path) -> Trial:
    """Run in an empty folder, so that no earlier video counts; a whole video is moved to `out`/KEY.mp4."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".run.", dir=out.resolve()) as folder:
        video = Path(folder) / f"{check_key(case.key)}.mp4"
        trial = speak(case, video)
        probe(video)
        video.replace(out / video.name)
    return trial


def latency_of(key: str, out: Path, warmups: Sequence[Trial], trials: Sequence[Trial]) -> Latency:
    """Put the runs of a clip together with what the video says of itself."""
    if len({trial.clock for trial in trials}) > 1:
        raise Rejected("bad_input", f"{key}: only some runs wrote timing.json; write it always or never")
    made = probe(out / f"{key}.mp4")
    return Latency(
        key=key,
        trials=tuple(trials),
        warmups=tuple(warmups),
        media_seconds=made.duration,
        num_frames=made.num_frames,
        fps=float(made.fps),
    )


def timing_record(
    system: str,
    latencies: Sequence[Latency],
    load_seconds: Seconds | None = None,
    failures: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, object]:
    """The content of timing.json, with the raw times beside the medians.

    Without `load_seconds`, loading is the median of what a command's own records say, if they do.
    """
    return {
        "system": system,
        "load_seconds": loading(latencies) if load_seconds is None else load_seconds,
        "clips": {each.key: to_dict(_timing(each)) for each in latencies},
        "failures": dict(failures),
        "raw_seconds": {each.key: list(each.seconds) for each in latencies},
    }


def loading(latencies: Sequence[Latency]) -> Seconds | None:
    """Median loading time of a command, by its own records; None when it writes none."""
    return median_of([trial.load_seconds for each in latencies for trial in each.trials])


def _timing(latency: Latency) -> Timing:
    trials = latency.trials
    return Timing(
        seconds=latency.median,
        media_seconds=latency.media_seconds,
        num_frames=latency.num_frames,
        first_frame_seconds=median_of([trial.first_frame_seconds for trial in trials]),
        peak_bytes=max(filter(None, (trial.peak_bytes for trial in trials)), default=None),
        cpu_seconds=median_of([trial.cpu_seconds for trial in trials]),
        fps=latency.fps,
        stages=stage_medians(latency),
    )


def median_of(values: Sequence[float | None]) -> float | None:
    """Median, where every run has a value; None else: a part of the runs would be another measurement."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(values) else None


def stage_medians(latency: Latency) -> dict[str, Seconds]:
    """Median seconds of each stage that every run reports."""
    names = [name for name in latency.trials[0].stages if all(name in run.stages for run in latency.trials)]
    return {name: statistics.median(run.stages[name] for run in latency.trials) for name in names}
