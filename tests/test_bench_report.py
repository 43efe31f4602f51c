"""The report as files: nothing from outside can become markup, and it is complete or not there."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from bench_rows import clips, info, row, run_of

from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.metrics import MetricConfig
from benchmark.records import GROUND_TRUTH, Check, Difference, Run, System
from benchmark.report import Sources, contact_sheet, write_report
from benchmark.report.board import board
from benchmark.report.charts import loss_chart
from benchmark.report.media import write_heat
from benchmark.report.sections import checks, differences, warning
from benchmark.report.sources import Curve, open_ledger, read_curves
from benchmark.report.summary import summary
from benchmark.selftest.selftest import pattern
from benchmark.systems.specs import open_system
from datapipe.media import write_video
from datapipe.records import Rejected

HOSTILE = "</script><img src=x onerror=alert(1)>\"'"


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    for number in range(2):
        write_video(root / f"cases/clip {number}&<b>.mp4", pattern(10, 32, number))
        write_video(root / f"ours/clip {number}&<b>.mp4", pattern(10, 32, number), crf=30)
    (root / "ours/clip 1&<b>.mp4").unlink()
    (root / "run/<b>tokenizer").mkdir(parents=True)
    lines = [json.dumps({"step": k, "loss": 2.0 / (k + 1)}) for k in range(50)]
    (root / "run/<b>tokenizer/log.jsonl").write_text("\n".join([*lines, '{"step": 50, "lo']))
    (root / "shards<b>").mkdir()
    rows = [
        {"clip": "a", "status": "rejected", "reason": "no_face", "message": HOSTILE},
        {"clip": "b", "status": "done"},
    ]
    (root / "shards<b>/ledger.jsonl").write_text("\n".join(map(json.dumps, rows)))
    cases, systems = find_cases(root / "cases"), (System(name=HOSTILE, folder=root / "ours"),)
    run = evaluate(
        cases,
        systems,
        EvaluateConfig(metrics=MetricConfig(names=("psnr", "flicker_ratio")), controls=(), workers=1),
    )
    sources = Sources(
        run=run,
        cases=cases,
        systems=systems,
        train_log=root / "run",
        ledgers=(root / "shards<b>",),
        title=HOSTILE,
    )
    return write_report(sources, root / "out").parent


def test_markup_is_ours_alone(report: Path) -> None:
    text = (report / "index.html").read_text()
    parser = Elements()
    parser.feed(text)
    tags = [tag for tag, _ in parser.found]
    assert tags.count("script") == 2 and "b" not in set(tags) - {"b"}
    assert not any(name.startswith("on") for _, attributes in parser.found for name in attributes)
    assert not [attributes for tag, attributes in parser.found if tag == "img"]
    assert re.search(r"default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_media_lie_beside_the_page_under_numbers(report: Path) -> None:
    names = sorted(str(path.relative_to(report)) for path in report.rglob("*") if path.is_file())
    first = ["media/0/0-heat.png", "media/0/0.mp4", "media/0/1-heat.png", "media/0/1.mp4"]
    assert names == [
        "index.html",
        "index.md",
        *first,
        "media/1/0-heat.png",
        "media/1/0.mp4",
        "media/frames.png",
    ]
    data = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', (report / "index.html").read_text()
    )
    assert data
    cases = json.loads(data.group(1))["cases"]
    assert cases[1]["tracks"][1] == {
        "name": HOSTILE,
        "video": None,
        "why": f"clip 1&<b>: {HOSTILE} has no video for it",
    }
    assert all(
        (report / track["video"]).exists() for case in cases for track in case["tracks"] if track["video"]
    )


def test_markdown_says_the_same(report: Path) -> None:
    text = (report / "index.md").read_text()
    assert "<img" not in text and "<b>" not in text
    assert "not measured (bar 0.6)" in text
    assert "| 2 | 1 | 1 no\\_face | 0 |" in text
    assert "has no video for it" in text
    assert "(1/2)" in text


def checked(run: Run, *passed: bool | None) -> Run:
    found = [
        Check(metric="video/psnr", row=HOSTILE, expected=f"expectation {k}", passed=each, found=HOSTILE)
        for k, each in enumerate(passed)
    ]
    return dataclasses.replace(run, checks=tuple(found))


def test_a_failed_check_warns_above_the_leaderboard_in_both(numbers: Run) -> None:
    failed = checked(numbers, True, False, None)
    html = warning(failed) + checks(failed)
    assert 'role="alert"' in html and "PSNR of" in html and "expectation 1" in warning(failed)
    assert "1 of 3 checks hold, 1 fail, 1 could not be made." in html
    assert "<img" not in html and html.count("✗ fails") == html.count("✓ holds") == 1
    sources = Sources(run=failed, cases=(), systems=())
    text = summary(sources, (), (), "frames.png")
    assert text.index("Some controls came out wrong") < text.index("| system |")
    assert "| ✗ fails | PSNR |" in text and "<img" not in text


def test_right_controls_warn_of_nothing(numbers: Run) -> None:
    right = checked(numbers, True, None)
    assert warning(right) == "" and "✓ holds" in checks(right)
    assert "came out wrong" not in summary(Sources(run=right, cases=(), systems=()), (), (), "frames.png")
    assert warning(numbers) == checks(numbers) == ""


def test_many_failed_checks_are_cut_short_above_and_whole_below(numbers: Run) -> None:
    failed = checked(numbers, *[False] * 9)
    assert warning(failed).count("<li>") == 7 and "and 3 more, below" in warning(failed)
    assert checks(failed).count("✗ fails") == 9


def test_the_board_says_what_each_cell_rests_on(numbers: Run) -> None:
    html = board(numbers)
    assert '<tr class="control">' in html and html.count('class="fold"') == 1
    assert '<b class="lost">(3/4)</b>' in html and 'title="lost"' in html
    assert "★" not in html.split("</p>", 1)[1], "the star is the style's"
    assert 'class="best">' in html
    plain = dataclasses.replace(numbers, systems=tuple(s for s in numbers.systems if s.kind != "control"))
    assert 'class="fold"' not in board(plain)


def test_differences_show_their_tests(numbers: Run) -> None:
    difference = Difference(
        metric="video/psnr",
        system="a",
        baseline="b",
        value=1.5,
        low=1.0,
        high=2.0,
        num_clips=4,
        p_value=0.0004,
        p_adjusted=0.0312,
    )
    html = differences(dataclasses.replace(numbers, differences=(difference,)))
    assert "&lt;0.001" in html and "0.031" in html and "1 tests" in html


@pytest.fixture
def numbers() -> Run:
    rows = [
        row(GROUND_TRUTH, clips("psnr", [90, 90, 90, 90])),
        row("frozen frame", clips("psnr", [10, 11, 12, 13]), kind="control"),
        row("a", clips("psnr", [20, 21, 22, 23])),
        row("b", clips("psnr", [30, 31, 32, None])),
    ]
    return run_of([dataclasses.replace(info("psnr"), title="PSNR")], rows, 4)


def test_ledgers_are_counted_or_refused(tmp_path: Path) -> None:
    rows = [
        {"clip": "a", "status": "done"},
        {"clip": "b", "status": "rejected", "reason": "no_face", "message": "b shows none"},
        {"clip": "c", "status": "failed", "reason": "KeyError", "message": ""},
    ]
    (tmp_path / "ledger.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    ledger = open_ledger(tmp_path)
    assert ledger.counts.sentence().startswith("in 3 = out 1 + rejected 1 (no_face 1) + failed 1")
    assert ledger.examples == {"no_face": "b shows none"}
    for content in ('{"clip": "c", "sta', '{"clip": 3, "status": "lost", "x": 1}', ""):
        (tmp_path / "ledger.jsonl").write_text(content)
        with pytest.raises(Rejected):
            open_ledger(tmp_path)
    with pytest.raises(Rejected, match="no ledger"):
        open_ledger(tmp_path / "nowhere")


def test_curves_leave_out_what_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "keyframes").mkdir()
    rows = [
        '{"step": 0, "loss": 3.0}',
        '{"step": 1, "loss": NaN}',
        "[]",
        '{"step": 2, "loss": 1.0}',
        '{"note": 1}',
    ]
    (tmp_path / "keyframes/log.jsonl").write_text("\n".join(rows))
    (curve,) = read_curves(tmp_path)
    assert (curve.steps, curve.losses) == ((0.0, 2.0), (3.0, 1.0))
    chart = loss_chart(curve, 1)
    assert "3 at step 0, 1 at step 2" in chart and "nan" not in chart.lower()
    flat = loss_chart(Curve(name="flat", steps=(5.0, 5.0), losses=(-1.0, -1.0)), 1)
    assert "nan" not in flat and "inf" not in flat


def test_heat_maps_share_a_scale(tmp_path: Path) -> None:
    import cv2

    write_heat(tmp_path / "a.png", np.full((4, 4), 5.0), 10.0)
    write_heat(tmp_path / "b.png", np.full((4, 4), 10.0), 10.0)
    low, high = (int(cv2.imread(str(tmp_path / f"{name}.png")).sum()) for name in "ab")
    assert 0 < low < high


def test_contact_sheet_draws_every_row(report: Path, tmp_path: Path) -> None:
    from PIL import Image

    root = report.parent
    cases, systems = find_cases(root / "cases"), (open_system("ours", root / "ours"),)
    contact_sheet(cases, systems, [case.key for case in cases], tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.width > 8 * 128 and sheet.height > 4 * 128
    with pytest.raises(Rejected, match="no case `other`"):
        contact_sheet(cases, systems, ["other"], tmp_path / "x.png")
