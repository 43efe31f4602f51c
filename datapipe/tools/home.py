"""Where tool environments live, and whether one is whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..files import sha256_of
from ..records import Rejected, read_record
from ..weights import cache_dir
from .registry import Tool

COMPLETE = "complete.json"
"""Written last: a folder without it is broken, and the next creation clears it away."""
State = Literal["absent", "broken", "outdated", "ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is known of a finished environment: the content of `complete.json`."""

    lock_sha256: str
    """Of the lock that it was made from."""
    python: str
    """Interpreter, relative to the environment's folder."""
    installer: str
    """`uv` or `pip`, with its version."""
    seconds: float
    """How long the making took."""
    num_bytes: int
    """What it takes on the disk."""
    versions: dict[str, str]
    """Version of every installed distribution."""


def home() -> Path:
    """Where environments are kept: `AVATARSYNC_TOOLS`, else a folder beside the weights."""
    placed = os.environ.get("AVATARSYNC_TOOLS")
    return Path(placed).absolute() if placed else cache_dir().parent.absolute() / "tools"


def folder_of(tool: Tool) -> Path:
    """The environment's folder; it may not be there."""
    return home() / tool.name


def made(tool: Tool) -> Made | None:
    """Read what is known of an environment; None when it is absent or broken."""
    try:
        known = read_record(folder_of(tool) / COMPLETE, Made, "create the environment again")
    except (OSError, Rejected):
        return None
    return known if (folder_of(tool) / known.python).exists() else None


def state_of(tool: Tool) -> State:
    """Tell whether an environment can be used."""
    known = made(tool)
    if known is None:
        return "broken" if folder_of(tool).exists() else "absent"
    return "ready" if known.lock_sha256 == sha256_of(tool.lock) else "outdated"


def python_of(tool: Tool) -> Path:
    """The interpreter of a usable environment. Raises `Rejected("missing_tool")`, saying how to make it."""
    known, state = made(tool), state_of(tool)
    if known is None or state != "ready":
        raise Rejected(
            "missing_tool",
            f"the tool environment `{tool.name}` ({', '.join(tool.packages)}) is {state} in {home()}; "
            f"run `avatarsync tools create {tool.name}`, or name another folder with AVATARSYNC_TOOLS",
        )
    return folder_of(tool) / known.python
