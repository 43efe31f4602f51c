"""Making the whole corpus: plan, render on a few processes, publish in one move."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .. import console
from ..files import sha256_of, write_text
from ..limits import leave_interrupts_alone
from ..records import Rejected, to_dict
from ..weights import resolve
from .clip import make_clip, write_answer
from .cmlr import write_cmlr_clip, write_cmlr_lists
from .config import SampleConfig
from .fit import own_portraits
from .hdtf import write_hdtf_lists, write_hdtf_video
from .mesh import PORTRAITS_PATH, known_portraits
from .plan import ANY_VOICE, ClipPlan, HdtfPlan, plan_cmlr, plan_hdtf
from .readme import readme_text
from .speech import SPEECH_PATH, recordings

VERSION = "sample/1"
"""Changes whenever the same config would give other frames."""
MARKER = "sample.json"
DEFAULT = SampleConfig()
CMLR_FACES = ("hopper", "collins", "team4", "ivanas", "ivana", "team5", "brooke", "team1", "marie")
HDTF_FACES = ("collins", "brooke", "team1", "hopper", "marie")
Track = Callable[..., Iterator[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """What was made, or found made."""

    path: Path
    reused: bool
    """The same corpus was there already; nothing was done."""
    num_cmlr_clips: int
    num_hdtf_videos: int
    num_hdtf_clips: int
    num_frames: int
    identities: tuple[str, ...]
    seconds: float
    """Wall-clock time of making it."""
    config_hash: str


def make_sample(out: Path, config: SampleConfig = DEFAULT, track: Track = console.track) -> SampleReport:
    """Make the sample corpus in `out`: `cmlr/`, `hdtf/`, `answers/`, a README and, last, `sample.json`.

    A folder that holds the same corpus is left alone; one that holds an older sample is replaced; anything
    else is refused with `Rejected("bad_input")`. `track` shows progress over an iterable.
    """
    known = _existing(out, _hash(config))
    if known is not None:
        return known
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    try:
        report = _make(folder, out, config, track)
        _publish(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _existing(out: Path, config_hash: str) -> SampleReport | None:
    """Find a finished corpus of this config; refuse to touch what is not ours."""
    marker = out / MARKER
    if marker.exists():
        found = json.loads(marker.read_text(encoding="utf-8"))
        if found["config_hash"] == config_hash:
            numbers = {key: value for key, value in found.items() if key not in ("version", "config")}
            identities = tuple(numbers.pop("identities"))
            return SampleReport(**{**numbers, "path": out, "identities": identities, "reused": True})
        return None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Rejected(
            "bad_input", f"{out} is there and is no sample corpus; give another folder or empty it"
        )
    return None


def _hash(config: SampleConfig) -> str:
    """Name a corpus by what decides its frames: version, config, stored numbers, the user's portraits."""
    decisive = to_dict(replace(config, workers=1, portraits=None))
    pictures = [(name, sha256_of(path)) for name, path in own_portraits(config.portraits).items()]
    numbers = [sha256_of(path) for path in (PORTRAITS_PATH, SPEECH_PATH)]
    text = json.dumps([VERSION, decisive, numbers, pictures], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(folder: Path, out: Path, config: SampleConfig, track: Track) -> SampleReport:
    started = time.monotonic()
    own = list(own_portraits(config.portraits))
    cmlr = plan_cmlr(config, [(name, _voice(name)) for name in [*own, *CMLR_FACES]])
    hdtf = plan_hdtf(config, [*own, *HDTF_FACES])
    _fetch_all(cmlr, hdtf)
    frames = _render_all(folder, config, cmlr, hdtf, track)
    write_cmlr_lists(cmlr, folder / "cmlr")
    write_hdtf_lists(hdtf, folder / "hdtf")
    identities = dict.fromkeys([plan.portrait for plan in cmlr] + [plan.clip.portrait for plan in hdtf])
    write_text(folder / "README.md", readme_text(tuple(identities)))
    report = SampleReport(
        path=out,
        reused=False,
        num_cmlr_clips=len(cmlr),
        num_hdtf_videos=len(hdtf),
        num_hdtf_clips=sum(len(plan.ranges) for plan in hdtf),
        num_frames=frames,
        identities=tuple(identities),
        seconds=round(time.monotonic() - started, 1),
        config_hash=_hash(config),
    )
    _write_marker(folder, report, config)
    return report


def _voice(name: str) -> str:
    """Which recordings go with a face: `f`, `m`, or any for a picture that says nothing about it."""
    entry = known_portraits().get(name)
    return entry.voice if entry else ANY_VOICE


def _write_marker(folder: Path, report: SampleReport, config: SampleConfig) -> None:
    row = {key: value for key, value in to_dict(report).items() if key not in ("path", "reused")}
    row |= {"version": VERSION, "config": to_dict(replace(config, portraits=None))}
    write_text(folder / MARKER, json.dumps(row, indent=1, sort_keys=True) + "\n")


def _fetch_all(cmlr: list[ClipPlan], hdtf: list[HdtfPlan]) -> None:
    """Fetch every file once, before processes could do it at the same time."""
    plans = [*cmlr, *(plan.clip for plan in hdtf)]
    names = {known_portraits()[plan.portrait].weight for plan in plans if plan.portrait in known_portraits()}
    names |= {recordings()[piece.recording].weight for plan in plans for piece in plan.utterance.pieces}
    for name in sorted(names):
        resolve(name)


def _render_all(
    folder: Path, config: SampleConfig, cmlr: list[ClipPlan], hdtf: list[HdtfPlan], track: Track
) -> int:
    """Render every clip on `config.workers` processes; returns the number of frames."""
    with ProcessPoolExecutor(config.workers, get_context("spawn"), leave_interrupts_alone) as pool:
        try:
            jobs = [pool.submit(_hdtf_job, plan, config, folder) for plan in hdtf]
            jobs += [pool.submit(_cmlr_job, plan, config, folder) for plan in cmlr]
            return _sum_results(track(as_completed(jobs), "sample corpus", len(jobs)))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # waits: nothing may be written once the folder is removed
            raise


def _sum_results(done: Iterator[Any]) -> int:
    """Add up the frames; a failed job ends the progress display before its error is seen."""
    try:
        return sum(job.result() for job in done)
    finally:
        if isinstance(done, Generator):
            done.close()


def _cmlr_job(plan: ClipPlan, config: SampleConfig, folder: Path) -> int:
    clip = make_clip(plan, config)
    write_cmlr_clip(clip, folder / "cmlr")
    write_answer(clip, folder / "answers" / "cmlr" / plan.id)
    return len(clip.rendered.frames_THW3)


def _hdtf_job(plan: HdtfPlan, config: SampleConfig, folder: Path) -> int:
    clip = make_clip(plan.clip, config)
    write_hdtf_video(plan, clip, folder / "hdtf")
    write_answer(clip, folder / "answers" / "hdtf" / plan.name)
    return len(clip.rendered.frames_THW3)


def _publish(folder: Path, out: Path) -> None:
    """Put the finished folder in place; an older sample is removed once the new one is whole."""
    if out.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
        out.replace(old / "sample")
        folder.replace(out)
        shutil.rmtree(old, ignore_errors=True)
    else:
        folder.replace(out)
