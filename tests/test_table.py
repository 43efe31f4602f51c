"""table: one row per sample, whole, and the same bytes whichever way the rows came."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import table
from datapipe.records import Keyframe, Phoneme, Probe, Rejected, Sample

PROBE = Probe(
    width=320, height=240, fps=Fraction(30000, 1001), num_frames=90, duration=3.003, video_codec="h264",
    audio_codec=None, sample_rate=None,
)  # fmt: skip
SAMPLE = Sample(
    key="s1~2Fa", id="s1/a", source="cmlr", speaker="s1", language="zh", split="train", text="你好",
    text_origin="released", licence="research", fps=25, num_frames=75, size=256, duration=3.0,
    phonemes=(Phoneme(symbol="SIL", start=0.0, end=3.0),),
    keyframes=(Keyframe(frame=1, time=0.06, phoneme="SIL"),),
    probe=PROBE, quality={"face_px": 101.5, "yaw": -0.25}, notes={"asr": "released"},
    lineage={"video": "a.mp4", "video_sha256": "ab" * 32, "start": "0", "end": ""}, fingerprint="00" * 64,
)  # fmt: skip
FACE = np.linspace(-1, 1, 512, dtype=np.float32)


def rows(count: int) -> list[dict[str, Any]]:
    made = [
        table.row_of(replace(SAMPLE, key=f"k{n}", num_frames=n), "x-000000.tar", FACE * n)
        for n in range(count)
    ]
    made[count // 2]["identity"] = None
    return made


def test_a_row_says_everything_plain_about_a_sample() -> None:
    row = table.row_of(SAMPLE, "x-000000.tar", FACE)
    plain = {f.name for f in fields(Sample) if isinstance(getattr(SAMPLE, f.name), str | int | float | None)}
    assert {name: row[name] for name in plain} == {name: getattr(SAMPLE, name) for name in plain}
    assert row["quality.yaw"] == -0.25 and row["lineage.video"] == "a.mp4" and row["shard"] == "x-000000.tar"
    assert row["num_phonemes"] == 1 and row["num_keyframes"] == 1 and row["num_words"] == 0
    assert row["probe.fps"] == pytest.approx(29.97, abs=1e-3) and row["probe.audio_codec"] is None


def test_rows_come_back_and_written_again_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 7)
    made = rows(30)
    made[3]["quality.rare"] = 0.1  # a column that one row has
    table.write_table(tmp_path, made)
    first = (tmp_path / table.FILE).read_bytes()
    back = list(table.rows_of(table.read_table(tmp_path)))
    for one, other in zip(made, back, strict=True):
        assert {n: v for n, v in other.items() if n != "identity" and v is not None} == {
            n: v for n, v in one.items() if n != "identity" and v is not None
        }
        assert (
            np.array_equal(other["identity"], one["identity"]) or one["identity"] is other["identity"] is None
        )
    table.write_table(tmp_path, back)
    assert (tmp_path / table.FILE).read_bytes() == first
    table.write_table(tmp_path, [dict(reversed(row.items())) for row in made])
    assert (tmp_path / table.FILE).read_bytes() == first


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_faces_stay_with_their_rows(has: list[bool]) -> None:
    made = [{"key": str(n), "identity": FACE + n if each else None} for n, each in enumerate(has)]
    schema = table.pa.schema([(name, table._type(name)) for name in ("identity", "key")])
    for row in table.rows_of(table._encode(made, schema)):
        expected = FACE + int(row["key"]) if has[int(row["key"])] else None
        assert (row["identity"] is None) == (expected is None)
        assert expected is None or np.array_equal(row["identity"], expected)


def test_anyone_can_read_it(tmp_path: Path) -> None:
    table.write_table(tmp_path, rows(3))
    frame = pd.read_parquet(tmp_path / table.FILE)
    assert list(frame.columns) == sorted(frame.columns)
    assert list(frame["num_frames"]) == [0, 1, 2] and frame["identity"][2].dtype == np.float32
    assert np.array_equal(frame["identity"][2], FACE * 2) and frame["quality.face_px"].dtype == np.float64


def test_some_columns_are_enough_to_split_by(tmp_path: Path) -> None:
    table.write_table(tmp_path, rows(3))
    light = list(table.rows_of(table.read_table(tmp_path, table.SPLIT_COLUMNS)))
    assert set(light[0]) == set(table.SPLIT_COLUMNS)


def test_types_do_not_depend_on_what_happens_to_be_there(tmp_path: Path) -> None:
    """A column of nothing but None, or of whole numbers, has the type of its name."""
    table.write_table(tmp_path, [table.row_of(replace(SAMPLE, quality={"face_px": 3}), "a.tar")])  # type: ignore[dict-item]
    schema = table.read_table(tmp_path).schema
    assert str(schema.field("day").type) == "string" and str(schema.field("quality.face_px").type) == "double"
    assert str(schema.field("probe.sample_rate").type) == "int64"
    assert str(schema.field("identity").type) == "fixed_size_list<element: float>[512]"


def test_no_samples_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"no samples\.parquet"):
        table.read_table(tmp_path)
    table.write_table(tmp_path, [])
    assert list(table.rows_of(table.read_table(tmp_path))) == []


@pytest.mark.slow
def test_all_of_cmlr_fits(tmp_path: Path) -> None:
    import time
    import tracemalloc

    made = [table.row_of(replace(SAMPLE, key=f"k{n}"), "x-000000.tar", FACE) for n in range(102_072)]
    tracemalloc.start()
    started = time.monotonic()
    table.write_table(tmp_path, made)
    assert time.monotonic() - started < 60 and tracemalloc.get_traced_memory()[1] < 500e6
