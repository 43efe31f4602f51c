"""What a tool environment needs of the system, looked for before anything is downloaded."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import sys
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..records import Rejected
from .registry import Tool

DEBIAN = "on Debian and Ubuntu: sudo apt install"


def _library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _program(name: str) -> bool:
    return shutil.which(name) is not None


def _headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def _python() -> bool:
    return sys.version_info[:2] == (3, 11)


def _venv() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip"))


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "python3.11": (_python, "run AvatarSync itself with Python 3.11 (`make PYTHON=/path/to/python3.11 ...`)"),
    "venv": (_venv, f"{DEBIAN} python3.11-venv"),
    "gcc": (partial(_program, "gcc"), f"{DEBIAN} build-essential"),
    "g++": (partial(_program, "g++"), f"{DEBIAN} build-essential"),
    "Python.h": (_headers, f"{DEBIAN} python3.11-dev"),
    "libGL.so.1": (partial(_library, "libGL.so.1"), f"{DEBIAN} libgl1"),
    "libglib-2.0.so.0": (partial(_library, "libglib-2.0.so.0"), f"{DEBIAN} libglib2.0-0"),
}
"""How each need is looked for, and what to do where it is missing."""
EVERY_TOOL = ("python3.11", "venv")


def check_needs(tool: Tool) -> None:
    """Raise `Rejected("bad_input")` that names all that the system lacks, and how to get it."""
    missing = [name for name in (*EVERY_TOOL, *tool.needs) if not NEEDS[name][0]()]
    if missing:
        hints = "; ".join(dict.fromkeys(f"{name}: {NEEDS[name][1]}" for name in missing))
        raise Rejected("bad_input", f"`{tool.name}` cannot be made on this system, which lacks {hints}")


def check_room(tool: Tool, home: Path, held: int) -> None:
    """Raise `Rejected("disk_full")` when environment and downloads have no room; `held` bytes become free."""
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free + held
    needed = tool.disk_bytes + tool.download_bytes
    if free < needed:
        raise Rejected(
            "disk_full",
            f"`{tool.name}` needs {needed / 1e9:.1f} GB while it is made and {home} has {free / 1e9:.1f}; "
            "free some, or name a folder on a larger disk with AVATARSYNC_TOOLS",
        )
