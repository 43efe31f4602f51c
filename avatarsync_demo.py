"""`avatarsync demo`: the whole way on the embedded sample, as a list of the suite's own commands.

Every step is printed as the command a user could type; a step whose output is whole is reused by that command.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from datapipe.console import DONE_WITH_REJECTS, WRONG_USE, emit, guarded, say
from datapipe.records import Rejected

SYSTEMS = ("avatarsync", "retrieval", "static")
METRICS = "psnr,ssim,lpips_alex,fid,csim_w600k_mbf,mouth_psnr,mouth_opening_r,flicker,latency,rtf"


@dataclass(frozen=True)
class DemoConfig:
    """Raw video to a benchmark report: sample corpus, shards, training, videos, scores.

    Example: avatarsync demo --out reports/demo
    """

    out: Path = Path("reports/demo")
    """Folder of the report; everything the demo makes lies below it."""
    preset: str = "demo"
    """Size of the generator: demo (minutes of training) or tiny (seconds, to see that it runs)."""
    seed: int = 0
    """Seed of the sample corpus and of training."""


def steps(config: DemoConfig) -> list[list[str]]:
    """List the demo's commands in order."""
    out = config.out
    raw, shards, run, cases = (str(out / name) for name in ("raw", "shards", "run", "cases"))
    build = ["data", "build", "--size", "128", "--cluster", "local", "--workers", "2"]
    system_flags = [flag for name in SYSTEMS for flag in ("--system", f"{name}={out / 'systems' / name}")]
    ledgers = [flag for name in ("cmlr", "hdtf", "real") for flag in ("--ledger", str(out / "shards" / name))]
    generate = ["model", "generate-cases", "--run", run, "--cases", cases, "--data", shards]
    return [
        ["data", "sample", raw, "--seed", str(config.seed)],
        [*build, "--source", "cmlr", "--root", f"{raw}/cmlr", "--out", f"{shards}/cmlr"],
        [*build, "--source", "hdtf", "--root", f"{raw}/hdtf", "--out", f"{shards}/hdtf"],
    ]
