"""The tools that an evaluation is measured against run as their users run them: each a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datapipe.performance.processes import run_module
from datapipe.records import Rejected, Seconds

TOOLS = Path(sys.prefix) / "bench-tools"
"""Where `make bench-benchmark` puts the tools: apart, since not every torchvision goes with every torch."""


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
