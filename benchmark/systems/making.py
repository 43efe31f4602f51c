"""Ask a system for one video per case: what is there is kept, a failure costs its clip, not the run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from datapipe import template
from datapipe.child import check_program, last_words, run_child
from datapipe.console import say, track
from datapipe.files import publish, sha256_of, sweep, write_text
from datapipe.media import FPS, probe
from datapipe.records import Rejected, Seconds, from_dict, to_dict

from ..records import Case, System, Timing
from .adapters import scratch
from .callables import Caller
from .inputs import audio_file, check_key, digest_of, reference_file, text_of
from .specs import AdapterSpec, CallableSpec, CommandSpec, FolderSpec, Spec, open_system, read_timing

LOG = "log.txt"
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeConfig:
    """How a system is asked for videos."""

    timeout: Seconds = 1800.0
    """A clip that takes longer is a failure; its processes are ended."""
    again: bool = False
    """Make every video again, those too that were made from the same inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A video that a system left, not yet in its place, and what it took."""

    video: Path
    seconds: Seconds
    first_frame_seconds: Seconds | None = None
    load_seconds: Seconds | None = None


Maker = Callable[[Case, Path], Made]
"""Makes one case's video inside an empty folder; raises `Rejected`, and leaves what was said in `LOG`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """timing.json, with what is needed to know a video again."""

    system: str
    load_seconds: Seconds | None = None
    clips: dict[str, Timing] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """Case key to the digest of what its video was made from."""
    videos: dict[str, str] = field(default_factory=dict)
    """Case key to the sha256 of the video that was made."""

    def without(self, key: str) -> Record:
        """Forget a case."""
        return replace(
            self,
            clips=_less(self.clips, key),
            failures=_less(self.failures, key),
            inputs=_less(self.inputs, key),
            videos=_less(self.videos, key),
        )

    def write(self, folder: Path) -> Record:
        """Write it whole and return it."""
        write_text(folder / "timing.json", json.dumps(to_dict(self), indent=1, ensure_ascii=False))
        return self


def _less(values: dict[str, ValueT], key: str) -> dict[str, ValueT]:
    return {each: value for each, value in values.items() if each != key}


def make_videos(spec: Spec, cases: Sequence[Case], folder: Path, config: MakeConfig = MakeConfig()) -> System:
    """Make `folder`/KEY.mp4 for every case, and timing.json; a folder of videos is opened as it is.

    Clips run one at a time. A case whose video was made from the same inputs is kept. Raises `Rejected`
    ("bad_input") for what concerns all clips: a program or callable that is not there, a folder with videos
    of somebody else.
    """
    if isinstance(spec, FolderSpec):
        return open_system(spec.name, spec.folder)
    record, kept = _opened(folder, spec.name, cases), 0
    with _maker(spec, config) as maker:
        for case in track(cases, f"{spec.name}: videos"):
            digest = digest_of(case, _recipe(spec))
            if not config.again and _is_kept(case, folder, record, digest):
                kept += 1
                continue
            record = _make(maker, case, folder, record, digest).write(folder)
    if kept:
        say(f"{spec.name}: {kept} of {len(cases)} videos kept, made from the same inputs before")
    wanted = {case.key for case in cases}
    system = open_system(spec.name, folder)
    return replace(system, failures={key: why for key, why in system.failures.items() if key in wanted})


def _opened(folder: Path, name: str, cases: Sequence[Case]) -> Record:
    """The record to go on with; videos that no record speaks of are somebody's work, and stay."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    content = read_timing(folder)
    is_ours = "inputs" in content and content.get("system") == name
    foreign = [case.key for case in cases if (folder / f"{case.key}.mp4").exists()]
    if (content or foreign) and not is_ours:
        held = f"{foreign[0]}.mp4" if foreign else "a timing.json"
        message = f"{folder} holds {held} that was not made for {name} here; choose another folder"
        raise Rejected("bad_input", message)
    return _read(content, folder).write(folder) if content else Record(system=name).write(folder)


def _read(content: dict[str, Any], folder: Path) -> Record:
    try:
        return from_dict(content, Record)
    except (cattrs.BaseValidationError, ValueError, TypeError) as error:
        message = f"{folder / 'timing.json'} was changed since; remove it, or choose another folder"
        raise Rejected("bad_input", message) from error


def _recipe(spec: Spec) -> Any:
    if isinstance(spec, CommandSpec):
        return ["cmd", spec.words, str(spec.cwd), str(spec.repo)]
    if isinstance(spec, CallableSpec):
        return ["py", spec.target]
    return ["adapter", spec.setup.recipe] if isinstance(spec, AdapterSpec) else ["folder"]


def _is_kept(case: Case, folder: Path, record: Record, digest: str) -> bool:
    video = folder / f"{case.key}.mp4"
    same = record.inputs.get(case.key) == digest and case.key not in record.failures
    return same and video.is_file() and sha256_of(video) == record.videos.get(case.key)


def _make(maker: Maker, case: Case, folder: Path, record: Record, digest: str) -> Record:
    key, rest = case.key, record.without(case.key)
    with tempfile.TemporaryDirectory(prefix="avatarsync-make-", ignore_cleanup_errors=True) as work:
        try:
            target = folder / f"{check_key(key)}.mp4"
            target.unlink(missing_ok=True)
            made = maker(case, Path(work))
            timing = _timing(made)
            with publish(target) as temporary:
                shutil.copyfile(made.video, temporary)
        except Rejected as why:
            said = why.message + _kept_log(Path(work) / LOG, folder, key)
            return replace(rest, failures={**rest.failures, key: said})
    return replace(
        rest,
        load_seconds=made.load_seconds if rest.load_seconds is None else rest.load_seconds,
        clips={**rest.clips, key: timing},
        inputs={**rest.inputs, key: digest},
        videos={**rest.videos, key: sha256_of(target)},
    )


def _timing(made: Made) -> Timing:
    """Look at the video: what cannot be opened was not made."""
    shown = probe(made.video)
    num_frames = shown.num_frames if shown.fps == FPS else round(shown.duration * FPS)
    if num_frames == 0:
        raise Rejected("too_short", f"{made.video.name} holds no picture; see the method's own messages")
    return Timing(
        seconds=made.seconds,
        media_seconds=shown.duration,
        num_frames=num_frames,
        first_frame_seconds=made.first_frame_seconds,
    )


def _kept_log(log: Path, folder: Path, key: str) -> str:
    """Keep all that was said beside the videos; where that is, for the failure's sentence."""
    if "/" in key or not log.is_file() or not log.stat().st_size:
        return ""
    with publish(folder / "logs" / f"{key}.txt") as temporary:
        shutil.copyfile(log, temporary)
    return f" (all of it: logs/{key}.txt)"


@contextmanager
def _maker(spec: Spec, config: MakeConfig) -> Iterator[Maker]:
    if isinstance(spec, CommandSpec):
        check_program(spec.words[0], spec.cwd)
        yield lambda case, work: _run_command(spec, case, work, config.timeout)
    elif isinstance(spec, AdapterSpec):
        check_program(spec.setup.python, spec.setup.repo)
        yield lambda case, work: _run_adapter(spec.setup, case, work, config.timeout)
    elif isinstance(spec, CallableSpec):
        with Caller(spec.target, config.timeout) as caller:
            yield lambda case, work: _call(caller, case, work)


def _run_command(spec: CommandSpec, case: Case, work: Path, timeout: Seconds) -> Made:
    used, out = template.places_in(spec.words), work / "out.mp4"
    values = {"video": str(case.video.resolve()), "out": str(out), "key": case.key}
    values |= {"text": text_of(case), "repo": str(spec.repo)}
    if "reference" in used:
        values["reference"] = str(reference_file(case, work))
    if "audio" in used:
        values["audio"] = str(audio_file(case, work))
    command = [template.fill(word, values) for word in spec.words]
    seconds = run_child(command, cwd=spec.cwd, env={}, timeout=timeout, log=work / LOG)
    if not out.is_file():
        said = last_words(work / LOG)
        raise Rejected(
            "missing_file", f"`{command[0]}` ended but wrote no video at {{out}}; its last line: {said}"
        )
    return Made(video=out, seconds=seconds)


def _run_adapter(setup: scratch.Setup, case: Case, work: Path, timeout: Seconds) -> Made:
    root, log = work / "root", work / LOG
    root.mkdir()
    command = scratch.stage(setup, case, root)
    paths = [str(setup.repo), *filter(None, [os.environ.get("PYTHONPATH")])]
    seconds = run_child(
        command, cwd=root, env={"PYTHONPATH": os.pathsep.join(paths)}, timeout=timeout, log=log
    )
    made = scratch.collect(setup.adapter, root, log)
    return Made(video=scratch.finish(setup.adapter, case, made, work), seconds=seconds)


def _call(caller: Caller, case: Case, work: Path) -> Made:
    out = work / "out.mp4"
    times = caller.call(reference_file(case, work), audio_file(case, work), out, case)
    if not out.is_file():
        raise Rejected("missing_file", f"`{caller.target}` returned but wrote no video to `out`")
    return Made(
        video=out,
        seconds=times["seconds"],
        first_frame_seconds=times.get("first_frame_seconds"),
        load_seconds=times.get("load_seconds", caller.load_seconds),
    )
