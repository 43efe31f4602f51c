"""From answers to numbers: what counts, what is refused, and that every number is what it says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_rows import clips, info, row, run_of
from study_kit import SYSTEMS, answers_of, sensible, small_kit, write_answers, write_videos

from benchmark.__main__ import main
from benchmark.human.answers import read_answers
from benchmark.human.kit import read_key
from benchmark.human.opinions import judge_raters, opinions_of, ratings_of, times_drawn
from benchmark.human.records import Item, Key, Study
from benchmark.human.score import score_study
from benchmark.records import Score
from benchmark.runs import write_run
from datapipe.records import Rejected, from_json

RATERS = ("01", "02", "03", "04")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    write_videos(root)
    small_kit(root, root / "kit")
    return root / "kit"


@pytest.fixture(scope="module")
def key(kit: Path) -> Key:
    return read_key(kit)


def rating(rater: str):
    """Answers that depend on rater, system and clip, and differ between them."""

    def of(item: Item) -> int:
        best = {"ground truth": 5, SYSTEMS[0]: 3, SYSTEMS[1]: 2}[item.system]
        return max(1, min(5, best - (int(rater) + int(item.case[-1])) % 2))

    return of


def all_answers(key: Key, **changes: Any) -> list[dict[str, Any]]:
    return [answers_of(key, rater, sensible(key, rating(rater))) | changes for rater in RATERS]


def item_of(key: Key, rater: str, kind: str) -> Item:
    plan = next(plan for plan in key.plans if plan.rater == rater)
    return next(item for item in plan.items if item.kind == kind)


def test_means_deviations_and_counts_are_those_of_the_answers(kit: Path, key: Key, tmp_path: Path) -> None:
    study = score_study(kit, write_answers(tmp_path, *all_answers(key)), None)
    assert study.num_raters == 4 and study.run is None and study.correlations == ()
    for rated in study.systems:
        expected = np.array(
            [
                [
                    rating(r)(Item(id="", kind="rating", case=c, system=rated.name, video=""))
                    for c in key.cases
                ]
                for r in RATERS
            ]
        )
        for opinion in rated.opinions:
            assert opinion.mean == pytest.approx(expected.mean())
            assert opinion.deviation == pytest.approx(expected.mean(axis=1).std(ddof=1))
            assert opinion.rating_deviation == pytest.approx(expected.std(ddof=1))
            assert opinion.per_clip == pytest.approx(dict(zip(key.cases, expected.mean(axis=0), strict=True)))
            assert (opinion.num_ratings, opinion.num_raters, opinion.num_clips) == (12, 4, 3)
    assert [opinion.dimension for opinion in study.systems[0].opinions][-1] == "overall"
    assert all(each.same == each.within_one == 1.0 and each.num_pairs == 4 for each in study.retest)


def test_intervals_draw_raters_and_clips(kit: Path, key: Key, tmp_path: Path) -> None:
    study = score_study(kit, write_answers(tmp_path, *all_answers(key)), None)
    opinion = study.systems[1].opinions[0]
    values = np.array(
        [
            [rating(r)(Item(id="", kind="rating", case=c, system=SYSTEMS[0], video="")) for c in key.cases]
            for r in RATERS
        ]
    )
    means = [
        values.repeat(by_rater.astype(int), axis=0).repeat(by_clip.astype(int), axis=1).mean()
        for by_rater, by_clip in zip(times_drawn(4, 1), times_drawn(3, 0), strict=True)
    ]
    assert (opinion.low, opinion.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_missing_answers_are_missing_not_zero(kit: Path, key: Key, tmp_path: Path) -> None:
    contents = all_answers(key)
    lost = item_of(key, "01", "rating")
    del contents[0]["answers"][lost.id]
    contents[0]["unplayable"] = [lost.id]
    study = score_study(kit, write_answers(tmp_path, *contents), None)
    rated = next(each for each in study.systems if each.name == lost.system)
    assert rated.opinions[0].num_ratings == 11
    rest = [rating(r)(lost) for r in RATERS[1:]]
    assert rated.opinions[0].per_clip[lost.case] == pytest.approx(np.mean(rest))
    assert study.raters[0].unplayable == 1 and study.raters[0].num_answered == 8


def test_raters_who_fail_a_check_are_out_and_reported(kit: Path, key: Key, tmp_path: Path) -> None:
    contents = all_answers(key)
    told, broken, skipped = (
        item_of(key, "01", "told"),
        item_of(key, "02", "broken"),
        item_of(key, "03", "told"),
    )
    contents[0]["answers"][told.id]["lips"] = told.choose % 5 + 1
    contents[1]["answers"][broken.id] = dict.fromkeys(contents[1]["answers"][broken.id], 3)
    del contents[2]["answers"][skipped.id]
    study = score_study(kit, write_answers(tmp_path, *contents), None)
    assert [rater.status for rater in study.raters] == ["excluded"] * 3 + ["kept"]
    assert f"{told.choose} was asked for, not chosen on lips" in study.raters[0].failed_checks[0]
    assert "a damaged clip has more than 2 on coherence, movement" in study.raters[1].failed_checks[0]
    assert "left out" in study.raters[2].failed_checks[0]
    assert study.systems[0].opinions[0].num_raters == 1 and study.systems[0].opinions[0].low is None
    assert study.agreement[0].alpha is None and study.agreement[0].num_units == 0
    contents[3]["answers"] = {}
    with pytest.raises(Rejected, match="no rater passed the attention checks"):
        score_study(kit, write_answers(tmp_path, *contents), None)


def test_a_check_whose_video_did_not_play_is_not_failed(kit: Path, key: Key, tmp_path: Path) -> None:
    (content,) = [each for each in all_answers(key) if each["rater"] == "01"]
    broken = item_of(key, "01", "broken")
    del content["answers"][broken.id]
    content["unplayable"] = [broken.id]
    study = score_study(kit, write_answers(tmp_path, content), None)
    assert [rater.status for rater in study.raters] == ["kept", "no answers", "no answers", "no answers"]


def test_test_retest_compares_the_two_answers(kit: Path, key: Key, tmp_path: Path) -> None:
    contents = all_answers(key)
    repeat = item_of(key, "01", "repeat")
    first = contents[0]["answers"][repeat.again]["flicker"]
    contents[0]["answers"][repeat.id] = contents[0]["answers"][repeat.id] | {"flicker": 1 if first > 3 else 5}
    study = score_study(kit, write_answers(tmp_path, *contents), None)
    distance = abs(first - (1 if first > 3 else 5))
    flicker, *others = study.retest
    assert (flicker.num_pairs, flicker.same, flicker.mean_distance) == (4, 0.75, distance / 4)
    assert flicker.within_one == (1.0 if distance < 2 else 0.75)
    assert all(each.same == 1.0 for each in others)


REFUSED: dict[str, tuple[Any, str]] = {
    "another kit": (lambda each: each.update(kit="0" * 16), "field kit"),
    "another schema": (lambda each: each.update(schema="x"), "field schema"),
    "no consent": (lambda each: each.update(consent=False), "field consent"),
    "truthy consent": (lambda each: each.update(consent=1), "field consent"),
    "unknown rater": (lambda each: each.update(rater="99"), "field rater"),
    "rater is a list": (lambda each: each.update(rater=[]), "field rater"),
    "more fields": (lambda each: each.update(name="Ann"), "its fields"),
    "a field missing": (lambda each: each.pop("seconds"), "its fields"),
    "unknown item": (lambda each: each["answers"].update({"999": {}}), "has no item 999"),
    "unknown dimension": (lambda each: each["answers"]["001"].update(beauty=3), r"answers\.001 must hold"),
    "dimension missing": (lambda each: each["answers"]["001"].pop("lips"), r"answers\.001 must hold"),
    "out of scale": (
        lambda each: each["answers"]["001"].update(lips=6),
        r"answers\.001\.lips is no whole number",
    ),
    "a fraction": (lambda each: each["answers"]["001"].update(lips=2.5), "no whole number"),
    "a truth value": (lambda each: each["answers"]["001"].update(lips=True), "no whole number"),
    "a word": (lambda each: each["answers"]["001"].update(lips="5"), "no whole number"),
    "answers a list": (lambda each: each.update(answers=[]), "answers is no object"),
    "unplayable twice": (lambda each: each.update(unplayable=["001", "001"]), "names an item twice"),
    "unplayable a dict": (lambda each: each.update(unplayable={}), "unplayable is no list"),
    "unplayable of lists": (lambda each: each.update(unplayable=[[]]), "has no item"),
    "played and not": (lambda each: each.update(unplayable=["001"]), "is said not to have played"),
    "negative time": (lambda each: each["seconds"].update({"001": -1}), r"seconds\.001 is no time"),
    "endless time": (lambda each: each["seconds"].update({"001": 1e999}), "is not JSON"),
    "seconds a number": (lambda each: each.update(seconds=3), "seconds is no object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_answers_that_do_not_fit_are_refused_with_file_and_field(key: Key, tmp_path: Path, name: str) -> None:
    change, why = REFUSED[name]
    content = answers_of(key, "01", sensible(key, rating("01")))
    change(content)
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(content))
    with pytest.raises(Rejected, match=why) as caught:
        read_answers([path], key)
    assert str(path) in caught.value.message


def test_files_that_are_no_answers_are_refused(key: Key, tmp_path: Path) -> None:
    for content in ("{", "[]", "3", "[" * 100_000, "\x00"):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(Rejected, match=r"a\.json"):
            read_answers([tmp_path / "a.json"], key)
    (tmp_path / "a.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(Rejected, match="larger than 1 MB"):
        read_answers([tmp_path / "a.json"], key)
    with pytest.raises(Rejected, match="is not there"):
        read_answers([tmp_path / "b.json"], key)
    with pytest.raises(Rejected, match="no answers"):
        read_answers([], key)


def test_two_files_of_one_rater_are_refused(key: Key, tmp_path: Path) -> None:
    content = answers_of(key, "01", sensible(key, rating("01")))
    paths = write_answers(tmp_path / "a", content) + write_answers(tmp_path / "b", content)
    with pytest.raises(Rejected, match="is of rater 01 too"):
        read_answers(paths, key)


def test_a_changed_key_no_longer_fits_its_answers(kit: Path, key: Key, tmp_path: Path) -> None:
    paths = write_answers(tmp_path, *all_answers(key))
    text = (kit / "key.json").read_text().replace(f'"system": "{SYSTEMS[0]}"', f'"system": "{SYSTEMS[1]}"', 1)
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit/key.json").write_text(text)
    with pytest.raises(Rejected, match="or the key was changed"):
        score_study(tmp_path / "kit", paths, None)


def on_the_cases(score: Score, cases: tuple[str, ...]) -> Score:
    return replace(score, per_clip=dict(zip(cases, score.per_clip.values(), strict=True)))


def a_run(key: Key, tmp_path: Path, videos: dict[tuple[str, str], str]) -> Path:
    """A run whose PSNR goes with people; its LPIPS is the same numbers, so it goes against them."""
    rows = []
    for name, base in zip(SYSTEMS, (30.0, 20.0), strict=True):
        scores = (clips(metric, [base + k for k in range(3)]) for metric in ("psnr", "lpips_alex"))
        shown = {case: videos[name, case] for case in key.cases}
        rows.append(replace(row(name, *(on_the_cases(each, key.cases) for each in scores)), videos=shown))
    infos = [info(name) for name in ("psnr", "lpips_alex", "latency")]
    write_run(
        tmp_path / "run.json", run_of(infos, rows, 3, reference=dict.fromkeys(key.cases, "sha")), replace=True
    )
    return tmp_path / "run.json"


def test_metrics_are_turned_so_that_one_is_agreement(kit: Path, key: Key, tmp_path: Path) -> None:
    given = {(each.system, each.case): each.source for each in key.videos}
    run = a_run(key, tmp_path, given)
    study = score_study(kit, write_answers(tmp_path / "a", *all_answers(key)), run)
    found = {(c.metric, c.level, c.method, c.dimension): c for c in study.correlations}
    assert {c.metric for c in study.correlations} == {"video/psnr", "video/lpips_alex"}
    good, bad = (found[m, "clip", "spearman", "overall"] for m in ("video/psnr", "video/lpips_alex"))
    assert good.num == 6 and good.value == pytest.approx(-bad.value) and good.value > 0.5
    assert good.low <= good.value <= good.high and (bad.low, bad.high) == pytest.approx(
        (-good.high, -good.low)
    )
    system = found["video/psnr", "system", "kendall", "flicker"]
    assert system.value is None and "2 of at least 3 systems" in system.why


def test_a_run_of_other_videos_or_systems_is_refused(kit: Path, key: Key, tmp_path: Path) -> None:
    given = {(each.system, each.case): each.source for each in key.videos}
    paths = write_answers(tmp_path / "a", *all_answers(key))
    wrong = a_run(key, tmp_path, given | {(SYSTEMS[0], "clip1"): "0" * 64})
    with pytest.raises(Rejected, match="scored another video of ours-secret for clip1"):
        score_study(kit, paths, wrong)
    write_run(tmp_path / "none.json", run_of([info("psnr")], [], 3))
    with pytest.raises(Rejected, match="no system of the kit is in the run"):
        score_study(kit, paths, tmp_path / "none.json")


def test_the_command_writes_both_pages(
    kit: Path, key: Key, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(tmp_path / "a", *all_answers(key))
    command = [
        "human",
        "score",
        "--kit",
        str(kit),
        "--answers",
        str(tmp_path / "a"),
        "--out",
        str(tmp_path / "out/human.json"),
    ]
    assert main(command) == 0
    page = capsys.readouterr().out
    assert (tmp_path / "out/human.md").read_text() == page and "| static-secret |" in page
    study = from_json((tmp_path / "out/human.json").read_text(), Study)
    assert study.kit == key.hash and study.schema == "avatarsync-human/1"
    main(command)
    assert from_json((tmp_path / "out/human.json").read_text(), Study) == study


def test_nobody_is_counted_who_sent_nothing(key: Key, tmp_path: Path) -> None:
    answers = read_answers(write_answers(tmp_path, all_answers(key)[2]), key)
    raters = judge_raters(key, answers)
    ratings = ratings_of(key, answers, raters)
    assert ratings.raters == ("03",) and not np.isnan(ratings.values_DSRC).any()
    assert all(opinion.deviation is None for rated in opinions_of(ratings) for opinion in rated.opinions)
