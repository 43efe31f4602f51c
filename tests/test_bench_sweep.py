"""sweep: how latency grows with the number of phonemes."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from speaking import ONCE

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.speed import sweep, sweep_report
from benchmark.speed.commands import LatencyCommand
from benchmark.speed.latency import (
    LatencyConfig,
    Trial,
)
from datapipe.console import DONE
from datapipe.media import probe, read_audio
from datapipe.records import Rejected, from_json

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
def cuts(spoken_cases: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, ...]:
    clip = sweep.longest_case(find_cases(spoken_cases))
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


def test_too_short_a_clip_cannot_be_swept(spoken_cases: Path, tmp_path: Path) -> None:
    first, second = find_cases(spoken_cases)
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
    talkers: str, spoken_cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture
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
        reference=spoken_cases,
        out=tmp_path / "o",
        callable="sleeper:Sleeper",
        sweep=True,
        warmup=0,
        repeats=1,
    )
    assert command.execute() == DONE
    made = from_json((tmp_path / "o/sweep.json").read_text(), sweep.Sweep)
    assert [point.num_phonemes for point in made.points] == list(range(2, 21))
    assert 0.004 < made.latency_fit.slope.value < 0.03
    assert "slope, ms per phoneme" in capsys.readouterr().out
