"""Tables of ablations: means over seeds and clips, paired intervals, and what the report shows of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.ablation import RECORD, Made, ablation, markdown, read_ablations
from benchmark.records import MetricInfo, Run, Score, SystemRun
from benchmark.report.ablations import ablation_lines, ablations
from benchmark.runs import write_run
from datapipe.records import Rejected, to_dict

CLIPS = tuple(f"clip{k}" for k in range(8))
INFO = MetricInfo(
    name="video/psnr", title="PSNR", unit="dB", direction="higher", target=None, about="", protocol={},
    protocol_hash="0",
)  # fmt: skip
FID = replace(INFO, name="video/fid", title="FID", direction="lower")


def scored(values, replicates, clips=CLIPS):
    per_clip = dict(zip(clips, map(float, values), strict=True))
    psnr = Score(
        metric=INFO.name, value=float(np.mean(values)), num_ok=len(clips), num_total=len(CLIPS), failures={},
        per_clip=per_clip,
    )  # fmt: skip
    fid = Score(
        metric=FID.name, value=float(np.mean(replicates)), num_ok=8, num_total=8, failures={}, per_clip={},
        replicates=tuple(map(float, replicates)),
    )  # fmt: skip
    return psnr, fid


def made(variant, seed, place, is_ours=False):
    return Made(
        grid="masks", title="Table 3: x", variant=variant, label=variant.upper(), place=place,
        is_ours=is_ours, seed=seed, system=f"{variant}-s{seed}", run="r", seconds=1.5,
    )  # fmt: skip


def run_of(systems):
    rows = tuple(SystemRun(name=n, scores=s, videos={}, notes={}) for n, s in systems.items())
    return Run(
        created="2025", reference=dict.fromkeys(CLIPS, "0"), metrics=(FID, INFO), systems=rows,
        differences=(), weights={}, environment={}, seconds={},
    )  # fmt: skip


@pytest.fixture
def toy_run():
    """Clips differ much, `worse` is one dB below ours in all of them, seeds differ by 0.2 dB."""
    rng = np.random.default_rng(0)
    clips, draws = 25 + 5 * rng.standard_normal(8), 30 + 3 * rng.standard_normal(200)
    systems = {
        f"{name}-s{seed}": scored(clips - loss + 0.2 * seed, draws + 2 * loss + 0.1 * seed)
        for name, loss in (("worse", 1.0), ("ours", 0.0))
        for seed in (0, 1)
    }
    records = [made("worse", s, 0) for s in (0, 1)] + [made("ours", s, 1, True) for s in (0, 1)]
    return run_of(systems), records, clips, draws


def test_a_cell_is_the_mean_over_clips_of_the_mean_over_seeds(toy_run):
    run, records, clips, draws = toy_run
    table = ablation(run, records)
    assert [row.variant for row in table.rows] == ["worse", "ours"]
    assert [info.name for info in table.columns] == ["video/fid", "video/psnr"]
    cell = table.rows[1].cells["video/psnr"]
    assert cell.value == pytest.approx(clips.mean() + 0.1) and cell.num_clips == 8
    assert cell.by_seed == pytest.approx((clips.mean(), clips.mean() + 0.2))
    assert cell.low < cell.value < cell.high and cell.difference is None
    fid = table.rows[1].cells["video/fid"]
    assert fid.value == pytest.approx(draws.mean() + 0.05)
    assert (fid.low, fid.high) == pytest.approx(tuple(np.percentile(draws + 0.05, [2.5, 97.5])))


def test_a_paired_interval_sees_what_overlapping_ones_hide(toy_run):
    run, records, *_ = toy_run
    worse, ours = ablation(run, records).rows
    mine, theirs = worse.cells["video/psnr"], ours.cells["video/psnr"]
    assert mine.high > theirs.low  # clip differences drown it
    assert mine.differs and mine.difference == pytest.approx(-1.0)
    assert (mine.difference_low, mine.difference_high) == pytest.approx((-1.0, -1.0))
    assert worse.cells["video/fid"].difference_low == pytest.approx(2.0)


def test_of_few_clips_no_difference_is_claimed(toy_run):
    _, records, clips, draws = toy_run
    few = {
        f"{name}-s{seed}": scored(clips[:4] - loss, draws + loss, CLIPS[:4])
        for name, loss in (("worse", 1.0), ("ours", 0.0))
        for seed in (0, 1)
    }
    cell = ablation(run_of(few), records).rows[0].cells["video/psnr"]
    assert cell.difference_high < 0 and not cell.differs


def test_equal_variants_do_not_differ(toy_run):
    _, records, clips, draws = toy_run
    noise = np.tile([0.3, -0.3], 4)
    twin = {"worse-s0": scored(clips + noise, draws), "worse-s1": scored(clips - noise, draws)}
    ours = {f"ours-s{s}": scored(clips, draws) for s in (0, 1)}
    row = ablation(run_of(twin | ours), records).rows[0]
    assert not row.cells["video/psnr"].differs and not row.cells["video/fid"].differs


def test_clips_that_one_variant_lacks_count_for_none(toy_run):
    run, records, clips, draws = toy_run
    systems = {each.name: each.scores for each in run.systems}
    systems["worse-s1"] = scored(clips[:5], draws, CLIPS[:5])
    table = ablation(run_of(systems), records)
    assert all(row.cells["video/psnr"].num_clips == 5 for row in table.rows)
    assert table.rows[1].cells["video/psnr"].value == pytest.approx(clips[:5].mean() + 0.1)


def test_what_a_seed_lacks_is_not_measured(toy_run):
    run, records, *_ = toy_run
    systems = {each.name: each.scores for each in run.systems}
    systems["worse-s1"] = systems["worse-s1"][:1]
    worse, ours = ablation(run_of(systems), records).rows
    assert worse.cells["video/fid"].value is None and ours.cells["video/fid"].value is not None
    assert "not measured" in markdown(ablation(run_of(systems), records))


def test_the_tables_of_a_folder_are_shown_in_the_papers_order(toy_run, tmp_path):
    run, records, *_ = toy_run
    for name, title in (("masks", "Table 3: x"), ("losses", "Table 6: y <b>")):
        write_run(tmp_path / f"{name}.run.json", run)
        for each in records:
            folder = tmp_path / name / each.variant / f"seed{each.seed}"
            folder.mkdir(parents=True)
            record = {**to_dict(each), "grid": name, "title": title, "identity": "more than is needed"}
            (folder / RECORD).write_text(json.dumps(record))
    tables = read_ablations(tmp_path)
    assert [table.grid for table in tables] == ["masks", "losses"] and tables[0].rows[0].seconds == 3.0
    text = markdown(tables[0])
    assert "| OURS (ours) | 2 |" in text and "PSNR ↑" in text and " ≠ [" in text and "**" in text
    assert [table.grid for table in read_ablations(tmp_path, ("losses",))] == ["losses"]
    page = ablations(tmp_path)
    assert "Table 3: x, ours" in page and "&lt;b&gt;" in page and "<b>" not in page and "**" not in page
    # Table 3 is a picture in the paper: only Table 6 has printed numbers below it, apart from ours
    lines = "\n".join(ablation_lines(tmp_path))
    assert lines.count("| configuration |") == 3 and lines.count("as printed in the paper") == 1
    assert "| CE + LPIPS | 16.6485 | 0.0128 | 32.5706 | 0.9615 |" in lines and "16.6485" in page
    assert ablations(None) == "" and list(ablation_lines(None)) == []


def test_a_folder_without_scores_is_refused(tmp_path: Path):
    with pytest.raises(Rejected, match="no scored grid"):
        read_ablations(tmp_path)
    with pytest.raises(Rejected, match="no scored grid masks"):
        read_ablations(tmp_path, ("masks",))
