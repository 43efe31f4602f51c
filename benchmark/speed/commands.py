"""`avatarsync bench latency` and `avatarsync bench cost`: speed on this machine, and cost on none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from datapipe.console import DONE, DONE_WITH_REJECTS, emit, say
from datapipe.files import write_text
from datapipe.records import Rejected, Seconds, to_json

from ..cases import find_cases
from ..records import Case

if TYPE_CHECKING:
    from .latency import LatencyConfig


@dataclass(frozen=True, kw_only=True)
class LatencyCommand:
    """Time a system: a command, process start included, or a Python session, loaded apart.

    Example: avatarsync bench latency --command "make.py {reference} {out}" --reference CASES --out OUT
    """

    reference: Path
    """Folder with the cases."""
    out: Path
    """Folder for the videos, timing.json and latency.json, or the sweep."""
    command: str | None = None
    """Template with {reference}, {audio} and {out}; split like a shell would, run without one."""
    callable: str | None = None
    """package.module:factory; the factory returns a session with speak(...), see docs/latency.md."""
    sweep: bool = False
    """Time one clip cut to 2..20 phonemes, and fit how latency and work grow."""
    name: str = "command"
    """The system's name."""
    warmup: int = 1
    """Runs before the clock counts."""
    repeats: int = 3
    """Timed runs per clip."""
    timeout: Seconds = 600.0
    """Seconds after which a run is a failure."""
    limit: int | None = None
    """Only the first clips."""
    first_frame: Literal["record", "out", "stdout"] = "record"
    """Where a command's first frame shows: its own record, its growing file, or its standard output."""
    json: bool = False
    """Print the record instead of tables."""

    def execute(self) -> int:
        """Print tables; write the videos, their times and the record. Exit code 3 when a clip failed."""
        from .latency import LatencyConfig

        config = LatencyConfig(
            warmup=self.warmup, repeats=self.repeats, timeout=self.timeout, first_frame=self.first_frame
        )
        cases = find_cases(self.reference)[: self.limit]
        return self._sweep(cases, config) if self.sweep else self._time(cases, config)

    def _time(self, cases: Sequence[Case], config: LatencyConfig) -> int:
        from . import latency_report
        from .latency import loading, speaking, time_cases, timing_record

        machine = latency_report.stamp()
        with speaking(self.command, self.callable, config) as (speak, load_seconds):
            clips, failures = time_cases(speak, cases, self.out, config)
        if not clips:
            raise Rejected("bad_input", f"no clip could be timed; {next(iter(failures.values()))}")
        load_seconds = loading(clips) if load_seconds is None else load_seconds
        facts = timing_record(self.name, clips, load_seconds, failures)
        write_text(self.out / "timing.json", json.dumps(facts, indent=1))
        report = latency_report.LatencyReport(
            system=self.name,
            created=latency_report.now(),
            config=config,
            load_seconds=load_seconds,
            clips=clips,
            tails=latency_report.tails(clips),
            environment=machine,
            failures=failures,
        )
        write_text(self.out / "latency.json", to_json(report))
        emit(to_json(report) if self.json else latency_report.markdown(report))
        return DONE_WITH_REJECTS if failures else DONE

    def _sweep(self, cases: Sequence[Case], config: LatencyConfig) -> int:
        from . import latency_report, sweep, sweep_report
        from .latency import speaking

        machine = latency_report.stamp()
        clip = sweep.longest_case(cases)
        cuts = sweep.cut_cases(clip, self.out / "cases")
        with speaking(self.command, self.callable, config) as (speak, load_seconds):
            points = sweep.time_sweep(speak, cuts, self.out / "videos", config)
        result = sweep.Sweep(
            system=self.name,
            created=latency_report.now(),
            clip=clip.key,
            config=config,
            load_seconds=load_seconds,
            points=points,
            latency_fit=sweep.latency_fit(points),
            work_fit=sweep.work_fit(points),
            flat_until=sweep.flat_until(points),
            environment=machine,
        )
        text = sweep_report.write(result, self.out)
        emit(to_json(result) if self.json else text)
        say(f"sweep: {self.out / 'sweep.md'}")
        return DONE


@dataclass(frozen=True, kw_only=True)
class CostCommand:
    """Count what a system computes per output frame, on no hardware at all.

    Example: avatarsync bench cost --callable mymethod.bench:stages --name ours
    """

    callable: str | None = None
    """package.module:function; it returns the stages, see docs/latency.md. Without it: only the peers."""
    name: str = "callable"
    """The system's name."""
    out: Path | None = None
    """Folder for cost.json and cost.md."""
    json: bool = False
    """Print the records instead of tables."""

    def execute(self) -> int:
        """Print what was counted here, and beside it, apart, what is quoted of peers."""
        from .cost import cost_of, markdown, peer_costs

        counted = cost_of(self.callable, self.name) if self.callable else None
        peers = peer_costs()
        text = markdown(counted, peers)
        if self.out:
            write_text(self.out / "cost.md", text + "\n")
            if counted:
                write_text(self.out / "cost.json", to_json(counted))
        emit(to_json({"counted": counted, "quoted": peers}) if self.json else text)
        return DONE
