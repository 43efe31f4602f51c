"""Try a tool environment: every package is imported, and pip agrees that they fit together."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..records import Seconds
from .registry import Tool

IMPORTING = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print("fault:", " ".join(f"{name}: {type(error).__name__}: {error}".split()))
"""
MARK = "fault: "
LONGEST: Seconds = 900.0


def faults(tool: Tool, python: Path) -> list[str]:
    """Say what is wrong, one sentence each; nothing when all is well."""
    return [*_not_imported(tool, python), *_not_fitting(tool, python)]


def _not_imported(tool: Tool, python: Path) -> list[str]:
    done = _run(tool, [str(python), "-I", "-c", IMPORTING, *tool.imports])
    found = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
    return found if done.returncode == 0 else [*found, f"importing ended with code {done.returncode}"]


def _not_fitting(tool: Tool, python: Path) -> list[str]:
    done = _run(tool, [str(python), "-I", "-m", "pip", "check", "--disable-pip-version-check"])
    return done.stdout.strip().splitlines() if done.returncode else []


def _run(tool: Tool, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as the tool's worker would be run, away from the user's folder."""
    env = os.environ | dict(tool.environment)
    return subprocess.run(
        command, env=env, cwd=tool.folder, capture_output=True, text=True, timeout=LONGEST, check=False
    )
