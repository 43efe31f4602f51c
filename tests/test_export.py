"""export: what was chosen and nothing else; Parquet that plain `datasets` loads and streams."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import FRAMES, SIZE, dataset, sample

from datapipe import __main__ as data
from datapipe import huggingface, media
from datapipe.export import EXPORTS, Choice, choose, export_cases
from datapipe.records import Rejected
from datapipe.shards import read_samples, read_shard
from datapipe.table import row_of, write_table


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("small"), [sample(number) for number in range(8)])


@pytest.fixture(scope="module")
def exported(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hf") / "out"
    huggingface.export_hf(shards, out, Choice())
    return out


def load(folder: Path, cache: Path, **options: Any) -> Any:
    import datasets

    return datasets.load_dataset(str(folder), cache_dir=str(cache), **options)


def digests(folder: Path) -> dict[str, str]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def inside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (Choice(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Choice(split="train"), [0, 1, 4, 5]),
        (Choice(split="train", where=("quality.face_px > 100",)), [1, 4, 5]),
        (Choice(where=("speaker == s1", "quality.snr_db <= 27")), [3, 5, 7]),
        (Choice(split="train", limit=3), [0, 1, 4]),
    ],
)
def test_every_format_takes_what_was_chosen(
    shards: Path, tmp_path: Path, choice: Choice, numbers: list[int]
) -> None:
    keys = tuple(sample(number).key for number in numbers)
    for name, write in EXPORTS.items():
        assert write(shards, tmp_path / name, choice) == keys
    assert {path.stem for path in (tmp_path / "cases").glob("*.mp4")} == set(keys)


def test_nothing_left_is_said_with_the_reason(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"there is: test, train, val"):
        export_cases(shards, tmp_path / "x", Choice(split="validation"))
    with pytest.raises(Rejected, match=r"`quality.face_px > 500` is not met by 8"):
        export_cases(shards, tmp_path / "x", Choice(where=("quality.face_px > 500",)))
    assert not (tmp_path / "x").exists()


def test_a_table_that_names_what_no_shard_holds(shards: Path, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [sample(0), sample(1)])
    write_table(folder, [row_of(sample(number), "small-000000.tar") for number in (0, 1, 2)])
    with pytest.raises(Rejected, match="does not hold s0~2Fclip~2E2"):
        export_cases(folder, tmp_path / "x")


def test_only_shards_that_hold_a_chosen_sample_are_opened(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [sample(number) for number in range(6)], per_shard=2)
    names = ["small-000000.tar", "small-000001.tar", "small-000002.tar"]
    write_table(folder, [row_of(sample(number), names[number // 2]) for number in range(6)])
    for name in (names[0], names[2]):
        (folder / name).write_bytes(b"no tar")
    assert (
        len(export_cases(folder, tmp_path / "x", Choice(where=("num_frames == 10", "id == s0/clip.2")))) == 1
    )


def test_plain_datasets_loads_splits_features_and_bytes(shards: Path, exported: Path, tmp_path: Path) -> None:
    import datasets

    loaded = load(exported, tmp_path)
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 4, "val": 2, "test": 2}
    row, stored = loaded["train"][0], next(iter(read_samples(shards)))
    features = loaded["train"].features
    assert (
        features["video"] == datasets.Video(decode=False) and features["quality.face_px"].dtype == "float64"
    )
    assert features["audio"] == datasets.Audio(sampling_rate=16000, decode=False)
    assert row["video"]["bytes"] == stored.video and row["audio"]["bytes"] == stored.audio
    assert media.read_frames(row["video"]["bytes"]).shape == (FRAMES, SIZE, SIZE, 3)
    assert len(media.read_frames(row["keyframe_video"]["bytes"])) == len(row["keyframes"]) == 3
    assert row["phonemes"][1] == {"symbol": "AA", "start": 0.1, "end": 0.12, "score": 0.0, "stress": 1}
    assert row["quality.face_px"] == 100.0 and row["consent"] == "given" and row["day"] is None
    arrays = loaded["train"].with_format("numpy")[0]
    assert np.array_equal(arrays["landmarks"], stored.landmarks_TK2)
    assert np.array_equal(arrays["source_landmarks"], stored.source_landmarks_TK2)
    assert np.array_equal(arrays["matrices"], stored.matrices_T23)
    assert np.allclose(arrays["identity"], stored.identity)


def test_it_streams(exported: Path, tmp_path: Path) -> None:
    rows = list(load(exported, tmp_path, split="test", streaming=True))
    assert [row["id"] for row in rows] == ["s1/clip.3", "s1/clip.7"]
    assert media.read_frames(rows[0]["video"]["bytes"]).shape == (FRAMES, SIZE, SIZE, 3)


def test_a_file_of_that_name_nearby_does_not_take_the_bytes_place(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (f"{sample(0).key}.video.mp4", f"{sample(0).key}.audio.wav"):
        Path(path).write_bytes(b"another file")
    row = load(exported, tmp_path / "cache", split="train")[0]
    assert media.read_frames(row["video"]["bytes"]).shape == (FRAMES, SIZE, SIZE, 3)


def test_many_files_and_row_groups(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as parquet

    size = sum(path.stat().st_size for path in shards.glob("*.tar"))
    monkeypatch.setattr(huggingface, "FILE_BYTES", 3 * size // 8 + 1)
    monkeypatch.setattr(huggingface, "GROUP_BYTES", 1)
    huggingface.export_hf(shards, tmp_path / "out", Choice())
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names == [
        "test-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet",
        "val-00000-of-00001.parquet",
    ]  # fmt: skip
    with parquet.ParquetFile(tmp_path / "out/data/train-00000-of-00002.parquet") as file:
        assert file.num_row_groups == file.metadata.num_rows == 3
    assert load(tmp_path / "out", tmp_path / "cache").num_rows == {"train": 4, "val": 2, "test": 2}


def test_again_gives_the_same_bytes_and_another_choice_replaces_all(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    huggingface.export_hf(shards, out, Choice())
    first = digests(out)
    huggingface.export_hf(shards, out, Choice())
    assert digests(out) == first
    huggingface.export_hf(shards, out, Choice(split="val"))
    assert {path.name for path in (out / "data").iterdir()} == {"val-00000-of-00001.parquet"}
    assert (
        "split: val" in (out / "README.md").read_text()
        and "split: train" not in (out / "README.md").read_text()
    )


def test_a_folder_with_other_things_is_refused(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(Rejected, match="not empty"):
        huggingface.export_hf(shards, tmp_path, Choice())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failure_in_the_middle_leaves_the_earlier_export_whole(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    huggingface.export_hf(shards, out, Choice(split="val"))
    before = digests(out)
    monkeypatch.setattr(huggingface, "GROUP_BYTES", 1)
    real, calls = huggingface.to_table, []

    def failing(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(5, "the disk is gone")
        return real(*given)

    monkeypatch.setattr(huggingface, "to_table", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        huggingface.export_hf(shards, out, Choice())
    assert digests(out) == before
    monkeypatch.undo()
    huggingface.export_hf(shards, out, Choice())
    note = json.loads((out / "export.json").read_text())
    assert note["complete"] and note["samples"] == 8 and set(note["files"]) == inside(out / "data")


def test_what_a_killed_export_left_is_taken_over(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.train-00000-of-00001.x.tmp.parquet").write_bytes(b"half")
    (tmp_path / "data/train-00000-of-00009.parquet").write_bytes(b"of another choice")
    (tmp_path / "export.json").write_text('{"complete": false, "format": "hf"}')
    huggingface.export_hf(shards, tmp_path, Choice(split="val"))
    assert inside(tmp_path / "data") == {"val-00000-of-00001.parquet"}


def test_columns_follow_the_data(tmp_path: Path) -> None:
    metas = [sample(0), sample(1, quality={"face_px": 9.0}, day="20200101"), sample(4, text="词 \x00 \u2028")]
    huggingface.export_hf(dataset(tmp_path / "d", metas), tmp_path / "out", Choice())
    rows = load(tmp_path / "out", tmp_path / "cache", split="train")
    assert rows["quality.snr_db"][:] == [30.0, None, 26.0] and rows["day"][:] == [None, "20200101", None]
    assert rows["text"][2] == "词 \x00 \u2028"


def test_a_split_that_cannot_name_a_file_is_refused(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [sample(0, split="../../train"), sample(1)])
    with pytest.raises(Rejected, match="cannot name a file"):
        huggingface.export_hf(folder, tmp_path / "a/b/out", Choice())
    assert inside(tmp_path) == {"d"}


def test_choose_keeps_the_order_of_the_shards(shards: Path) -> None:
    keys = [key for path in sorted(shards.glob("*.tar")) for key, _ in read_shard(path)]
    assert list(choose(shards, Choice())["key"]) == keys


def test_the_command(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["export", "--shards", str(shards), "--out", str(tmp_path / "o"), "--format", "hf"]
    assert data.main([*argv, "--where", "split != test", "--where", "quality.face_px >= 102"]) == 0
    assert "4 samples" in capsys.readouterr().err
    assert data.main([*argv, "--where", "quality.face_px >= 1e9"]) == 2
