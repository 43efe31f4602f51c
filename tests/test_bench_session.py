"""sessions: a callable loaded once in a process of its own, its time, work and memory."""

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from speaking import ONCE

from benchmark.cases import find_cases
from benchmark.child import import_named
from benchmark.records import Case
from benchmark.speed.latency import (
    LatencyConfig,
    run_once,
    session_speaker,
    time_cases,
)
from benchmark.speed.session import Request, Session, answer
from datapipe.records import Rejected


def test_a_session_is_loaded_once_and_apart(
    talkers: str, spoken_case: Case, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    config = LatencyConfig(warmup=1, repeats=2)
    with Session(f"{talkers}:fast", 30.0) as session:
        (measured,), failures = time_cases(session_speaker(session), [spoken_case], tmp_path / "out", config)
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


def test_each_query_has_its_own_work_and_memory(talkers: str, spoken_case: Case, tmp_path: Path) -> None:
    with Session(f"{talkers}:Waster", 30.0) as session:
        speak = session_speaker(session)
        first, second = (run_once(speak, spoken_case, tmp_path / "out") for _ in range(2))
        assert run_once(speak, spoken_case, tmp_path / "out").gpu_peak_bytes is None
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
    name: str, reason: str, word: str, talkers: str, spoken_case: Case, tmp_path: Path
) -> None:
    with Session(f"{talkers}:{name}", 20.0) as session:
        session.timeout = 0.5 if name == "Slow" else 20.0
        with pytest.raises(Rejected) as caught:
            run_once(session_speaker(session), spoken_case, tmp_path / "out")
    assert caught.value.reason == reason
    assert word in caught.value.message


def test_after_a_crash_the_next_clip_has_a_new_process(
    talkers: str, spoken_cases: Path, tmp_path: Path
) -> None:
    with Session(f"{talkers}:Frail", 20.0) as session:
        measured, failures = time_cases(
            session_speaker(session), find_cases(spoken_cases), tmp_path / "o", ONCE
        )
    assert ([each.key for each in measured], list(failures)) == (["clip1"], ["clip0"])


def test_a_session_that_does_not_load(talkers: str) -> None:
    for name, word in (
        (f"{talkers}:unloadable", "weights are not here"),
        (f"{talkers}:none", "imported"),
    ):
        with pytest.raises(Rejected, match=word), Session(name, 20.0):
            pass
    with pytest.raises(Rejected, match=r"package\.module:name"):
        import_named("os.path")


def test_phonemes_reach_a_session_only_where_there_are_some(
    talkers: str, spoken_cases: Path, tmp_path: Path
) -> None:
    with Session(f"{talkers}:Reader", 20.0) as session:
        measured, failures = time_cases(
            session_speaker(session), find_cases(spoken_cases), tmp_path / "o", ONCE
        )
    assert [each.key for each in measured] == ["clip0"]
    assert "no phonemes" in failures["clip1"]


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
