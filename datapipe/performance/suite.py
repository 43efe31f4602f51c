"""The loop around measurements: choose letters, measure one by one, write each down as it comes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import tyro

from ..console import DONE, FAILED, emit, guarded, say
from ..machine import environment
from ..records import Rejected
from .figures import Measurement, Performance, joined, read_performance, write_performance
from .render import write_page

SizesT = TypeVar("SizesT")
HEAD = """# {title}

Written by `make bench-{package}` from `{package}.json`. A bar holds when the median of its repeats keeps to
the limit; *expected* was written down before the first measurement.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite(Generic[SizesT]):
    """All that is measured of one package, and how it is headed."""

    package: str
    """Its name: `make bench-PACKAGE` writes PACKAGE.json and PACKAGE.md."""
    title: str
    """Head of the page."""
    measurements: Mapping[str, Callable[[SizesT, Path], Measurement]]
    """Questions by the letter they have in the report; each gets sizes and an empty folder."""
    full: SizesT
    quick: SizesT
    """Sizes of a trial of the measuring."""
    packages: tuple[str, ...]
    """Distributions whose versions are written down."""

    @property
    def file(self) -> str:
        """Name of the record."""
        return f"{self.package}.json"

    @property
    def page(self) -> str:
        """Name of the page."""
        return f"{self.package}.md"

    @property
    def head(self) -> str:
        """First lines of the page."""
        return HEAD.format(title=self.title, package=self.package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What is measured, and where it is written."""

    out: Path = Path("reports/performance")
    """Folder for the record and its page."""
    only: str | None = None
    """Letters, with commas between; what was measured before on this machine stays. Left out: all."""
    quick: bool = False
    """Tiny sizes: a trial of the measuring, in about two minutes."""
    render: bool = False
    """Measure nothing; draw the page from the figures that are there."""
    scratch: Path | None = None
    """Folder for what is made meanwhile; left out, the system's temporary one."""


def run_suite(suite: Suite[SizesT], argv: Sequence[str]) -> int:
    """Measure, write, and give 1 when a bar was missed or a measurement failed."""
    name = f"python -m {suite.package}.performance"
    arguments = tyro.cli(Arguments, args=argv, prog=name, description=suite.title)
    return guarded(lambda: _run(suite, arguments))


def _run(suite: Suite[SizesT], arguments: Arguments) -> int:
    failed = {} if arguments.render else _measured(suite, arguments)
    for name, why in failed.items():
        say(f"({name}) was not measured: {why}")
    performance = read_performance(arguments.out, suite.file)
    emit(str(write_page(arguments.out, performance, suite.page, suite.head)))
    missed = [f for each in performance.measurements for f in each.figures if f.holds is False]
    for figure in missed:
        say(f"missed: {figure.name}: {figure.median:.2f}, {figure.sense} {figure.limit:g} {figure.unit}")
    return FAILED if failed or (missed and not arguments.quick) else DONE


def _measured(suite: Suite[SizesT], arguments: Arguments) -> dict[str, str]:
    """Measure letter by letter; those that failed, and why."""
    known = (arguments.out / suite.file).exists()
    before = read_performance(arguments.out, suite.file) if known else None
    now = Performance(machine=environment(suite.packages), quick=arguments.quick)
    failed: dict[str, str] = {}
    for name in _chosen(suite, arguments.only):
        try:
            measured = replace(now, measurements=(_measure(suite, name, arguments),))
        except (Rejected, RuntimeError) as error:
            failed[name] = str(error)
            continue
        before = joined(before, measured)
        write_performance(arguments.out, before, suite.file)
        write_page(arguments.out, before, suite.page, suite.head)
    return failed


def _measure(suite: Suite[SizesT], name: str, arguments: Arguments) -> Measurement:
    if arguments.scratch is not None:
        arguments.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="avatarsync.", dir=arguments.scratch) as folder:
        started = time.monotonic()
        sizes = suite.quick if arguments.quick else suite.full
        measurement = suite.measurements[name](sizes, Path(folder))
        return replace(measurement, seconds=round(time.monotonic() - started, 1))


def _chosen(suite: Suite[SizesT], only: str | None) -> list[str]:
    if only is None:
        return list(suite.measurements)
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in suite.measurements]
    if unknown or not chosen:
        raise Rejected("bad_input", f"--only {only}: known are {', '.join(suite.measurements)}")
    return chosen
