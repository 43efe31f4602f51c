"""Tables from numbers: places, ranges, mean ranks, groups, footnotes; nothing from outside is markup."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from bench_rows import clips, info, row, run_of, values_of, whole_set

from benchmark.controls import FROZEN, OTHER
from benchmark.leaderboard import as_csv, column_id, footnotes, grouped, markdown, tables
from benchmark.records import GROUND_TRUTH, Run

PAPER = {
    "HDTF": """AniPortrait 3.50 17.629 443.902 3.368 10.712 2.210
EchoMimic 2.66 18.733 629.370 5.610 8.953 0.803
EchoMimicV3 3.83 21.054 380.812 2.824 11.794 1.987
AniTalker 2.83 34.644 476.710 5.639 8.588 1.551
Ditto 3.00 16.253 384.232 4.036 10.250 2.861
EARTalking 1.66 18.981 363.909 5.707 8.903 1.326""",
    "MEAD": """AniPortrait 4.16 63.460 519.822 1.324 12.650 1.886
EchoMimic 3.00 51.546 775.951 5.276 9.565 1.562
EchoMimicV3 3.50 46.797 347.066 2.397 12.455 2.425
AniTalker 2.66 95.210 627.765 6.145 8.610 1.538
Ditto 2.66 28.503 329.314 4.412 9.767 2.004
EARTalking 1.50 55.682 316.275 5.866 8.459 0.872""",
}
NAMES = ("fid", "fvd_styleganv", "sync_c_syncnet", "sync_d_syncnet", "efid_lmk106")


def average_of(run: Run) -> tuple:
    (table,) = tables([run])
    column = next(column_id(each) for each in table.columns if each.name == "avg_r")
    return table, {name: scores[column] for name, scores in table.rows}


@pytest.mark.parametrize("dataset", PAPER)
def test_mean_ranks_are_those_of_the_paper(dataset: str) -> None:
    """EARTalking's Table 1 prints the sum of five ranks over six, cut after two digits: 5/6 of the mean."""
    lines = [line.split() for line in PAPER[dataset].splitlines()]
    rows = {name: dict(zip(NAMES, map(float, values), strict=True)) for name, _, *values in lines}
    _, found = average_of(run_of(list(map(info, NAMES)), values_of(rows, {}), 9))
    for name, printed, *_ in lines:
        assert int(found[name].value * 5 / 6 * 100 + 1e-9) / 100 == float(printed), name


def test_ties_share_the_mean_and_what_is_missing_stands_last() -> None:
    rows = values_of(
        {"a": {"fid": 5, "sync_c_syncnet": 7}, "b": {"fid": 5, "sync_c_syncnet": 3}, "c": {"fid": 9}}, {}
    )
    table, found = average_of(run_of([info("fid"), info("sync_c_syncnet")], rows, 9))
    assert [found[name].value for name in "abc"] == [1.25, 1.75, 3.0]
    assert found["c"].note == "stands last on sync_c_syncnet: no value"
    assert table.ranks[column_id(info("fid"))] == {"a": 1, "b": 1, "c": 3}
    assert any("Mean rank among 3 systems over fid, sync_c_syncnet" in note for note in footnotes(table))


def test_one_column_per_metric_counts_and_one_metric_makes_no_mean() -> None:
    infos = [info("fvd_a"), info("fvd_b"), info("fid"), info("psnr")]
    rows = values_of({"a": {"fvd_b": 1, "fid": 1, "psnr": 1}, "b": {"fvd_b": 2, "fid": 2, "psnr": 30}}, {})
    table, found = average_of(run_of(infos, rows, 9))
    assert [found[name].value for name in "ab"] == [1, 2]
    average = next(each for each in table.columns if each.name == "avg_r")
    assert "fvd_b" in average.about and "fvd_a" not in average.about and "psnr" not in average.about
    (alone,) = tables([run_of(infos[3:], rows[:0], 9)])
    assert [each.name for each in alone.columns] == ["video/psnr"]


def sampled(seed: int, shifts: dict[str, float], num: int = 24) -> list:
    random = np.random.default_rng(seed)
    hard = random.normal(20, 4, num)
    return [
        row(name, clips("psnr", hard + shift + random.normal(0, 0.5, num))) for name, shift in shifts.items()
    ]


def test_ranges_are_narrow_for_what_is_clear_and_wide_for_what_is_not() -> None:
    rows = sampled(0, {"best": 5, "twin": 1, "other": 1.02, "worst": -5})
    (table,) = tables([run_of([info("psnr")], rows, 24)])
    (found,) = table.places.values()
    assert found.ranges["best"] == (1, 1) and found.ranges["worst"] == (4, 4)
    assert found.ranges["twin"] == found.ranges["other"] == (2, 3), (
        "drawn alike: hard clips are hard for both"
    )


def test_identical_systems_tie_in_every_draw() -> None:
    (first, *_) = sampled(1, {"a": 0})
    rows = [dataclasses.replace(first, name=name) for name in "abc"]
    (table,) = tables([run_of([info("psnr")], rows, 24)])
    (found,) = table.places.values()
    assert found.ranks == dict.fromkeys("abc", 1) and set(found.ranges.values()) == {(1, 1)}


def test_mean_ranks_have_an_interval_from_common_draws() -> None:
    noise = np.random.default_rng(2).normal(0, 3, 200)
    rows = [
        row(name, whole_set("fid", value, value + noise, 24), *each.scores)
        for (name, value), each in zip(
            {"a": 30.0, "b": 31.0, "c": 60.0}.items(), sampled(3, {"a": 2, "b": 2.05, "c": -4}), strict=True
        )
    ]
    rows = [
        dataclasses.replace(
            each, scores=(each.scores[0], dataclasses.replace(each.scores[1], metric="video/sync_c_x"))
        )
        for each in rows
    ]
    sync = dataclasses.replace(info("sync_c_x"), direction="higher")
    _, found = average_of(run_of([info("fid"), sync], rows, 24))
    assert (found["c"].value, found["c"].low, found["c"].high) == (3, 3, 3)
    assert found["a"].low <= found["a"].value <= found["a"].high and found["a"].low < found["a"].high


@pytest.fixture
def run() -> Run:
    names = (
        "psnr",
        "ssim",
        "lpips_alex",
        "fid",
        "csim_w600k_mbf",
        "sync_c_syncnet",
        "flicker_ratio",
        "mouth_opening_r",
        "rtf",
    )
    values = {"a": 1.0, "b": 2.0, GROUND_TRUTH: 0.0, FROZEN: 1.5, OTHER: 9.0}
    kinds = {GROUND_TRUTH: "truth", FROZEN: "control", OTHER: "control"}
    rows = values_of({name: dict.fromkeys(names, value) for name, value in values.items()}, kinds)
    infos = [info(name) for name in names]
    infos[5] = dataclasses.replace(infos[5], as_printed="lower", title="Sync-C")
    return run_of(infos, rows, 9)


def test_rows_stand_in_order_and_only_systems_are_ranked(run: Run) -> None:
    (table,) = tables([run])
    assert [name for name, _ in table.rows] == [GROUND_TRUTH, FROZEN, OTHER, "a", "b"]
    column = table.places[column_id(info("lpips_alex"))]
    assert column.ranks == {"a": 1, "b": 2}
    assert column.would_stand == {GROUND_TRUTH: 1, FROZEN: 2, OTHER: 3}
    text = markdown([run])
    assert "| *frozen frame* |" in text and "1.500 (#2)" in text and "**1.000** #1" in text


def test_wide_tables_are_split_into_groups_and_nothing_is_lost(run: Run) -> None:
    (table,) = tables([run])
    groups = dict(grouped(table))
    assert list(groups) == [
        "Overall",
        "Mouth",
        "Picture",
        "Identity and expression",
        "Sync",
        "Motion",
        "Time",
    ]
    assert sorted(each.name for infos in groups.values() for each in infos) == sorted(
        each.name for each in table.columns
    )
    assert markdown([run]).count("\n### ") == len(groups)
    narrow = dataclasses.replace(
        run,
        metrics=run.metrics[:3],
        systems=tuple(dataclasses.replace(each, scores=each.scores[:3]) for each in run.systems),
    )
    assert "###" not in markdown([narrow])


def test_the_printed_arrow_is_a_footnote_and_never_the_ranking(run: Run) -> None:
    text = markdown([run])
    assert "Sync-C ↑†" in text
    assert "† Sync-C: the paper prints ↓; ranked by its definition, higher is better." in text
    (table,) = tables([run])
    assert table.ranks[column_id(info("sync_c_syncnet"))] == {"b": 1, "a": 2}


def test_policies_and_lost_clips_are_said() -> None:
    metric = info("lpips_alex", on_failure="worst")
    rows = [
        row("a", clips("lpips_alex", [0.1, 0.2, 0.9], num_ok=2, imputed=("clip02",))),
        row("b", clips("lpips_alex", [0.1, 0.2, 0.3])),
        row("c", clips("lpips_alex", [0.1, None, None])),
    ]
    run = run_of([metric], rows, 3)
    (table,) = tables([run])
    assert table.ranks[column_id(metric)] == {"b": 1, "a": 2, "c": 3}
    notes = footnotes(table)
    assert any("worst value" in note for note in notes) and any("ranks behind" in note for note in notes)
    assert "(2/3)" in markdown([run])
    (lines) = list(csv.DictReader(io.StringIO(as_csv([run]))))
    assert [(each["system"], each["imputed"], each["num_ok"], each["rank"]) for each in lines] == [
        ("a", "1", "2", "2"),
        ("b", "0", "3", "1"),
        ("c", "0", "1", "3"),
    ]


def test_truth_for_a_failed_clip_leaves_its_system_behind() -> None:
    metric = info("lpips_alex", on_failure="truth")
    rows = [
        row("a", clips("lpips_alex", [0.1, 0.1, 0.0], num_ok=2, imputed=("clip02",))),
        row("b", clips("lpips_alex", [0.4, 0.4, 0.4])),
    ]
    (table,) = tables([run_of([metric], rows, 3)])
    assert table.ranks[column_id(metric)] == {"b": 1, "a": 2}


def test_csv_says_what_each_cell_rests_on(run: Run) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([run]))))
    assert {each["kind"] for each in lines} == {"truth", "control", "system"}
    assert all(each["rank"] == "" for each in lines if each["kind"] != "system")
    ranked = run_of([info("psnr")], sampled(0, {"=best": 5, "b": 0}), 24)
    (best, _) = list(csv.DictReader(io.StringIO(as_csv([ranked]))))
    assert (best["system"], best["rank"], best["rank_low"], best["rank_high"]) == ("'=best", "1", "1", "1")


def test_no_value_is_never_a_place() -> None:
    rows = [row("a", clips("psnr", [None] * 3)), row("b", clips("psnr", [1.0, 2.0, 3.0]))]
    (table,) = tables([run_of([info("psnr")], rows, 3)])
    assert table.ranks[column_id(info("psnr"))] == {"b": 1}
    assert "not measured" in markdown([run_of([info("psnr")], rows, 3)])


def test_conformance_is_claimed_only_where_the_run_says_so(run: Run) -> None:
    assert "Conformance: not claimed" in markdown([run])
    proved = dataclasses.replace(run, conformant=("psnr", "ssim"))
    assert "every test vector reproduced: psnr, ssim." in markdown([proved])
    both = markdown([proved, dataclasses.replace(run, created="later", conformant=("psnr",))])
    assert "every test vector reproduced: psnr." in both
    assert "reproduced: none." in markdown([proved, dataclasses.replace(run, created="later")])


def test_a_second_run_of_a_system_keeps_a_name_of_its_own(run: Run) -> None:
    (table,) = tables([run, run, run])
    names = [name for name, _ in table.rows if name.startswith("a")]
    assert names == ["a", "a (2026-01-01)", "a (2026-01-01, 2)"]


def test_hostile_text_stays_text() -> None:
    hostile = "<img src=x onerror=alert(1)>|**x**"
    rows = [
        row(hostile, dataclasses.replace(clips("psnr", [1, 2, 3]), note=hostile)),
        row("b", clips("psnr", [1, 2, 3])),
    ]
    text = markdown([run_of([info("psnr")], rows, 3)])
    assert "<img" not in text and "|**x**" not in text


def test_every_range_holds_its_place() -> None:
    rows = sampled(5, {f"s{number}": 0.1 * number for number in range(40)}, 30)
    (table,) = tables([run_of([info("psnr")], rows, 30)])
    (found,) = table.places.values()
    assert sorted(found.ranges) == sorted(found.ranks) and len(found.ranks) == 40
    assert all(low <= found.ranks[name] <= high for name, (low, high) in found.ranges.items())
    assert max(high - low for low, high in found.ranges.values()) > 3
