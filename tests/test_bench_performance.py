"""benchmark.performance: all measurements run in small, their references are right; no time is judged."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from benchmark.frechet import frechet_distance
from benchmark.performance import children, growth, one_pass
from benchmark.performance.__main__ import SUITE
from benchmark.performance.children import TOOLS, run_tool, tools_beside
from benchmark.performance.corpus import clip, folder_pair
from benchmark.performance.frechet import by_grams, by_sqrtm, feature_sets, measure_frechet, relative
from benchmark.performance.growth import fitted_exponent, write_features
from benchmark.performance.plain_i3d import PlainI3D, from_flax, same
from benchmark.performance.sizes import QUICK
from benchmark.performance.tools import fvd
from datapipe.media import probe, read_audio, read_frames
from datapipe.performance.figures import Figure, Measurement, Performance, read_performance, write_performance
from datapipe.performance.processes import run_module
from datapipe.performance.render import render
from datapipe.performance.suite import run_suite
from datapipe.records import Rejected
from datapipe.weights import resolve

ROOT = Path(__file__).parent.parent
TINY = replace(QUICK, sqrtm_rows=24, sqrtm_dim=64, small_side=32)
needs_tools = pytest.mark.skipif(not TOOLS.is_dir(), reason="make bench-benchmark installs the tools")


def measurement(name: str = "a", limit: float | None = None) -> Measurement:
    return Measurement(
        name=name, title="T", method="M", figures=(Figure(name="f", unit="x", values=(2.0,), limit=limit),)
    )


def test_the_three_ways_to_a_distance_agree() -> None:
    few, many = feature_sets(40, 96), feature_sets(300, 48)
    assert relative(frechet_distance(*few), by_grams(*few)) < 1e-9
    assert relative(by_sqrtm(*few), by_grams(*few)) < 1e-4
    assert relative(frechet_distance(*many), by_sqrtm(*many)) < 1e-9


def test_the_exact_reference_is_the_textbooks_formula() -> None:
    first, second = feature_sets(60, 20)  # full rank: the textbook's square root is exact
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(
        scipy.linalg.sqrtm(covariances[0]) @ covariances[1] @ scipy.linalg.sqrtm(covariances[0])
    )
    means = first.mean(0) - second.mean(0)
    wanted = means @ means + np.trace(covariances[0] + covariances[1]) - 2 * np.trace(root).real
    assert by_grams(first, second) == pytest.approx(wanted, rel=1e-6)


def test_the_distance_is_measured_with_its_bars(tmp_path: Path) -> None:
    figures = {each.name: each for each in measure_frechet(TINY, tmp_path).figures}
    assert [each.limit for each in figures.values() if each.limit] == [30.0, 1.0, 1.0]
    assert figures["difference to the exact value, fewer rows than dimensions"].holds is True


def test_an_exponent_is_found_with_its_interval() -> None:
    counts = [10, 10, 50, 50, 200, 200]
    slope, low, high = fitted_exponent(counts, [0.3 * count**1.2 for count in counts])
    assert (slope, low, high) == pytest.approx((1.2, 1.2, 1.2))
    noisy = [0.3 * count * (1.1 if at % 2 else 0.9) for at, count in enumerate(counts)]
    slope, low, high = fitted_exponent(counts, noisy)
    assert low < 1.0 < high and slope == pytest.approx(1.0)


@pytest.mark.assets
def test_clips_are_real_and_no_two_are_the_same(tmp_path: Path) -> None:
    pair = folder_pair(tmp_path, 2, 5, 64)
    paths = sorted(pair.truth.glob("*.mp4"))
    facts = probe(paths[0])
    assert (facts.width, facts.height, facts.fps) == (64, 64, 25) and len(read_frames(paths[0])) == 5
    assert read_audio(paths[0]).std() > 1e-4
    assert np.abs(clip(0, 5, 64)[0].astype(int) - clip(1, 5, 64)[0]).mean() > 2
    damage = np.abs(read_frames(paths[0]).astype(int) - read_frames(pair.generated / paths[0].name)).mean()
    assert 1 < damage < 20
    with pytest.raises(FileExistsError):
        folder_pair(tmp_path, 1, 2, 64)


def test_padding_is_tensorflows() -> None:
    video = torch.ones(1, 1, 5, 6, 7)
    padded = same(video, (3, 3, 3), (2, 2, 2))
    assert padded.shape[2:] == (7, 7, 9)  # ceil(n / 2) windows of 3: 3, 3, 4
    assert float(padded[0, 0, 0].sum()) == 0 and float(padded[0, 0, 1, 0].sum()) == 7, (
        "the larger half is last"
    )


@pytest.mark.slow
@pytest.mark.assets
def test_the_plain_i3d_and_ours_are_one_network() -> None:
    from benchmark.networks.i3d import i3d_logits
    from datapipe.networks.arrays import read_array_pickle

    network = PlainI3D()
    missing = network.load_state_dict(from_flax(read_array_pickle(resolve("i3d-kinetics"))), strict=False)
    assert not missing.unexpected_keys and all("num_batches" in name for name in missing.missing_keys)
    video = np.random.default_rng(0).uniform(-1, 1, (1, 3, 16, 224, 224)).astype(np.float32)
    with torch.no_grad():
        plain = network.eval()(torch.from_numpy(video)).numpy()
    assert np.abs(plain - i3d_logits(video)).max() < 1e-3 * np.abs(plain).max()


def test_the_scripts_windows_lie_end_to_end() -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    windows = fvd._windows(frames)
    assert [tuple(each.shape) for each in windows] == [(3, 16, 224, 224)] * 2
    assert float(windows[1][0, 0, 0, 0]) == pytest.approx(16 / 255 * 2 - 1)


def test_a_child_that_fails_or_hangs_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, endless = tmp_path / "broken.py", tmp_path / "endless.py"
    broken.write_text("raise SystemExit('no such thing')")
    endless.write_text("import time; time.sleep(60)")
    with pytest.raises(Rejected, match=r"broken failed .1.: no such thing"):
        run_module("broken", [], 20.0, PYTHONPATH=str(tmp_path))
    started = time.monotonic()
    with pytest.raises(Rejected, match="endless took more than 1 s"):
        run_module("endless", [], 1.0, PYTHONPATH=str(tmp_path))
    assert time.monotonic() - started < 20
    monkeypatch.setattr(children, "TOOLS", tmp_path / "none")
    with pytest.raises(Rejected, match="make bench-benchmark"):
        tools_beside()


def test_values_that_differ_void_the_times() -> None:
    values = dict.fromkeys(one_pass.TOLERANCES, 1.0)
    one_pass.check_alike(one_pass.Outcome(values, values))
    with pytest.raises(RuntimeError, match=r"fid: ours is 1.01, the tool's 1"):
        one_pass.check_alike(one_pass.Outcome({**values, "fid": 1.01}, values))
    with pytest.raises(RuntimeError, match="nothing to compare"):
        one_pass.check_alike(one_pass.Outcome({}, values))


def test_a_measurement_that_fails_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Measurement:
        raise Rejected("step_failed", "no tools here")

    monkeypatch.setitem(SUITE.measurements, "a", fails)
    monkeypatch.setitem(SUITE.measurements, "b", lambda *_: measurement("b", limit=1.0))
    assert run_suite(SUITE, ["--out", str(tmp_path), "--only", "a,b", "--quick"]) == 1
    kept = read_performance(tmp_path, SUITE.file)
    assert [each.name for each in kept.measurements] == ["b"] and kept.quick
    page = (tmp_path / SUITE.page).read_text(encoding="utf-8")
    assert page == render(kept, SUITE.head) and "make bench-benchmark" in page and "**missed**" in page
    assert run_suite(SUITE, ["--out", str(tmp_path), "--only", "b", "--quick"]) == 0, "a trial misses no bar"


def test_the_command_refuses_unknown_letters_and_an_empty_folder(tmp_path: Path) -> None:
    assert run_suite(SUITE, ["--out", str(tmp_path), "--only", "z"]) == 2
    assert run_suite(SUITE, ["--out", str(tmp_path), "--render"]) == 2
    write_performance(
        tmp_path, Performance(machine={}, quick=False, measurements=(measurement(limit=1.0),)), SUITE.file
    )
    assert run_suite(SUITE, ["--out", str(tmp_path), "--render"]) == 1, "a missed bar must fail the command"


def test_the_committed_page_is_drawn_from_the_committed_figures() -> None:
    folder = ROOT / "reports/performance"
    if not (folder / SUITE.file).exists():
        pytest.skip("not measured yet")
    measured = read_performance(folder, SUITE.file)
    assert not measured.quick
    assert (folder / SUITE.page).read_text(encoding="utf-8") == render(measured, SUITE.head)


@pytest.mark.slow
def test_memory_of_stored_features_is_taken_in_a_child(tmp_path: Path) -> None:
    write_features(tmp_path / "features", 3, 4)
    found = run_tool("distance", [tmp_path / "features", 3], tmp_path / "out.json", 60.0)
    assert found["value"] > 0 and 5e7 < found["peak_bytes"] < 2e9


@pytest.mark.slow
@pytest.mark.assets
def test_memory_and_time_over_clips_run_in_small(tmp_path: Path) -> None:
    small = replace(TINY, memory_clips=(2, 3), memory_frames=2, time_clips=(2, 3, 4), stored_rows=3)
    memory = growth.measure_memory(small, tmp_path / "d")
    assert [line.label for line in memory.tables[0].lines] == ["2", "3"]
    taken = growth.measure_time(small, tmp_path / "e")
    assert taken.figures[0].limit == 1.05 and len(taken.figures) == 4


@pytest.mark.slow
@pytest.mark.assets
@needs_tools
@pytest.mark.parametrize("letter", ["b", "c"])
def test_the_tools_agree_with_ours_in_small(letter: str, tmp_path: Path) -> None:
    measured = SUITE.measurements[letter](QUICK, tmp_path)  # raises when values differ
    assert len([each for each in measured.figures if each.limit]) == 1
    assert json.dumps([line.values for line in measured.tables[0].lines]) and sys.prefix in str(TOOLS)
