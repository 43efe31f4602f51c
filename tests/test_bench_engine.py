"""The engine: a killed run goes on, videos are aligned by the stated policy, controls do what they say."""

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from footages import footage, sound

from benchmark import evaluate as evaluating
from benchmark.alignment import Alignment
from benchmark.cases import find_cases
from benchmark.controls import FROZEN
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.footage import Footage, Store, open_footage
from benchmark.journal import stamp_of
from benchmark.keyframes import keyframe_pair, read_keyframes
from benchmark.measure import CaseResult, Job, measure_block
from benchmark.metrics import MetricConfig, Pair
from benchmark.records import GROUND_TRUTH, Case, Run, System
from benchmark.selftest.selftest import pattern
from benchmark.workers import spread
from datapipe.media import write_video
from datapipe.records import Rejected

CLIPS = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    for number in range(CLIPS):
        frames = pattern(8, 48, 0.5 * number)
        write_video(root / f"cases/clip{number}.mp4", frames, sound(8, number), crf=8)
        write_video(root / f"ours/clip{number}.mp4", frames, sound(8, number), crf=30)
    return root


def ours(root: Path, **facts: object) -> System:
    return System(name="ours", folder=root / "ours", **facts)


def config(*names: str, workers: int = 1, **more: object) -> EvaluateConfig:
    return EvaluateConfig(metrics=MetricConfig(names=names), controls=(), workers=workers, **more)


# -- the journal


class Killed(Exception):
    """What ends a run from outside."""


def evaluated(root: Path, out: Path, settings: EvaluateConfig, system: System | None = None) -> Run:
    cases = find_cases(root / "cases")
    return evaluate(cases, [system or ours(root)], settings, out / "cache", out / "run.journal.jsonl")


def same(one: Run, other: Run) -> bool:
    """Whether two runs say the same; when and how fast they were made may differ."""
    blank = {"created": "", "seconds": {}, "environment": {}}
    return dataclasses.replace(one, **blank) == dataclasses.replace(other, **blank)


def killed_after(
    num: int, root: Path, out: Path, settings: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def measure(jobs: Sequence[Job]) -> list[CaseResult]:
        if len(done) >= num:
            raise Killed
        done.extend(job.case.key for job in jobs)
        return measure_block(jobs)

    monkeypatch.setattr(evaluating, "measure_block", measure)
    with pytest.raises(Killed):
        evaluated(root, out, settings)
    monkeypatch.undo()


def measured_again(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the cases that are measured from now on."""
    keys: list[str] = []

    def measure(jobs: Sequence[Job]) -> list[CaseResult]:
        keys.extend(job.case.key for job in jobs)
        return measure_block(jobs)

    monkeypatch.setattr(evaluating, "measure_block", measure)
    return keys


@pytest.mark.parametrize("names", [("psnr", "ssim"), pytest.param(("fid",), marks=pytest.mark.assets)])
def test_a_killed_run_goes_on_and_ends_the_same(
    names: tuple[str, ...], world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated(world, tmp_path / "whole", config(*names))
    killed_after(4, world, tmp_path, config(*names), monkeypatch)
    assert (tmp_path / "run.journal.jsonl").exists()
    again = measured_again(monkeypatch)
    assert same(evaluated(world, tmp_path, config(*names)), whole)
    assert len(again) == CLIPS - 4
    assert not (tmp_path / "run.journal.jsonl").exists()


@pytest.mark.parametrize(
    "rest", [b'{"key": "clip1", "stamp": "ab', b"\xff\xfe\x00", b"7\n", b"[]\n{}\n", b"{"]
)
def test_a_torn_line_costs_its_own_case_at_most(
    rest: bytes, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(2, world, tmp_path, config("psnr"), monkeypatch)
    with (tmp_path / "run.journal.jsonl").open("ab") as stream:
        stream.write(rest)
    killed_after(1, world, tmp_path, config("psnr"), monkeypatch)
    again = measured_again(monkeypatch)
    evaluated(world, tmp_path, config("psnr"))
    assert len(again) == CLIPS - 3, "what came after the torn line counts too"


def test_a_torn_line_in_the_middle_is_measured_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(4, world, tmp_path, config("psnr"), monkeypatch)
    path = tmp_path / "run.journal.jsonl"
    lines = [line for line in path.read_text().splitlines() if line]
    assert len(lines) == 4
    path.write_text("\n".join([lines[0], lines[1][:-20], *lines[2:]]) + "\n")
    again = measured_again(monkeypatch)
    evaluated(world, tmp_path, config("psnr"))
    assert sorted(again) == sorted([json.loads(lines[1])["key"], "clip4"])


def test_what_changed_is_measured_again(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting invalidates every line, a video its own."""
    killed_after(4, world, tmp_path, config("psnr"), monkeypatch)
    jobs = [Job(case, (ours(world),), config("psnr"), (), tmp_path) for case in find_cases(world / "cases")]
    stamps = {stamp_of(job) for job in jobs}
    assert len(stamps) == CLIPS

    def changed(**facts: object) -> str:
        return stamp_of(dataclasses.replace(jobs[0], **facts))

    others = [
        changed(config=config("psnr", "ssim")),
        changed(config=config("psnr", alignment=Alignment(size="refuse"))),
        changed(config=dataclasses.replace(config("psnr"), controls=(FROZEN,))),
        changed(systems=(ours(world, failures={"clip0": "lost"}),)),
        changed(systems=(dataclasses.replace(ours(world), name="theirs"),)),
        changed(systems=(System(name="ours", folder=world / "cases"),)),
        changed(case=dataclasses.replace(jobs[0].case, other=None)),
    ]
    assert len({*others, stamp_of(jobs[0])}) == len(others) + 1

    again = measured_again(monkeypatch)
    evaluated(world, tmp_path, config("psnr", "ssim"))
    assert len(again) == CLIPS


def test_a_changed_video_is_measured_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "ours/clip0.mp4", pattern(8, 48, 0.0))
    system = System(name="ours", folder=tmp_path / "ours")
    (case, *_) = find_cases(world / "cases")
    before = stamp_of(Job(case, (system,), config("psnr"), (), tmp_path))
    write_video(tmp_path / "ours/clip0.mp4", pattern(8, 48, 0.1))
    assert stamp_of(Job(case, (system,), config("psnr"), (), tmp_path)) != before


def test_rows_that_are_gone_are_measured_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of features points into the cache; without it its line counts for nothing."""
    monkeypatch.setattr(evaluating, "unmeasured", lambda metrics: {})
    killed_after(2, world, tmp_path, config("efid_lmk106"), monkeypatch)
    path = tmp_path / "run.journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    for line in lines:
        line["states"] = [
            [row, name, "FeatureSets", {line["key"]: [[8, str(tmp_path / "gone.npy")]] * 2}, {}]
            for row, name, *_ in line["states"]
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = measured_again(monkeypatch)
    evaluated(world, tmp_path, config("efid_lmk106"))
    assert len(again) == CLIPS


# -- workers


def doubled(jobs: Sequence[int]) -> list[int]:
    if -1 in jobs:
        raise Killed
    return [2 * job for job in jobs]


def slowly_doubled(jobs: Sequence[int]) -> list[int]:
    time.sleep(0.0 if -1 in jobs else 0.2)
    return doubled(jobs)


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("num", [0, 1, 5, 40])
def test_every_job_ends_once(num: int, workers: int) -> None:
    found = list(spread(doubled, range(num), "inline", workers))
    assert sorted(found) == [2 * job for job in range(num)]


def test_what_a_job_raises_is_raised() -> None:
    def consume() -> Iterator[int]:
        yield from spread(doubled, [1, -1, 2], "inline", 2)

    with pytest.raises(Killed):
        list(consume())


def test_what_was_finished_comes_before_the_error() -> None:
    """A neighbour that is under way when a job breaks is finished, and its result is not lost."""
    found = []
    with pytest.raises(Killed):
        for each in spread(slowly_doubled, [1, -1, 2, 3], "inline", 2):
            found.append(each)
    assert 2 in found


@pytest.mark.slow
def test_processes_give_what_threads_give(world: Path) -> None:
    cases = find_cases(world / "cases")
    settings = config("psnr", "ssim", "flicker")
    inline = evaluate(cases, [ours(world)], settings)
    processes = evaluate(
        cases[::-1], [ours(world)], dataclasses.replace(settings, cluster="local", workers=2)
    )
    assert processes.systems == inline.systems and processes.differences == inline.differences


# -- keyframes


@pytest.fixture
def truth() -> Footage:
    return footage(pattern(12, 32, 0.0), sound(12))


def write_keyframes(folder: Path, pictures: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def test_keyframes_lie_beside_the_true_frames(truth: Footage, tmp_path: Path) -> None:
    write_keyframes(tmp_path / "a.keyframes", {f"{index:06d}": truth.frames[index] for index in (9, 2, 4)})
    pair = keyframe_pair(Case(key="a", video=Path("a.mp4")), truth, System(name="s", folder=tmp_path))
    assert isinstance(pair, Pair)
    assert np.array_equal(pair.truth.frames, truth.frames[[2, 4, 9]])
    assert np.array_equal(pair.generated.frames, pair.truth.frames)
    assert pair.truth.picture != truth.picture and pair.generated.audio is None and pair.truth.audio is None


@pytest.mark.parametrize(
    ("name", "side", "reason", "message"),
    [
        (None, 32, "missing_file", "a: there are no keyframes; the system writes them to a.keyframes/"),
        ("000012", 32, "bad_input", "000000.png to 000011.png"),
        ("-1", 32, "bad_input", "named by frame"),
        ("first", 32, "bad_input", "named by frame"),
        ("٣", 32, "bad_input", "named by frame"),
        ("000003", 16, "bad_input", "000003.png: 16x16; write PNGs of 32x32"),
    ],
)
def test_keyframes_that_do_not_fit(
    name: str | None, side: int, reason: str, message: str, truth: Footage, tmp_path: Path
) -> None:
    if name is not None:
        write_keyframes(tmp_path / "a.keyframes", {name: pattern(1, side, 0.0)[0]})
    found = keyframe_pair(Case(key="a", video=Path("a.mp4")), truth, System(name="s", folder=tmp_path))
    assert isinstance(found, Rejected) and found.reason == reason and message in found.message


def test_a_file_that_is_no_picture_is_refused(truth: Footage, tmp_path: Path) -> None:
    (tmp_path / "000001.png").write_bytes(b"no picture")
    with pytest.raises(Rejected, match=r"000001\.png: no picture"):
        read_keyframes(tmp_path, "a", truth.frames)


def test_keyframes_and_videos_are_scored_apart(world: Path, tmp_path: Path) -> None:
    for number in range(2):
        for folder in ("cases", "ours"):
            (tmp_path / folder).mkdir(exist_ok=True)
            source = world / folder / f"clip{number}.mp4"
            (tmp_path / folder / source.name).write_bytes(source.read_bytes())
    first = open_footage(tmp_path / "cases/clip0.mp4", Store()).frames
    write_keyframes(tmp_path / "ours/clip0.keyframes", {"000000": first[0], "000005": first[5]})
    run = evaluated(tmp_path, tmp_path / "out", config("psnr", "keyframe/psnr"))
    truth_row, row = run.systems
    assert truth_row.name == GROUND_TRUTH
    assert truth_row.scores[1].not_measured == "not applicable to the ground truth"
    free, forced = row.scores
    assert free.num_ok == 2 and free.value < forced.value == pytest.approx(58.92, abs=0.01)
    assert (forced.num_ok, forced.num_total, list(forced.failures)) == (1, 2, ["clip1"])
    assert "no keyframes" in forced.failures["clip1"]
