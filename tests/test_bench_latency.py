"""Timing: what counts as a time, what a number of runs supports, curves that come out as they were put in."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from speaking import MAKE, ONCE, python

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.speed import latency_report
from benchmark.speed.commands import LatencyCommand
from benchmark.speed.latency import (
    Latency,
    LatencyConfig,
    Trial,
    command_for,
    command_speaker,
    run_once,
    time_cases,
    time_command,
    timing_record,
)
from benchmark.speed.latency_report import LatencyReport
from benchmark.speed.percentiles import outliers
from benchmark.speed.process_tree import run_command
from benchmark.systems.specs import open_system
from datapipe.console import DONE, DONE_WITH_REJECTS
from datapipe.records import Rejected, from_json


def test_outliers_are_named_and_stay(spoken_case: Case) -> None:
    times = (1.0, 1.1, 0.9, 1.05, 0.95, 3.0)
    assert outliers(times) == (5,)
    assert outliers(times[:5]) == ()
    made = Latency(
        key="a", trials=tuple(Trial(seconds=each) for each in times), media_seconds=2.0, num_frames=50
    )
    assert (made.seconds, made.outliers, made.median) == (times, (5,), pytest.approx(1.025))


def test_real_time_factors_at_both_frame_rates() -> None:
    made = Latency(key="a", trials=(Trial(seconds=4.0),), media_seconds=4.0, num_frames=64, fps=16.0)
    assert made.rtf == 1.0
    assert made.frames_per_second == 16.0
    assert made.rtf_declared == pytest.approx(25 / 16)


def test_a_command_is_timed_from_request_to_video(spoken_case: Case, tmp_path: Path) -> None:
    ticks = iter(range(100))
    config = LatencyConfig(warmup=1, repeats=3)
    (measured,) = time_command(MAKE, [spoken_case], tmp_path, config, clock=lambda: next(ticks) ** 2)
    assert [run.seconds for run in measured.warmups] == [1.0]
    assert measured.seconds == (5.0, 9.0, 13.0)
    assert (measured.num_frames, measured.fps, measured.media_seconds) == (45, 25.0, pytest.approx(1.8))
    assert measured.trials[0].clock == "outside"
    assert all(run.first_frame_seconds is None and run.load_seconds is None for run in measured.trials)
    assert [path.name for path in tmp_path.iterdir()] == ["clip0.mp4"]


def test_yesterdays_video_does_not_count(spoken_case: Case, tmp_path: Path) -> None:
    time_command(MAKE, [spoken_case], tmp_path, ONCE)
    with pytest.raises(Rejected) as caught:
        time_command(python("pass", "{out}"), [spoken_case], tmp_path, ONCE)
    assert caught.value.reason == "missing_file"


@pytest.mark.parametrize(
    ("template", "reason", "word"),
    [
        ("make.py {reference}", "bad_input", "{out}"),
        ("make.py {out} {refrence}", "bad_input", "did you mean `reference`"),
        ("make.py 'open {out}", "bad_input", "cannot be split"),
        ("/no/such/program {out}", "bad_input", "not a program"),
        (python("raise SystemExit(3)", "{out}"), "bad_input", "code 3"),
        (python("import sys; sys.exit('out of luck')", "{out}"), "bad_input", "out of luck"),
        (python("import sys; open(sys.argv[1], 'w').write('no video')", "{out}"), "not_a_video", ""),
        (python("import time; time.sleep(9)", "{out}"), "timeout", "--timeout"),
    ],
)
def test_a_command_that_fails(
    template: str, reason: str, word: str, spoken_case: Case, tmp_path: Path
) -> None:
    with pytest.raises(Rejected) as caught:
        time_command(
            template, [spoken_case], tmp_path, replace(ONCE, timeout=0.6 if reason == "timeout" else 20.0)
        )
    assert caught.value.reason == reason
    assert word in caught.value.message


def test_a_path_cannot_become_an_argument(spoken_case: Case, tmp_path: Path) -> None:
    out = tmp_path / "a b; rm -rf {audio}.mp4"
    command = command_for("tool --in {reference} --out={out} --text {text}", spoken_case, out)
    assert command[3:] == [f"--out={out}", "--text", "ah"]
    assert command[2] == str(tmp_path / "reference.png")


def test_sound_is_taken_out_of_the_video_where_there_is_no_wav(spoken_cases: Path, tmp_path: Path) -> None:
    check = "import shutil,sys,wave; wave.open(sys.argv[3]); shutil.copyfile(sys.argv[1], sys.argv[2])"
    template = python(check, "{video}", "{out}", "{audio}")
    measured, failures = time_cases(command_speaker(template, ONCE), find_cases(spoken_cases), tmp_path, ONCE)
    assert (len(measured), failures) == (2, {})


def test_work_and_memory_of_all_processes(tmp_path: Path) -> None:
    """The child idles; its own child, hidden behind it, works and holds 200 MB."""
    deep = tmp_path / "deep.py"
    deep.write_text(
        "import time\n"
        "held = bytearray(200 << 20)\n"
        "held[::4096] = b'x' * len(held[::4096])\n"
        "began = time.process_time()\n"
        "while time.process_time() - began < 0.3: pass\n"
    )
    shell = f"import subprocess,sys,time; subprocess.run([sys.executable, '{deep}']); time.sleep(0.2)"
    usage = run_command([sys.executable, "-c", shell], 20.0)
    assert usage.cpu_seconds >= 0.3
    assert usage.wall_seconds >= usage.cpu_seconds * 0.5
    assert usage.peak_bytes is not None
    assert 200 << 20 < usage.peak_bytes < 400 << 20
    idle = run_command([sys.executable, "-c", "import time; time.sleep(0.5)"], 20.0)
    assert idle.cpu_seconds < 0.4 < idle.wall_seconds
    assert idle.peak_bytes is not None
    assert idle.peak_bytes < 100 << 20


def test_a_late_command_takes_its_children_along(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import subprocess,sys; p = subprocess.Popen(['sleep', '30']); "
        f"open('{mark}', 'w').write(str(p.pid)); p.wait()"
    )
    with pytest.raises(Rejected, match="longer than"):
        run_command([sys.executable, "-c", code], 2.0)
    pid = int(mark.read_text())
    assert any(time.sleep(0.05) or is_gone(pid) for _ in range(100))


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


SLOWLY = "import shutil,sys,time; shutil.copyfile(sys.argv[1], sys.argv[2]); time.sleep(0.6)"
STREAM = (
    "import shutil,sys,time; d = open(sys.argv[1], 'rb').read(); sys.stdout.buffer.write(d); "
    "sys.stdout.flush(); time.sleep(0.6); shutil.copyfile(sys.argv[1], sys.argv[2])"
)


@pytest.mark.parametrize(("code", "where"), [(SLOWLY, "out"), (STREAM, "stdout")])
def test_first_frame_of_a_command_is_when_it_can_be_decoded(
    code: str, where: str, spoken_case: Case, tmp_path: Path
) -> None:
    config = replace(ONCE, first_frame=where)
    trial = run_once(command_speaker(python(code, "{video}", "{out}"), config), spoken_case, tmp_path)
    assert trial.first_frame_seconds is not None
    assert 0 < trial.first_frame_seconds < trial.seconds - 0.3
    silent = run_once(command_speaker(MAKE, replace(ONCE, first_frame="stdout")), spoken_case, tmp_path)
    assert silent.first_frame_seconds is None


def with_record(record: dict, sleep: float = 0.4) -> str:
    """A command that makes the video and writes this record beside it."""
    text = json.dumps(record).replace('"', "'")
    code = (
        "import json,pathlib,shutil,sys,time; shutil.copyfile(sys.argv[1], sys.argv[2]); "
        f"time.sleep({sleep}); "
        f"pathlib.Path(sys.argv[2]).with_name('timing.json').write_text(json.dumps({text}))"
    ).replace("null", "None")
    return python(code, "{video}", "{out}")


def own(seconds: float, **more: object) -> dict:
    times = {"seconds": seconds, "media_seconds": 1.8, "num_frames": 45, **more}
    return {"load_seconds": 0.2, "clips": {"clip0": times}}


def test_a_commands_own_record_tells_loading_apart(spoken_case: Case, tmp_path: Path) -> None:
    record = own(0.15, first_frame_seconds=0.05, stages={"audio": 0.03, "decode": 0.1})
    (measured,) = time_command(with_record(record), [spoken_case], tmp_path, ONCE)
    (trial,) = measured.trials
    assert (trial.clock, trial.seconds, trial.load_seconds) == ("inside", 0.15, 0.2)
    assert trial.wall_seconds is not None
    assert trial.wall_seconds > 0.4
    assert (trial.first_frame_seconds, trial.stages) == (0.05, {"audio": 0.03, "decode": 0.1})
    facts = timing_record("ours", [measured])
    assert facts["load_seconds"] == 0.2
    (tmp_path / "timing.json").write_text(json.dumps(facts))
    system = open_system("ours", tmp_path)
    assert system.timings["clip0"].seconds == 0.15
    assert system.load_seconds == 0.2


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (own(900.0), "went by"),
        (own(0.1, first_frame_seconds=0.2), "went by"),
        (own(0.1, stages={"a": 0.08, "b": 0.08}), "overlap"),
        (own(-0.1), "no numbers"),
        ({"clips": {"other": own(0.1)["clips"]["clip0"]}}, "no clip `clip0`"),
        ({"clips": {"clip0": {"seconds": 0.1, "surprise": 1}}}, "no timing record"),
        ([1, 2], "no timing record"),
    ],
)
def test_a_record_that_cannot_be_true_is_refused(
    record: dict, word: str, spoken_case: Case, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match=word):
        time_command(with_record(record, 0.0), [spoken_case], tmp_path, ONCE)


def test_the_command_writes_the_times_and_every_raw_number(
    spoken_cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = {"reference": spoken_cases, "out": tmp_path, "command": MAKE, "warmup": 1}
    assert LatencyCommand(**options, repeats=2, name="<b>|x").execute() == DONE
    text = capsys.readouterr().out
    assert "median of 2 s" in text
    assert "p50" not in text
    assert "<b>" not in text
    assert "loading: not measured" in text
    report = from_json((tmp_path / "latency.json").read_text(), LatencyReport)
    assert [len(each.trials) for each in report.clips] == [2, 2]
    assert report.tails == ()
    assert {"processor", "cores", "torch", "gpu", "load average before"} <= set(report.environment)
    system = open_system("x", tmp_path)
    assert system.timings["clip1"].fps == 25.0
    assert system.timings["clip1"].peak_bytes
    raw = json.loads((tmp_path / "timing.json").read_text())["raw_seconds"]
    assert raw["clip0"] == list(report.clips[0].seconds)


def test_the_command_reports_a_clip_that_fails(
    talkers: str, spoken_cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = LatencyCommand(
        reference=spoken_cases,
        out=tmp_path / "o",
        callable=f"{talkers}:Reader",
        warmup=0,
        repeats=1,
        json=True,
    )
    assert command.execute() == DONE_WITH_REJECTS
    report = from_json(capsys.readouterr().out, LatencyReport)
    assert report.load_seconds is not None
    assert set(report.failures) == {"clip1"}
    assert "no phonemes" in open_system("x", tmp_path / "o").failures["clip1"]


@pytest.mark.parametrize("given", [{}, {"command": MAKE, "callable": "a:b"}])
def test_exactly_one_system_is_timed(given: dict, spoken_cases: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="either --command or --callable"):
        LatencyCommand(reference=spoken_cases, out=tmp_path, **given).execute()


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"warmup": -1}, {"timeout": 0.0}])
def test_a_timing_without_runs_is_refused(wrong: dict) -> None:
    with pytest.raises(Rejected, match="at least one repeat"):
        LatencyConfig(**wrong)


def test_tails_pool_the_queries_of_all_clips() -> None:
    many = tuple(Trial(seconds=1 + k / 100) for k in range(32))
    clips = [
        Latency(key=key, trials=many, media_seconds=media, num_frames=50)
        for key, media in (("a", 2.0), ("b", 4.0))
    ]
    assert latency_report.tails(clips[:1])[-1].percentile == 50
    half, ninety = latency_report.tails(clips)
    assert (half.percentile, ninety.percentile, ninety.num_runs) == (50, 90, 64)
    assert ninety.seconds <= ninety.at_most == 1.31
    assert ninety.rtf <= ninety.rtf_at_most
