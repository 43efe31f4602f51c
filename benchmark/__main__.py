"""`avatarsync bench`: score systems, render leaderboards and reports, time commands, check the metrics."""

from __future__ import annotations

import sys
from typing import cast

import tyro

from datapipe.console import DONE, WRONG_USE, guarded

from .commands import COMMANDS, Command

LIST_OPTIONS = (
    *("--system", "--metrics", "--sync", "--data", "--runs", "--ledger", "--pictures", "--preview"),
    *("--answers", "--submission", "--latency"),
)
"""Options that take several values and may also be repeated."""


def main(argv: list[str]) -> int:
    """Run one subcommand and return its exit code."""
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            dict(COMMANDS), prog="avatarsync bench", description=__doc__, args=merged(argv)
        )
    except SystemExit as stop:
        return DONE if stop.code in (None, 0) else WRONG_USE
    return guarded(cast(Command, command).execute)


def merged(argv: list[str]) -> list[str]:
    """Let list options be repeated: `--system A=x --system B=y` is `--system A=x B=y`."""
    rest: list[str] = []
    lists: dict[str, list[str]] = {}
    target = rest
    for word in argv:
        option, _, value = word.partition("=")
        if option in LIST_OPTIONS:
            target = lists.setdefault(option, [])
            target += [value] if value else []
        else:
            target = rest if word.startswith("--") else target
            target.append(word)
    return rest + [word for option, values in lists.items() for word in (option, *values)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
