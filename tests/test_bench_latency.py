"""Timing: what counts as a time, what a number of runs supports, curves that come out as they were put in."""

import itertools
import json
import math
import random
import shutil
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.speed import latency_report, sweep, sweep_report
from benchmark.speed.commands import LatencyCommand
from benchmark.speed.latency import (
    Latency,
    LatencyConfig,
    Trial,
    command_for,
    command_speaker,
    run_once,
    session_speaker,
    time_cases,
    time_command,
    timing_record,
)
from benchmark.speed.latency_report import LatencyReport
from benchmark.speed.percentiles import (
    headline,
    outliers,
    percentile_of,
    runs_needed,
    supported,
    upper_bound,
)
from benchmark.speed.process_tree import run_command
from benchmark.speed.session import Request, Session, answer, import_named
from benchmark.systems.specs import open_system
from datapipe.console import DONE, DONE_WITH_REJECTS
from datapipe.media import probe, read_audio, write_video, write_wav
from datapipe.records import Keyframe, Phoneme, Probe, Rejected, Sample, from_json, to_json

NUM_FRAMES, NUM_PHONEMES = 45, 22
ONCE = LatencyConfig(warmup=0, repeats=1, timeout=20.0)


def sample(key: str) -> Sample:
    """A clip of 1.8 s whose phonemes last 80 ms each, the last one a little more."""
    ends = [*(0.08 * (k + 1) for k in range(NUM_PHONEMES - 1)), NUM_FRAMES / 25]
    phonemes = tuple(
        Phoneme(symbol="AA", start=start, end=end) for start, end in itertools.pairwise([0.0, *ends])
    )
    keyframes = tuple(Keyframe(frame=round(p.start * 25), time=p.start, phoneme="AA") for p in phonemes)
    looks = Probe(
        width=48, height=48, fps=Fraction(25), num_frames=NUM_FRAMES, duration=NUM_FRAMES / 25,
        video_codec="h264", audio_codec="aac", sample_rate=16000,
    )  # fmt: skip
    return Sample(
        key=key, id=key, source="folder", speaker="s", language="en", split="test", text="ah",
        text_origin="released",
        licence="CC0", fps=25, num_frames=NUM_FRAMES, size=48, duration=NUM_FRAMES / 25, phonemes=phonemes,
        keyframes=keyframes, probe=looks, quality={}, notes={}, lineage={},
    )  # fmt: skip


def moving_bars() -> np.ndarray:
    ramp = np.arange(48) * 5
    return np.stack(
        [np.broadcast_to(np.roll(ramp, k)[None, :, None], (48, 48, 3)) for k in range(NUM_FRAMES)]
    ).astype(np.uint8)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases with sound; only the first has its WAV, its picture and its phonemes beside it."""
    root = tmp_path_factory.mktemp("cases")
    sound = (0.1 * np.sin(np.arange(NUM_FRAMES * 640) / 9)).astype(np.float32)
    for name in ("clip0", "clip1"):
        write_video(root / f"{name}.mp4", moving_bars(), sound)
    write_wav(root / "clip0.wav", sound)
    (root / "clip0.json").write_text(to_json(sample("clip0")))
    return root


@pytest.fixture
def case(cases: Path) -> Case:
    return find_cases(cases)[0]


def python(code: str, *words: str) -> str:
    return f'{sys.executable} -c "{code}" {" ".join(words)}'


COPY = "import shutil,sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
MAKE = python(COPY, "{video}", "{out}")


@pytest.mark.parametrize(("percentile", "runs"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_runs_that_a_percentile_needs(percentile: int, runs: int) -> None:
    def at_most_one_above(count: int) -> float:
        share = 1 - percentile / 100
        return math.fsum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in (0, 1))

    assert runs_needed(percentile) == runs
    assert at_most_one_above(runs) <= 0.01 < at_most_one_above(runs - 1)


def test_no_percentile_without_the_runs_for_it() -> None:
    assert supported(10) == ()
    assert supported(11) == supported(63) == (50,)
    assert supported(64) == (50, 90)
    assert supported(662) == (50, 90, 95, 99)
    assert (headline([1.0] * 10), headline([1.0] * 11)) == ("median of 10", "p50 (n=11)")
    with pytest.raises(ValueError, match="p90 needs 64 runs, there are 63"):
        upper_bound([1.0] * 63, 90)


@pytest.mark.parametrize(("percentile", "runs"), [(50, 11), (50, 40), (90, 64), (90, 200)])
def test_the_bound_holds_in_99_of_100_sessions(percentile: int, runs: int) -> None:
    times = np.random.default_rng(3).exponential(size=(700, runs))
    truth = -math.log(1 - percentile / 100)
    held = np.mean([upper_bound(session, percentile) >= truth for session in times])
    assert held >= 0.985
    assert np.mean([percentile_of(session, percentile) >= truth for session in times]) < 0.7


def test_outliers_are_named_and_stay(case: Case) -> None:
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


def test_a_command_is_timed_from_request_to_video(case: Case, tmp_path: Path) -> None:
    ticks = iter(range(100))
    config = LatencyConfig(warmup=1, repeats=3)
    (measured,) = time_command(MAKE, [case], tmp_path, config, clock=lambda: next(ticks) ** 2)
    assert [run.seconds for run in measured.warmups] == [1.0]
    assert measured.seconds == (5.0, 9.0, 13.0)
    assert (measured.num_frames, measured.fps, measured.media_seconds) == (45, 25.0, pytest.approx(1.8))
    assert measured.trials[0].clock == "outside"
    assert all(run.first_frame_seconds is None and run.load_seconds is None for run in measured.trials)
    assert [path.name for path in tmp_path.iterdir()] == ["clip0.mp4"]


def test_yesterdays_video_does_not_count(case: Case, tmp_path: Path) -> None:
    time_command(MAKE, [case], tmp_path, ONCE)
    with pytest.raises(Rejected) as caught:
        time_command(python("pass", "{out}"), [case], tmp_path, ONCE)
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
def test_a_command_that_fails(template: str, reason: str, word: str, case: Case, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        time_command(template, [case], tmp_path, replace(ONCE, timeout=0.6 if reason == "timeout" else 20.0))
    assert caught.value.reason == reason
    assert word in caught.value.message


def test_a_path_cannot_become_an_argument(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "a b; rm -rf {audio}.mp4"
    command = command_for("tool --in {reference} --out={out} --text {text}", case, out)
    assert command[3:] == [f"--out={out}", "--text", "ah"]
    assert command[2] == str(tmp_path / "reference.png")


def test_sound_is_taken_out_of_the_video_where_there_is_no_wav(cases: Path, tmp_path: Path) -> None:
    check = "import shutil,sys,wave; wave.open(sys.argv[3]); shutil.copyfile(sys.argv[1], sys.argv[2])"
    template = python(check, "{video}", "{out}", "{audio}")
    measured, failures = time_cases(command_speaker(template, ONCE), find_cases(cases), tmp_path, ONCE)
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
    code: str, where: str, case: Case, tmp_path: Path
) -> None:
    config = replace(ONCE, first_frame=where)
    trial = run_once(command_speaker(python(code, "{video}", "{out}"), config), case, tmp_path)
    assert trial.first_frame_seconds is not None
    assert 0 < trial.first_frame_seconds < trial.seconds - 0.3
    silent = run_once(command_speaker(MAKE, replace(ONCE, first_frame="stdout")), case, tmp_path)
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


def test_a_commands_own_record_tells_loading_apart(case: Case, tmp_path: Path) -> None:
    record = own(0.15, first_frame_seconds=0.05, stages={"audio": 0.03, "decode": 0.1})
    (measured,) = time_command(with_record(record), [case], tmp_path, ONCE)
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
def test_a_record_that_cannot_be_true_is_refused(record: dict, word: str, case: Case, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=word):
        time_command(with_record(record, 0.0), [case], tmp_path, ONCE)


SYSTEM = '''
import os, pathlib, shutil, sys, time
VIDEO = pathlib.Path(__file__).with_name("made.mp4")

class Fast:
    """Loads slowly, then answers at once."""
    def speak(self, reference, audio, out, first_frame):
        assert reference.suffix == ".png" and audio.suffix == ".wav"
        print("chatter")
        time.sleep(0.1)
        first_frame()
        time.sleep(0.1)
        first_frame()
        shutil.copyfile(VIDEO, out)
        return {"stages": {"sleep": 0.19}}

def fast():
    time.sleep(0.3)
    return Fast()

class Reader:
    def speak(self, phonemes, out):
        assert [each.symbol for each in phonemes] == ["AA"] * 22
        shutil.copyfile(VIDEO, out)

class Waster:
    """Uses memory and processor time in one query only."""
    calls = 0
    def speak(self, out):
        self.calls += 1
        if self.calls == 1:
            held = bytearray(200 << 20)
            held[::4096] = b"x" * len(held[::4096])
            began = time.process_time()
            while time.process_time() - began < 0.2:
                pass
        shutil.copyfile(VIDEO, out)

class Odd:
    def speak(self, colour): pass
class Broken:
    def speak(self, out): raise ValueError("no such mouth")
class Gone:
    def speak(self, out): os._exit(7)
class Frail:
    def speak(self, out):
        if out.stem == "clip0":
            os._exit(7)
        shutil.copyfile(VIDEO, out)
class Slow:
    def speak(self, out): time.sleep(30)
class Liar:
    def speak(self, out): return {"first_frame_seconds": 50.0}
class Wordy:
    def speak(self, out): return "done"

def unloadable():
    raise RuntimeError("weights are not here")
'''


@pytest.fixture
def module(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copyfile(case.video, tmp_path / "made.mp4")
    (tmp_path / "bench_under_test.py").write_text(SYSTEM)
    monkeypatch.syspath_prepend(tmp_path)
    return "bench_under_test"


def test_a_session_is_loaded_once_and_apart(
    module: str, case: Case, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    config = LatencyConfig(warmup=1, repeats=2)
    with Session(f"{module}:fast", 30.0) as session:
        (measured,), failures = time_cases(session_speaker(session), [case], tmp_path / "out", config)
    assert (failures, session.load_seconds >= 0.3) == ({}, True)
    for trial in (*measured.warmups, *measured.trials):
        assert trial.clock == "inside"
        assert 0.2 <= trial.seconds < 5.0
        assert trial.first_frame_seconds is not None
        assert 0.1 <= trial.first_frame_seconds <= trial.seconds - 0.1
        assert trial.stages == {"sleep": 0.19}
        assert trial.cpu_seconds is not None
        assert trial.cpu_seconds < 0.2
    assert "chatter" not in capfd.readouterr().out


def test_each_query_has_its_own_work_and_memory(module: str, case: Case, tmp_path: Path) -> None:
    with Session(f"{module}:Waster", 30.0) as session:
        speak = session_speaker(session)
        first, second = (run_once(speak, case, tmp_path / "out") for _ in range(2))
        assert run_once(speak, case, tmp_path / "out").gpu_peak_bytes is None
    assert first.cpu_seconds is not None
    assert second.cpu_seconds is not None
    assert first.cpu_seconds >= 0.2 > second.cpu_seconds
    assert first.peak_bytes is not None
    assert second.peak_bytes is not None
    assert first.peak_bytes > 200 << 20
    assert second.peak_bytes < first.peak_bytes - (150 << 20)


@pytest.mark.parametrize(
    ("name", "reason", "word"),
    [
        ("Odd", "bad_input", "asks for colour"),
        ("Broken", "bad_input", "no such mouth"),
        ("Gone", "crashed", "code 7"),
        ("Slow", "timeout", "--timeout"),
        ("Liar", "bad_input", "went by"),
        ("Wordy", "bad_input", "dict of times"),
    ],
)
def test_a_session_that_fails(
    name: str, reason: str, word: str, module: str, case: Case, tmp_path: Path
) -> None:
    with Session(f"{module}:{name}", 20.0) as session:
        session.timeout = 0.5 if name == "Slow" else 20.0
        with pytest.raises(Rejected) as caught:
            run_once(session_speaker(session), case, tmp_path / "out")
    assert caught.value.reason == reason
    assert word in caught.value.message


def test_after_a_crash_the_next_clip_has_a_new_process(module: str, cases: Path, tmp_path: Path) -> None:
    with Session(f"{module}:Frail", 20.0) as session:
        measured, failures = time_cases(session_speaker(session), find_cases(cases), tmp_path / "o", ONCE)
    assert ([each.key for each in measured], list(failures)) == (["clip1"], ["clip0"])


def test_a_session_that_does_not_load(module: str) -> None:
    for name, word in ((f"{module}:unloadable", "weights are not here"), (f"{module}:none", "imported")):
        with pytest.raises(Rejected, match=word), Session(name, 20.0):
            pass
    with pytest.raises(Rejected, match=r"package\.module:name"):
        import_named("os.path")


def test_phonemes_reach_a_session_only_where_there_are_some(module: str, cases: Path, tmp_path: Path) -> None:
    with Session(f"{module}:Reader", 20.0) as session:
        measured, failures = time_cases(session_speaker(session), find_cases(cases), tmp_path / "o", ONCE)
    assert [each.key for each in measured] == ["clip0"]
    assert "no phonemes" in failures["clip1"]


def test_the_command_writes_the_times_and_every_raw_number(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = {"reference": cases, "out": tmp_path, "command": MAKE, "warmup": 1}
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
    module: str, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = LatencyCommand(
        reference=cases, out=tmp_path / "o", callable=f"{module}:Reader", warmup=0, repeats=1, json=True
    )
    assert command.execute() == DONE_WITH_REJECTS
    report = from_json(capsys.readouterr().out, LatencyReport)
    assert report.load_seconds is not None
    assert set(report.failures) == {"clip1"}
    assert "no phonemes" in open_system("x", tmp_path / "o").failures["clip1"]


@pytest.mark.parametrize("given", [{}, {"command": MAKE, "callable": "a:b"}])
def test_exactly_one_system_is_timed(given: dict, cases: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="either --command or --callable"):
        LatencyCommand(reference=cases, out=tmp_path, **given).execute()


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


# --- sweep


def fake_speaker(seconds_of: Callable[[int], float], noise: float = 0.0) -> Callable[[Case, Path], Trial]:
    dice = random.Random(1)

    def speak(case: Case, out: Path) -> Trial:
        out.write_bytes(case.video.read_bytes())
        assert case.sample is not None
        count = len(case.sample.phonemes)
        return Trial(
            seconds=seconds_of(count) * (1 + dice.gauss(0, noise)), clock="inside", cpu_seconds=0.02 * count
        )

    return speak


@pytest.fixture(scope="module")
def cuts(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    clip = sweep.longest_case(find_cases(cases))
    return sweep.cut_cases(clip, tmp_path_factory.mktemp("cuts"), (2, 4, 8, 12, 16, 20, 40))


def test_a_cut_ends_with_its_phoneme(cuts: tuple[Case, ...]) -> None:
    assert [len(cut.sample.phonemes) for cut in cuts if cut.sample] == [2, 4, 8, 12, 16, 20]
    for cut in cuts:
        assert cut.sample is not None
        end = cut.sample.phonemes[-1].end
        assert cut.sample.duration == end
        assert probe(cut.video).num_frames == cut.sample.num_frames == round(end * 25)
        assert len(read_audio(cut.video.with_suffix(".wav"))) == round(end * 16000)
        assert all(frame.frame < cut.sample.num_frames for frame in cut.sample.keyframes)
    assert [case.key for case in find_cases(cuts[0].video.parent)] == [cut.key for cut in cuts]


def test_too_short_a_clip_cannot_be_swept(cases: Path, tmp_path: Path) -> None:
    first, second = find_cases(cases)
    with pytest.raises(Rejected, match="22 phonemes: too few"):
        sweep.cut_cases(first, tmp_path, (20, 22, 24))
    with pytest.raises(Rejected, match="no case has phonemes"):
        sweep.longest_case([second])


def test_rounds_hold_every_length_once_in_changing_order(cuts: tuple[Case, ...]) -> None:
    order = sweep.schedule(cuts, LatencyConfig(warmup=1, repeats=4))
    rounds = [order[k : k + len(cuts)] for k in range(0, len(order), len(cuts))]
    assert len(rounds) == 5
    keys = [[cut.key for cut in each] for each in rounds]
    assert all(sorted(each) == [cut.key for cut in cuts] for each in keys)
    assert len({tuple(each) for each in keys}) > 1


def test_a_line_comes_back_as_it_was(cuts: tuple[Case, ...], tmp_path: Path) -> None:
    config = LatencyConfig(warmup=1, repeats=3)
    points = sweep.time_sweep(fake_speaker(lambda n: 0.5 + 0.03 * n), cuts, tmp_path, config)
    fitted = sweep.latency_fit(points)
    assert fitted.slope.value == pytest.approx(0.03)
    assert fitted.intercept.value == pytest.approx(0.5)
    assert fitted.r_squared == pytest.approx(1.0)
    work = sweep.work_fit(points)
    assert work is not None
    assert work.exponent.value == pytest.approx(1.0)
    assert all(len(point.latency.warmups) == 1 for point in points)
    assert sweep.flat_until(points) == 2


@pytest.mark.parametrize(("curve", "exponent"), [(lambda n: 0.4 + 0 * n, 0.0), (lambda n: 0.1 * n**1.5, 1.5)])
def test_intervals_hold_the_truth(curve: Callable[[np.ndarray], np.ndarray], exponent: float) -> None:
    counts, dice = np.arange(2.0, 21.0), np.random.default_rng(5)
    held, widths = [], []
    for _ in range(60):
        noisy = curve(counts)[:, None] * np.exp(dice.normal(0, 0.05, (len(counts), 7)))
        found = sweep.fit(counts, noisy).exponent
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= exponent <= found.high)
        widths.append(found.high - found.low)
    assert np.mean(held) >= 0.85
    assert np.mean(widths) < 0.15


def test_no_interval_from_two_repeats() -> None:
    found = sweep.fit(np.array([2.0, 3.0, 4.0]), np.array([[2.0, 2.1], [3.0, 3.1], [4.0, 4.1]]))
    assert found.slope.low is None


def test_flat_until_the_device_is_full(cuts: tuple[Case, ...], tmp_path: Path) -> None:
    points = sweep.time_sweep(fake_speaker(lambda n: 0.4 * max(1.0, n / 12)), cuts, tmp_path, ONCE)
    assert sweep.flat_until(points) == 12
    flat = sweep.time_sweep(fake_speaker(lambda n: 0.4), cuts, tmp_path, ONCE)
    assert sweep.flat_until(flat) == 20
    assert sweep.latency_fit(flat).exponent.value == pytest.approx(0.0, abs=1e-9)


def test_a_sweep_is_written_in_all_its_forms(cuts: tuple[Case, ...], tmp_path: Path) -> None:
    config = LatencyConfig(warmup=0, repeats=3)
    points = sweep.time_sweep(fake_speaker(lambda n: 0.5 + 0.03 * n, 0.02), cuts, tmp_path / "v", config)
    made = sweep.Sweep(
        system="<i>a|b", created="2026-11-01", clip="clip0", config=config, load_seconds=None, points=points,
        latency_fit=sweep.latency_fit(points), work_fit=None, flat_until=2, environment={"cores": "2"},
    )  # fmt: skip
    text = sweep_report.write(made, tmp_path)
    assert from_json((tmp_path / "sweep.json").read_text(), sweep.Sweep) == made
    assert "<i>" not in text
    assert "work | not measured" in text
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    assert "flat within 10 %" in (tmp_path / "sweep.svg").read_text()


def test_the_sweep_command_runs_a_session(
    module: str, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import shutil, time\n"
        "from bench_under_test import VIDEO\n"
        "class Sleeper:\n"
        "    def speak(self, phonemes, out):\n"
        "        time.sleep(0.01 * len(phonemes))\n"
        "        shutil.copyfile(VIDEO, out)\n"
    )
    command = LatencyCommand(
        reference=cases, out=tmp_path / "o", callable="sleeper:Sleeper", sweep=True, warmup=0, repeats=1
    )
    assert command.execute() == DONE
    made = from_json((tmp_path / "o/sweep.json").read_text(), sweep.Sweep)
    assert [point.num_phonemes for point in made.points] == list(range(2, 21))
    assert 0.004 < made.latency_fit.slope.value < 0.03
    assert "slope, ms per phoneme" in capsys.readouterr().out


class FakeAccelerator:
    """Work is queued at once and done only when someone waits for it."""

    def __init__(self) -> None:
        self.queued, self.now, self.peaks, self.waits = 0.0, 0.0, [0, 0], 0

    def synchronize(self, device: int) -> None:
        self.waits += device == 0
        self.now, self.queued = self.now + self.queued, 0.0

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def device_count(self) -> int:
        return 2

    def max_memory_allocated(self, device: int) -> int:
        return self.peaks[device]

    def reset_peak_memory_stats(self, device: int) -> None:
        self.peaks[device] = 0


def test_queued_work_of_an_accelerator_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cuda = FakeAccelerator()
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))

    class Queueing:
        def speak(self, first_frame: Callable[[], None]) -> None:
            cuda.queued += 2.0
            first_frame()
            cuda.queued += 3.0
            cuda.peaks = [40, 2]

    cuda.queued = 100.0  # left over from loading: no part of the query
    request = Request(reference=tmp_path, audio=tmp_path, out=tmp_path / "a.mp4")
    made = answer(Queueing(), request, clock=lambda: cuda.now)
    assert (made.seconds, made.first_frame_seconds) == (5.0, 2.0)
    assert (made.gpu_peak_bytes, cuda.peaks) == (42, [0, 0])
