"""The engine: a killed run goes on, videos are aligned by the stated policy, controls do what they say."""

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import small

from benchmark import evaluate as evaluating
from benchmark.alignment import MOST_OFFSET, Alignment, align, check_rate, sound_offset
from benchmark.cases import find_cases
from benchmark.controls import CONTROLS, FROZEN, OTHER, REENCODED, SHIFTED
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.footage import Footage, Store, open_footage
from benchmark.journal import stamp_of
from benchmark.keyframes import keyframe_pair, read_keyframes
from benchmark.measure import CaseResult, Job, measure_block
from benchmark.metrics import MetricConfig, Pair
from benchmark.metrics.psnr import psnr_frames
from benchmark.records import GROUND_TRUTH, Case, Run, System
from benchmark.selftest.selftest import pattern
from benchmark.workers import spread
from datapipe.media import write_video
from datapipe.records import Rejected, to_json

CLIPS = 5


def sound(num_frames: int, seed: int = 0) -> np.ndarray:
    """Noise in bursts: loud in some frames, faint in others, as speech is."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.uniform(0.02, 0.4, num_frames), 640)
    return (random.normal(size=num_frames * 640) * loudness).clip(-1, 1).astype(np.float32)


def footage(frames: np.ndarray, audio: np.ndarray | None = None, name: str = "truth") -> Footage:
    return Footage(name, frames, Store(), audio, sound=name)


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


# -- alignment


def test_equal_videos_are_left_alone() -> None:
    truth, made = footage(pattern(5, 32, 0.0)), footage(pattern(5, 32, 0.1), name="made")
    aligned = align("a", truth, made, Alignment())
    assert (aligned.truth, aligned.generated, aligned.notes) == (truth, made, ())


@pytest.mark.parametrize(("fps", "noted"), [(25, ()), (30, ("resampled from 30 to 25 frames per second",))])
def test_another_rate_is_resampled_or_refused(fps: int, noted: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(path, pattern(12, 32, 0.0), fps=fps)
    assert check_rate("clip", path, Alignment()) == noted
    if noted:
        with pytest.raises(Rejected, match="clip: 30 frames per second, the truth has 25; write the video"):
            check_rate("clip", path, Alignment(fps="refuse"))
    else:
        assert check_rate("clip", path, Alignment(fps="refuse")) == ()
    assert len(open_footage(path, Store()).frames) == (10 if fps == 30 else 12)


@pytest.mark.parametrize(("side", "how"), [(64, "area"), (16, "bicubic")])
def test_another_size_is_resized_or_refused(side: int, how: str) -> None:
    truth, made = footage(pattern(3, 32, 0.0)), footage(pattern(3, side, 0.0), name="made")
    aligned = align("a", truth, made, Alignment())
    assert aligned.generated.frames.shape == truth.frames.shape
    assert aligned.notes == (f"resized from {side}x{side} to 32x32, {how}",)
    assert aligned.generated.picture != made.picture
    with pytest.raises(Rejected, match=f"a: {side}x{side}, the truth is 32x32; make them equal"):
        align("a", truth, made, Alignment(size="refuse"))


@pytest.mark.parametrize(("more", "most", "kept"), [(1, 1, True), (-1, 1, True), (2, 1, False), (3, 3, True)])
def test_another_length_is_trimmed_within_limits(more: int, most: int, kept: bool) -> None:
    truth = footage(pattern(9, 32, 0.0), sound(9))
    made = footage(pattern(9 + more, 32, 0.0), sound(9 + more), name="made")
    if kept:
        aligned = align("a", truth, made, Alignment(most_trimmed=most))
        end = min(9, 9 + more)
        assert len(aligned.truth.frames) == len(aligned.generated.frames) == end
        assert len(aligned.truth.audio) == len(aligned.generated.audio) == 640 * end
        assert aligned.notes == (f"trimmed from {max(9, 9 + more)} to {end} frames",)
    with pytest.raises(Rejected, match=f"a: {9 + more} frames at 25 fps, the truth has 9"):
        align("a", truth, made, Alignment(most_trimmed=most if not kept else 5, length="refuse"))


def shifted(samples: np.ndarray, lag: int, num_frames: int) -> np.ndarray:
    """What a video of some frames holds whose sound is `lag` frames later than the recording's."""
    start = 640 * (20 - lag)
    return samples[start : start + 640 * num_frames]


@pytest.mark.parametrize("lag", [*range(-MOST_OFFSET, MOST_OFFSET + 1)])
def test_a_planted_offset_of_the_sound_is_found(lag: int) -> None:
    recording = sound(120)
    truth = shifted(recording, 0, 75)
    noise = np.random.default_rng(1).normal(0, 0.02, truth.shape)
    made = (0.6 * shifted(recording, lag, 75) + noise).astype(np.float32)
    assert sound_offset(truth, made) == lag


def test_other_recordings_have_no_offset() -> None:
    assert sound_offset(sound(75, 1), sound(75, 2)) == 0
    assert sound_offset(sound(75), np.zeros(75 * 640, np.float32)) == 0
    assert sound_offset(None, sound(75)) == 0
    assert sound_offset(sound(75), sound(75)[:0]) == 0


@pytest.mark.parametrize("lag", [-6, 4])
def test_an_offset_is_noted_trimmed_or_refused(lag: int) -> None:
    """Sound and picture of the system are late together, so that trimming brings both to the truth's."""
    recording, scene = sound(80), pattern(80, 16, 0.0)
    truth = footage(scene[20:60], shifted(recording, 0, 40))
    made = footage(scene[20 - lag : 60 - lag], shifted(recording, lag, 40), name="made")
    word = f"its sound is {abs(lag)} frames {'late' if lag > 0 else 'early'}"
    kept = align("a", truth, made, Alignment())
    assert kept.notes == (f"{word}; compared as it is",)
    assert kept.generated is made
    cut = align("a", truth, made, Alignment(offset="trim"))
    assert cut.notes == (f"{word}; trimmed to where both agree",)
    assert np.array_equal(cut.truth.frames, cut.generated.frames) and len(cut.truth.frames) == 40 - abs(lag)
    assert np.array_equal(cut.truth.audio, cut.generated.audio)
    assert len(cut.truth.audio) == 640 * (40 - abs(lag))
    with pytest.raises(Rejected, match=f"a: {word}; cut the video"):
        align("a", truth, made, Alignment(offset="refuse"))


def test_every_policy_is_part_of_the_protocol() -> None:
    policy = Alignment(fps="refuse", most_trimmed=3)
    assert policy.settings() == {
        "align_fps": "refuse",
        "align_size": "resample",
        "align_offset": "keep",
        "align_length": "trim",
        "align_most_trimmed": 3,
    }


# -- controls


@pytest.fixture
def truth() -> Footage:
    return footage(pattern(12, 32, 0.0), sound(12))


CASE = Case(key="a", video=Path("a.mp4"))


def test_a_copy_is_close_and_keeps_its_sound(truth: Footage) -> None:
    ramp = np.linspace(20, 220, 32, dtype=np.uint8)
    scene = np.stack([np.roll(np.broadcast_to(ramp[:, None, None], (32, 32, 3)), k, 0) for k in range(12)])
    truth = footage(scene, truth.audio)
    copy = CONTROLS[REENCODED](CASE, truth)
    assert copy.frames.shape == truth.frames.shape and copy.audio is truth.audio
    assert 25 < psnr_frames(copy.frames, truth.frames).mean() < 55
    assert copy.picture != truth.picture
    odd = CONTROLS[REENCODED](CASE, footage(np.ascontiguousarray(pattern(4, 33, 0.0)[:, :, :31])))
    assert odd.frames.shape == (4, 33, 31, 3)


def test_late_sound_leaves_the_pictures_alone(truth: Footage) -> None:
    late = CONTROLS[SHIFTED](CASE, truth)
    assert late.frames is truth.frames and late.picture == truth.picture and late.sound != truth.sound
    assert len(late.audio) == len(truth.audio)
    assert np.array_equal(late.audio[5 * 640 :], truth.audio[: -5 * 640]) and not late.audio[: 5 * 640].any()
    with pytest.raises(Rejected) as caught:
        CONTROLS[SHIFTED](CASE, footage(truth.frames))
    assert caught.value.reason == "no_audio"


def test_a_frozen_picture_is_the_first_one(truth: Footage) -> None:
    frozen = CONTROLS[FROZEN](CASE, truth)
    assert frozen.frames.shape == truth.frames.shape and (frozen.frames == truth.frames[0]).all()
    assert frozen.audio is truth.audio and frozen.picture != truth.picture


@pytest.mark.parametrize("length", [3, 12, 20])
def test_another_speaker_goes_to_and_fro(length: int, truth: Footage, tmp_path: Path) -> None:
    write_video(tmp_path / "b.mp4", pattern(length, 32, 2.0), sound(length, 5))
    made = CONTROLS[OTHER](dataclasses.replace(CASE, other=tmp_path / "b.mp4"), truth)
    theirs = open_footage(tmp_path / "b.mp4", Store()).frames
    assert len(made.frames) == 12 and made.audio is truth.audio and made.sound == truth.sound
    to_and_fro = [*range(length), *range(length - 2, 0, -1)]
    for index in range(12):
        assert np.array_equal(made.frames[index], theirs[to_and_fro[index % len(to_and_fro)]])
    with pytest.raises(Rejected, match="no clip of another speaker"):
        CONTROLS[OTHER](CASE, truth)


def test_the_other_clip_is_of_another_speaker(tmp_path: Path) -> None:
    for name, speaker in zip("abcd", ("ann", "ann", "bob", "ann"), strict=True):
        write_video(tmp_path / f"{name}.mp4", pattern(2, 16, 0.0))
        sample = dataclasses.replace(small.sample(0), key=name, speaker=speaker)
        (tmp_path / f"{name}.json").write_text(to_json(sample))
    others = {case.key: case.other.stem if case.other else None for case in find_cases(tmp_path)}
    assert others == {"a": "c", "b": "c", "c": "d", "d": "c"}
    for name in "cd":
        (tmp_path / f"{name}.mp4").unlink()
    assert [case.other for case in find_cases(tmp_path)] == [None, None]


# -- keyframes


def write_keyframes(folder: Path, pictures: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def test_keyframes_lie_beside_the_true_frames(truth: Footage, tmp_path: Path) -> None:
    write_keyframes(tmp_path / "a.keyframes", {f"{index:06d}": truth.frames[index] for index in (9, 2, 4)})
    pair = keyframe_pair(CASE, truth, System(name="s", folder=tmp_path))
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
    found = keyframe_pair(CASE, truth, System(name="s", folder=tmp_path))
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
