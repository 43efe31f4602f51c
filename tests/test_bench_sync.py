"""SyncNet, its cepstra, crops and distances: against independent code, planted truths, and bad input."""

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import medfilt

from benchmark.extract import Batches
from benchmark.footage import Footage, Store, fitted
from benchmark.measure import CaseResult, _measure_row
from benchmark.metrics import Pair
from benchmark.metrics.sync import metrics
from benchmark.sync import chain as sync_chain
from benchmark.sync import distances as sync
from benchmark.sync.judge import Judge, load_judge
from benchmark.sync.mfcc import mfcc, to_int16
from benchmark.sync.syncnet import PUBLISHED_BLOB, SyncNet, SyncNetConfig, fast, git_blob_sha1, load_syncnet
from datapipe.records import Rejected

SMALL = SyncNetConfig(side=51, width=0.05, dim=16)


def awake(network):
    """Give the norms statistics of their own, so that folding them is not the identity."""
    torch.manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("length", [1, 399, 400, 401, 560, 561, 31997])
def test_cepstra_are_those_of_python_speech_features(length):
    package = pytest.importorskip("python_speech_features")
    samples = np.random.default_rng(length).integers(-9000, 9000, length).astype(np.int16)
    assert_allclose(mfcc(samples), package.mfcc(samples, 16000), rtol=0, atol=1e-10)


def test_cepstra_of_digital_silence_are_numbers_and_of_nothing_none():
    assert np.isfinite(mfcc(np.zeros(1000, np.int16))).all()
    assert mfcc(np.zeros(0, np.int16)).shape == (0, 13)


def test_sixteen_bit_sound_survives_being_float():
    samples = np.arange(-32768, 32768, dtype=np.int16)
    assert_array_equal(to_int16(samples.astype(np.float32) / 32768), samples)
    assert to_int16(np.array([1.0], np.float32))[0] == 32767


def test_the_layout_is_the_published_one():
    tensors = SyncNet().state_dict()
    assert len(tensors) == 102
    assert tensors["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert tensors["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert tensors["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert tensors["netfclip.3.weight"].shape == tensors["netfcaud.3.weight"].shape == (1024, 512)
    learned = [each for name, each in tensors.items() if "running" not in name and "num_batches" not in name]
    assert sum(each.numel() for each in learned) == 13_631_616


@pytest.mark.parametrize("config", [SMALL, SyncNetConfig(side=96, width=0.1, dim=8)])
def test_the_fast_form_is_the_network(config):
    network = awake(SyncNet(config))
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (7, config.side, config.side, 3), np.uint8)
    cepstra = rng.normal(0, 10, (3, 13, 20)).astype(np.float32)
    with torch.no_grad():
        lips = network.lips(torch.from_numpy(faces).permute(3, 0, 1, 2)[None].float())[0]
        sound = network.sound(torch.from_numpy(cepstra)[:, None])
    assert lips.shape == (3, config.dim)
    assert_allclose(fast(network).lips(np.array(sync.lip_windows(faces, 3))), lips, rtol=1e-4, atol=1e-5)
    assert_allclose(fast(network).sound(cepstra), sound, rtol=1e-4, atol=1e-5)
    assert "netcnnlip.1.weight" in network.state_dict(), "the original is as it was"


def test_old_files_without_counters_load_and_nothing_else_does(tmp_path):
    network = awake(SyncNet(SMALL))
    tensors = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(tensors, tmp_path / "old.model", _use_new_zipfile_serialization=False)
    loaded = load_syncnet(tmp_path / "old.model", SMALL)
    assert_array_equal(loaded.netfclip[0].weight.detach(), network.netfclip[0].weight.detach())

    first = tensors.pop("netfcaud.0.weight")
    safetensors.torch.save_file({**tensors, "extra": first}, tmp_path / "odd.safetensors")
    with pytest.raises(Rejected, match=r"missing: netfcaud\.0\.weight; unknown: extra"):
        load_syncnet(tmp_path / "odd.safetensors", SMALL)
    with pytest.raises(Rejected, match="of another shape: netcnnaud"):
        load_syncnet(tmp_path / "old.model")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("content", ["trap", "noise", "list", "nothing"])
def test_a_weight_file_is_never_executed(tmp_path, content):
    path, sprung = tmp_path / "w.model", tmp_path / "sprung"
    if content == "trap":
        torch.save({"a": Trap(sprung)}, path)
    elif content == "list":
        torch.save([1, 2], path)
    elif content == "noise":
        path.write_bytes(b"\x80\x02no pickle at all")
    with pytest.raises(Rejected) as caught:
        load_syncnet(path)
    assert caught.value.reason == ("missing_weight" if content == "nothing" else "bad_weight")
    assert not sprung.exists()


def test_the_published_file_is_known_by_gits_name_of_it(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_sha1(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert len(PUBLISHED_BLOB) == 40


def test_other_weights_of_the_layout_are_named_by_their_hash(tmp_path):
    torch.save(SyncNet().state_dict(), tmp_path / "syncnet_v2.model")
    judge = load_judge(tmp_path / "syncnet_v2.model")
    assert judge.name == f"syncnet_{judge.weights[:8]}"
    assert (judge.edges, judge.unit, judge.side) == ("zeros", False, 224)


def plain_means(lips, sound, vshift=15):
    """The published loop, window by window, in torch."""
    lips, sound = torch.from_numpy(lips), torch.from_numpy(sound)
    padded = torch.nn.functional.pad(sound, (0, 0, vshift, vshift))
    rows = [
        torch.nn.functional.pairwise_distance(
            lips[[index]].repeat(2 * vshift + 1, 1), padded[index : index + 2 * vshift + 1]
        )
        for index in range(len(lips))
    ]
    return torch.mean(torch.stack(rows, 1), 1)


@pytest.mark.parametrize("count", [16, 20, 93])
def test_distances_are_those_of_the_published_loop(count):
    rng = np.random.default_rng(count)
    lips, sound = rng.normal(0, 1, (2, count, 64)) * 3
    result, means = sync.score(lips, sound), plain_means(lips, sound)
    assert_allclose(result.mean_distances_31, means, rtol=0, atol=1e-6)
    least, at = torch.min(means, 0)
    assert_allclose(result.confidence, torch.median(means) - least, atol=1e-6)
    assert_allclose(result.distance, least, atol=1e-6)
    assert result.offset == 15 - int(at)


@settings(deadline=None, max_examples=25)
@given(late=st.integers(-10, 10), edges=st.sampled_from(["zeros", "masked"]))
def test_sound_that_is_late_has_a_negative_offset(late, edges):
    content = np.random.default_rng(7).normal(size=(100, 32))
    result = sync.score(content[20:80], content[20 - late : 80 - late], edges)
    assert result.offset == -late
    assert result.distance < 1e-3 if edges == "masked" or late == 0 else result.distance < 3
    assert (result.confidence_as_played < result.confidence) == (late != 0)


def test_masked_leaves_out_what_zeros_count():
    lips, sound = np.full((20, 8), 3.0), np.full((20, 8), 3.0)
    assert_allclose(sync.mean_distances(lips, sound, "masked"), 0, atol=1e-5)
    zeros = sync.mean_distances(lips, sound, "zeros")
    assert_allclose(zeros[0], 15 / 20 * 3 * 8**0.5, rtol=1e-5)
    assert_allclose(zeros[15], 0, atol=1e-5)


def test_a_second_is_enough_and_half_a_second_is_too_short():
    assert sync.num_windows(25, 16000) == 20
    sync.score(*np.random.default_rng(0).normal(size=(2, 20, 4)))
    with pytest.raises(Rejected, match="15 windows") as caught:
        sync.score(*np.random.default_rng(0).normal(size=(2, 15, 4)))
    assert caught.value.reason == "too_short"


def plain_crop(frame, box, side):
    """The published crop with its padded picture, for one frame."""
    import cv2

    half, x, y = max(box[3] - box[1], box[2] - box[0]) / 2, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    pad = int(half * 1.8)
    whole = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(110, 110, 110))
    my, mx = y + pad, x + pad
    rows = slice(int(my - half), int(my + half * 1.8))
    columns = slice(int(mx - half * 1.4), int(mx + half * 1.4))
    return cv2.resize(whole[rows, columns], (side, side))


@pytest.mark.parametrize("box", [(40, 30, 80, 90), (0, 0, 50, 50), (70.3, 60.7, 119.2, 99.9)])
def test_crops_are_the_published_ones_and_bgr(box):
    frames = np.random.default_rng(0).integers(0, 256, (15, 100, 120, 3), np.uint8)
    crops = sync.crop_faces(frames, np.tile(box, (15, 1)), sync.Region(), 224)
    # the seventh frame is the first whose median sees no zeros beyond the start
    assert_array_equal(crops[7], plain_crop(frames[7][..., ::-1], box, 224))
    half = sync.steadied(np.tile(np.array(box, np.float64), (15, 1)))[2]
    assert_array_equal(half, medfilt(np.full(15, max(box[3] - box[1], box[2] - box[0]) / 2), 13))


def test_boxes_are_filled_in_between_and_many_missing_ones_are_no_face():
    boxes = np.tile([0.0, 0.0, 10.0, 10.0], (21, 1))
    boxes[10] = [20.0, 0.0, 30.0, 10.0]
    known = boxes[::5].copy()
    known[1] = np.nan
    assert_allclose(sync.whole_track(known, 5, 21)[[0, 5, 10, 15, 20], 0], [0, 10, 20, 0, 0])
    known[3] = np.nan
    with pytest.raises(Rejected, match="2 of 5") as caught:
        sync.whole_track(known, 5, 21)
    assert caught.value.reason == "no_face"
    with pytest.raises(Rejected, match="1 of 1"):
        sync.whole_track(known[[1]], 10, 8)


def test_windows_of_sound_go_with_frames_and_silence_follows_the_end():
    audio = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    windows = sync.sound_windows(audio, 20)
    assert windows.shape == (20, 13, 20)
    assert_array_equal(windows[3], mfcc(to_int16(audio)).astype(np.float32).T[:, 12:32])
    assert_array_equal(sync.sound_windows(audio, 40)[:20], windows)
    faces = np.arange(8, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    assert_array_equal(sync.lip_windows(faces, 4)[2, :, 0, 0, 0], [2, 3, 4, 5, 6])
    with pytest.raises(IndexError):
        sync.lip_windows(faces, 5)


def test_the_strict_way_loses_what_the_published_chain_loses():
    ramp = np.linspace(0, 255, 64)
    picture = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.full((64, 64), 90.0)], -1)
    film = np.stack([np.roll(picture, shift, 0) for shift in range(24)]).astype(np.uint8)
    once, twice = sync_chain.through_jpeg(film), sync_chain.through_codecs(film)
    assert once.shape == twice.shape == film.shape
    errors = [np.abs(each.astype(float) - film).mean() for each in (once, twice)]
    assert 0 < errors[0] < errors[1] < 20


def footage(num_frames, audio, seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, (num_frames, 64, 64, 3), np.uint8)
    sound = None if audio is None else fitted(audio, num_frames)
    made = Footage(f"f{seed}:{num_frames}", frames, Store(), sound, sound=f"s{num_frames}")
    return made


@pytest.fixture
def judge():
    return Judge(name="tiny", network=fast(awake(SyncNet(SMALL))), unit=True, weights="0" * 64)


@pytest.fixture
def a_face(monkeypatch):
    def found(footage, every):
        face = np.array([10, 10, 50, 50, *[1.0] * 11], np.float32)
        return np.tile(face, (-(-len(footage.frames) // every), 1))

    monkeypatch.setattr("benchmark.metrics.sync.detections", found)


def test_a_metric_reads_the_definition_off_its_rows(judge, a_face):
    audio = np.random.default_rng(1).normal(0, 0.1, 40 * 640).astype(np.float32)
    clip = footage(40, audio)
    pair = Pair(key="k", truth=clip, generated=clip)
    columns = {each.name: each for each in metrics(judge)}
    assert list(columns) == [f"video/{each}_tiny" for each in ("sync_c", "sync_d", "sync_c0", "sync_offset")]
    values = [each.measure(pair).by_case["k"] for each in columns.values()]

    crops = sync.crop_faces(clip.frames, np.tile([10, 10, 50, 50], (40, 1)), judge.region, judge.side)
    lips = judge.lips(np.array(sync.lip_windows(crops, 35)))
    expected = sync.score(lips, judge.sound(np.array(sync.sound_windows(audio, 35))), "zeros")
    wanted = [expected.confidence, expected.distance, expected.confidence_as_played, expected.offset]
    assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)


def test_the_truth_needs_no_sound_for_a_systems_score(judge, a_face):
    audio = np.random.default_rng(1).normal(0, 0.1, 40 * 640).astype(np.float32)
    pair = Pair(key="k", truth=footage(40, None), generated=footage(40, audio, seed=1))
    result, batches = CaseResult("k", ""), Batches()
    (later,) = _measure_row(result, "ours", metrics(judge)[0], {"video": pair}, batches)
    batches.finish()
    assert not result.states and "k" in later.metric.measure(later.pair).by_case


def test_protocols_have_names_and_hashes_of_their_own(judge):
    made = [each for way in ("fast", "strict", "masked") for each in metrics(judge, way)]
    assert len({each.name for each in made}) == len(made)
    assert len({each.protocol.hash for each in made if "sync_c_" in each.name}) == 3
    confidence = made[0]
    assert (confidence.direction, confidence.as_printed, confidence.of) == ("higher", "lower", "sound")


@pytest.mark.parametrize(
    ("num_frames", "audio", "reason"),
    [
        (40, None, "no sound"),
        (20, np.full(12800, 0.1, np.float32), "15 windows"),
        (20, np.zeros(12800, np.float32), "silence"),
    ],
)
def test_what_cannot_be_scored_is_rejected(judge, a_face, num_frames, audio, reason):
    clip = footage(num_frames, audio)
    with pytest.raises(Rejected, match=reason):
        metrics(judge)[0].measure(Pair(key="k", truth=clip, generated=clip))


def test_moving_the_sound_leaves_the_lips_known(judge, a_face):
    audio = np.random.default_rng(1).normal(0, 0.1, 40 * 640).astype(np.float32)
    clip = footage(40, audio)
    lips, sound = metrics(judge)[0].needs
    late = clip.heard("late", np.roll(audio, 3200))
    assert lips.key(clip) == lips.key(late)
    assert sound.key(clip) != sound.key(late)
