"""Run a program as its own process group: timed, its words kept in a file, ended with all its children."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .records import Rejected, Seconds

GRACE: Seconds = 5.0
"""How long a program may take to end after it was asked to."""
TAIL_BYTES = 8192
LONGEST_WORDS = 300
"""Characters of a program's last line that go into a failure."""


def run_child(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: Seconds, log: Path
) -> Seconds:
    """Run a program to its end without a shell and return its seconds, process start included.

    What it writes goes into `log`: a pipe could fill up, or be held open by a child that stays. An end by
    timeout or by Ctrl-C takes the whole process group. Raises `Rejected`: bad_input (no such program, exit
    code with the last line), crashed (a signal), timeout.
    """
    with log.open("wb") as words:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Rejected("bad_input", f"`{command[0]}` cannot be started: {error.strerror}") from error
        _wait(process, command[0], timeout)
    _check(process.returncode, command[0], log)
    return time.perf_counter() - began


def _wait(process: subprocess.Popen[bytes], program: str, timeout: Seconds) -> None:
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        end_group(process)
        raise Rejected("timeout", f"`{program}` took longer than {timeout:.0f} s; raise --timeout") from error
    except BaseException:
        end_group(process)
        raise


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask a group leader and its children to end, then make them."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ask)
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break
    process.wait()


def _check(code: int, program: str, log: Path) -> None:
    if code < 0:
        name = signal.Signals(-code).name
        raise Rejected("crashed", f"`{program}` was ended by {name}: {last_words(log)}")
    if code:
        raise Rejected("bad_input", f"`{program}` ended with code {code}: {last_words(log)}")


def last_words(log: Path) -> str:
    """The last line that is not empty; a progress bar's carriage return ends a line too."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = stream.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    return lines[-1][:LONGEST_WORDS] if lines else "no message"


def check_program(program: str, cwd: Path) -> None:
    """Raise `Rejected("bad_input")` when there is no such program, before any clip is tried."""
    found = (cwd / program).is_file() if "/" in program else shutil.which(program) is not None
    if not found:
        raise Rejected("bad_input", f"`{program}` is not a program on this machine; check the command")
