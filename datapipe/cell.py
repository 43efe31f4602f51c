"""A child process that does the work, so that a crash or a hang in native code costs one item.

The parent sends one message at a time and waits; the child answers, or is killed when it takes too long or
too much memory, and the next message starts another. Messages are JSON, one a line, on the child's stdin
and stdout; whatever a library prints goes to stderr. A child ends when its parent does, however that ends.
The worker of a tool environment is such a child too, with another interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from .records import Seconds
from .scratch import sweep_fast_folders
from .tools.serve import die_with_parent, own_pipes

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GLANCE: Seconds = 0.25
"""How often the child's memory is looked at."""

Message = dict[str, Any]


class CellLost(Exception):
    """The child was lost with the item it worked on; `how` is crashed, timeout or too_large."""

    def __init__(self, how: str, detail: str) -> None:
        super().__init__(detail)
        self.how = how


def run_ourselves(target: str, scratch: Path) -> subprocess.Popen[bytes]:
    """Start our own interpreter on the function `module:name`; its temporary files go into `scratch`."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, target, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=os.environ | {"TMPDIR": str(scratch)},
    )


class Cell:
    """A child that answers messages about a target, started when it is first needed.

    `launch` starts it, given the target and a folder for its temporary files, with pipes for stdin and
    stdout: as it comes, our own interpreter on the function `module:name`.
    """

    def __init__(
        self, target: str, launch: Callable[[str, Path], subprocess.Popen[bytes]] = run_ourselves
    ) -> None:
        self._target = target
        self._launch = launch
        self._child: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def ask(self, message: Message, timeout: Seconds, memory_bytes: int) -> Message:
        """Send a message and wait for its answer; raises `CellLost` when the child did not survive it."""
        child = self._started()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(message).encode() + b"\n")
            child.stdin.flush()
            answer: Message = json.loads(self._line(child, timeout, memory_bytes))
        except BrokenPipeError:
            raise CellLost("crashed", self._ending(child)) from None
        except BaseException:
            self.close()  # an answer that comes too late must not be taken for the next one's
            raise
        return answer

    def close(self) -> None:
        """End the child, whatever it is doing, and take its temporary files away."""
        if self._child is not None and self._scratch is not None:
            _kill(self._child)
            self._scratch.cleanup()
            sweep_fast_folders()  # its own children's, which die with it
            self._child = self._scratch = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._scratch = tempfile.TemporaryDirectory(prefix="avatarsync.")
            self._child = self._launch(self._target, Path(self._scratch.name))
        return self._child

    def _line(self, child: subprocess.Popen[bytes], timeout: Seconds, memory_bytes: int) -> bytes:
        assert child.stdout is not None
        until = time.monotonic() + timeout
        parts: list[bytes] = []
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not (parts and parts[-1].endswith(b"\n")):
                ready = selector.select(min(GLANCE, max(0.0, until - time.monotonic())))
                if ready and not (part := os.read(child.stdout.fileno(), 1 << 16)):
                    raise CellLost("crashed", self._ending(child))
                parts += [part] if ready else []
                _check(child.pid, until, timeout, memory_bytes)
        return b"".join(parts)

    @staticmethod
    def _ending(child: subprocess.Popen[bytes]) -> str:
        code = child.wait()
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a child, with all that it started when it leads a group of its own."""
    if child.poll() is None and os.getpgid(child.pid) == child.pid:
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _check(pid: int, until: float, timeout: Seconds, memory_bytes: int) -> None:
    used = _resident_bytes(pid)
    if used > memory_bytes:
        raise CellLost("too_large", f"it took {used / 2**30:.1f} GiB; {memory_bytes / 2**30:.1f} are allowed")
    if time.monotonic() > until:
        raise CellLost("timeout", f"it did not come back within {timeout:.0f} s")


def _resident_bytes(pid: int) -> int:
    """Memory that a process and its children hold; 0 where the system does not tell."""
    try:
        own = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE_BYTES
        lists = [(thread / "children").read_bytes() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except (OSError, IndexError):
        return 0
    return own + sum(_resident_bytes(int(child)) for child in b" ".join(lists).split())


def serve(target: str, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer messages until there are no more: what the child does."""
    module, _, name = target.partition(":")
    function: Callable[[Message], Message] = getattr(importlib.import_module(module), name)
    for line in requests:
        answers.write(json.dumps(function(json.loads(line))).encode() + b"\n")
        answers.flush()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent answers it
    die_with_parent(int(sys.argv[2]))
    serve(sys.argv[1], *own_pipes())


if __name__ == "__main__":
    _main()
