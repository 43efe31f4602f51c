"""Every way runs as its users run it: a process of its own, started, timed and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datapipe.records import Rejected, Seconds

TOOLS = Path(sys.prefix) / "bench-tools"
"""Where `make bench-benchmark` puts the tools: apart, since not every torchvision goes with every torch."""
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


def tools_beside() -> dict[str, str]:
    """Environment in which the tools can be imported; `Rejected("step_failed")` when they are not there."""
    if not TOOLS.is_dir():
        raise Rejected("step_failed", f"the tools are not in {TOOLS}: run `make bench-benchmark`")
    return {"PYTHONPATH": str(TOOLS)}


def run_tool(
    name: str, arguments: Sequence[object], out: Path, longest: Seconds, **environment: str
) -> dict[str, Any]:
    """Run one of `tools/` and give what it wrote into `out`."""
    run_module(f"benchmark.performance.tools.{name}", [*arguments, out], longest, **environment)
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result
