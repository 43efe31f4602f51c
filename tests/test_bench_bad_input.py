"""What people really have: an odd file gets a reason and exit code 3, an odd word exit code 2 and advice.

All of it goes through the command line; nothing ends in a traceback, nothing odd becomes a number.
"""

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmark.__main__ import main
from benchmark.records import Run, Score
from benchmark.runs import read_run
from benchmark.selftest.selftest import pattern
from datapipe.media import write_video

HTML = "<script>alert(1)</script>"
FRAMES = 12


def sound(num_frames: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.1, num_frames * 640).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Two cases, and a system whose first video every test breaks in its own way."""
    for number in range(2):
        frames = pattern(FRAMES, 48, 0.5 * number)
        write_video(tmp_path / f"cases/clip{number}.mp4", frames, sound(FRAMES), crf=8)
        write_video(tmp_path / f"ours/clip{number}.mp4", frames, sound(FRAMES), crf=20)
    return tmp_path


def bench(root: Path, *words: str, metrics: str = "psnr,ssim", name: str = "ours") -> int:
    """Run `avatarsync bench run` over the world."""
    given = [
        "--reference",
        f"{root / 'cases'}",
        "--out",
        f"{root / 'run.json'}",
        "--cache",
        f"{root / 'cache'}",
    ]
    system = [] if "--system" in words else ["--system", f"{name}={root / 'ours'}"]
    options = ["--controls", "none"]
    options += [] if "--metrics" in words else ["--metrics", metrics]
    options += [] if "--workers" in words else ["--workers", "1"]
    return main(["run", *given, *system, *options, *words])


def scores(root: Path, name: str = "ours") -> dict[str, Score]:
    (row,) = (each for each in result(root).systems if each.name == name)
    return {score.metric.split("/")[1]: score for score in row.scores}


def result(root: Path) -> Run:
    """The run, in which every number is one."""
    run = read_run(root / "run.json")
    for row in run.systems:
        for score in row.scores:
            values = [score.value, score.low, score.high, *score.per_clip.values()]
            assert all(value is None or math.isfinite(value) for value in values)
            assert score.num_ok + len(score.failures) == score.num_total or score.not_measured
    assert "NaN" not in (root / "run.json").read_text()
    return run


def absent(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html>404 not found</html>")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1200])


def cut_late(path: Path) -> None:
    """The index is whole, the last pictures are missing."""
    write_video(path, np.random.default_rng(0).integers(0, 255, (FRAMES, 48, 48, 3), np.uint8), crf=4)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.3)])


def renamed(path: Path) -> None:
    path.rename(path.with_name("clip-0.mp4"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound(25)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16000, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def one_frame(path: Path) -> None:
    write_video(path, pattern(1, 48, 0.0), sound(1))


def longer(path: Path) -> None:
    """3.9 seconds, as some methods make of everything."""
    write_video(path, pattern(98, 48, 0.0), sound(98))


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere.mp4"))


BROKEN: dict[Callable[[Path], None], str] = {
    absent: "clip0: ours has no video for it",
    empty: "cannot be read as a video",
    text: "cannot be read as a video",
    cut: "clip0.mp4",
    cut_late: "clip0.mp4",
    renamed: "clip0: ours has no video for it",
    folder: "clip0: ours has no video for it",
    sound_only: "clip0.mp4",
    one_frame: "clip0: 1 frames at 25 fps, the truth has 12; make them equal",
    longer: "clip0: 98 frames at 25 fps, the truth has 12; make them equal",
    dangling: "clip0: ours has no video for it",
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__)
def test_a_video_that_cannot_be_used_is_a_counted_failure(
    damage: Callable[[Path], None], world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(world / "ours/clip0.mp4")
    assert bench(world) == 3
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    for score in scores(world).values():
        assert (score.num_ok, score.num_total, list(score.failures)) == (1, 2, ["clip0"])
        assert BROKEN[damage] in score.failures["clip0"]
        assert list(score.per_clip) == ["clip1"] and score.value == score.per_clip["clip1"]
    assert re.sub(r"\s+", " ", BROKEN[damage]) in re.sub(r"\s+", " ", told.err)
    assert "(1/2)" in told.out


@pytest.mark.parametrize(
    "damage", [empty, text, cut, sound_only, dangling, folder], ids=lambda damage: damage.__name__
)
def test_a_ground_truth_that_cannot_be_used_costs_its_own_clip(
    damage: Callable[[Path], None], world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(world / "cases/clip0.mp4")
    assert bench(world) == 3
    assert "Traceback" not in capsys.readouterr().err
    score = scores(world)["psnr"]
    assert (score.num_ok, list(score.failures)) == (1, ["clip0"])


def test_short_and_other_rates_are_scored_as_what_they_are(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 1-frame pair and a pair at 30 and 12.5 frames per second: a number where it is one, and a note."""
    write_video(world / "cases/clip0.mp4", pattern(1, 48, 0.0))
    write_video(world / "ours/clip0.mp4", pattern(1, 48, 0.0), crf=20)
    write_video(world / "ours/clip1.mp4", pattern(FRAMES, 48, 0.5)[::2], fps=Fraction(25, 2))
    assert bench(world, metrics="psnr,flicker,fvd_styleganv") == 3
    found, run = scores(world), result(world)
    assert found["psnr"].num_ok == 2
    assert found["flicker"].num_ok == 1 and "single frame" in found["flicker"].failures["clip0"]
    if not found["fvd_styleganv"].not_measured.startswith("`"):
        assert found["fvd_styleganv"].num_ok == 0
        assert all("16 frames" in why for why in found["fvd_styleganv"].failures.values())
    assert run.systems[1].notes["clip1"].startswith("resampled from 12.5 to 25 frames per second")
    assert bench(world, "--replace", "--alignment.fps", "refuse") == 3
    assert "clip1: 12.5 frames per second, the truth has 25" in scores(world)["psnr"].failures["clip1"]


@pytest.mark.assets
def test_no_face_and_no_sound_are_reasons(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        write_video(world / f"ours/clip{number}.mp4", pattern(FRAMES, 48, 0.5 * number))
    bench(world, metrics="psnr,csim_w600k_mbf,mouth_psnr,mouth_opening_r,iss_w600k_mbf,efid_lmk106")
    capsys.readouterr()
    found = scores(world)
    assert found.pop("psnr").num_ok == 2
    for score in found.values():
        assert (score.value, score.num_ok, len(score.failures)) == (None, 0, 2)
        assert all("face" in why for why in score.failures.values())


def test_markup_in_names_stays_text(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder_name in ("cases", "ours"):
        (world / folder_name / "clip0.mp4").rename(world / folder_name / "a&<b>'\"c.mp4")
    assert bench(world, name=f"{HTML}|**x**") == 0
    assert "<script" not in capsys.readouterr().out
    words = ["--run", f"{world / 'run.json'}", "--cases", f"{world / 'cases'}"]
    system = ["--system", f"{HTML}|**x**={world / 'ours'}"]
    assert main(["report", *words, *system, "--out", f"{world / 'report'}"]) == 0
    page = (world / "report/index.html").read_text()
    assert HTML not in page and "a&<b>" not in page
    assert HTML not in (world / "report/index.md").read_text()


def test_names_lead_out_of_no_folder(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are file names; a record that names others reaches nothing."""
    secret = world.parent / f"{world.name}-secret.mp4"
    write_video(secret, pattern(FRAMES, 48, 0.0))
    times = {"seconds": 1.0, "media_seconds": 1.0, "num_frames": 25}
    odd = {f"../../{secret.stem}": times, "/etc/passwd": times, "clip1": times}
    (world / "ours/timing.json").write_text(json.dumps({"system": "ours", "clips": odd}))
    assert bench(world, metrics="psnr,latency") == 0
    assert scores(world)["latency"].per_clip == {"clip1": 1.0}
    assert secret.stem not in (world / "run.json").read_text()
    assert str(world) not in (world / "run.json").read_text()


def test_a_cache_that_cannot_be_read_is_made_again(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(world, metrics="lpips_alex") == 0
    before = scores(world)["lpips_alex"]
    stored = sorted((world / "cache").rglob("*.npy"))
    assert stored
    for number, path in enumerate(stored):
        path.write_bytes(b"" if number % 2 else path.read_bytes()[:-3])
    assert bench(world, "--replace", metrics="lpips_alex") == 0
    assert scores(world)["lpips_alex"] == before
    assert "Traceback" not in capsys.readouterr().err


def test_a_cache_that_is_a_file_says_so(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "cache").write_text("")
    assert bench(world, metrics="lpips_alex") in (1, 2)
    told = capsys.readouterr().err
    assert "error:" in told and "Traceback" not in told


WRONG: dict[str, tuple[list[str], str]] = {
    "unknown metric": (["--metrics", "psrn"], "did you mean video/psnr"),
    "no metric": (["--metrics", ","], "--metrics"),
    "unknown preset": (["--preset", "fast"], "quick"),
    "unknown policy": (["--on-failure", "ignore"], "exclude"),
    "unknown alignment": (["--alignment.size", "crop"], "resample"),
    "no workers": (["--workers", "0"], "--workers"),
    "unknown cluster": (["--cluster", "slurm"], "known: inline, local"),
    "no such system": (["--system", "a=/no/such/folder"], "is no folder"),
    "no folder in system": (["--system", "ours"], "NAME=DIR"),
    "the truth's name": (["--system", "ground truth=."], "that row is there already"),
    "a control's name": (["--system", "frozen frame=."], "that row is there already"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_use_ends_with_two_and_says_what_to_do(
    what: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, told = WRONG[what]
    assert bench(world, *words) == 2
    error = re.sub(r"[\s│]+", " ", capsys.readouterr().err)
    assert told in error and "Traceback" not in error
    assert not (world / "run.json").exists()


def test_a_judge_that_is_not_there(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(world, "--sync", "/no/such/judge") in (1, 2)
    error = capsys.readouterr().err
    assert "/no/such/judge" in error and "Traceback" not in error
    assert not (world / "run.json").exists()


@pytest.mark.parametrize("content", ["nothing", "no folder", "other files", "a broken record"])
def test_no_cases_end_with_two(content: str, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (world / "cases").glob("*.mp4"):
        path.unlink()
    if content == "no folder":
        (world / "cases").rmdir()
    if content == "other files":
        (world / "cases/readme.txt").write_text("x")
        (world / "cases/.clip0.mp4").write_text("x")
    if content == "a broken record":
        write_video(world / "cases/clip0.mp4", pattern(2, 48, 0.0))
        (world / "cases/clip0.json").write_text('{"key": 3')
    assert bench(world) == 2
    error = capsys.readouterr().err
    assert "error:" in error and "Traceback" not in error and ("export" in error or "folder" in error)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"clips": {"clip0": {"seconds": "fast"}}}', '{"clips": []}', "\0"]
)
def test_a_broken_timing_record_ends_with_two(
    content: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "ours/timing.json").write_text(content)
    assert bench(world) == 2
    assert "timing" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-1", "1e999"])
def test_impossible_times_are_no_scores(
    seconds: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = f'{{"clips": {{"clip0": {{"seconds": {seconds}, "media_seconds": 0.48, "num_frames": 12}}}}}}'
    (world / "ours/timing.json").write_text(record)
    code = bench(world, metrics="latency,rtf")
    assert "Traceback" not in capsys.readouterr().err
    if code != 2:
        for score in scores(world).values():
            assert (score.value, score.num_ok) == (None, 0)


def test_a_video_without_length_in_its_record_divides_by_nothing(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"clips": {"clip0": {"seconds": 1.0, "media_seconds": 0.0, "num_frames": 0}}}
    (world / "ours/timing.json").write_text(json.dumps(record))
    code = bench(world, metrics="rtf")
    assert "Traceback" not in capsys.readouterr().err
    if code != 2:
        assert (scores(world)["rtf"].value, scores(world)["rtf"].num_ok) == (None, 0)
        assert "bug" not in scores(world)["rtf"].failures["clip0"]


def test_keyframes_that_do_not_fit_cost_their_clip(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "ours/clip0.keyframes").mkdir()
    (world / "ours/clip0.keyframes/000099.png").write_bytes(b"no picture")
    (world / "ours/clip1.keyframes").write_text("a file")
    bench(world, metrics="psnr,keyframe/psnr")
    assert "Traceback" not in capsys.readouterr().err
    (forced,) = (each for each in result(world).systems[1].scores if each.metric == "keyframe/psnr")
    assert (forced.value, sorted(forced.failures)) == (None, ["clip0", "clip1"])
    assert "000011.png" in forced.failures["clip0"] and "no keyframes" in forced.failures["clip1"]


def test_nothing_measured_at_all_is_no_zero(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        (world / f"ours/clip{number}.mp4").unlink()
    assert bench(world) == 3
    for score in scores(world).values():
        assert (score.value, score.num_ok, score.num_total) == (None, 0, 2)
    assert "| 0" not in capsys.readouterr().out
