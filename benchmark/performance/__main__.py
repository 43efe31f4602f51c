"""`python -m benchmark.performance`: measure an evaluation's speed and write the figures and their page."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from datapipe.console import DONE, FAILED, emit, guarded, say
from datapipe.machine import environment
from datapipe.performance.figures import (
    Measurement,
    Performance,
    joined,
    read_performance,
    write_performance,
)
from datapipe.performance.render import write_page
from datapipe.records import Rejected

from .frechet import measure_frechet
from .growth import measure_memory, measure_time
from .one_pass import measure_one_pass
from .sizes import FULL, QUICK, Sizes
from .sync_stage import measure_sync_stage

MEASUREMENTS: dict[str, Callable[[Sizes, Path], Measurement]] = {
    "a": measure_frechet,
    "b": measure_one_pass,
    "c": measure_sync_stage,
    "d": measure_memory,
    "e": measure_time,
}
"""Questions by the letter they have in the report."""
PACKAGES = ("avatarsync", "av", "numpy", "onnxruntime", "scipy", "torch", "torchmetrics")
FILE, PAGE = "benchmark.json", "benchmark.md"
HEAD = """# How fast an evaluation is

Written by `make bench-benchmark` from `benchmark.json`. A bar holds when the median of its repeats keeps to
the limit; *expected* was written down before the first measurement.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Measure how fast an evaluation is, and what memory it takes."""

    out: Path = Path("reports/performance")
    """Folder for benchmark.json and benchmark.md."""
    only: str = ",".join(MEASUREMENTS)
    """Letters, with commas between; what was measured before on this machine stays."""
    quick: bool = False
    """Tiny sizes: a trial of the measuring, in about two minutes."""
    render: bool = False
    """Measure nothing; draw the page from the figures that are there."""
    scratch: Path | None = None
    """Folder for what is made meanwhile; left out, the system's temporary one."""


def main(argv: Sequence[str]) -> int:
    """Measure, write, and give 1 when a bar was missed or a measurement failed."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m benchmark.performance")
    return guarded(lambda: _run(arguments))


def _run(arguments: Arguments) -> int:
    failed = {} if arguments.render else _measured(arguments)
    for name, why in failed.items():
        say(f"({name}) was not measured: {why}")
    performance = read_performance(arguments.out, FILE)
    emit(str(write_page(arguments.out, performance, PAGE, HEAD)))
    missed = [f for each in performance.measurements for f in each.figures if f.holds is False]
    for figure in missed:
        say(f"missed: {figure.name}: {figure.median:.2f}, {figure.sense} {figure.limit:g} {figure.unit}")
    return FAILED if failed or (missed and not arguments.quick) else DONE


def _measured(arguments: Arguments) -> dict[str, str]:
    """Measure letter by letter and write each down as it comes; those that failed, and why."""
    before = read_performance(arguments.out, FILE) if (arguments.out / FILE).exists() else None
    now = Performance(machine=environment(PACKAGES), quick=arguments.quick)
    failed: dict[str, str] = {}
    for name in _chosen(arguments.only):
        try:
            measured = replace(now, measurements=(_measure(name, arguments),))
        except (Rejected, RuntimeError) as error:
            failed[name] = str(error)
            continue
        before = joined(before, measured)
        write_performance(arguments.out, before, FILE)
        write_page(arguments.out, before, PAGE, HEAD)
    return failed


def _measure(name: str, arguments: Arguments) -> Measurement:
    if arguments.scratch is not None:
        arguments.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="avatarsync.", dir=arguments.scratch) as folder:
        started = time.monotonic()
        measurement = MEASUREMENTS[name](QUICK if arguments.quick else FULL, Path(folder))
        return replace(measurement, seconds=round(time.monotonic() - started, 1))


def _chosen(only: str) -> list[str]:
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in MEASUREMENTS]
    if unknown or not chosen:
        raise Rejected("bad_input", f"--only {only}: known are {', '.join(MEASUREMENTS)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
