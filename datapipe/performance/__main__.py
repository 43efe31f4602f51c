"""`python -m datapipe.performance`: measure a build's speed and write the figures and their page."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from ..console import DONE, FAILED, emit, guarded, say
from ..machine import environment
from ..records import Rejected
from .backends import measure_backends
from .catalogue import measure_catalogue
from .chain import measure_chain
from .figures import FILE, Measurement, Performance, joined, read_performance, write_performance
from .render import write_page
from .repeat import FULL, QUICK, Sizes
from .straight import measure_straight
from .workers import measure_workers

MEASUREMENTS: dict[str, Callable[[Sizes, Path], Measurement]] = {
    "a": measure_straight,
    "b": measure_workers,
    "c": measure_chain,
    "d": measure_catalogue,
    "e": measure_backends,
}
"""Questions by the letter they have in the report."""
PACKAGES = ("avatarsync", "av", "dask", "numpy", "onnxruntime", "opencv-python-headless", "pyarrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Measure how fast a build is."""

    out: Path = Path("reports/performance")
    """Folder for datapipe.json and datapipe.md."""
    only: str = ",".join(MEASUREMENTS)
    """Letters, with commas between; what was measured before on this machine stays."""
    quick: bool = False
    """Tiny sizes: a trial of the measuring, in about two minutes."""
    render: bool = False
    """Measure nothing; draw the page from the figures that are there."""
    scratch: Path | None = None
    """Folder for what is built meanwhile; left out, the system's temporary one."""


def main(argv: Sequence[str]) -> int:
    """Measure, write, and give 1 when a bar was missed."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m datapipe.performance")
    return guarded(lambda: _run(arguments))


def _run(arguments: Arguments) -> int:
    if arguments.render:
        performance = read_performance(arguments.out)
    else:
        before = read_performance(arguments.out) if (arguments.out / FILE).exists() else None
        now = Performance(machine=environment(PACKAGES), quick=arguments.quick)
        for name in _chosen(arguments.only):
            measured = replace(now, measurements=(_measure(name, arguments),))
            before = performance = joined(before, measured)
            write_performance(arguments.out, performance)
    emit(str(write_page(arguments.out, performance)))
    missed = [f for each in performance.measurements for f in each.figures if f.holds is False]
    for figure in missed:
        say(f"missed: {figure.name}: {figure.median:.2f}, {figure.sense} {figure.limit:g} {figure.unit}")
    return FAILED if missed and not arguments.quick else DONE


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
