"""performance: every measurement runs in small and is drawn from its record alone; no time is judged here."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from datapipe import flow
from datapipe.media import probe, read_audio, read_frames
from datapipe.performance.__main__ import SUITE
from datapipe.performance.backends import STAGES
from datapipe.performance.catalogue import measure_catalogue
from datapipe.performance.chain import measure_chain
from datapipe.performance.cmlr_ids import SPEAKERS, clip_ids, write_corpus
from datapipe.performance.figures import (
    Figure,
    Line,
    Measurement,
    Performance,
    Table,
    joined,
    read_performance,
    write_performance,
)
from datapipe.performance.footage import _there_and_back, enlarged_video, likeness
from datapipe.performance.render import render
from datapipe.performance.repeat import QUICK, interleaved, ratios
from datapipe.performance.straight import SAME, measure_straight
from datapipe.performance.suite import run_suite
from datapipe.sources import SourceConfig, find_clips

ROOT = Path(__file__).parent.parent
TINY = replace(QUICK, clip_seconds=0.2, chain_seconds=0.4, chain_segments=1, catalogue_clips=40)


def figure(*values: float, limit: float | None = None, sense: str = "at most") -> Figure:
    return Figure(name="ratio", unit="x", values=values, expected="2", limit=limit, sense=sense)  # type: ignore[arg-type]


def performance(*figures: Figure, name: str = "a", **more: object) -> Performance:
    table = Table(title="Parts", columns=("part", "s"), lines=(Line(label="one", values=(None,)),))
    measured = Measurement(name=name, title="T", method="M", figures=figures, tables=(table,), seconds=1.0)
    return Performance(**{"machine": {"cores": "2"}, "quick": False, "measurements": (measured,), **more})  # type: ignore[arg-type]


def test_a_bar_is_judged_by_its_median_and_its_sense() -> None:
    assert figure(1.0, 9.0, 1.2, limit=1.25).holds is True
    assert figure(1.0, 9.0, 1.3, limit=1.25).holds is False
    assert figure(3.1, limit=3.0, sense="at least").holds is True
    assert figure(2.9, limit=3.0, sense="at least").holds is False
    assert figure(2.9).holds is None
    with pytest.raises(ValueError, match="not measured"):
        figure()


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    times = interleaved({name: lambda name=name: order.append(name) for name in "ab"}, 2, "t")
    assert "".join(order) == "ba" + "ab" + "ba" and [len(each) for each in times.values()] == [2, 2]
    assert ratios((4.0, 9.0), (2.0, 3.0)) == (2.0, 3.0)


def test_the_page_says_what_held_what_was_missed_and_what_was_not_measured() -> None:
    page = render(performance(figure(1.0, 2.0, 3.0, limit=1.5), figure(1.0, limit=1.5)), SUITE.head)
    assert "| a | ratio | 2 | 2.00 [1.00, 3.00] x | at most 1.50 x | **missed** |" in page
    assert "| a | ratio | 2 | 1.00 x | at most 1.50 x | holds |" in page
    assert "| one | - |" in page and "| cores | 2 |" in page and "quick trial" not in page
    assert "quick trial" in render(performance(figure(1.0), quick=True), SUITE.head)


def test_measurements_of_one_machine_are_kept_together(tmp_path: Path) -> None:
    first, second = performance(figure(1.0), name="b"), performance(figure(2.0), name="a")
    write_performance(tmp_path, joined(None, first), SUITE.file)
    both = joined(read_performance(tmp_path, SUITE.file), second)
    assert [each.name for each in both.measurements] == ["a", "b"]
    assert joined(both, performance(figure(5.0), name="a")).measurements[0].figures[0].median == 5.0
    assert joined(first, replace(second, machine={"cores": "4"})).measurements == second.measurements
    assert joined(first, replace(second, quick=True)).measurements == second.measurements


def test_the_command_draws_again_without_measuring_and_refuses_unknown_letters(tmp_path: Path) -> None:
    write_performance(tmp_path, performance(figure(9.0, limit=1.0)), SUITE.file)
    assert run_suite(SUITE, ["--out", str(tmp_path), "--render"]) == 1, "a missed bar must fail the command"
    assert (tmp_path / SUITE.page).read_text(encoding="utf-8") == render(
        read_performance(tmp_path, SUITE.file), SUITE.head
    )
    assert run_suite(SUITE, ["--out", str(tmp_path), "--only", "a,x"]) == 2
    assert run_suite(SUITE, ["--out", str(tmp_path / "none"), "--render"]) == 2


def test_the_committed_page_is_drawn_from_the_committed_figures() -> None:
    folder = ROOT / "reports/performance"
    measured = read_performance(folder, SUITE.file)
    assert not measured.quick and (folder / SUITE.page).read_text(encoding="utf-8") == render(
        measured, SUITE.head
    )


def test_ids_have_the_traps_of_the_corpus(tmp_path: Path) -> None:
    ids = clip_ids(2000)
    assert len(set(ids)) == 2000 and ids == clip_ids(2000)
    pattern = re.compile(r"s\d+/20\d{6}_section_\d+_-?\d+\.\d\d_\d{3}\.\d\d")
    assert all(pattern.fullmatch(each) for each in ids)
    assert {each.split("/")[0] for each in ids} == set(SPEAKERS)
    assert any("_-00.01_" in each for each in ids)
    write_corpus(tmp_path, ids[:30])
    found = find_clips("cmlr", tmp_path, SourceConfig())
    assert sorted(each.id for each in found) == sorted(ids[:30])
    assert all(clip.text and clip.words and clip.audio and clip.split and clip.day for clip in found)
    contents = [path.read_bytes() for path in tmp_path.glob("*/*/*/*.*") if path.suffix in (".mp4", ".wav")]
    assert len(set(contents)) == len(contents) == 60


def test_the_catalogue_is_built_and_found_finished(tmp_path: Path) -> None:
    measured = measure_catalogue(TINY, tmp_path)
    assert {f.name for f in measured.figures if f.limit} == {
        "plan, ledger and manifest, per clip",
        "most memory of the process",
        "the finished build again",
    }
    assert measured.figures[-1].values == (40.0,)
    parts = {line.label: line.values[0] for line in measured.tables[0].lines}
    assert all(value is not None and value > 0 for value in parts.values()), parts
    assert render(performance(*measured.figures), SUITE.head).count("\n") > 10


def test_the_stages_of_the_table_are_those_of_the_flow() -> None:
    called = re.findall(r"= (?:call|cpu|gpu)\((\w+),|return (?:call|cpu)\((\w+),", inspect.getsource(flow))
    assert tuple(one or other for one, other in called) == STAGES


def test_playing_there_and_back_never_jumps() -> None:
    picked = _there_and_back(5, 23)
    assert len(picked) == 23 and set(picked) == set(range(5))
    assert all(abs(a - b) == 1 for a, b in pairwise(picked))


@pytest.mark.assets
def test_footage_is_what_it_says(tmp_path: Path) -> None:
    path = enlarged_video(tmp_path, 0.5, 30)
    facts = probe(path)
    assert (facts.width, facts.height, facts.fps, facts.num_frames) == (1280, 720, 30, 15)
    assert abs(len(read_audio(path)) - 8000) < 2100  # AAC comes in blocks
    assert likeness(path, path) > 90 and read_frames(path, fps=30).std() > 20


@pytest.mark.assets
def test_both_ways_of_the_crop_make_one_video(tmp_path: Path) -> None:
    measured = measure_straight(TINY, tmp_path)  # raises when the two videos differ
    assert [f.limit for f in measured.figures if f.limit] == [1.25, 1.25]
    assert likeness(tmp_path / "stages.mp4", tmp_path / "straight.mp4") >= SAME


@pytest.mark.slow
@pytest.mark.assets
def test_the_chain_of_commands_makes_the_same_clips(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="make bench-datapipe installs it")
    measured = measure_chain(TINY, tmp_path)
    by_name = {f.name: f.median for f in measured.figures}
    assert by_name["likeness of the products, worst clip"] > 20
    assert [f.sense for f in measured.figures if f.limit] == ["at least"]
