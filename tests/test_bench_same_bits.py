"""No order, block, neighbour or worker changes a bit of any metric, over the whole registry."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from conforming import CASES, FRAMES, JUDGES, KNOWN, QUICK, SLOW, World, noisy

from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.extract import Batches, Extractor, rows_of
from benchmark.footage import Store
from benchmark.machine import use_one_thread
from benchmark.metrics import PRESETS, MetricConfig, table_metrics
from benchmark.records import Run, Score, System
from datapipe.media import write_video
from datapipe.weights import resolve


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    use_one_thread()
    return World(Store(tmp_path_factory.mktemp("features")))


# -- how it is computed


def extractors() -> dict[str, Extractor]:
    """Every network that metrics wait for, over both presets."""
    return {
        f"{each.name}: {each.settings}": each
        for preset in PRESETS
        for metric in KNOWN[preset].values()
        for each in metric.needs
    }


def extractor_marks(name: str) -> list[pytest.MarkDecorator]:
    users = [m for preset in PRESETS for m in KNOWN[preset].values() if extractors()[name] in m.needs]
    cheap = any(not metric.name.split("/")[1].startswith(SLOW) for metric in users)
    return [pytest.mark.assets] + (
        [] if cheap and "every 1" not in name.split(":")[1] else [pytest.mark.slow]
    )


@pytest.mark.parametrize("name", [pytest.param(name, marks=extractor_marks(name)) for name in extractors()])
def test_neighbours_in_a_batch_change_no_bit(name: str, world: World) -> None:
    features = extractors()[name]
    for weight in features.weights:
        resolve(weight)
    one, two = (dataclasses.replace(world.truth("video", number), store=Store()) for number in (0, 1))
    alone = rows_of(one, features)
    one.kept.clear()
    batches = Batches()
    batches.ask(two, features)
    batches.ask(one, features)
    batches.finish()
    assert np.array_equal(rows_of(one, features), alone)
    assert alone.shape[1] == features.dim and np.isfinite(alone).all()


@pytest.fixture(scope="module")
def folders(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four real clips with sound, and a system's videos and keyframes of them."""
    root = tmp_path_factory.mktemp("folders")
    length = 26
    for number in range(4):
        start = number * (CASES * FRAMES - length) // 3
        frames = world.frames[start : start + length]
        sound = world.sound[start * 640 : (start + length) * 640]
        write_video(root / f"cases/clip{number}.mp4", frames, sound)
        write_video(root / f"ours/clip{number}.mp4", noisy(frames, 6), sound, crf=24)
        (root / f"ours/clip{number}.keyframes").mkdir()
        for index in (3, 17):
            cv2.imwrite(str(root / f"ours/clip{number}.keyframes/{index:06d}.png"), noisy(frames, 4)[index])
    return root


def run_of(root: Path, names: tuple[str, ...], reverse: bool, cluster: str, workers: int) -> Run:
    """Evaluate with nothing remembered from before."""
    cases = find_cases(root / "cases")
    config = EvaluateConfig(
        metrics=MetricConfig(names=names, judges=JUDGES), controls=(), cluster=cluster, workers=workers
    )
    return evaluate(cases[::-1] if reverse else cases, [System(name="ours", folder=root / "ours")], config)


CHEAP = tuple(
    name
    for name, metric in QUICK.items()
    if not name.split("/")[1].startswith(SLOW)
    and (name in table_metrics(MetricConfig(judges=JUDGES)) or not metric.needs)
    and not metric.unavailable
)


@pytest.fixture(scope="module")
def two_runs(folders: Path) -> tuple[Run, Run]:
    """Blocks of two clips on one thread; single clips in reverse order on three."""
    return run_of(folders, CHEAP, False, "inline", 1), run_of(folders, CHEAP, True, "inline", 3)


def scores(run: Run, name: str) -> list[Score]:
    return [each for system in run.systems for each in system.scores if each.metric == name]


@pytest.mark.assets
@pytest.mark.parametrize("name", CHEAP)
def test_workers_order_and_blocks_change_no_bit(name: str, two_runs: tuple[Run, Run]) -> None:
    first, second = (scores(run, name) for run in two_runs)
    assert first == second
    ours = first[1]
    if QUICK[name].of != "timing" and not ours.not_measured:
        assert ours.num_ok == 4 and ours.value is not None


@pytest.mark.slow
@pytest.mark.assets
def test_processes_change_no_bit(folders: Path) -> None:
    names = tuple(name for name, metric in QUICK.items() if not metric.unavailable)
    inline, dask = run_of(folders, names, False, "inline", 1), run_of(folders, names, True, "local", 2)
    assert inline.systems == dask.systems
    assert inline.differences == dask.differences
    assert inline.reference == dask.reference
