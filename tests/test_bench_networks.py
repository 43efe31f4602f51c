"""Each metric network agrees with a program that others wrote, on the same weights and the same pictures."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import skimage.metrics
import torch
from PIL import Image
from torch.nn import functional
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from benchmark.extract import Batches, rows_of
from benchmark.footage import Footage, Store
from benchmark.frechet import frechet_distance
from benchmark.machine import use_one_thread
from benchmark.metrics import fid
from benchmark.metrics import lpips as lpips_metric
from benchmark.metrics.psnr import psnr_frames
from benchmark.metrics.ssim import luma, ssim_image
from benchmark.networks import inception
from benchmark.selftest.vectors import pattern
from datapipe.networks import arrays, convolve, lpips
from datapipe.records import Rejected
from datapipe.weights import resolve

GOLDEN_LPIPS = {
    "alex": (0.02264506183564663, 0.02328852377831936),
    "vgg": (0.06978010386228561, 0.0688306987285614),
}
"""lpips 0.1.4 (torchvision 0.28.0) on these weights: `pattern(2, 128, 0)` against `pattern(2, 128, 0.35)`."""
GOLDEN_POOL3 = {0: 0.0741889551281929, 7: 0.0, 2000: 1.3502033948898315}
"""pytorch-fid 0.3.0 on these weights: some of the features of `pattern(4, 64, 0)[0]`."""
PACKAGES = ("torchvision==0.28.0", "lpips==0.1.4", "pytorch-fid==0.3.0", "clean-fid==0.1.35", "requests")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    use_one_thread()


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A real face, (512, 512, 3)."""
    return np.asarray(Image.open(resolve("portrait-collins")).convert("RGB"))


def noisy(picture: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.assets
def test_the_fid_network_is_the_published_archives(portrait: np.ndarray) -> None:
    archive = torch.jit.load(str(resolve("fid-inception")), map_location="cpu").eval()
    inputs = np.stack(
        [fid.legacy_input(portrait), fid.clean_input(portrait), fid.legacy_input(portrait[::-1])]
    )
    with torch.inference_mode():
        theirs = archive(torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(inception.inception_features(inputs), theirs, atol=1e-4)
    assert np.abs(theirs[0] - theirs[2]).max() > 0.1


@pytest.mark.assets
def test_the_fid_network_is_pytorch_fids() -> None:
    features = inception.inception_features(fid.legacy_input(pattern(4, 64, 0.0)[0])[None])[0]
    np.testing.assert_allclose(features[list(GOLDEN_POOL3)], list(GOLDEN_POOL3.values()), atol=1e-4)


@pytest.mark.assets
@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_lpips_is_the_packages(trunk: lpips.TrunkName) -> None:
    towers = [lpips.lpips_tower(pattern(2, 128, phase), trunk) for phase in (0.0, 0.35)]
    np.testing.assert_allclose(lpips.lpips_distances(*towers, trunk=trunk), GOLDEN_LPIPS[trunk], rtol=1e-5)
    there, back = (lpips.lpips_distances(*each, trunk=trunk) for each in (towers, towers[::-1]))
    assert np.array_equal(there, back)
    assert np.array_equal(lpips.lpips_distances(towers[0], towers[0], trunk), np.zeros(2))


@pytest.mark.slow
@pytest.mark.assets
def test_all_networks_beside_the_packages_themselves(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(tmp_path / "packages"),
    ]
    subprocess.run([*command, *PACKAGES], check=True, timeout=600)
    archive = torch.jit.load(str(resolve("fid-inception")), map_location="cpu")
    weights = {f"inception/{k.removeprefix('net.layers.')}": v for k, v in archive.state_dict().items()}
    for trunk in ("alex", "vgg"):
        weights |= {f"{trunk}/{name}": tensor for name, tensor in lpips._weights(trunk).items()}
    shown = {
        f"{use} {side}": pattern(num, size, phase)
        for use, num, size in (("fid", 4, 64), ("clean", 2, 512), ("lpips", 2, 128))
        for side, phase in (("first", 0.0), ("second", 0.35))
    }
    np.savez(tmp_path / "weights.npz", **{name: tensor.numpy() for name, tensor in weights.items()})
    np.savez(tmp_path / "pictures.npz", **shown)
    script = Path(__file__).with_name("reference_networks.py")
    files = [str(tmp_path / name) for name in ("packages", "weights.npz", "pictures.npz", "out.npz")]
    subprocess.run([sys.executable, "-W", "ignore", str(script), *files], check=True, timeout=600)
    theirs = np.load(tmp_path / "out.npz")
    for use, prepare in (("fid", fid.legacy_input), ("clean", fid.clean_input)):
        for side in ("first", "second"):
            inputs = np.stack([prepare(frame) for frame in shown[f"{use} {side}"]])
            ours = inception.inception_features(inputs)
            np.testing.assert_allclose(ours, theirs[f"{use} {side}"], atol=1e-4)
    for trunk in ("alex", "vgg"):
        towers = [lpips.lpips_tower(shown[f"lpips {side}"], trunk) for side in ("first", "second")]
        np.testing.assert_allclose(lpips.lpips_distances(*towers, trunk=trunk), theirs[trunk], rtol=1e-5)
        np.testing.assert_allclose(theirs[trunk], GOLDEN_LPIPS[trunk], rtol=1e-6)


def independent_lpips(first: np.ndarray, second: np.ndarray) -> float:
    """LPIPS written again in numpy, float64, from the pickle itself."""
    tree = arrays.read_array_pickle(resolve("lpips-alex"))

    def tower(image: np.ndarray) -> list[np.ndarray]:
        hidden = (image / 127.5 - 1 - np.array([-0.030, -0.088, -0.188])) / np.array([0.458, 0.448, 0.450])
        kept = []
        for index, (stride, pad) in enumerate(((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))):
            if index in (1, 2):
                windows = np.lib.stride_tricks.sliding_window_view(hidden, (3, 3), (0, 1))[::2, ::2]
                hidden = windows.max((-1, -2))
            conv = tree["AlexNet_0"][f"Conv_{index}"]
            side = conv["kernel"].shape[0]
            padded = np.pad(hidden, ((pad, pad), (pad, pad), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (0, 1))[
                ::stride, ::stride
            ]
            hidden = np.maximum(
                np.einsum("xyihw,hwio->xyo", windows, conv["kernel"].astype(float)) + conv["bias"], 0
            )
            kept.append(hidden / np.sqrt((hidden**2).sum(-1, keepdims=True) + 1e-20))
        return kept

    layers = zip(tower(first), tower(second), strict=True)
    heads = (tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"][0, 0, :, 0] for index in range(5))
    return sum(float((((a - b) ** 2) @ head).mean()) for (a, b), head in zip(layers, heads, strict=True))


@pytest.mark.assets
def test_lpips_agrees_with_a_second_implementation() -> None:
    first, second = pattern(2, 64, 0.0), pattern(2, 64, 0.4)
    ours = lpips.lpips_distances(lpips.lpips_tower(first), lpips.lpips_tower(second))
    theirs = [independent_lpips(a.astype(float), b.astype(float)) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.assets
@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_the_truths_tower_is_made_once(trunk: lpips.TrunkName, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(frames: np.ndarray, name: lpips.TrunkName) -> lpips.Tower:
        seen.append(len(frames))
        return make(frames, name)

    make = lpips.lpips_tower
    monkeypatch.setattr(lpips_metric.network, "lpips_tower", counted)
    truth, *systems = (Footage(str(k), pattern(3, 32, 0.2 * k), Store()) for k in range(3))
    first = [lpips_metric.distances(truth, each, 1, trunk) for each in systems]
    assert sum(seen) == 9
    monkeypatch.setattr(lpips_metric, "BYTES_TO_KEEP", 0)
    truth.towers.clear()
    again = [lpips_metric.distances(truth, each, 1, trunk) for each in systems]
    assert sum(seen) == 9 + 12 and np.array_equal(first, again)


@pytest.mark.parametrize("shape", [(512, 512), (300, 299), (640, 360), (128, 96)])
def test_clean_resize_is_bicubic_with_antialias(shape: tuple[int, int]) -> None:
    frame = noisy(pattern(1, 640, 0.3)[0][: shape[0], : shape[1]], 20)
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    theirs = functional.interpolate(pixels, (299, 299), mode="bicubic", antialias=True, align_corners=False)
    np.testing.assert_allclose(fid.clean_input(frame), (theirs[0].clamp(0, 255) - 128) / 128, atol=1e-4)


def test_antialias_is_what_the_two_fids_differ_in() -> None:
    frame = noisy(pattern(1, 512, 0.3)[0], 40)
    small = frame[:299, :299]
    assert np.abs(fid.legacy_input(small) - fid.clean_input(small)).mean() < 0.01
    assert np.abs(fid.legacy_input(frame) - fid.clean_input(frame)).mean() > 0.05
    assert fid.metric(1).protocol.hash != fid.metric(1, fid.CLEAN).protocol.hash


@pytest.mark.assets
def test_neighbours_in_a_batch_change_no_bit() -> None:
    features = fid.extractor(1)
    one, two = (Footage(name, pattern(3, 64, phase), Store()) for name, phase in (("a", 0.0), ("b", 0.4)))
    alone, batches = rows_of(one, features), Batches()
    one.kept.clear()
    batches.ask(two, features)
    batches.ask(one, features)
    batches.finish()
    assert np.array_equal(rows_of(one, features), alone)


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_convolutions_do_not_need_onednn(num_dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    hidden, kernel = torch.randn(1, 3, *[9] * num_dimensions), torch.randn(5, 3, *[3] * num_dimensions)
    bias, padding = torch.randn(5), [1] * num_dimensions
    fast = convolve.rectified(hidden, kernel, bias, 2, padding)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.testing.assert_close(
        convolve.rectified(hidden, kernel, bias, 2, padding), fast, rtol=1e-4, atol=1e-5
    )


@pytest.mark.assets
def test_psnr_agrees_with_scikit_image_and_torchmetrics(portrait: np.ndarray) -> None:
    made = noisy(portrait, 9)
    (ours,) = psnr_frames(made[None], portrait[None])
    assert ours == pytest.approx(skimage.metrics.peak_signal_noise_ratio(portrait, made), rel=1e-9)
    tensors = [torch.from_numpy(image.copy()).double() for image in (made, portrait)]
    assert ours == pytest.approx(float(peak_signal_noise_ratio(*tensors, data_range=255.0)), rel=1e-6)
    part = (slice(None), slice(3, 90), slice(5, 70))
    cut = float(np.square(made[3:90, 5:70].astype(float) - portrait[3:90, 5:70]).mean())
    assert psnr_frames(made[None][part], portrait[None][part])[0] == pytest.approx(
        10 * np.log10(255**2 / cut)
    )


@pytest.mark.assets
def test_ssim_agrees_with_scikit_image(portrait: np.ndarray) -> None:
    made = noisy(portrait, 20)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    theirs = skimage.metrics.structural_similarity(made, portrait, channel_axis=-1, **wang)
    assert ssim_image(made, portrait) == pytest.approx(theirs, abs=1e-9)
    greys = [luma(image) for image in (made, portrait)]
    assert ssim_image(*greys) == pytest.approx(
        skimage.metrics.structural_similarity(*greys, **wang), abs=1e-9
    )


@pytest.mark.assets
def test_ssim_agrees_with_torchmetrics_where_it_does_not_pad(portrait: np.ndarray) -> None:
    portrait = portrait[100:260, 150:330]
    made = noisy(portrait, 20)
    pair = [torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double() for image in (made, portrait)]
    _, full = structural_similarity_index_measure(*pair, data_range=255.0, return_full_image=True)
    assert ssim_image(made, portrait) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-6)


@pytest.mark.parametrize("height", [11, 74, 75, 138, 139, 200])
def test_strips_of_ssim_join_without_a_seam(height: int) -> None:
    first = noisy(pattern(1, 200, 0.1)[0][:height], 15)
    second = noisy(first, 25)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    theirs = skimage.metrics.structural_similarity(first, second, channel_axis=-1, **wang)
    assert ssim_image(first, second) == pytest.approx(theirs, abs=1e-12)


def test_frechet_agrees_with_scipys_square_root() -> None:
    random = np.random.default_rng(1)
    first, second = (
        random.normal(0, 1, (300, 40)) @ random.normal(0, 1, (40, 40)),
        random.normal(1, 2, (200, 40)),
    )
    one, two = (np.cov(rows, rowvar=False) for rows in (first, second))
    root = scipy.linalg.sqrtm(one @ two)
    means = ((first.mean(0) - second.mean(0)) ** 2).sum()
    theirs = means + np.trace(one) + np.trace(two) - 2 * np.trace(root).real
    assert frechet_distance(first, second) == pytest.approx(float(theirs), rel=1e-9)


class Hostile:
    def __reduce__(self):
        return (print, ("ran",))


@pytest.mark.parametrize(
    "content", [pickle.dumps(Hostile()), b"", b"no pickle", pickle.dumps({"a": np.ones(2)})[:-9]]
)
def test_the_weight_reader_runs_nothing(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(content)
    with pytest.raises(Rejected) as caught:
        arrays.read_array_pickle(path)
    assert caught.value.reason == "bad_weight"
    assert capsys.readouterr().out == ""


def test_flattened_names_are_paths() -> None:
    tree = {"a": {"b/c": np.ones(2), "d": {}}, "e": np.zeros(1)}
    assert {name: value.tolist() for name, value in arrays.flattened(tree).items()} == {
        "a/b/c": [1.0, 1.0],
        "e": [0.0],
    }
