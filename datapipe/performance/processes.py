"""Programs are measured as their users run them: a process of its own, started, timed and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..records import Rejected, Seconds

TAIL = 2000
"""Characters of a failed child's last words that are shown."""


def run_module(module: str, arguments: Sequence[object], longest: Seconds, **environment: str) -> str:
    """Run `python -m module` and give what it prints; `Rejected("step_failed")` when it fails or hangs."""
    return run_command([sys.executable, "-m", module, *map(str, arguments)], longest, environment)


def run_command(command: Sequence[str], longest: Seconds, environment: Mapping[str, str]) -> str:
    """Run a command and give what it prints; `Rejected("step_failed")` when it fails or hangs."""
    name = Path(command[2] if command[1] == "-m" else command[0]).name
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            timeout=longest,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Rejected("timeout", f"{name} took more than {longest:.0f} s and was ended") from error
    if done.returncode:
        last = (done.stderr or done.stdout)[-TAIL:]
        raise Rejected("step_failed", f"{name} failed ({done.returncode}): {last}")
    return done.stdout


@contextmanager
def on_one_core() -> Iterator[None]:
    """Let this thread, and every process that it starts meanwhile, use a single core of the machine.

    Raises `Rejected("step_failed")` where the system cannot pin a process.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise Rejected("step_failed", "this system cannot hold a process to one core; measure on Linux")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
