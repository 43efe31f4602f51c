"""syncnet-python for real, in the tool environment `speech`, against our SyncNet on the same seeded weights
and crops; and its whole chain, with an S3FD whose heads are planted."""

import json

import numpy as np
import plant_sync
import pytest
import torch
from test_tools_speech import Trap

from benchmark.footage import Footage, Store
from benchmark.metrics import MetricConfig, Pair, metrics_for
from benchmark.sync.check import LARGEST, own_score
from benchmark.sync.judge import load_judge
from benchmark.sync.package import score_crops, score_film
from datapipe import weights
from datapipe.files import sha256_of
from datapipe.records import Rejected
from datapipe.tools.worker import worker_of

pytestmark = pytest.mark.tools("speech")
RANDOM = np.random.default_rng(0)
NUM_FRAMES = 60


def tiles(side: int, size: int) -> np.ndarray:
    """Pictures (60, side * size, side * size, 3) of coloured squares."""
    small = RANDOM.integers(0, 255, (NUM_FRAMES, side, side, 3)).astype(np.uint8)
    return small.repeat(size, 1).repeat(size, 2)


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory):
    return plant_sync.syncnet_file(tmp_path_factory.mktemp("syncnet") / "syncnet_v2.model")


@pytest.fixture(scope="module")
def sound():
    time = np.arange(NUM_FRAMES * 640) / 16_000
    voiced = np.sin(2 * np.pi * time * (150 + 80 * np.sin(9 * time))) * (np.sin(5 * time) > 0)
    return (0.3 * voiced + RANDOM.normal(0, 0.01, len(time))).astype(np.float32)


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """Place an S3FD that finds faces of a level, and register its hash."""

    def place(level: int | None) -> None:
        path = plant_sync.s3fd_file(tmp_path / "sfd_face.pth", level)
        entry = {"name": "s3fd", "file": path.name, "sha256": sha256_of(path), "num_bytes": 1, "packages": []}
        entry |= {"licence": "-", "about": "seeded", "url": "https://example.org"}
        (tmp_path / "registry.json").write_text(json.dumps([entry]))
        monkeypatch.setenv("AVATARSYNC_REGISTRY", str(tmp_path / "registry.json"))
        monkeypatch.setenv("AVATARSYNC_WEIGHTS", str(tmp_path))
        weights.registry.cache_clear()

    yield place
    monkeypatch.undo()
    weights.registry.cache_clear()


def test_our_syncnet_is_the_packages(syncnet, sound):
    crops = tiles(14, 16)
    ours, theirs = own_score(load_judge(syncnet), crops, sound), score_crops(crops, sound, syncnet)
    assert np.abs(ours.mean_distances_31 - theirs.mean_distances_31).max() < LARGEST
    assert theirs.confidence == pytest.approx(ours.confidence, abs=LARGEST)
    assert theirs.distance == pytest.approx(ours.distance, abs=LARGEST)
    assert theirs.offset == ours.offset
    assert np.ptp(ours.mean_distances_31) > 100 * LARGEST  # else anything would agree


def test_too_few_frames_are_refused_on_both_sides(syncnet, sound):
    crops = tiles(14, 16)[:20]
    for way in (
        lambda: own_score(load_judge(syncnet), crops, sound),
        lambda: score_crops(crops, sound, syncnet),
    ):
        with pytest.raises(Rejected) as caught:
            way()
        assert caught.value.reason == "too_short"


def test_the_whole_chain_scores_a_film_as_a_metric_and_keeps_it(syncnet, sound, detector):
    detector(3)  # 128 pixels in a picture that is looked at in a quarter of its size
    name = load_judge(syncnet).name
    names = tuple(f"{column}_{name}_package" for column in ("sync_c", "sync_d", "sync_offset"))
    wanted = metrics_for(MetricConfig(judges=(syncnet,), names=names))
    footage = Footage("film", tiles(15, 32), Store(), sound, sound="film:60")
    pair = Pair(key="film", truth=footage, generated=footage)
    confidence, distance, offset = (metric.compute(metric.measure(pair)).value for metric in wanted.values())
    assert 0 <= confidence < distance and 7 < distance < 20 and abs(offset) <= 15
    settings = dict(next(iter(wanted.values())).protocol.settings)
    assert settings["way"].endswith("syncnet-python 0.2.3") and settings["weights"] == sha256_of(syncnet)


def test_a_film_in_which_nobody_is_seen_has_no_score(syncnet, sound, detector):
    detector(None)
    with pytest.raises(Rejected, match="no face of 100 pixels") as caught:
        score_film(tiles(15, 32)[:55], sound[: 55 * 640], syncnet)
    assert caught.value.reason == "no_face"


def test_weights_of_another_network_or_more_than_tensors_are_refused(tmp_path, sound):
    crops = tiles(14, 16)[:30]
    other, trap = tmp_path / "other.model", tmp_path / "trap.model"
    torch.save({"weight": torch.zeros(3)}, other)
    torch.save({"weight": Trap(tmp_path / "sprung")}, trap)
    for path, words in ((other, "is no SyncNet of the package"), (trap, "no file of tensors")):
        with pytest.raises(Rejected, match=words) as caught:
            score_crops(crops, sound, path)
        assert caught.value.reason == "bad_weight"
    assert not (tmp_path / "sprung").exists()
    assert "syncnet-python" in worker_of("speech").ask("versions").values
