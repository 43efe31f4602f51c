"""shards: keys that survive any reader, tars that depend on nothing but their samples."""

from __future__ import annotations

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import media, shards
from datapipe.crop import to_crop
from datapipe.records import Keyframe, Phoneme, Probe, Rejected, Sample, to_json


def members(clip_id: str, split: str = "train") -> tuple[str, dict[str, bytes]]:
    key = shards.escape_key(clip_id)
    meta = Sample(
        key=key, id=clip_id, source="folder", speaker="s", language="en", split=split, text="hi",
        text_origin="released", licence="unknown", fps=25, num_frames=4, size=32, duration=0.16,
        phonemes=(Phoneme(symbol="SIL", start=0.0, end=0.16),),
        keyframes=(Keyframe(frame=2, time=0.08, phoneme="SIL"),),
        probe=Probe(width=8, height=8, fps=Fraction(25), num_frames=4, duration=0.16, video_codec="h264",
                    audio_codec=None, sample_rate=None),
        quality={}, notes={}, lineage={},
    )  # fmt: skip
    landmarks = np.arange(4 * 106 * 2, dtype=np.float32).reshape(4, 106, 2)
    return key, {
        "video.m4v": b"v" * 10,
        "keyframes.m4v": b"k",
        "audio.wave": media.wav_bytes(np.zeros(2560, np.float32)),
        "landmarks.npy": shards.npy_bytes(landmarks),
        "source_landmarks.npy": shards.npy_bytes(2 * landmarks),
        "matrices.npy": shards.npy_bytes(np.tile([[0.5, 0, 0], [0, 0.5, 0]], (4, 1, 1))),
        "identity.npy": shards.npy_bytes(np.eye(1, 512, dtype=np.float32)[0]),
        "meta.json": to_json(meta).encode(),
    }


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_keys_come_back_and_hold_nothing_that_splits(clip_id: str) -> None:
    key = shards.escape_key(clip_id)
    assert shards.unescape_key(key) == clip_id
    assert (
        key.isascii()
        and not set(key) & set("./\\ ")
        and set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-~")
    )


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_two_ids_never_share_a_key(ids: list[str]) -> None:
    encodable = [each for each in ids if each.encode("utf-8", "ignore").decode() == each]
    assert len({shards.escape_key(each) for each in encodable}) == len(encodable)


def test_the_documented_key() -> None:
    assert shards.escape_key("s5/2015_section_3_030.36") == "s5~2F2015_section_3_030~2E36"


def test_same_samples_same_bytes_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shards.write_shard(tmp_path / "a.tar", [members("x/1.5"), members("x/2")])
    monkeypatch.setattr("time.time", lambda: 4e9)
    second = shards.write_shard(tmp_path / "b.tar", [members("x/1.5"), members("x/2")])
    assert first.sha256 == second.sha256 and first.keys == ("x~2F1~2E5", "x~2F2")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert all(entry.mtime == 0 and entry.uid == 0 and entry.uname == "" for entry in tar)


def test_member_order_does_not_depend_on_the_dictionary(tmp_path: Path) -> None:
    key, parts = members("a")
    turned = dict(reversed(parts.items()))
    one = shards.write_shard(tmp_path / "a.tar", [(key, parts)])
    other = shards.write_shard(tmp_path / "b.tar", [(key, turned)])
    assert one.sha256 == other.sha256


def test_long_ids_fit(tmp_path: Path) -> None:
    clip_id = "很长的名字/" * 20
    shards.write_shard(tmp_path / "a.tar", [members(clip_id)])
    (sample,) = shards.read_samples(tmp_path)
    assert sample.meta.id == clip_id


def test_read_back_by_split(tmp_path: Path) -> None:
    shards.write_shard(tmp_path / "a-000000.tar", [members("a"), members("b", "test")])
    shards.write_shard(tmp_path / "a-000001.tar", [members("c", "test")])
    assert [sample.meta.id for sample in shards.read_samples(tmp_path)] == ["a", "b", "c"]
    assert [sample.meta.id for sample in shards.read_samples(tmp_path, "test")] == ["b", "c"]
    sample = next(iter(shards.read_samples(tmp_path)))
    assert sample.landmarks_TK2.shape == (4, 106, 2) and sample.landmarks_TK2.dtype == np.float32
    assert sample.video == b"v" * 10
    assert sample.matrices_T23.shape == (4, 2, 3) and sample.matrices_T23.dtype == np.float64
    assert np.allclose(to_crop(sample.source_landmarks_TK2, sample.matrices_T23), sample.landmarks_TK2)
    assert sample.identity.shape == (512,) and sample.identity.dtype == np.float32


def test_a_folder_without_shards_is_said(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="holds no shards"):
        next(iter(shards.read_samples(tmp_path)))


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> object:
        yield members("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write_shard(tmp_path / "a.tar", interrupted())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_plain_webdataset_reads_it(tmp_path: Path) -> None:
    import webdataset

    shards.write_shard(tmp_path / "a.tar", [members("x/1.5"), members("y")])
    samples = list(webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == ["x~2F1~2E5", "y"]
    assert set(shards.MEMBERS) <= set(samples[0])
    assert np.load(io.BytesIO(samples[0]["landmarks.npy"])).shape == (4, 106, 2)


def load(folder: Path) -> object:
    import datasets

    cache = str(folder / "cache")
    return datasets.load_dataset(
        "webdataset", data_files=str(folder / "*.tar"), split="train", cache_dir=cache
    )


def test_plain_datasets_reads_it_as_bytes(tmp_path: Path) -> None:
    shards.write_shard(tmp_path / "a.tar", [members("x/1.5"), members("y")])
    loaded = load(tmp_path)
    assert list(loaded["__key__"]) == ["x~2F1~2E5", "y"]  # type: ignore[index]
    row = loaded[0]  # type: ignore[index]
    assert row["meta.json"]["id"] == "x/1.5" and row["video.m4v"] == b"v" * 10
    assert row["audio.wave"][:4] == b"RIFF" and np.array(row["landmarks.npy"]).shape == (4, 106, 2)
