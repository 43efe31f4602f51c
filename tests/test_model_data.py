"""From shards to a trained run: decoding, reuse, taking up again, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import FRAMES_PER_PHONEME, make_clips

from datapipe.crop import CropConfig
from datapipe.media import wav_bytes, write_video
from datapipe.records import Keyframe, Manifest, Phoneme, Probe, Rejected, Sample, from_json, to_dict, to_json
from datapipe.shards import MEMBERS, identity_of, npy_bytes, write_shard
from model.data import POINTS, load_clips, moving_points
from model.presets import tiny
from model.training.parts import train_part

SIZE = 64
PRESET = replace(
    tiny(),
    tokenizer_train=replace(tiny().tokenizer_train, steps=2),
    keyframes_train=replace(tiny().keyframes_train, steps=2),
    interpolator_train=replace(tiny().interpolator_train, steps=2),
)


def stored(clip, folder, split):
    """A drawn clip as the members of a sample."""
    write_video(folder / "v.mp4", clip.frames_THW3)
    count = len(clip.frames_THW3)
    edges = np.arange(len(clip.phonemes) + 1) * FRAMES_PER_PHONEME / 25
    landmarks = np.tile(np.random.default_rng(0).uniform(10, 50, (1, 106, 2)), (count, 1, 1)).astype(
        np.float32
    )
    landmarks[:, list(POINTS)] = (clip.points_TL2 + 1) * SIZE / 2 - 0.5
    fields = dict(width=SIZE, height=SIZE, fps=25, num_frames=count, duration=count / 25)
    sample = Sample(
        key=clip.key, id=clip.key, source="toy", speaker=clip.speaker, language="en", split=split,
        text="x", text_origin="released",
        licence="none", fps=25, num_frames=count, size=SIZE, duration=count / 25,
        phonemes=tuple(
            Phoneme(symbol=s, start=a, end=b)
            for s, a, b in zip(clip.phonemes, edges[:-1], edges[1:], strict=True)
        ),
        keyframes=tuple(
            Keyframe(frame=int(f), time=float(t), phoneme=s)
            for f, t, s in zip(clip.keyframes_n, clip.times_n, clip.phonemes, strict=True)
        ),
        probe=Probe(**fields, video_codec="h264", audio_codec=None, sample_rate=None), quality={}, notes={},
        lineage={},
    )  # fmt: skip
    video = (folder / "v.mp4").read_bytes()
    sound = wav_bytes(np.zeros(count * 640, np.float32))
    arrays = (landmarks, landmarks, np.tile(np.eye(2, 3), (count, 1, 1)), np.eye(1, 512, dtype=np.float32)[0])
    contents = (video, video, sound, *map(npy_bytes, arrays), to_json(sample).encode())
    return clip.key, dict(zip(MEMBERS, contents, strict=True))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    clips = make_clips(4, SIZE)
    written = (
        write_shard(folder / "toy-000000.tar", [stored(c, folder, "train") for c in clips[:3]]),
        write_shard(folder / "toy-000001.tar", [stored(clips[3], folder, "test")]),
    )
    write_manifest(folder, written)
    return folder


def write_manifest(folder, shards, stages="now"):
    manifest = Manifest(
        name="toy", source="toy", versions={"stages": stages}, weights={}, shards=shards,
        config={"crop": to_dict(CropConfig(size=SIZE))},
        num_samples=4, duration=4.0, rejected={}, failed=0, splits={}, licences={}, consents={},
    )  # fmt: skip
    (folder / "manifest.json").write_text(to_json(manifest))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_clips_come_out_as_they_went_in(shards):
    drawn, read = make_clips(4, SIZE)[:3], load_clips([shards], "train", SIZE)
    assert [clip.key for clip in read] == [clip.key for clip in drawn]
    for before, after in zip(drawn, read, strict=True):
        assert after.phonemes == before.phonemes and np.array_equal(after.keyframes_n, before.keyframes_n)
        assert np.allclose(after.points_TL2, before.points_TL2, atol=1e-5)
        assert np.abs(after.frames_THW3.astype(int) - before.frames_THW3).mean() < 3


def test_points_span_minus_one_to_one():
    corners = np.zeros((1, 106, 2), np.float32)
    corners[:] = -0.5
    assert (moving_points(corners, SIZE) == -1).all()
    assert (moving_points(corners + SIZE, SIZE) == 1).all()


def test_wrong_size_and_empty_splits_are_refused(shards):
    with pytest.raises(Rejected, match="--size 128"):
        load_clips([shards], "train", 128)
    with pytest.raises(Rejected, match="split `val`"):
        load_clips([shards], "val", SIZE)


def test_equal_data_has_an_equal_name_wherever_it_lies(shards, tmp_path):
    written = from_json((shards / "manifest.json").read_text(), Manifest).shards
    write_manifest(tmp_path, written, stages="later")
    assert identity_of([shards]) == identity_of([tmp_path])
    write_manifest(tmp_path, written[:1])
    assert identity_of([shards]) != identity_of([tmp_path])


def test_a_finished_part_is_reused_and_another_configuration_trains_again(shards, tmp_path, capfd):
    first = train_part("interpolator", [shards], PRESET, tmp_path)
    weights = tmp_path / "interpolator" / "weights.safetensors"
    made = weights.stat().st_mtime_ns
    assert train_part("interpolator", [shards], PRESET, tmp_path) == first
    assert "reused" in capfd.readouterr().err and weights.stat().st_mtime_ns == made
    other = replace(PRESET, interpolator_train=replace(PRESET.interpolator_train, seed=1))
    assert train_part("interpolator", [shards], other, tmp_path).identity != first.identity
    assert weights.stat().st_mtime_ns != made
    assert sorted(path.name for path in (tmp_path / "interpolator").iterdir()) == [
        "config.json", "done.json", "identity.json", "log.jsonl", "weights.safetensors",
    ]  # fmt: skip


def test_an_interrupted_part_is_not_taken_for_finished(shards, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("model.training.learner.Learner.update", stop)
    with pytest.raises(KeyboardInterrupt):
        train_part("tokenizer", [shards], PRESET, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "tokenizer" / "done.json").exists()
    with pytest.raises(Rejected, match="model train tokenizer"):
        train_part("keyframes", [shards], PRESET, tmp_path)
    train_part("tokenizer", [shards], PRESET, tmp_path)
    done = train_part("keyframes", [shards], PRESET, tmp_path)
    assert done.steps == 2
    lines = (tmp_path / "keyframes" / "log.jsonl").read_text().splitlines()
    assert {"step", "loss", "mouth_tokens"} <= set(json.loads(lines[0]))
    # another tokenizer means other tokens: the keyframes have to be trained again
    train_part(
        "tokenizer",
        [shards],
        replace(PRESET, tokenizer_train=replace(PRESET.tokenizer_train, seed=5)),
        tmp_path,
    )
    assert train_part("keyframes", [shards], PRESET, tmp_path).identity != done.identity
