"""What every metric must keep, over the whole registry: a new metric is tested without a new line."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from conforming import CASES, FRAMES, KNOWN, QUICK, World, noisy, params, skip_without_weights, together

from benchmark.footage import Footage, Store
from benchmark.machine import use_one_thread
from benchmark.measure import measured
from benchmark.metrics import Metric, Pair
from benchmark.records import Score, Timing
from benchmark.scoring import score
from benchmark.selftest.selftest import pattern
from benchmark.states import Values
from datapipe.records import Rejected


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    use_one_thread()
    return World(Store(tmp_path_factory.mktemp("features")))


# -- values


@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.best is not None))
def test_the_truth_itself_reads_the_best_value(name: str, world: World) -> None:
    assert world.value(name, "identical") == pytest.approx(QUICK[name].best, abs=1e-6)


@pytest.mark.parametrize("damage", ["noise", "blur"])
@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.best is not None))
def test_more_damage_is_worse(name: str, damage: str, world: World) -> None:
    slight, strong = (world.loss(name, f"{strength} {damage}") for strength in ("slight", "strong"))
    assert 0 <= world.loss(name, "identical") + 1e-6 < slight < strong


@pytest.mark.parametrize("damage", ["frozen", "late"])
@pytest.mark.parametrize(
    "name", params(("video",), lambda metric: metric.best is not None and metric.namespace == "video")
)
def test_a_picture_that_stands_or_lags_is_worse(name: str, damage: str, world: World) -> None:
    assert world.loss(name, damage) > world.loss(name, "identical") + 1e-6


@pytest.mark.parametrize("name", params(("video",), lambda metric: metric.symmetric))
def test_symmetric_metrics_may_change_places(name: str, world: World) -> None:
    metric = QUICK[name]
    states = [
        metric.measure(dataclasses.replace(pair, truth=pair.generated, generated=pair.truth))
        for pair in (world.pair(metric.namespace, "slight noise", number) for number in range(CASES))
    ]
    swapped = metric.compute(sum(states, metric.kind())).value
    assert swapped == pytest.approx(world.value(name, "slight noise"), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    params(("sound",), lambda metric: metric.direction != "target" and "untrained" not in metric.name),
)
def test_sound_at_another_time_is_worse(name: str, world: World) -> None:
    """Pictures that go with their sound beat the same pictures with the sound of the clip before."""
    metric = QUICK[name]
    skip_without_weights(metric)
    shifted = [
        dataclasses.replace(
            pair, generated=pair.generated.heard("elsewhere", np.roll(world.sound, 640 * 11)[: FRAMES * 640])
        )
        for pair in (world.pair("video", "identical", number) for number in range(CASES))
    ]
    wrong = metric.compute(sum((metric.measure(pair) for pair in shifted), metric.kind())).value
    sign = 1 if metric.direction == "higher" else -1
    assert sign * world.value(name, "identical") > sign * wrong


@pytest.mark.parametrize("name", params(("video", "sound")))
def test_no_order_or_split_of_the_clips_changes_a_bit(name: str, world: World) -> None:
    first, second, third = world.measured(name, "slight noise")
    metric = QUICK[name]
    whole = metric.compute(metric.kind() + first + second + third)
    assert whole == metric.compute(first + (second + third)) == metric.compute((third + first) + second)
    assert whole.low is None or whole.low <= whole.value <= whole.high
    assert math.isfinite(whole.value)


@pytest.mark.parametrize("name", params(("video", "sound")))
def test_a_failed_clip_is_counted_and_changes_no_value(name: str, world: World) -> None:
    metric = QUICK[name]
    states = world.measured(name, "slight noise")
    failed = metric.kind.failed("another", "another: no face in 30 of 30 frames; look at the video")
    with_it = score(metric, sum(states, failed))
    without = score(metric, sum(states, metric.kind()))
    assert (with_it.num_ok, with_it.num_total) == (CASES, CASES + 1)
    assert with_it.value == without.value and "another" not in with_it.per_clip
    assert list(with_it.failures) == ["another"]
    assert score(metric, failed).value is None and score(metric, failed).not_measured


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("name", [name for name, metric in KNOWN["full"].items() if metric.of == "video"])
def test_every_frame_tells_damage_too(name: str, world: World) -> None:
    """The full preset keeps the contract; presets that measure something else say so in their protocol."""
    if KNOWN["full"][name].best is not None:
        assert world.value(name, "identical", "full") == pytest.approx(QUICK[name].best, abs=1e-6)
        assert world.loss(name, "slight noise", "full") < world.loss(name, "strong noise", "full")
    same = world.value(name, "slight noise", "full") == world.value(name, "slight noise")
    assert same or KNOWN["full"][name].protocol.hash != QUICK[name].protocol.hash


# -- what cannot be measured


POOR = ("no face", "one frame", "black", "tiny")


@cache
def poor_pair(kind: str, namespace: str = "video") -> Pair:
    """A clip on which most metrics have nothing to say."""
    waves = pattern(20, 64, 0.0)
    frames = {
        "no face": waves,
        "one frame": waves[:1],
        "black": np.zeros((20, 64, 64, 3), np.uint8),
        "tiny": waves[:, :12, :14],
    }[kind]
    if namespace == "keyframe":
        frames = frames[::7]
    made = frames if kind == "black" else noisy(frames, 9)
    silence = np.zeros(len(frames) * 640, np.float32)
    first, second = (
        Footage(f"{kind} {which}", content, Store(), silence, sound="silence")
        for which, content in (("truth", frames), ("made", made))
    )
    return Pair(key="a", truth=first, generated=second)


def seen_by(metric: Metric, kind: str) -> Score:
    """What the engine makes of a poor clip; networks see all poor clips at once, as in a run."""
    skip_without_weights(metric)
    together(metric, [poor_pair(each, metric.namespace) for each in POOR])
    return score(metric, measured(metric, poor_pair(kind, metric.namespace), Store()))


@pytest.mark.parametrize("kind", POOR)
@pytest.mark.parametrize("name", params())
def test_a_poor_clip_is_a_number_or_a_counted_failure(name: str, kind: str) -> None:
    found = seen_by(QUICK[name], kind)
    assert found.num_total == 1
    if found.value is None:
        assert (found.not_measured and found.num_ok == 0) or "needs" in found.not_measured
    else:
        assert math.isfinite(found.value) and found.num_ok == 1
    for key, why in found.failures.items():
        assert key == "a" and len(why) > 20 and ";" in why, "a failure says what to do"
        assert "broke off" not in why


@pytest.mark.parametrize("name", params(where=lambda metric: "scrfd-500m" in metric.weights))
@pytest.mark.parametrize("kind", ["no face", "black"])
def test_no_face_is_never_a_number(name: str, kind: str) -> None:
    found = seen_by(QUICK[name], kind)
    assert (found.value, found.num_ok) == (None, 0) and list(found.failures) == ["a"]
    assert "face" in found.failures["a"]


@pytest.mark.parametrize("kind", ["silent", "no sound"])
@pytest.mark.parametrize("name", params(("sound",)))
def test_silence_is_never_a_number(name: str, kind: str, world: World) -> None:
    metric = QUICK[name]
    skip_without_weights(metric)
    pair = world.pair("video", "identical", 0)
    mute = None if kind == "no sound" else np.zeros_like(pair.truth.audio)
    state = measured(metric, dataclasses.replace(pair, generated=pair.truth.heard(kind, mute)), Store())
    assert not state.by_case and list(state.failures) == [pair.key]


def not_a_number(pair: Pair) -> Values:
    return Values({pair.key: float("nan")})


def with_a_bug(pair: Pair) -> Values:
    return Values({pair.key: 1.0 / 0.0})


def test_a_bug_costs_one_cell_and_is_on_record() -> None:
    broken = dataclasses.replace(QUICK["video/psnr"], measure=with_a_bug)
    found = score(broken, measured(broken, poor_pair("black"), Store()))
    assert (found.value, found.num_ok, found.num_total) == (None, 0, 1)
    assert "ZeroDivisionError at test_bench_conformance.py:" in found.failures["a"]


def test_a_metric_that_returns_nan_has_failed() -> None:
    broken = dataclasses.replace(QUICK["video/psnr"], measure=not_a_number)
    found = score(broken, measured(broken, poor_pair("black"), Store()))
    assert (found.value, found.num_ok, found.num_total) == (None, 0, 1)
    assert "no finite number" in found.failures["a"]


@pytest.mark.parametrize("name", params(("timing",)))
def test_time_comes_from_the_record_or_is_missing(name: str) -> None:
    metric = QUICK[name]
    timing = Timing(
        seconds=3.0, media_seconds=1.5, num_frames=38, first_frame_seconds=0.5, peak_bytes=1 << 30, fps=30.0
    )
    pair = dataclasses.replace(poor_pair("black"), timing=timing)
    (value,) = metric.measure(pair).by_case.values()
    assert math.isfinite(value) and value > 0
    slower = dataclasses.replace(timing, seconds=6.0, first_frame_seconds=1.0, peak_bytes=2 << 30, fps=9.0)
    (worse,) = metric.measure(dataclasses.replace(pair, timing=slower)).by_case.values()
    assert worse > value if metric.direction == "lower" else worse < value
    with pytest.raises(Rejected, match=r"timing\.json"):
        metric.measure(dataclasses.replace(pair, timing=None))
