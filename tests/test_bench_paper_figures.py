"""The figures: what is measured from videos and logs, kept as records, and drawn from them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from paper_rows import CMLR, ablation_run, write

from benchmark.human.records import DIMENSIONS, Opinion, Rated, Rater, Study
from benchmark.paper.conditioning import read_conditioning
from benchmark.paper.curves import Curve, read_curves
from benchmark.paper.document import Artefact, Cell, Row, cells
from benchmark.paper.figures import fig4b, fig5, fig9, fig10, fig11
from benchmark.paper.looking import Looking, look
from benchmark.paper.maps import difference_maps, picture_of
from benchmark.paper.scored_tables import table2
from benchmark.paper.sources import read_sources
from benchmark.records import Case, System
from benchmark.speed.latency import Latency, LatencyConfig, Trial
from benchmark.speed.latency_report import LatencyReport
from benchmark.speed.sweep import Point, Sweep, flat_until, latency_fit, work_fit
from datapipe.media import write_video
from datapipe.records import Rejected

SIDE = 64


def film(path: Path, steps: list[int]) -> Path:
    """Frames whose left half goes up by a step of grey each, and whose right half stays."""
    levels = np.cumsum([60, *steps])
    frames = np.full((len(levels), SIDE, SIDE, 3), 60, np.uint8)
    frames[:, :, : SIDE // 2] = levels[:, None, None, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, frames, np.zeros(len(levels) * 640, np.float32))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    for key in CMLR[:2]:
        film(folder / f"cases/{key}.mp4", [10] * 6)
    film(folder / f"calm/{CMLR[0]}.mp4", [4] * 6)
    film(folder / f"calm/{CMLR[1]}.mp4", [4] * 6)
    film(folder / f"half/{CMLR[0]}.mp4", [8] * 6)
    return folder


def cases_of(place: Path) -> tuple[Case, ...]:
    return tuple(Case(key=key, video=place / f"cases/{key}.mp4") for key in CMLR[:2])


def systems_of(place: Path) -> tuple[System, ...]:
    return tuple(System(name=name, folder=place / name) for name in ("calm", "half"))


def row_of(artefact: Artefact, start: str) -> Row:
    return next(
        row
        for grid in artefact.grids
        for row in grid.rows
        if row.label.startswith(start) and row.origin == "ours"
    )


def is_drawn(artefact: Artefact, folder: Path) -> bool:
    """Every picture is written as PNG and SVG, and is not blank."""
    for picture in artefact.pictures:
        for end in ("png", "svg"):
            picture.draw(folder / f"{picture.stem}.{end}")
        pixels = cv2.imread(str(folder / f"{picture.stem}.png"))
        assert pixels.std() > 5 and (folder / f"{picture.stem}.svg").read_text().startswith("<?xml")
        assert picture.alt and picture.caption
    return bool(artefact.pictures)


def test_maps_share_a_scale_and_show_where_it_changes(place):
    maps = difference_maps(cases_of(place), systems_of(place), CMLR[:1])
    truth, calm, half = maps.clips[0].maps
    assert truth.mean == pytest.approx(5.0, abs=0.4) and calm.mean == pytest.approx(2.0, abs=0.4)
    levels = picture_of(truth.png) * maps.scale / 255
    assert levels[:, :48].mean() == pytest.approx(10, abs=0.8) and levels[:, 80:].mean() < 0.8
    calmer = picture_of(calm.png)[:, :48].mean() / picture_of(truth.png)[:, :48].mean()
    assert calmer == pytest.approx(0.4, abs=0.06) and half.mean == pytest.approx(4.0, abs=0.4)


def test_a_missing_video_has_a_reason_in_its_place(place, tmp_path):
    maps = difference_maps(cases_of(place), systems_of(place), CMLR[:2])
    lost = maps.clips[1].maps[2]
    assert lost.mean is None and lost.png == "" and f"no video {CMLR[1]}.mp4" in lost.why
    artefact = fig4b(read_sources([write(tmp_path / "maps.json", maps)]))
    assert [cell.text for cell in row_of(artefact, "half").cells][1] == "not measured"
    assert is_drawn(artefact, tmp_path)
    with pytest.raises(Rejected, match="no case begins with x"):
        difference_maps(cases_of(place), (), ("x",))


def test_what_is_looked_at_is_kept_and_renders_again_without_the_videos(place, tmp_path):
    systems = (f"calm={place / 'calm'}",)
    config = Looking(names=("fig4b",), cases=cases_of(place), systems=systems, pictures=("s1",))
    (path,) = look(config, tmp_path)
    kept = fig4b(read_sources([path]))
    assert row_of(kept, "calm").cells[0].trace.path == path and len(row_of(kept, "calm").cells) == 1


@pytest.mark.parametrize("png", ["", "AAAA", "not base64!"])
def test_a_spoiled_picture_in_a_record_is_refused(png):
    with pytest.raises(Rejected, match="cannot be read"):
        picture_of(png)


def log(path: Path, rows: list[dict[str, float]], end: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end)


def test_curves_are_read_in_the_order_of_training_and_thinned_without_bias(tmp_path):
    rows = [{"step": k, "loss": 1000.0 - k, "mfu": 0.5} for k in range(900)]
    log(tmp_path / "run/keyframes/log.jsonl", [*rows, {"step": 900, "loss": float("nan")}], end='{"step": 9')
    log(
        tmp_path / "run/tokenizer/log.jsonl",
        [{"step": 0, "loss": 2.0}, {"step": 1, "loss": 1.0, "points": 3.0}],
    )
    curves = read_curves(tmp_path / "run").curves
    assert [(each.part, each.term) for each in curves] == [("tokenizer", "loss"), ("keyframes", "loss")]
    assert len(curves[1].values) == 150
    assert np.mean(curves[1].values) == pytest.approx(np.mean([row["loss"] for row in rows]))
    assert curves[1].last == pytest.approx(np.mean([row["loss"] for row in rows[-90:]]))
    with pytest.raises(Rejected, match=r"holds no log\.jsonl"):
        read_curves(tmp_path)


def test_the_last_value_of_a_short_curve_is_its_last():
    assert Curve(part="p", term="loss", steps=(0.0, 1.0), values=(4.0, 3.0)).last == 3.0


def test_loss_curves_are_drawn_with_what_they_began_and_ended_at(tmp_path):
    log(
        tmp_path / "run/tokenizer/log.jsonl",
        [{"step": k, "loss": 100.0 / (1 + k), "x$y": 1.0} for k in range(50)],
    )
    (path,) = look(Looking(names=("fig11",), train_log=tmp_path / "run"), tmp_path / "data")
    artefact = fig11(read_sources([path]))
    first, last, step = row_of(artefact, "tokenizer: loss").cells
    assert (first.value, step.value) == (100.0, 49.0) and last.value == pytest.approx(2.09, abs=0.02)
    assert is_drawn(artefact, tmp_path)


def conditioned(folder: Path, place: Path) -> Path:
    """A finished grid of two variants with two seeds each; the phonemes' losses are half the others'."""
    for name, is_ours, level in (("syllable", False, 2.0), ("phoneme", True, 1.0)):
        for seed in (0, 1):
            at = folder / f"conditioning/{name}/seed{seed}"
            rows = [{"step": k, "loss": level + 0.1 * seed, "mouth_psnr": 20.0} for k in range(20)]
            log(at / "run/keyframes/log.jsonl", rows)
            record = {"variant": name, "label": name.title(), "is_ours": is_ours, "seed": seed}
            (at / "ablation.json").write_text(json.dumps(record))
            film(at / f"{CMLR[0]}.mp4", [int(4 * level)] * 6)
    ablation_run(folder, "conditioning", ("syllable", "phoneme"))
    return folder


def test_conditioning_on_phonemes_is_held_against_the_other(place, tmp_path):
    folder = conditioned(tmp_path / "ablations", place)
    (path,) = look(
        Looking(names=("fig5",), cases=cases_of(place), pictures=("s1",), ablations=(folder,)), tmp_path
    )
    artefact = fig5(read_sources([path], [folder]))
    without, with_it, lower = row_of(artefact, "loss").cells
    assert (without.value, with_it.value) == (pytest.approx(2.05), pytest.approx(1.05))
    assert lower.value == pytest.approx(100 * (1 - 1.05 / 2.05))
    seeds = (100 * (1 - 1.1 / 2.1), 100 * (1 - 1.0 / 2.0))
    assert (lower.low, lower.high) == (pytest.approx(seeds[0]), pytest.approx(seeds[1]))
    assert "mouth psnr" not in {row.label for grid in artefact.grids for row in grid.rows}
    assert [picture.stem for picture in artefact.pictures] == ["fig5", "fig5-frames"]
    assert "ground truth, Syllable, Phoneme" in artefact.pictures[1].alt
    assert row_of(artefact, "Phonemes (PRL) (2 seeds)").cells[0].value is not None
    assert is_drawn(artefact, tmp_path)


def test_a_folder_without_that_grid_has_no_figure_and_a_broken_record_is_named(place, tmp_path):
    assert read_conditioning(tmp_path, (), ()) is None
    (conditioned(tmp_path, place) / "conditioning/phoneme/seed1/ablation.json").write_text('{"variant": 3}')
    with pytest.raises(Rejected, match=r"seed1/ablation\.json cannot be read"):
        read_conditioning(tmp_path, (), ())


def opinion(dimension: str, mean: float | None) -> Opinion:
    return Opinion(
        dimension=dimension,
        mean=mean,
        low=None if mean is None else mean - 0.3,
        high=None if mean is None else mean + 0.2,
        deviation=None if mean is None else 0.25,
        rating_deviation=0.5,
        num_ratings=12,
        num_raters=3,
        num_clips=4,
        per_clip={},
    )


def study() -> Study:
    rated = [
        Rated(name=name, kind="system", opinions=tuple(opinion(d.name, mean) for d in DIMENSIONS))
        for name, mean in (("avatarsync", 3.5), ("static", None))
    ]
    raters = tuple(
        Rater(
            name=name,
            status=status,
            failed_checks=(),
            num_checks=2,
            num_answered=4,
            num_asked=4,
            unplayable=0,
            median_seconds=9.0,
        )
        for name, status in (("r1", "kept"), ("r2", "excluded"))
    )
    return Study(
        title="t",
        kit="k",
        seed=0,
        dimensions=DIMENSIONS,
        cases=CMLR,
        left_out={},
        raters=raters,
        systems=tuple(rated),
        agreement=(),
        retest=(),
        run=None,
        correlations=(),
    )


def test_what_people_say_stands_beside_the_papers_four_means(tmp_path):
    artefact = fig9(read_sources([write(tmp_path / "human.json", study())]))
    printed = artefact.grids[0].rows[0]
    assert [cell.text for cell in printed.cells] == ["4.8 ± 0.41", "3.8 ± 0.48", "4.4 ± 0.50", "3.6 ± 0.62"]
    mine = row_of(artefact, "avatarsync").cells[0]
    assert (mine.text, mine.interval, mine.count) == ("3.50 ± 0.25", "[3.200, 3.700]", "3 raters")
    assert row_of(artefact, "static").cells[0].text == "not measured"
    assert any("1 of 2 raters passed" in note for note in artefact.grids[0].notes)
    assert is_drawn(artefact, tmp_path)


def latency(key: str, seconds: list[float], media: float) -> Latency:
    trials = tuple(Trial(seconds=each, clock="inside", cpu_seconds=2 * each) for each in seconds)
    return Latency(key=key, trials=trials, media_seconds=media, num_frames=round(25 * media))


def report(**changes: object) -> LatencyReport:
    clips = (latency("short", [1.0, 1.1, 0.9], 1.0), latency("near", [2.0, 2.2, 1.8], 4.0))
    made = LatencyReport(
        system="hallo2",
        created="2026",
        config=LatencyConfig(),
        load_seconds=1.0,
        clips=clips,
        tails=(),
        environment={},
    )
    return replace(made, **changes)


def test_latency_is_of_the_clip_nearest_the_papers_and_rtf_of_all(tmp_path):
    artefact = table2(read_sources([write(tmp_path / "latency.json", report())]))
    rows = artefact.grids[0].rows
    at = next(k for k, row in enumerate(rows) if row.label == "Haloo2")
    seconds, factor = rows[at + 1].cells
    assert rows[at + 1].label == "hallo2 (bench latency)"
    assert seconds.value == 2.0 and (seconds.low, seconds.high) == (1.8, 2.2)
    assert factor.value == pytest.approx(3.0 / 5.0) and 0.5 < factor.low < 0.6 < factor.high < 0.7


def test_two_repeats_give_no_interval_and_no_clip_no_row(tmp_path):
    few = report(clips=(latency("near", [2.0, 2.4], 4.0),))
    artefact = table2(read_sources([write(tmp_path / "few.json", few)]))
    assert row_of(artefact, "hallo2").cells[0].interval == ""
    assert not table2(read_sources([write(tmp_path / "none.json", report(clips=()))])).is_measured


def test_the_other_papers_speed_is_told_as_its_own():
    artefact = table2(read_sources([]))
    (row,) = artefact.grids[1].rows
    assert [cell.text for cell in row.cells] == ["16", "1.56"] and row.origin == "paper"


def sweep() -> Sweep:
    points = tuple(
        Point(
            num_phonemes=n,
            latency=latency(f"{n:02d}", [0.5 + 0.1 * n + d for d in (0.0, 0.01, -0.01)], 0.1 * n),
        )
        for n in (2, 5, 10, 20)
    )
    return Sweep(
        system="ours",
        created="2026",
        clip="c",
        config=LatencyConfig(),
        load_seconds=None,
        points=points,
        latency_fit=latency_fit(points),
        work_fit=work_fit(points),
        flat_until=flat_until(points),
        environment={"processor": "P", "gpu": "none"},
    )


def test_growth_with_phonemes_is_told_per_phoneme(tmp_path):
    artefact = fig10(read_sources([write(tmp_path / "sweep.json", sweep())]))
    slope, intercept, exponent, work, _ = row_of(artefact, "ours").cells
    assert slope.value == pytest.approx(100) and intercept.value == pytest.approx(0.5)
    assert 0 < exponent.value < 1 and work.value == pytest.approx(200)
    assert [row.label for row in artefact.grids[2].rows] == ["2", "5", "10", "20"]
    assert is_drawn(artefact, tmp_path)


def test_no_cell_of_ours_is_without_its_file(tmp_path):
    sources = read_sources([write(tmp_path / "sweep.json", sweep()), write(tmp_path / "human.json", study())])
    for artefact in (fig9(sources), fig10(sources)):
        ours = [
            cell for grid in artefact.grids for row in grid.rows if row.origin == "ours" for cell in row.cells
        ]
        assert all(cell.trace for cell in ours if cell.value is not None)
        assert not [cell for cell in cells(artefact) if cell.value == 0 and cell.text == "not measured"]
    assert Cell(text="x").interval == ""
