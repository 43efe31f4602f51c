"""stats: counts by hand, yields that agree with the filter, phonemes and keyframes at the frame rate."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import dataset, sample

from datapipe import __main__ as data
from datapipe import stats
from datapipe.charts import plot_curves
from datapipe.quality import COLUMNS
from datapipe.records import Rejected
from datapipe.shards import read_metas
from datapipe.table import row_of, write_table
from datapipe.where import select


def frame(metas: list) -> pd.DataFrame:
    return stats.frame_of([row_of(meta, "x.tar") for meta in metas])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("small"), [sample(number) for number in range(5)])


def test_every_column_says_which_way_is_better() -> None:
    assert set(COLUMNS) <= set(stats.BETTER)


def test_counts_by_hand() -> None:
    facts = stats.summarise(frame([sample(number) for number in range(5)]))
    assert (facts["samples"], facts["seconds"], facts["frames"], facts["keyframes"]) == (5, 2.0, 50, 15)
    assert facts["speakers"] == 2 and facts["splits"] == {"test": 1, "train": 3, "val": 1}
    assert facts["quality"]["face_px"] == {
        "min": 100,
        "p5": 100.2,
        "median": 102,
        "p95": 103.8,
        "max": 104,
        "n": 5,
    }


def test_a_dataset_without_samples_is_counted_too() -> None:
    facts = stats.summarise(stats.frame_of([]))
    assert facts["samples"] == 0 and facts["quality"] == {} and "samples      0" in stats.table(facts)


@given(
    st.lists(st.tuples(st.none() | st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=60),
    st.sampled_from(["face_px", "jitter_px", "av_difference_ms", "exposure"]),
)
def test_a_yield_is_what_the_filter_keeps(pairs: list[tuple[int | None, int]], column: str) -> None:
    rows = pd.DataFrame(
        {
            f"quality.{column}": pd.Series([value for value, _ in pairs], dtype=float),
            "duration": [float(duration) for _, duration in pairs],
        }
    )
    if rows[f"quality.{column}"].isna().all():
        with pytest.raises(Rejected, match="no sample has"):
            stats.yield_curve(rows, column)
        return
    curve = stats.yield_curve(rows, column)
    assert curve.samples == rows[f"quality.{column}"].notna().sum()
    for threshold, kept in zip(curve.thresholds, curve.kept, strict=True):
        left = select(rows, [curve.condition(threshold)]).rows
        assert len(left) == kept.samples and left["duration"].sum() == kept.seconds
    ends = {curve.at_least[0].samples, curve.at_most[-1].samples}
    assert ends == {curve.samples} and list(curve.thresholds) == sorted(set(curve.thresholds))


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(Rejected, match="did you mean `face_px`"):
        stats.yield_curve(frame([sample(0)]), "face_pix")


def test_phonemes_at_the_frame_rate() -> None:
    facts = stats.spoken([sample(0), sample(1), sample(2, language="zh")])
    english = facts["en"]
    assert english.phonemes == 4 and english.symbols == {"AA": 2, "M": 2}
    assert english.frames_histogram == {0: 2, 7: 2} and english.under_one_frame == 2
    assert english.keyframes == 6 and english.collisions == 2 and facts["zh"].phonemes == 2
    assert "shorter than a frame: 2 (50.0 %)" in stats.spoken_table(facts)


def test_the_table_says_what_the_shards_say(shards: Path, tmp_path: Path) -> None:
    without = stats.read_rows(shards)
    identity = np.zeros(512, np.float32)
    write_table(tmp_path, [row_of(meta, name, identity) for name, meta in read_metas(shards)])
    with_table = stats.read_rows(tmp_path)
    assert stats.summarise(without) == stats.summarise(with_table)
    assert "identity" not in with_table.columns


def test_a_hundred_thousand_samples_take_seconds() -> None:
    rng = np.random.default_rng(0)
    count = 100_000
    rows = pd.DataFrame({f"quality.{name}": rng.normal(size=count) for name in COLUMNS})
    rows["duration"], rows["num_frames"], rows["num_keyframes"] = 3.0, 75, 30
    for name in ("source", "speaker", "split", "language", "text_origin"):
        rows[name] = "x"
    start = time.perf_counter()
    stats.summarise(rows)
    assert len(stats.yield_curves(rows)) == len(COLUMNS)
    assert time.perf_counter() - start < 10


def test_plots_are_pictures_and_nothing_else(shards: Path, tmp_path: Path) -> None:
    curves = stats.yield_curves(stats.read_rows(shards))
    plot_curves(curves, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    for out, given_curves in ((tmp_path / "a.txt", curves), (tmp_path / "b.png", ())):
        with pytest.raises(Rejected):
            plot_curves(given_curves, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_the_command(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["stats", "--shards", str(shards)]
    assert data.main([*base, "--where", "split == train", "--where", "quality.face_px > 100"]) == 0
    told = capsys.readouterr()
    assert "samples      2" in told.out and "2 of 5 samples kept" in told.err.replace("\n", " ")
    assert data.main([*base, "--yield", "face_px"]) == 0
    assert '--where "quality.face_px >= 102"' in capsys.readouterr().out
    assert data.main([*base, "--json", "--phonemes", "--plot", str(tmp_path / "p.svg")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["phonemes"]["en"]["collisions"] == 5 and facts["rejected"] == {}
    assert {curve["column"] for curve in facts["yields"]} == set(facts["quality"])
    assert data.main([*base, "--where", "quality.size > 3"]) == 2
