"""`avatarsync tools create | list | remove | check`: stacks that need an environment of their own."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from ..console import FAILED, WRONG_USE, emit, guarded, say
from .check import faults
from .create import create, disk_bytes, remove
from .home import folder_of, home, made, python_of, state_of
from .registry import TOOLS, Tool, lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make environments, each from its lock; one that is whole already is left as it is.

    Says time and disk before it starts. Compiled wheels are kept for the next time.

    Example: avatarsync tools create speech
    """

    names: tyro.conf.Positional[tuple[str, ...]]
    """Tools as `list` shows them."""
    json: bool = False
    """Write one JSON array of what was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """Show every tool: state, size, and the versions of what it is there for.

    Example: avatarsync tools list --json
    """

    json: bool = False
    """Write one JSON array instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Take environments away; compiled wheels stay.

    Example: avatarsync tools remove vision
    """

    names: tyro.conf.Positional[tuple[str, ...]]
    """Tools as `list` shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Import every package of the environments and ask pip whether they fit together.

    Example: avatarsync tools check
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tools as `list` shows them; nothing: all that are here."""
    json: bool = False
    """Write one JSON array of what is wrong, by tool."""


Command = Create | List | Remove | Check


def main(argv: list[str]) -> int:
    """Run one subcommand; 0 done, 1 something is wrong or cannot be made, 2 wrong use."""
    try:
        command: Command = tyro.cli(Command, args=argv, prog="avatarsync tools", description=__doc__)
    except SystemExit as leaving:
        return WRONG_USE if leaving.code not in (0, None) else 0
    return guarded(lambda: _run(command))


def _run(command: Command) -> int:
    if isinstance(command, Create):
        return _create([lookup(name) for name in command.names], as_json=command.json)
    if isinstance(command, List):
        return _list(as_json=command.json)
    if isinstance(command, Remove):
        return _remove([lookup(name) for name in command.names])
    chosen = [lookup(name) for name in command.names]
    return _check(chosen or [tool for tool in TOOLS.values() if made(tool)], as_json=command.json)


def _create(tools: Sequence[Tool], *, as_json: bool) -> int:
    # a scheduler's SIGTERM ends the making as Ctrl-C does: with its children, and nothing left
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for tool in tools:
        known = create(tool)
        size = (
            f"{known.num_bytes / 1e9:.1f} GB, made in {known.seconds / 60:.1f} minutes by {known.installer}"
        )
        say(f"`{tool.name}` is ready: {size}; {_versions(tool)}")
    if as_json:
        emit(json.dumps([_as_dict(tool) for tool in tools], indent=1))
    return 0


def _list(*, as_json: bool) -> int:
    if as_json:
        emit(json.dumps([_as_dict(tool) for tool in TOOLS.values()], indent=1))
        return 0
    for tool in TOOLS.values():
        known = made(tool)
        size, minutes = (known.num_bytes, known.seconds / 60) if known else (tool.disk_bytes, tool.minutes)
        cost = f"{size / 1e9:>5.1f} GB {minutes:>6.1f} min"
        emit(f"{tool.name:<8} {state_of(tool):<9} {cost}  {_versions(tool)}")
    say(f"kept in {home()}; `avatarsync tools create NAME` makes what is absent")
    return 0


def _versions(tool: Tool) -> str:
    known = made(tool)
    return ", ".join(f"{name} {known.versions.get(name, '?')}" if known else name for name in tool.packages)


def _as_dict(tool: Tool) -> dict[str, object]:
    known = made(tool)
    return {
        "name": tool.name,
        "state": state_of(tool),
        "folder": str(folder_of(tool)),
        "num_bytes": known.num_bytes if known else None,
        "seconds": known.seconds if known else None,
        "installer": known.installer if known else None,
        "lock_sha256": known.lock_sha256 if known else None,
        "versions": {name: known.versions.get(name) for name in tool.packages} if known else {},
    }


def _remove(tools: Sequence[Tool]) -> int:
    for tool in tools:
        say(f"`{tool.name}`: {remove(tool) / 1e9:.1f} GB removed")
    kept = home() / "wheels"
    if kept.exists():
        say(f"compiled wheels stay in {kept} ({disk_bytes(kept) / 1e6:.0f} MB)")
    return 0


def _check(tools: Sequence[Tool], *, as_json: bool) -> int:
    found = {tool.name: faults(tool, python_of(tool)) for tool in tools}
    if as_json:
        rows = [{"name": name, "faults": said} for name, said in found.items()]
        emit(json.dumps(rows, indent=1))
    else:
        for name, said in found.items():
            emit(f"{name}: {'; '.join(said) or 'everything is imported and fits'}")
        say(f"{len(found)} of {len(TOOLS)} environments are here, in {home()}")
    return FAILED if any(found.values()) else 0
