"""Training a judge: it learns what it should, and says honestly what it found."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import small
import torch
from numpy.testing import assert_array_equal

from benchmark.sync import data as sync_data
from benchmark.sync import make as sync_make
from benchmark.sync.commands import TrainSyncCommand
from benchmark.sync.data import Crops, SyncClip, delayed, load_sync_clips
from benchmark.sync.distances import Region, sound_windows
from benchmark.sync.heldout import Heldout, hold_out, markdown
from benchmark.sync.judge import Judge, load_judge
from benchmark.sync.make import train_sync
from benchmark.sync.syncnet import SyncNet, SyncNetConfig, fast
from benchmark.sync.train import PRESETS, SyncTrainConfig, contrast, draw, fit, rate_at
from datapipe.media import read_audio, read_frames
from datapipe.records import Rejected, Sample, from_json

TINY = SyncTrainConfig(
    network=SyncNetConfig(side=51, width=0.05, dim=16),
    steps=60, clips_per_step=4, windows_per_clip=24, learning_rate=4e-3,
)  # fmt: skip


def talking(number, num_frames=70):
    """A clip whose mouth opens with the loudness of its noise: pictures (T, 51, 51, 3), sound."""
    rng = np.random.default_rng(number)
    loud = np.repeat(rng.choice([0.02, 0.2, 1.0], num_frames // 2), 2)
    audio = (rng.normal(0, 0.2, num_frames * 640) * np.repeat(loud, 640)).astype(np.float32)
    pictures = np.full((num_frames, 51, 51, 3), 120 + number % 7 * 10, np.uint8)
    for picture, each in zip(pictures, loud, strict=True):
        cv2.ellipse(picture, (25, 25), (15, 1 + round(15 * each**0.5)), 0, 0, 360, (20, 20, 60), -1)
    return pictures, audio


def clips_of(numbers, crops):
    made = []
    for number in numbers:
        pictures, audio = talking(number)
        windows = sound_windows(audio, len(pictures) - 5)
        boxes = np.zeros((len(pictures), 4))
        clip = SyncClip(
            key=f"c{number}", language="en", video=b"", boxes_T4=boxes, audio=audio, cepstra_WFT=windows
        )
        crops.kept[clip.key] = pictures
        made.append(clip)
    return made


def judge_of(network):
    return Judge(name="t", network=fast(network), unit=True, edges="masked", weights="")


@pytest.fixture(scope="module")
def trained():
    crops = Crops(region=Region(), side=51)
    return fit(clips_of(range(12), crops), crops, TINY)


def test_a_trained_judge_finds_planted_delays_on_clips_it_never_saw(trained):
    crops = Crops(region=Region(), side=51)
    unseen = clips_of(range(100, 106), crops)
    found = hold_out(judge_of(trained), unseen, crops, "test", (-8, -3, 0, 1, 6))
    torch.manual_seed(0)
    untrained = hold_out(judge_of(SyncNet(TINY.network).eval()), unseen, crops, "test", (-8, -3, 0, 1, 6))
    assert found.num_trials == 30
    assert found.share(1) >= 0.9, markdown(found)
    assert untrained.share(1) < 0.6, "the test can fail"


def test_equal_seeds_give_equal_weights_and_others_do_not(trained):
    crops = Crops(region=Region(), side=51)
    clips = clips_of(range(4), crops)
    short = dataclasses.replace(TINY, steps=2)
    first, again = fit(clips, crops, short), fit(clips, crops, short)
    other = fit(clips, crops, dataclasses.replace(short, seed=1))
    assert_array_equal(first.netfclip[3].weight.detach(), again.netfclip[3].weight.detach())
    assert not torch.equal(first.netfclip[3].weight, other.netfclip[3].weight)


def test_candidates_are_of_the_same_stretch_only():
    """Exchanging the other clips of a batch leaves a clip's share of the loss as it is."""
    network = SyncNet(TINY.network).eval()
    crops = Crops(region=Region(), side=51)
    faces, sounds = draw(clips_of(range(4), crops), crops, TINY, 0)
    each = [contrast(network, faces[[i]], sounds[[i]], 16.0).item() for i in range(4)]
    assert contrast(network, faces, sounds, 16.0).item() == pytest.approx(np.mean(each), rel=1e-4)
    assert sounds.shape == (4, 24, 13, 20)
    assert faces.shape == (4, 3, 28, 51, 51)


def test_a_loss_without_value_ends_the_training():
    crops = Crops(region=Region(), side=51)
    clips = [
        dataclasses.replace(each, cepstra_WFT=each.cepstra_WFT * np.nan) for each in clips_of([1], crops)
    ]
    with pytest.raises(RuntimeError, match="not a number"):
        fit(clips, crops, TINY)


def test_the_rate_rises_and_falls():
    rates = [rate_at(step, TINY) for step in range(TINY.steps)]
    assert np.argmax(rates) in (5, 6)
    assert rates[-1] < 0.01 * max(rates)
    assert max(rates) == TINY.learning_rate


def test_sound_is_delayed_by_frames_and_keeps_its_length():
    sound = np.arange(1, 6401, dtype=np.float32)
    assert_array_equal(delayed(sound, 2)[1280:], sound[:-1280])
    assert not delayed(sound, 2)[:1280].any()
    assert_array_equal(delayed(sound, -3)[:-1920], sound[1920:])
    assert_array_equal(delayed(sound, 0), sound)
    assert len(delayed(sound, -3)) == len(delayed(sound, 20)) == len(sound)


def test_the_table_counts_what_was_found():
    found = Heldout(split="val", planted=(-1, 0), found={"a": (-1, 0), "b": (0, 5)})
    assert (found.share(0), found.share(1)) == (0.5, 0.75)
    assert found.confusion() == {-1: {0: 1, 1: 1}, 0: {0: 1, 5: 1}}
    assert "2 clips of the split val x 2 delays = 4 trials: 75.0% found within one frame, 50.0% exactly" in (
        markdown(found)
    )
    assert "| 0 | 1 | 0 | 1 |" in markdown(found)
    assert "nothing is known" in markdown(Heldout(split="val", planted=(0,), found={}))


def test_crops_beyond_the_limit_are_cut_again(monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (14, 60, 60, 3), np.uint8)
    monkeypatch.setattr(sync_data, "read_frames", lambda video: frames)
    clip = dataclasses.replace(clips_of([1], Crops(region=Region(), side=51))[0], key="new")
    clip = dataclasses.replace(clip, boxes_T4=np.tile([5.0, 5, 50, 50], (14, 1)))
    roomy, tight = Crops(region=Region(), side=51), Crops(region=Region(), side=51, limit=10)
    assert_array_equal(roomy.of(clip), tight.of(clip))
    assert list(roomy.kept) == ["new"]
    assert not tight.kept


def test_short_or_no_clips_are_said_so(tmp_path):
    crops = Crops(region=Region(), side=51)
    made = clips_of([1, 2], crops)
    with pytest.raises(Rejected, match=r"none of 2 clips lasts 1\.2 s"):
        fit([dataclasses.replace(each, cepstra_WFT=each.cepstra_WFT[:9]) for each in made], crops, TINY)
    with pytest.raises(Rejected, match=r"no manifest\.json"):
        train_sync([tmp_path / "empty"], tmp_path / "out", TINY)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    with pytest.raises(Rejected, match="there already"):
        train_sync([tmp_path / "empty"], tmp_path / "taken", TINY)
    with pytest.raises(Rejected, match="too few"):
        SyncTrainConfig(steps=0)


def test_a_folder_becomes_a_judge_with_its_record_last(tmp_path, monkeypatch, trained, capsys):
    """Reading shards stands aside: the clips are given, everything after them is real."""
    numbers = {"train": range(6), "val": range(100, 102)}
    monkeypatch.setattr(sync_make, "load_sync_clips", lambda _, split, crops: clips_of(numbers[split], crops))
    monkeypatch.setattr(sync_make, "identity_of", lambda shards: "d" * 64)
    monkeypatch.setattr(sync_make, "fit", lambda clips, crops, config: trained)
    monkeypatch.setitem(PRESETS, "demo", lambda: TINY)
    out = tmp_path / "SyncNet mine"
    assert TrainSyncCommand(data=(Path("shards"),), out=out, seed=5).execute() == 0
    assert "2 clips of the split val x 21 delays = 42 trials" in capsys.readouterr().out
    record = json.loads((out / "config.json").read_text())
    assert (record["seed"], record["num_train_clips"], record["num_heldout_clips"]) == (5, 6, 2)
    assert 0.8 < record["within_one_frame"] <= 1
    judge = load_judge(out)
    assert (judge.name, judge.unit, judge.edges) == ("own_syncnet_mine", True, "masked")
    assert judge.lips(np.zeros((2, 5, 51, 51, 3), np.uint8)).shape == (2, 16)

    (tmp_path / "no").mkdir()
    with pytest.raises(Rejected, match=r"holds no config\.json"):
        load_judge(tmp_path / "no")
    (out / "syncnet.safetensors").write_bytes(b"other")
    load_judge.cache_clear()
    with pytest.raises(Rejected, match=r"not what config\.json names"):
        load_judge(out)


def test_shards_whose_clips_cannot_be_used_are_named(tmp_path, capsys):
    small.dataset(tmp_path / "d", [small.sample(number) for number in range(4)])
    assert load_sync_clips([tmp_path / "d"], "train", Crops(region=Region(), side=51)) == []
    assert "left out: " in capsys.readouterr().err
    with pytest.raises(Rejected, match="no usable clip"):
        train_sync([tmp_path / "d"], tmp_path / "out", TINY)
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.slow
@pytest.mark.assets
def test_the_demo_judge_finds_planted_delays_on_the_held_out_sample(tmp_path):
    """The issue's bar: within one frame on at least 90 % of held-out clips, over all delays of -10 to 10."""
    from avatarsync import main

    assert main(["data", "sample", str(tmp_path / "raw")]) == 0
    folders = [tmp_path / "shards" / name for name in ("cmlr", "hdtf")]
    for folder in folders:
        root = str(tmp_path / "raw" / folder.name)
        build = ["data", "build", "--source", folder.name, "--root", root, "--out", str(folder)]
        assert main([*build, "--size", "128", "--cluster", "local"]) == 0
        assert (
            main(
                [
                    "data",
                    "export",
                    "--shards",
                    str(folder),
                    "--out",
                    str(tmp_path / "cases"),
                    "--split",
                    "test",
                ]
            )
            == 0
        )
    train_sync(folders, tmp_path / "judge", PRESETS["demo"]())
    judge = load_judge(tmp_path / "judge")
    crops = Crops(region=judge.region, side=judge.side)
    clips = [exported(video) for video in sorted((tmp_path / "cases").glob("*.mp4"))]
    heldout = hold_out(judge, clips, crops, "test")
    assert heldout.num_trials >= 8 * 21
    assert heldout.share(1) >= 0.9, markdown(heldout)


def exported(video):
    """A case as `data export` wrote it: video with sound, wav and record."""
    frames, audio = read_frames(video), read_audio(video.with_suffix(".wav"))
    count = min(len(frames), len(audio) // 640) - 5
    boxes = sync_data.whole_track(sync_data.followed_faces(frames[::10])[:, :4], 10, len(frames))
    meta = from_json(video.with_suffix(".json").read_text(), Sample)
    assert meta.split == "test"
    return SyncClip(
        key=video.stem, language=meta.language, video=video.read_bytes(), boxes_T4=boxes, audio=audio,
        cepstra_WFT=sound_windows(audio, count),
    )  # fmt: skip
