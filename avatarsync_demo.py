"""`avatarsync demo`: the whole way on the embedded sample, as a list of the suite's own commands.

Every step is printed as the command a user could type. A step whose output is whole and made from the same
inputs is reused by that command, which says so: the demo keeps no state of its own.
"""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from benchmark.paper.commands import lasting_records
from datapipe.console import DONE, DONE_WITH_REJECTS, INTERRUPTED, WRONG_USE, emit, guarded, say
from datapipe.files import sha256_of, write_bytes
from datapipe.records import Rejected
from datapipe.weights import resolve

Command = list[str]
SYSTEMS = ("avatarsync", "retrieval", "static")
SIZES = {"demo": 128, "tiny": 64}
"""Side of the crops that a preset was built for, in pixels."""
KEYFRAMES = "keyframe/psnr,keyframe/ssim,keyframe/lpips_alex,keyframe/fid,keyframe/csim_w600k_mbf"
"""Metrics of single keyframes, beside those of whole videos."""
PUBLIC_SPEAKERS = ("s1", "s2")
"""The sample corpus' people in the public domain: only they are on the contact sheet."""
REPORTS = Path(__file__).parent / "reports"
"""Where records of earlier measurements are kept."""


@dataclass(frozen=True)
class DemoConfig:
    """Raw video to a benchmark report: sample corpus, shards, training, videos, scores.

    Example: avatarsync demo --out reports/demo
    """

    out: Path = Path("reports/demo")
    """Folder of the report; everything the demo makes lies below it."""
    preset: Literal["demo", "tiny"] = "demo"
    """Size of the generator: demo (minutes of training) or tiny (seconds, to see that it runs)."""


def data_steps(out: Path, size: int) -> list[Command]:
    """List the commands from raw video to shards and held-out cases."""
    build = ["data", "build", "--cluster", "local", "--size", str(size)]
    steps: list[Command] = [["data", "sample", f"{out}/raw"]]
    for source in ("cmlr", "hdtf"):
        places = ["--root", f"{out}/raw/{source}", "--out", f"{out}/shards/{source}"]
        steps.append([*build, "--source", source, *places])
    real = ["data", "build", "--source", "folder", "--root", f"{out}/real", "--out", f"{out}/shards/real"]
    steps.append([*real, "--size", "256", "--upscale.backend", "realesrgan"])
    steps.append(["data", "preview", "--shards", f"{out}/shards/real", "--out", f"{out}/real-preview.png"])
    for source in ("cmlr", "hdtf"):
        places = ["--shards", f"{out}/shards/{source}", "--out", f"{out}/cases"]
        steps.append(["data", "export", *places, "--split", "test"])
    return steps


def training_steps(out: Path, preset: str) -> tuple[list[Command], list[Command]]:
    """List the two trainings that run side by side on a thread each, and those that follow."""
    data = ["--data", f"{out}/shards/cmlr", f"{out}/shards/hdtf"]

    def train(part: str, threads: int) -> Command:
        options = ["--preset", preset, "--threads", str(threads)]
        return ["model", "train", part, *data, "--out", f"{out}/run", *options]

    after = [train("keyframes", 2), train("durations", 1)]
    return [train("tokenizer", 1), train("interpolator", 1)], after


def scoring_steps(out: Path) -> list[Command]:
    """List the commands from the trained generator to the report."""
    shards = [f"{out}/shards/cmlr", f"{out}/shards/hdtf"]
    videos = [f"{name}={out}/systems/{name}" for name in SYSTEMS]
    cases = ["--cases", f"{out}/cases"]
    source = {
        "avatarsync": ["--run", f"{out}/run", "--keyframes"],
        "retrieval": ["--data", *shards],
        "static": [],
    }
    steps: list[Command] = [
        ["model", "generate-cases", *cases, "--system", name, *source[name], "--out", f"{out}/systems/{name}"]
        for name in SYSTEMS
    ]
    run, judge = f"{out}/run.json", f"{out}/judges/demo"
    steps.append(["bench", "train-sync", "--data", *shards, "--out", judge])
    score = ["bench", "run", "--reference", f"{out}/cases", "--system", *videos, "--out", run, "--replace"]
    steps.append([*score, "--metrics", f"all,{KEYFRAMES}", "--sync", judge, "--selftest"])
    ledgers = [f"{out}/shards/{name}" for name in ("cmlr", "hdtf", "real")]
    report = ["bench", "report", "--run", run, *cases, "--system", *videos, "--train-log", f"{out}/run"]
    looks = ["--title", "AvatarSync demo", "--pictures", *PUBLIC_SPEAKERS]
    looks += ["--preview", f"{out}/real-preview.png"]
    steps.append([*report, "--ledger", *ledgers, *looks, "--out", str(out)])
    return steps


def table_steps(out: Path) -> list[Command]:
    """List the commands that put the demo's numbers into the papers' tables, and onto a board."""
    videos = ["--cases", f"{out}/cases", "--system", *(f"{name}={out}/systems/{name}" for name in SYSTEMS)]
    crops = ["--data", f"{out}/shards/cmlr", "--root", f"{out}/raw/cmlr", "--limit", "2"]
    made = [f"{out}/{name}.json" for name in ("run", "cmlr", "crops")]
    runs = ["--runs", *made, *map(str, lasting_records(REPORTS))]
    logs = ["--train-log", f"{out}/run", "--pictures", *PUBLIC_SPEAKERS]
    alone = ["--shards", f"{out}/shards/cmlr", "--out", f"{out}/cmlr-cases", "--split", "test"]
    score = ["--reference", f"{out}/cmlr-cases", *videos[2:], "--sync", f"{out}/judges/demo"]
    score += ["--controls", "none", "--out", f"{out}/cmlr.json", "--replace"]
    board = ["--runs", f"{out}/run.json", *videos, "--title", "AvatarSync demo"]
    return [
        ["data", "export", *alone],
        ["bench", "run", *score],
        ["bench", "crops", *crops, "--out", f"{out}/crops.json"],
        ["bench", "paper", "all", *runs, *videos, *logs, "--out", f"{out}/paper"],
        ["bench", "leaderboard", *board, "--html", f"{out}/board"],
    ]


def run_step(command: Command) -> None:
    """Run one of the suite's commands in this process; stop the demo when it fails."""
    from avatarsync import main as avatarsync

    say(f"\n$ avatarsync {shlex.join(command)}")
    started = time.monotonic()
    check(command, avatarsync(command))
    say(f"  [{time.monotonic() - started:.1f} s]")


def run_side_by_side(commands: list[Command]) -> None:
    """Run commands as processes of their own at the same time; all are stopped when one fails."""
    for command in commands:
        say(f"\n$ avatarsync {shlex.join(command)} &")
    started = time.monotonic()
    running = [subprocess.Popen([sys.executable, "-m", "avatarsync", *command]) for command in commands]
    try:
        for command, process in zip(commands, running, strict=True):
            check(command, process.wait())
    finally:
        for process in running:
            process.terminate()
            process.wait()
    say(f"  [{time.monotonic() - started:.1f} s]")


def check(command: Command, code: int) -> None:
    """Stop the demo after a step that did not get through; rejects are part of the show."""
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (DONE, DONE_WITH_REJECTS):
        what = f"`avatarsync {' '.join(command[:3])}` ended with exit code {code}"
        raise Rejected("step_failed", f"{what}; its message is above")


def place_real_clip(folder: Path) -> None:
    """Put the public-domain speech clip where the folder source looks for it."""
    fetched, target = resolve("clip-obama", say), folder / "obama_speech.mp4"
    if not target.exists() or sha256_of(target) != sha256_of(fetched):
        write_bytes(target, fetched.read_bytes())


def summary(out: Path, minutes: float) -> str:
    """Say what the demo took (minutes, the largest process, disk) and where its report is."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    largest = max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1e6
    results = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    time_taken = f"{minutes:.1f} minutes on {os.cpu_count()} cores"
    size = f"{largest:.1f} GB in the largest process, {results:.0f} MB of results"
    pages = {"report": "index.html", "the papers' tables": "paper/index.html", "board": "board/index.html"}
    places = "".join(f"\n{name}: {(out / page).resolve()}" for name, page in pages.items())
    return f"\ntook {time_taken}, {size}{places}"


def demo(config: DemoConfig) -> int:
    """Run every step and print where the report is."""
    started = time.monotonic()
    place_real_clip(config.out / "real")
    for command in data_steps(config.out, SIZES[config.preset]):
        run_step(command)
    together, after = training_steps(config.out, config.preset)
    run_side_by_side(together)
    for command in [*after, *scoring_steps(config.out), *table_steps(config.out)]:
        run_step(command)
    emit(summary(config.out, (time.monotonic() - started) / 60))
    return DONE


def main(argv: list[str]) -> int:
    """Parse the options and run the demo."""
    try:
        config = tyro.cli(DemoConfig, args=argv, prog="avatarsync demo")
    except SystemExit as stop:
        return WRONG_USE if stop.code else DONE
    return guarded(lambda: demo(config))
