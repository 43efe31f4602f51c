"""Every metric keeps its contract, and agrees with an independent implementation on the same input."""

import dataclasses

import numpy as np
import pytest
import scipy.signal
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from benchmark.footage import Footage, Store
from benchmark.machine import use_one_thread
from benchmark.metrics import MetricConfig, Pair, metrics_for
from benchmark.metrics.psnr import BEST, psnr_frames
from benchmark.metrics.ssim import ssim_image
from benchmark.records import Timing, protocol
from benchmark.selftest import pattern
from datapipe.media import read_frames
from datapipe.records import Rejected
from datapipe.weights import resolve

METRICS = metrics_for()
VIDEO_METRICS = [name for name, metric in METRICS.items() if metric.of == "video"]
NOISE = np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    use_one_thread()


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """2.4 s of a real speaking face, (60, 128, 128, 3)."""
    return np.ascontiguousarray(read_frames(resolve("clip-obama"), 0.0, 2.4)[:, 20:148, 110:238])


@pytest.fixture(scope="module")
def pairs(faces: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Pair]]:
    """Three cases of twenty frames: identical, slightly and strongly degraded, and frozen."""
    store = Store(tmp_path_factory.mktemp("features"))

    def case(number: int, kind: str, change) -> Pair:
        truth = faces[20 * number : 20 * number + 20]
        hashes = f"truth {number}", f"{kind} {number}" if kind != "identical" else f"truth {number}"
        first, second = Footage(hashes[0], truth, store), Footage(hashes[1], change(truth), store)
        return Pair(key=f"case{number}", truth=first, generated=second)

    changes = {
        "identical": lambda frames: frames,
        "slight": lambda frames: noisy(frames, 6),
        "strong": lambda frames: noisy(frames, 30),
        "frozen": lambda frames: np.repeat(frames[:1], len(frames), axis=0),
    }
    return {name: [case(number, name, change) for number in range(3)] for name, change in changes.items()}


def noisy(frames: np.ndarray, deviation: float) -> np.ndarray:
    return np.clip(frames + NOISE.normal(0, deviation, frames.shape), 0, 255).astype(np.uint8)


def value_of(name: str, pairs: list[Pair], order=(0, 1, 2)) -> float:
    metric = METRICS[name if "/" in name else f"video/{name}"]
    return metric.compute(sum((metric.measure(pairs[k]) for k in order), metric.kind())).value


@pytest.mark.assets
@pytest.mark.parametrize("name", [name for name in VIDEO_METRICS if METRICS[name].best is not None])
def test_identity_gives_the_best_value(name: str, pairs: dict[str, list[Pair]]) -> None:
    assert value_of(name, pairs["identical"]) == pytest.approx(METRICS[name].best, abs=1e-6)


@pytest.mark.assets
@pytest.mark.parametrize("name", VIDEO_METRICS)
def test_order_and_split_do_not_change_a_bit(name: str, pairs: dict[str, list[Pair]]) -> None:
    metric = METRICS[name]
    states = [metric.measure(pair) for pair in pairs["slight"]]
    one = metric.compute(states[0] + (states[1] + states[2]))
    other = metric.compute((states[2] + states[0]) + states[1])
    assert one == other


@pytest.mark.assets
@pytest.mark.parametrize("name", ["psnr", "mouth_psnr", "ssim", "lpips_alex", "fid", "csim_w600k_mbf"])
def test_more_damage_is_worse(name: str, pairs: dict[str, list[Pair]]) -> None:
    best, slight, strong = (value_of(name, pairs[kind]) for kind in ("identical", "slight", "strong"))
    sign = 1 if METRICS[f"video/{name}"].direction == "higher" else -1
    assert sign * best > sign * slight > sign * strong


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].of == "timing"])
def test_time_comes_from_the_record_or_is_missing(name: str) -> None:
    footage = Footage("x", pattern(2, 32, 0.0), Store())
    timing = Timing(seconds=3.0, media_seconds=1.5, num_frames=38, first_frame_seconds=0.5)
    measured = METRICS[name].measure(Pair(key="a", truth=footage, generated=footage, timing=timing))
    assert measured.by_case == {"a": {"latency": 3.0, "rtf": 2.0, "first_frame": 0.5}[name.split("/")[1]]}
    with pytest.raises(Rejected):
        METRICS[name].measure(Pair(key="a", truth=footage, generated=footage))


def test_protocols_tell_settings_apart() -> None:
    quick, full = metrics_for(), metrics_for(MetricConfig(preset="full"))
    differing = {name for name in quick if quick[name].protocol.hash != full[name].protocol.hash}
    assert differing >= {f"video/{name}" for name in ("fid", "lpips_alex", "mouth_psnr", "mouth_opening_r")}
    assert differing.isdisjoint({"video/psnr", "video/ssim", "video/csim_w600k_mbf", "video/flicker"})
    assert protocol(a=1, b="x").hash == protocol(b="x", a=1).hash != protocol(a=2, b="x").hash
    assert len({metric.protocol.hash for metric in METRICS.values()}) == len(METRICS)


def test_psnr_agrees_with_torchmetrics() -> None:
    truth = pattern(5, 48, 0.0)
    made = noisy(truth, 9)
    theirs = [
        float(peak_signal_noise_ratio(torch.tensor(a).double(), torch.tensor(b).double(), data_range=255.0))
        for a, b in zip(made, truth, strict=True)
    ]
    np.testing.assert_allclose(psnr_frames(made, truth), theirs, rtol=1e-6)
    assert psnr_frames(truth, truth).tolist() == [pytest.approx(BEST)] * 5


def test_ssim_agrees_with_torchmetrics_away_from_its_padding() -> None:
    truth = pattern(1, 64, 0.0)[0]
    made = noisy(truth, 20)
    tensors = [torch.tensor(image).permute(2, 0, 1)[None].double() for image in (made, truth)]
    _, full = structural_similarity_index_measure(*tensors, data_range=255.0, return_full_image=True)
    valid = full[..., 5:-5, 5:-5] if full.shape[-1] == 64 else full
    assert ssim_image(made, truth) == pytest.approx(float(valid.mean()), abs=1e-6)


def test_ssim_by_the_definition_at_one_window() -> None:
    x, y = (NOISE.integers(0, 255, (11, 11, 1)).astype(np.float64) for _ in range(2))
    weights = np.outer(*[scipy.signal.windows.gaussian(11, 1.5)] * 2)
    weights /= weights.sum()
    mean_x, mean_y = ((weights * image[..., 0]).sum() for image in (x, y))
    var_x, var_y = ((weights * (i[..., 0] - m) ** 2).sum() for i, m in ((x, mean_x), (y, mean_y)))
    cov = (weights * (x[..., 0] - mean_x) * (y[..., 0] - mean_y)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = (
        (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    )
    assert ssim_image(np.repeat(x, 3, 2), np.repeat(y, 3, 2)) == pytest.approx(expected, rel=1e-9)


def test_ssim_refuses_pictures_smaller_than_its_window() -> None:
    with pytest.raises(Rejected, match="at least 11"):
        ssim_image(np.zeros((10, 40, 3)), np.zeros((10, 40, 3)))


def test_records_of_metrics_say_what_they_are() -> None:
    for metric in METRICS.values():
        info = dataclasses.asdict(metric.info())
        assert info["about"].endswith(".") and info["protocol"] and len(info["protocol_hash"]) == 12
        assert (metric.direction == "target") or metric.target is None
