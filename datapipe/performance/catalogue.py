"""(d) What the bookkeeping of a full CMLR costs, when the stages cost nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

from .. import publish as publisher
from .. import run as runner
from .. import task as one_clip
from ..config import BuildConfig
from ..console import say
from ..publish import publish
from ..run import RunConfig, build, plan
from ..shards import write_shard
from ..sources import find_clips
from ..task import run_task
from .cmlr_ids import clip_ids, write_corpus
from .corpus import check_done
from .figures import Figure, Line, Measurement, Table
from .no_op import no_op
from .repeat import Sizes

METHOD = (
    "A catalogue of 102,072 clips in CMLR's layout (11 speakers, dates, dots, negative starts, equal "
    "basenames, the three lists), three files of a few bytes per clip, and a flow that gives a finished "
    "sample at once. In one process of its own: `plan`, `build` inline into an empty folder, the same "
    "build again. The bar counts everything of the build but the clips' own work (hashing the inputs, "
    "keeping the sample) and copying the samples into shards, which are in the table. Once, without "
    "repeats."
)
Parts = dict[str, float]


def measure_catalogue(sizes: Sizes, folder: Path) -> Measurement:
    """Measure plan, build and re-run of the catalogue in a child process, and its memory."""
    count = sizes.catalogue_clips
    say(f"(d) writing a catalogue of {count} clips")
    write_corpus(folder / "cmlr", clip_ids(count))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        parts = pool.submit(build_catalogue, folder / "cmlr", folder / "shards").result()
    own = parts["clips"] + parts["copying"]
    figures = (
        Figure(
            name="plan, ledger and manifest, per clip",
            unit="ms",
            values=(1e3 * (parts["build"] - own) / count,),
            expected="0.5 to 0.9",
            limit=1.0,
        ),
        Figure(
            name="most memory of the process",
            unit="GB",
            values=(parts["memory"] / 1e9,),
            expected="1.2 to 2",
            limit=2.0,
        ),
        Figure(
            name="the finished build again",
            unit="s",
            values=(parts["again"],),
            expected="20 to 50",
            limit=60.0,
        ),
        Figure(name="clips", unit="clips", values=(float(count),)),
    )
    lines = tuple(
        Line(label=label, values=(parts[name], 1e3 * parts[name] / count)) for name, label in LABELS.items()
    )
    table = Table(title="Where the time goes", columns=("part", "s", "ms per clip"), lines=lines)
    return Measurement(
        name="d", title="Bookkeeping of a full CMLR", method=METHOD, figures=figures, tables=(table,)
    )


LABELS = {
    "listing": "listing the corpus (within plan, build, again)",
    "plan": "plan, of an empty folder",
    "build": "build, all",
    "clips": "of it: the clips' own work",
    "publishing": "of it: shards, table, splits, leakage, card, ledger, manifest",
    "copying": "of that: copying samples into shards",
    "again": "the finished build again",
}


def build_catalogue(root: Path, out: Path) -> Parts:
    """Plan, build and build again with stages that do nothing; seconds by part, and bytes of memory."""
    parts: Parts = defaultdict(float)
    run, config = RunConfig(isolate=False), BuildConfig()
    watched = (
        patch.object(one_clip, "flow", no_op),
        patch.object(runner, "run_task", _watched(parts, "clips", run_task)),
        patch.object(runner, "publish", _watched(parts, "publishing", publish)),
        patch.object(publisher, "write_shard", _watched(parts, "copying", write_shard)),
    )
    _watched(parts, "listing", find_clips)("cmlr", root, config.source)
    _watched(parts, "plan", plan)("cmlr", root, out, config, run)
    for each in watched:
        each.start()
    built = _watched(parts, "build", build)("cmlr", root, out, config, run)
    for each in watched:
        each.stop()
    check_done(built)
    again = _watched(parts, "again", build)("cmlr", root, out, config, run)
    if again.counts.reused != again.counts.total:
        raise RuntimeError(f"the second build was no re-run: {again.counts.sentence()}")
    return {**parts, "memory": float(_peak_memory())}


def _watched(parts: Parts, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            parts[name] += time.perf_counter() - started

    return watched


def _peak_memory() -> int:
    """Read the most bytes this process held; getrusage would give its parent's when that was larger."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
