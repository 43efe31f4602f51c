"""Our side of a cell: which metric of a run stands in which column, over which corpus' clips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..intervals import mean_estimate
from ..records import MetricInfo, Run, Score, SystemRun
from .document import Cell, measured, missing
from .grids import grid_of
from .sources import Found, Sources

METRICS = {
    "FID": "fid",
    "FVD": "fvd",
    "LPIPS": "lpips",
    "PSNR": "psnr",
    "SSIM": "ssim",
    "CSIM": "csim",
    "Sync-C": "sync_c",
    "Sync-D": "sync_d",
    "E-FID": "efid",
    "latency": "latency",
    "RTF": "rtf",
}
"""Column of a paper to the start of our metric's name."""
CORPORA = {
    "CMLR": re.compile(r"s\d+~2F\d{8}_section_"),
    "HDTF": re.compile(r"(RD|WDA|WRA)_"),
}
"""How the keys of a corpus' clips begin, as its source adapter makes them."""
SAMPLE_DAYS = ("~2F20260105", "~2F20260112", "~2F20260119")
"""Days in the keys of the sample corpus' Mandarin clips (datapipe/sample/plan.py); CMLR ends in 2018."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One system of one run, over the clips of one corpus."""

    found: Found
    run: Run
    system: SystemRun
    corpus: str
    """CMLR or HDTF; empty for all clips of the run."""
    keys: frozenset[str]

    @property
    def is_whole(self) -> bool:
        """Whether these are all clips of the run."""
        return len(self.keys) == len(self.run.reference)


def corpus_keys(run: Run, corpus: str) -> frozenset[str]:
    """The run's clips of one corpus; all of them for an empty name."""
    return frozenset(key for key in run.reference if not corpus or CORPORA[corpus].match(key))


def scored(sources: Sources, corpus: str = "") -> tuple[Scored, ...]:
    """Every system of every run that has clips of a corpus; the variants of ablations are not among them.

    Where two runs scored the same videos, the one stands here that says more of them.
    """
    rows = [
        Scored(found=found, run=run, system=system, corpus=corpus, keys=keys)
        for found, run in sources.of(Run)
        if grid_of(run) is None and (keys := corpus_keys(run, corpus))
        for system in run.systems
        if system.kind == "system"
    ]
    return tuple(row for row in rows if not any(_is_told_by(row, other) for other in rows))


def _is_told_by(row: Scored, other: Scored) -> bool:
    """Whether another run scored a row's videos and more, or these alone (then it has distances of sets)."""
    if row.system.name != other.system.name or not row.keys <= other.keys:
        return False
    mine, theirs = ((each.system.videos, each.run.reference) for each in (row, other))
    if any(one.get(key) != two.get(key) for key in row.keys for one, two in zip(mine, theirs, strict=True)):
        return False
    return row.keys < other.keys or (other.is_whole and not row.is_whole)


def info_of(run: Run, column: str, level: str = "video") -> MetricInfo | None:
    """The run's first metric for a column of a paper; None when the run has none."""
    start = f"{level}/{METRICS[column]}"
    fits = (each for each in run.metrics if each.name == start or each.name.startswith(f"{start}_"))
    return next(fits, None)


def cell(row: Scored, column: str) -> Cell:
    """Our number for a column, over the row's clips."""
    info = info_of(row.run, column)
    score = next((each for each in row.system.scores if info and each.metric == info.name), None)
    if info is None or score is None:
        return missing(f"no metric of {row.found.path.name} stands for {column}")
    if score.value is None:
        return missing(score.not_measured or next(iter(score.failures.values()), "every clip failed"))
    if row.is_whole:
        return _whole(row, info, score)
    if not score.per_clip:
        whole = f"{column} is a distance between sets, and {row.found.path.name} has it over both corpora"
        return missing(f"{whole}: score a folder of this corpus' cases alone")
    return _part(row, info, score)


def _whole(row: Scored, info: MetricInfo, score: Score) -> Cell:
    lost = f"{score.num_ok} of {score.num_total} clips" if score.num_ok < score.num_total else ""
    notes = (score.note,) if score.note else ()
    return measured(
        score.value, score.low, score.high,
        count=lost, notes=notes, trace=row.found.trace(info.protocol_hash),
    )  # fmt: skip


def _part(row: Scored, info: MetricInfo, score: Score) -> Cell:
    """Mean and interval over the clips of one corpus; failed clips do not count."""
    kept = [
        score.per_clip[key] for key in sorted(row.keys) if key in score.per_clip and key not in score.imputed
    ]
    if not kept:
        return missing("every clip of the corpus failed")
    estimate = mean_estimate(np.array(kept))
    lost = f"{len(kept)} of {len(row.keys)} clips" if len(kept) < len(row.keys) else ""
    trace = row.found.trace(info.protocol_hash)
    return measured(estimate.value, estimate.low, estimate.high, count=lost, trace=trace)


def label(row: Scored, others: Sequence[Scored]) -> str:
    """Name, number of clips, and the file where several hold the system."""
    several = sum(each.system.name == row.system.name for each in others) > 1
    file = f", {row.found.path.stem}" if several else ""
    return f"{row.system.name} ({len(row.keys)} {'clip' if len(row.keys) == 1 else 'clips'}{file})"


def differs(row: Scored) -> str:
    """How a run's protocol differs from the paper's, as far as the paper states its own."""
    return f"‡ {row.found.path.name}: {'; '.join(_differences(row))}."


def _differences(row: Scored) -> list[str]:
    corpus = f" of {row.corpus}" if row.corpus else ""
    clips = f"{len(row.keys)} clips for the paper's unpublished test split (5 %{corpus})"
    said = [f"{origin(row.run)}: {clips}"]
    said += [f"{info.title} by {text}" for info in row.run.metrics if (text := _network(info.protocol, info))]
    said.append("the paper names none of its extractors, crops or clips, and its videos have 512 px")
    return said


def origin(run: Run) -> str:
    """Whether the clips are the sample corpus'."""
    mandarin = [key for key in run.reference if CORPORA["CMLR"].match(key)]
    if mandarin and all(any(day in key for day in SAMPLE_DAYS) for key in mandarin):
        return "the sample corpus, portraits moved by warping (128 px unless its build says otherwise)"
    return "a corpus of its own"


def _network(protocol: Mapping[str, object], info: MetricInfo) -> str:
    """The network that a metric looks through, where two networks give two numbers."""
    if not info.name.startswith("video/"):
        return ""
    if "judge" in protocol:
        return (
            f"the judge {protocol['judge']}"
            if info.name.startswith(("video/sync_c_", "video/sync_d_"))
            else ""
        )
    if "backbone" in protocol:
        return str(protocol["backbone"])
    return f"{protocol['trunk']} trunk" if "trunk" in protocol else ""
