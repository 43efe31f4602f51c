"""systems as Python callables: loaded once, timed, ended with all that they started."""

from pathlib import Path

import pytest
from striped import striped_cases

from benchmark.records import Case
from benchmark.systems.callables import checked_times
from benchmark.systems.making import MakeConfig, make_videos
from benchmark.systems.specs import parse_system
from datapipe.records import Rejected

MODULE = """
import os, shutil, sys, time
calls = []
def speak(reference, audio, out, case):
    calls.append(case.key)
    print("this must not reach the data on stdout")
    assert reference.suffix == ".png" and audio.suffix == ".wav"
    if case.key == "clip1":
        raise ValueError("<b>no</b> face")
    shutil.copyfile(case.video, out)
    return {"seconds": 0.25, "first_frame_seconds": 0.125} if len(calls) > 1 else None
def dies(reference, audio, out, case):
    if case.key == "clip0":
        os._exit(9)
    if case.key == "clip1":
        time.sleep(60)
    shutil.copyfile(case.video, out)
def idle(reference, audio, out, case):
    return None
number = 3
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    return striped_cases(tmp_path_factory.mktemp("cases"), 3)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_method.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return "my_method"


def test_a_callable_stays_loaded_and_may_time_itself(
    cases: tuple[Case, ...], module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    system = make_videos(parse_system(f"ours=py:{module}:speak"), cases, tmp_path / "out")
    assert system.failures == {"clip1": "`my_method:speak`: ValueError: <b>no</b> face"}
    assert system.load_seconds is not None and system.load_seconds >= 0
    assert system.timings["clip0"].first_frame_seconds is None
    assert (system.timings["clip2"].seconds, system.timings["clip2"].first_frame_seconds) == (0.25, 0.125)
    assert "must not reach" not in capfd.readouterr().out


def test_a_callable_that_dies_or_hangs_is_started_again(
    cases: tuple[Case, ...], module: str, tmp_path: Path
) -> None:
    system = make_videos(
        parse_system(f"ours=py:{module}:dies"), cases, tmp_path / "out", MakeConfig(timeout=1.0)
    )
    assert "ended with code 9" in system.failures["clip0"] and "took longer" in system.failures["clip1"]
    assert "clip2" in system.timings


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no_such_module:f", "No module named"),
        ("my_method:nothing", "has no attribute"),
        ("my_method:number", "is no function"),
    ],
)
def test_a_callable_that_is_not_there_stops_before_the_first_clip(
    cases: tuple[Case, ...], module: str, tmp_path: Path, target: str, says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        make_videos(parse_system(f"ours=py:{target}"), cases, tmp_path / "out")


def test_a_callable_that_writes_nothing_is_a_failure(
    cases: tuple[Case, ...], module: str, tmp_path: Path
) -> None:
    system = make_videos(parse_system(f"ours=py:{module}:idle"), cases[:1], tmp_path / "out")
    assert "returned but wrote no video" in system.failures["clip0"]


@pytest.mark.parametrize(
    "answer", [3, {"second": 1}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": "x"}]
)
def test_times_that_are_none_are_refused(answer: object) -> None:
    with pytest.raises(ValueError):
        checked_times(answer)
