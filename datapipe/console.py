"""What a person sees in the terminal: progress on stderr, data on stdout, one clear line for an error."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .records import Rejected

ItemT = TypeVar("ItemT")

DONE, FAILED, WRONG_USE, DONE_WITH_REJECTS, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of every command."""
PLACE_ERRORS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
    *(errno.ENOSPC, errno.EDQUOT),
}
"""What the system says of a place that cannot be written to; its other errors are bugs and shown whole."""
WRONG_USE_REASONS = {"bad_input", "unknown_language"}
stderr = Console(stderr=True, highlight=False, soft_wrap=True)
# else the interpreter walks all of torch's objects once more before it ends, for half a second
atexit.register(gc.freeze)


def say(line: str) -> None:
    """Tell the user something that is not data."""
    stderr.print(line, markup=False)


def emit(line: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def track(
    items: Iterable[ItemT],
    label: str,
    total: int | None = None,
    count_of: Callable[[ItemT], int] = lambda item: 1,
) -> Iterator[ItemT]:
    """Yield the items under a progress bar; without a terminal, a line at the start and at the end.

    `count_of` says how far an item brings the bar.
    """
    count = len(items) if total is None and isinstance(items, Sized) else total
    with _bar() as progress:
        task = progress.add_task(label, total=count)
        for item in items:
            yield item
            progress.advance(task, count_of(item))


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=stderr, refresh_per_second=4)


def guarded(command: Callable[[], int | None]) -> int:
    """Run a command; turn the expected failures into one line on stderr and an exit code."""
    try:
        return command() or DONE
    except Rejected as rejected:
        say(f"error: {rejected.message}")
        return WRONG_USE if rejected.reason in WRONG_USE_REASONS else FAILED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left in the buffer goes nowhere
        return DONE
    except OSError as error:
        if error.errno not in PLACE_ERRORS:
            raise
        place = error.filename or "the output"
        say(f"error: {place}: {error.strerror}; choose another place, or make room there")
        return FAILED
    except KeyboardInterrupt:
        say("interrupted: nothing half-written was kept; run the same command to go on")
        return INTERRUPTED
