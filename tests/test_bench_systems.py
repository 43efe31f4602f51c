"""Systems under test: what their text may say, and that a failure of theirs costs a clip and nothing else."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from striped import NUM_FRAMES, striped_cases, stripes

from benchmark.cases import find_cases
from benchmark.records import GROUND_TRUTH, Case, System
from benchmark.systems import specs as systems
from benchmark.systems.commands import MakeCommand
from benchmark.systems.inputs import SAMPLES_PER_FRAME, num_frames_of, sound_of_length
from benchmark.systems.making import MakeConfig, make_videos
from benchmark.systems.specs import (
    CommandSpec,
    FolderSpec,
    folder_name,
    open_system,
    parse_system,
    parse_systems,
)
from datapipe.media import probe, read_audio, write_video
from datapipe.records import Rejected

PYTHON = sys.executable
MAKER = """
import pathlib, shutil, sys, time, os
reference, audio, out, key, video = sys.argv[1:6]
assert reference.endswith(".png") and pathlib.Path(reference).is_file()
assert pathlib.Path(audio).read_bytes()[:4] == b"RIFF"
print("loading", file=sys.stderr)
with open("calls.txt", "a") as calls:
    calls.write(key + "\\n")
mode = os.environ.get("MODE_" + key, "")
if mode == "fail":
    print("step 1/3\\rstep 2/3\\rCUDA out of memory", file=sys.stderr)
    sys.exit(7)
if mode == "nothing":
    print("no face was found")
    sys.exit(0)
if mode == "garbage":
    pathlib.Path(out).write_bytes(b"not a video at all")
    sys.exit(0)
if mode == "segfault":
    os.kill(os.getpid(), 11)
if mode == "hang":
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path("child.txt").write_text(str(child.pid))
    time.sleep(60)
shutil.copyfile(video, out)
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    return striped_cases(tmp_path_factory.mktemp("cases"), 3)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "the repo"
    folder.mkdir()
    (folder / "make.py").write_text(MAKER)
    return folder


def text_for(repo: Path, name: str = "ours") -> str:
    return f"{name}=cmd?repo={repo}:{PYTHON} make.py {{reference}} {{audio}} {{out}} {{key}} {{video}}"


def command(repo: Path, name: str = "ours") -> CommandSpec:
    spec = parse_system(text_for(repo, name))
    assert isinstance(spec, CommandSpec)
    return spec


def calls_of(repo: Path) -> list[str]:
    return (repo / "calls.txt").read_text().split()


def test_a_folder_is_opened_with_what_it_says_of_itself(tmp_path: Path) -> None:
    clip = {"seconds": 1.0, "media_seconds": 2.0, "num_frames": 50}
    (tmp_path / "timing.json").write_text(
        json.dumps({"load_seconds": 3, "clips": {"a": clip}, "failures": {"b": "no"}})
    )
    (spec,) = parse_systems((f"ours={tmp_path}",))
    assert spec == FolderSpec(name="ours", folder=tmp_path)
    system = make_videos(spec, (), tmp_path / "unused")
    assert (system.load_seconds, system.timings["a"].seconds, system.failures) == (3.0, 1.0, {"b": "no"})
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"clips": {"a": {"seconds": "x"}}}', '{"clips": 3}'])
def test_a_timing_record_that_is_none_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "timing.json").write_text(content)
    with pytest.raises(Rejected, match="not a timing record"):
        open_system("ours", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ours", "is not NAME=DIR"),
        ("=somewhere", "is not NAME=DIR"),
        ("ours=", "is not NAME=DIR"),
        (" =x", "is not NAME=DIR"),
        (f"{GROUND_TRUTH}=/tmp", "that row is there already"),
        ("Frozen Frame=/tmp", "that row is there already"),
        ("two\nlines=/tmp", "cannot be printed"),
        ("ours=/no/such/folder", "is no folder"),
        ("ours=cmd:python run.py", "must hold {out}"),
        ("ours=cmd:", "must hold {out}"),
        ("ours=cmd:python run.py 'x {out}", "cannot be split"),
        ("ours=cmd:python run.py {refrence} {out}", "did you mean `reference`"),
        ("ours=cmd?cwd=/no/such:python {out}", "is no folder"),
        ("ours=cmd?repos=/tmp:python {out}", "did you mean `repo`"),
        ("ours=cmd?repo:python {out}", r"\?NAME=VALUE"),
        ("ours=py:module", "package.module:function"),
        ("ours=py:os.system('x'):y", "package.module:function"),
        ("ours=adapter:sadtalkr?repo=/tmp", "did you mean `sadtalker`"),
        ("ours=adapter:sadtalker", "clone https://github.com/OpenTalker/SadTalker"),
        ("ours=adapter:sadtalker?repo=/tmp", "has no inference.py"),
        ("ours=adapter:sadtalker?repo=/tmp&preproces=full", "did you mean `preprocess`"),
        ("ours=adapter:/no/such/adapter.json?repo=/tmp", "cannot be read"),
    ],
)
def test_a_text_that_names_no_system_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(Rejected, match=says) as caught:
        parse_systems((text,))
    assert caught.value.reason == "bad_input"


def test_names_are_given_once_and_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="same name"):
        parse_systems((f"a={tmp_path}", f"a={tmp_path}"))
    with pytest.raises(Rejected, match="no system"):
        parse_systems(())


def test_the_reserved_names_are_the_control_rows() -> None:
    controls = pytest.importorskip("benchmark.controls")
    rows = {controls.REENCODED, controls.SHIFTED, controls.FROZEN, controls.OTHER}
    assert set(systems.RESERVED) == {GROUND_TRUTH, *rows}


def test_any_name_becomes_one_folder_of_its_own() -> None:
    names = ["ours", "a b", "a-b", "../../etc", "<script>alert(1)</script>", "..", "/", "x" * 200, "名字"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert folders[0] == "ours" and folders[-1] == "名字"
    assert all("/" not in each and not each.startswith(".") and len(each) < 80 for each in folders)


def test_a_command_makes_every_video_and_is_timed(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path
) -> None:
    system = make_videos(command(repo), cases, tmp_path / "out")
    assert not system.failures and set(system.timings) == {case.key for case in cases}
    for case in cases:
        assert (tmp_path / f"out/{case.key}.mp4").read_bytes() == case.video.read_bytes()
        timing = system.timings[case.key]
        assert timing.seconds > 0 and timing.num_frames == NUM_FRAMES
        assert timing.media_seconds == pytest.approx(NUM_FRAMES / 25, abs=0.05)
    assert system == open_system("ours", tmp_path / "out")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {*(f"{case.key}.mp4" for case in cases), "timing.json"}


def test_what_was_made_from_the_same_inputs_is_kept(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first = make_videos(command(repo), cases[:2], out)
    assert make_videos(command(repo), cases, out).timings.items() >= first.timings.items()
    assert calls_of(repo) == ["clip0", "clip1", "clip2"]
    assert "2 of 3 videos kept" in capsys.readouterr().err
    (out / "clip1.mp4").write_bytes(b"somebody else wrote here")
    make_videos(command(repo), cases, out)
    assert calls_of(repo)[3:] == ["clip1"]
    make_videos(command(repo), cases[:1], out, MakeConfig(again=True))
    assert calls_of(repo)[4:] == ["clip0"]
    other = parse_system(text_for(repo) + " -x")
    make_videos(other, cases[:1], out)
    assert calls_of(repo)[5:] == ["clip0"]


def test_another_picture_is_another_video(cases: tuple[Case, ...], repo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    shutil.copytree(cases[0].video.parent, folder)
    make_videos(command(repo), find_cases(folder)[:1], tmp_path / "out")
    import cv2

    cv2.imwrite(str(folder / "clip0.png"), np.full((32, 32, 3), 77, np.uint8))
    make_videos(command(repo), find_cases(folder)[:1], tmp_path / "out")
    assert calls_of(repo) == ["clip0", "clip0"]


@pytest.mark.parametrize(
    ("mode", "says", "log"),
    [
        ("fail", r"ended with code 7: CUDA out of memory \(all of it: logs/clip1.txt\)", "step 1/3"),
        ("nothing", "wrote no video at {out}; its last line: no face was found", "no face"),
        ("garbage", "out.mp4", "loading"),
        ("segfault", "ended by SIGSEGV", "loading"),
    ],
)
def test_a_clip_that_fails_costs_its_clip(
    cases: tuple[Case, ...],
    repo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    says: str,
    log: str,
) -> None:
    monkeypatch.setenv("MODE_clip1", mode)
    system = make_videos(command(repo), cases, tmp_path / "out")
    assert set(system.failures) == {"clip1"} and set(system.timings) == {"clip0", "clip2"}
    assert re.search(says, system.failures["clip1"]), system.failures
    assert log in (tmp_path / "out/logs/clip1.txt").read_text()
    assert not (tmp_path / "out/clip1.mp4").exists()
    monkeypatch.setenv("MODE_clip1", "")
    assert not make_videos(command(repo), cases, tmp_path / "out").failures, "a failure is tried again"
    assert calls_of(repo) == ["clip0", "clip1", "clip2", "clip1"]


def test_a_video_of_before_never_stands_for_a_failure(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(command(repo), cases[:2], tmp_path / "out")
    monkeypatch.setenv("MODE_clip1", "fail")
    make_videos(command(repo), cases[:2], tmp_path / "out", MakeConfig(again=True))
    assert not (tmp_path / "out/clip1.mp4").exists() and (tmp_path / "out/clip0.mp4").exists()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_hangs_is_ended_with_its_children(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE_clip0", "hang")
    began = time.monotonic()
    system = make_videos(command(repo), cases[:2], tmp_path / "out", MakeConfig(timeout=1.5))
    assert "took longer than 2 s; raise --timeout" in system.failures["clip0"] and "clip1" in system.timings
    assert time.monotonic() - began < 20
    assert not is_running(int((repo / "child.txt").read_text()))


def test_ctrl_c_ends_the_method_and_leaves_nothing_half_made(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path
) -> None:
    template = text_for(repo)
    code = (
        "import signal, sys; from pathlib import Path; from benchmark.systems.commands import MakeCommand; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # deaf when the tests run in background
        "MakeCommand(system=sys.argv[1], reference=Path(sys.argv[2]), out=Path(sys.argv[3])).execute()"
    )
    arguments = [template, str(cases[0].video.parent), str(tmp_path / "out")]
    process = subprocess.Popen(
        [PYTHON, "-c", code, *arguments], env={**os.environ, "MODE_clip1": "hang"}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 40
    while not (repo / "child.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    assert not is_running(int((repo / "child.txt").read_text()))
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == ["clip0.mp4"]
    assert set(open_system("ours", tmp_path / "out").timings) == {"clip0"}


def test_a_program_that_is_not_there_stops_before_the_first_clip(
    cases: tuple[Case, ...], tmp_path: Path
) -> None:
    for program in ("no-such-program-here", "./run.sh"):
        with pytest.raises(Rejected, match="not a program on this machine"):
            make_videos(parse_system(f"ours=cmd:{program} {{out}}"), cases, tmp_path / program.strip("./"))


def test_no_shell_and_no_added_words(cases: tuple[Case, ...], tmp_path: Path) -> None:
    """A text with blanks, quotes and commands stays one word of the command."""
    folder = tmp_path / "cases $(touch pwned) ; x"
    shutil.copytree(cases[0].video.parent, folder)
    script = tmp_path / "say.py"
    script.write_text(
        "import sys, shutil; assert len(sys.argv) == 4, sys.argv; shutil.copyfile(sys.argv[2], sys.argv[3])"
    )
    spec = parse_system(f"ours=cmd?cwd={tmp_path}:{PYTHON} say.py '{{text}} {{key}}' {{video}} {{out}}")
    assert not make_videos(spec, find_cases(folder)[:1], tmp_path / "out").failures
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("key", ["../escape", "a/b", "..", ".hidden", "", "a\\b"])
def test_a_key_that_leaves_the_folder_is_that_clips_failure(
    cases: tuple[Case, ...], repo: Path, tmp_path: Path, key: str
) -> None:
    bad = Case(key=key, video=cases[0].video)
    system = make_videos(command(repo), (bad, cases[1]), tmp_path / "out")
    assert "cannot name a file" in system.failures[key] and "clip1" in system.timings
    assert not (tmp_path / "escape.mp4").exists() and not (repo / "escape").exists()


def test_videos_of_others_are_never_written_over(cases: tuple[Case, ...], repo: Path, tmp_path: Path) -> None:
    (tmp_path / "clip0.mp4").write_bytes(b"mine")
    with pytest.raises(Rejected, match="not made for ours here"):
        make_videos(command(repo), cases, tmp_path)
    assert (tmp_path / "clip0.mp4").read_bytes() == b"mine"
    make_videos(command(repo), cases[:1], tmp_path / "out")
    with pytest.raises(Rejected, match="not made for theirs here"):
        make_videos(command(repo, "theirs"), cases[:1], tmp_path / "out")


def test_a_clip_without_sound_fails_where_sound_is_asked_for(repo: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "cases/mute.mp4", stripes(5, 32, 0.0))
    system = make_videos(command(repo), find_cases(tmp_path / "cases"), tmp_path / "out")
    assert "sound" in system.failures["mute"], system.failures


def test_sound_has_the_length_of_the_frames(cases: tuple[Case, ...]) -> None:
    assert num_frames_of(cases[0]) == NUM_FRAMES
    for num_frames in (NUM_FRAMES, 5, 40):
        assert len(sound_of_length(cases[0], num_frames)) == num_frames * SAMPLES_PER_FRAME
    assert not sound_of_length(cases[0], 40)[-SAMPLES_PER_FRAME:].any()
    assert np.abs(read_audio(cases[0].video)).max() > 0.2 and probe(cases[0].video).audio_codec


def test_the_command_says_what_failed_and_ends_with_3(
    cases: tuple[Case, ...],
    repo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = text_for(repo)
    monkeypatch.setenv("MODE_clip1", "fail")
    options = {"system": text, "reference": cases[0].video.parent, "out": tmp_path / "out"}
    assert MakeCommand(**options).execute() == 3
    printed = capsys.readouterr()
    assert printed.out == f"ours: 2 of 3 videos in {tmp_path / 'out'}\n" and "failed: clip1: " in printed.err
    assert MakeCommand(**{**options, "limit": 1}).execute() == 0
    with pytest.raises(Rejected, match="nothing to make"):
        MakeCommand(**{**options, "system": f"ours={tmp_path}"}).execute()


def test_a_system_opened_again_is_the_same(cases: tuple[Case, ...], repo: Path, tmp_path: Path) -> None:
    made = make_videos(command(repo), cases[:1], tmp_path / "out")
    assert isinstance(made, System) and made == open_system("ours", tmp_path / "out")
