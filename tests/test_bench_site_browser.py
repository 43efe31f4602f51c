"""The site in a real browser, from the disk: by pointer, by keyboard, on a phone, in the dark."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from bench_rows import clips, info, keys, row, run_of, whole_set
from browsing import browsing, needs_chromium, opened, until

from benchmark.cases import find_cases
from benchmark.records import GROUND_TRUTH, Run, System
from benchmark.runs import RunFile, read_run, write_run
from benchmark.selftest.selftest import pattern
from benchmark.site import SiteSources, write_site
from datapipe.files import sha256_of
from datapipe.media import write_video
from datapipe.records import Phoneme, Probe, Sample, to_dict, to_json

pytestmark = needs_chromium
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
NUM_FRAMES = 50
SYMBOLS = ("SIL", "HH", "AH", "L", HOSTILE, "SIL", "W", "ER", "L", "D")
SORT = """(() => {
  const heading = [...document.querySelectorAll('.sort')].find((each) => each.innerText.startsWith('psnr'));
  const from = performance.now(); heading.click(); return performance.now() - from; })()"""
"""Milliseconds from a click on the first metric to the sorted rows in the page."""
MEASURED = ("psnr", "lpips_alex", "flicker_ratio", "rtf")


def sample(key: str, source: str) -> Sample:
    ends = np.linspace(0, NUM_FRAMES / 25, len(SYMBOLS) + 1)
    spans = zip(SYMBOLS, ends[:-1], ends[1:], strict=True)
    size = {"width": 64, "height": 64, "fps": Fraction(25), "num_frames": NUM_FRAMES, "duration": 2.0}
    probe = Probe(**size, video_codec="h264", audio_codec=None, sample_rate=None)
    said = {"text": HOSTILE, "text_origin": "", "licence": HOSTILE, "speaker": HOSTILE, "language": "en"}
    return Sample(
        **said,
        key=key,
        id=f"{key} {HOSTILE}",
        source=source,
        split="test",
        fps=25,
        num_frames=NUM_FRAMES,
        size=64,
        duration=2.0,
        phonemes=tuple(Phoneme(symbol=s, start=float(a), end=float(b)) for s, a, b in spans),
        keyframes=(),
        probe=probe,
        quality={},
        notes={},
        lineage={},
    )


def scored(root: Path, folders: dict[str, Path]) -> RunFile:
    """A run over the videos of the folders, with numbers that are all different."""
    random = np.random.default_rng(3)
    rows = [
        row(GROUND_TRUTH, clips("psnr", [60.0] * 3)),
        row("frozen", clips("psnr", [9, 8, 7]), kind="control"),
    ]
    for name in [*folders, "third"]:
        lost = [
            None if name == "third" and k == 1 else float(v) for k, v in enumerate(random.uniform(20, 30, 3))
        ]
        rest = (clips(metric, [float(v) for v in random.uniform(0.1, 2, 3)]) for metric in MEASURED[1:])
        noted = whole_set("fid", 9.0 + len(rows), num=3) if name != "third" else clips("fid", [None] * 3)
        rows.append(row(name, clips("psnr", lost), noted, *rest))
    content = to_dict(run_of([info(metric) for metric in (*MEASURED, "fid")], rows, 3))
    content["reference"] = {key: sha256_of(root / f"cases/{key}.mp4") for key in keys(3)}
    for system in content["systems"]:
        folder = folders.get(system["name"], root / "none")
        system["videos"] = {path.stem: sha256_of(path) for path in folder.glob("*.mp4")}
    (root / "run.json").write_text(json.dumps(content))
    return RunFile(root / "run.json", read_run(root / "run.json"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    tone = 0.2 * np.sin(np.arange(32000) / 8, dtype=np.float32)
    for number, key in enumerate(keys(3)):
        frames = pattern(NUM_FRAMES, 64, number)
        write_video(root / f"cases/{key}.mp4", frames, tone)
        write_video(root / f"a/{key}.mp4", frames, crf=28)
        (root / f"cases/{key}.json").write_text(to_json(sample(key, "hdtf" if number else f"cmlr{HOSTILE}")))
        if number < 2:
            write_video(root / f"b/{key}.mp4", np.repeat(frames[:1], NUM_FRAMES, axis=0))
    folders = {HOSTILE: root / "a", "static": root / "b"}
    systems = tuple(System(name=name, folder=folder) for name, folder in folders.items())
    cases = find_cases(root / "cases")
    sources = SiteSources(files=(scored(root, folders),), cases=cases, systems=systems, title=HOSTILE)
    return write_site(sources, root / "out").parent


@pytest.fixture(scope="module")
def browser():
    with browsing() as launched:
        yield launched


@pytest.fixture
def board(browser, site: Path):
    with opened(browser, site / "index.html") as page:
        until(page, "document.querySelectorAll('#board tbody tr').length > 0")
        yield page


@pytest.fixture
def clip(browser, site: Path):
    with opened(browser, site / "clips/0.html") as page:
        until(page, "videos.length === 3 && videos.every((video) => video.readyState >= 2)")
        yield page


def column(page, heading: str) -> list[str]:
    """First word of every cell under a heading, in the order shown."""
    heads = [
        text.removesuffix(" ▼").removesuffix(" ▲")
        for text in page.locator("#board thead th").all_inner_texts()
    ]
    place = heads.index(heading) + 1
    return [
        text.split()[0] for text in page.locator(f"#board tbody tr > :nth-child({place})").all_inner_texts()
    ]


def head(page, heading: str):
    return page.locator("#board thead button").filter(has_text=heading)


def test_a_click_sorts_by_any_column_best_first_then_worst_first(board) -> None:
    head(board, "psnr ↑").click()
    values = [float(text) for text in column(board, "psnr ↑")]
    assert values[0] == 60.0 and values[:-1] == sorted(values[:-1], reverse=True)
    assert board.locator("#board tbody tr").last.inner_text().startswith("third")  # it lost a clip
    assert board.locator("#board th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert "sorted by psnr, best first" in board.inner_text("#status")
    head(board, "psnr ↑").click()
    assert board.locator("#board tbody tr").first.inner_text().startswith("third")
    assert board.locator("#board th[aria-sort]").get_attribute("aria-sort") == "ascending"
    head(board, "rtf ↓").click()
    values = [text for text in column(board, "rtf ↓") if text != "not"]
    assert [float(text) for text in values] == sorted(map(float, values)) and len(values) == 3
    assert column(board, "rtf ↓")[3:] == ["not", "not"], "what has no value stands last"
    board.select_option("#metrics", label="All")
    head(board, "flicker_ratio").click()
    distances = [abs(float(text) - 1) for text in column(board, "flicker_ratio →")[:3]]
    assert distances == sorted(distances)
    assert board.locator("#board th[aria-sort]").get_attribute("aria-sort") == "other"
    head(board, "system").click()
    assert column(board, "system")[0] == "<img"


def test_filters_choose_corpus_metrics_systems_and_controls(board) -> None:
    assert board.locator("#corpus option").count() == 3
    assert f"cmlr{HOSTILE}" in board.locator("#corpus option").nth(1).inner_text()
    board.select_option("#corpus", index=2)
    assert "hdtf, 2 clips" in board.locator("#corpus option").nth(2).inner_text()
    assert column(board, "fid ↓") == ["not"] * 5, "a set distance is not known for a part"
    assert board.locator("#clips li").count() == 2
    board.select_option("#corpus", index=0)
    assert board.locator("tr.control").count() == 1
    board.uncheck("#show-controls")
    assert board.locator("tr.control").count() == 0
    board.fill("#system", "STAT")
    assert column(board, "system") == ["static"]
    board.select_option("#metrics", label="All")
    shown = board.locator("#board thead th").count()
    board.click("details:has(#columns) summary")
    board.locator("#columns input").first.uncheck()
    assert board.locator("#board thead th").count() == shown - 1


def test_cells_say_intervals_places_and_what_counts(board) -> None:
    third = board.locator("#board tbody tr", has_text="third")
    assert third.locator(".lost").first.inner_text() == "(2/3)"
    assert third.locator("td.none").inner_text() == "not measured"
    static = board.locator("#board tbody tr", has_text="static").locator("td").first.inner_text()
    assert "[" in static and "#" in static and "(3/3)" in static
    assert board.locator("tr.truth .chip").inner_text() == "truth"
    assert "(#1)" in board.locator("tr.truth td").first.inner_text()


def test_hovering_and_focus_tell_protocol_and_run(board) -> None:
    head(board, "psnr ↑").hover()
    assert "protocol 0123456789ab" in board.inner_text("#tip")
    board.keyboard.press("Escape")
    assert board.locator("#tip").is_hidden()
    board.set_viewport_size({"width": 700, "height": 300})
    board.evaluate("scrollTo(0, 0)")
    board.locator("#board tbody tr", has_text="third").locator("td").first.focus()
    board.wait_for_timeout(100)
    assert board.evaluate("scrollY") > 0, "focus scrolled to the cell, and what it tells stayed"
    told = board.inner_text("#tip")
    assert "2 of 3 clips count" in told and "1 of 3 clips: lost" in told and "run file: run.json" in told


def test_the_keyboard_alone_reaches_sorts_and_leads_to_the_run(board) -> None:
    board.locator("#columns").evaluate("(box) => box.closest('details').querySelector('summary').focus()")
    board.keyboard.press("Tab")
    active = "document.activeElement"
    assert board.evaluate(f"{active}.className") == "sort"
    board.keyboard.press("ArrowRight")
    board.keyboard.press("Enter")
    assert board.locator("#board th[aria-sort]").count() == 1
    assert board.evaluate(f"{active}.closest('th').ariaSort !== null"), "focus stays on the heading"
    outline = board.evaluate(f"getComputedStyle({active}).outlineStyle")
    assert outline == "solid"
    board.keyboard.press("End")
    board.keyboard.press("ArrowDown")
    assert board.evaluate(f"{active}.tagName") == "TD"
    assert board.locator("#board [tabindex='0']").count() == 1, "one stop of the tab key"
    board.keyboard.press("Home")
    for _ in range(9):
        board.keyboard.press("ArrowDown")
    board.keyboard.press("Enter")
    assert board.evaluate("location.hash") == "#run-0"
    assert board.locator("#run-0 a").get_attribute("href") == "runs/0.json"


def test_the_plot_shows_the_front_and_says_what_is_not_measured(board) -> None:
    board.select_option("#quality", label="psnr ↑")
    assert board.locator("#pareto circle").count() == 3
    rows = {
        text: (float(a), float(b))
        for text, a, b in zip(*(column(board, c) for c in ("system", "rtf ↓", "psnr ↑")), strict=True)
        if a != "not"
    }
    front = [
        name
        for name, (rtf, psnr) in rows.items()
        if not any(r <= rtf and p >= psnr and (r, p) != (rtf, psnr) for r, p in rows.values())
    ]
    assert board.locator("#pareto .front-dot").count() == len(front)
    board.select_option("#quality", label="fid ↓")
    assert board.locator("#pareto circle").count() == 2
    assert board.inner_text("#unmeasured") == "Not measured: third (fid)."
    board.locator("#pareto circle").first.focus()
    board.keyboard.press("ArrowRight")
    assert "RTF of the run" in board.inner_text("#tip")


def test_worst_clips_lead_to_their_pages(board) -> None:
    board.select_option("#worst-metric", label="psnr ↑")
    board.select_option("#worst-system", label="static")
    values = [float(text) for text in board.locator("#worst b").all_inner_texts()]
    assert len(values) == 3 and values == sorted(values)
    board.locator("#worst a").first.click()
    until(
        board,
        "typeof videos !== 'undefined' && videos.length > 1 && videos.every((each) => each.readyState >= 2)",
    )
    assert "among this row's 3 clips, number 1 from the worst" in cell_tip(board, "static")


def cell_tip(page, name: str) -> str:
    page.locator("#board tbody tr", has_text=name).locator("td").first.focus()
    return page.inner_text("#tip")


def test_players_go_together_and_the_phoneme_follows(clip) -> None:
    clip.select_option("#speed", "0.25")
    clip.click("#play")
    until(clip, "leader.currentTime > 0.3")
    clip.click("#play")
    until(clip, "videos.every((video) => video.paused && video.currentTime === leader.currentTime)")
    assert clip.locator("#strip button.now").count() == 1
    clip.evaluate("byId('scrub').value = '31'; byId('scrub').dispatchEvent(new Event('input'))")
    until(clip, "videos.every((video) => Math.abs(video.currentTime - 31.5 / 25) < 1e-3)")
    assert clip.inner_text("#phoneme") == "W"
    clip.locator("h2").first.click()
    clip.keyboard.press("ArrowRight")
    until(clip, "videos.every((video) => Math.abs(video.currentTime - 32.5 / 25) < 1e-3)")
    clip.locator("#board tbody td").first.focus()
    clip.keyboard.press("ArrowRight")
    assert clip.evaluate("Math.abs(leader.currentTime - 32.5 / 25) < 1e-3"), (
        "in the table arrows move in the table"
    )
    until(clip, "[...document.querySelectorAll('.heat')].every((map) => map.naturalWidth === 64)")


def test_systems_are_chosen_and_what_is_missing_says_why(clip) -> None:
    assert clip.inner_text("#players .none") == "its folder was not given: --system NAME=DIR"
    clip.locator("#tracks label", has_text="static").click()
    until(clip, "videos.length === 2")
    clip.keyboard.press("Escape")
    clip.locator("h2").first.click()
    clip.keyboard.press("n")
    until(clip, "location.pathname.endsWith('1.html') && document.readyState === 'complete'")
    clip.locator("nav a[rel=next]").click()
    until(clip, "location.pathname.endsWith('2.html') && document.readyState === 'complete'")
    assert "static has no video of this clip" in clip.locator("#players .none").all_inner_texts()
    assert clip.locator("nav a[rel=next]").count() == 0


@pytest.mark.parametrize("name", ["index.html", "clips/0.html"])
def test_names_are_text_controls_are_named_and_nothing_scrolls_sideways(
    browser, site: Path, name: str
) -> None:
    with opened(browser, site / name) as page:
        until(page, "document.querySelectorAll('#board tbody tr').length > 0")
        assert HOSTILE in page.inner_text("h1") and HOSTILE in page.inner_text("#board")
        assert page.locator("img[src=x]").count() == 0
        unnamed = """[...document.querySelectorAll('button, input, select, video, [role=img]')].filter(
          (control) => !(control.textContent.trim() || control.ariaLabel || control.labels?.length)).length"""
        assert page.evaluate(unnamed) == 0
        for width in (360, 768, 1600):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_follows_the_system_until_the_reader_chooses(browser, site: Path) -> None:
    with opened(browser, site / "index.html", color_scheme="dark") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(background) == "rgb(15, 18, 21)"
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        page.click("#theme")
        assert page.evaluate(background) == "rgb(246, 247, 249)"
        page.goto((site / "clips/1.html").as_uri())
        assert page.evaluate(background) == "rgb(246, 247, 249)", "the choice goes along"


def many(num: int, names: tuple[str, ...]) -> Run:
    random = np.random.default_rng(0)
    values = random.normal(20, 4, (num, len(names)))
    rows = []
    for number, each in enumerate(values):
        cells = (whole_set(name, abs(float(v)), num=3) for name, v in zip(names, each, strict=True))
        rows.append(row(f"system {number:05d}", *cells))
    return run_of([info(name) for name in names], rows, 3)


@pytest.mark.parametrize(
    "names",
    [
        ("psnr",),
        pytest.param(
            ("psnr", "ssim", "lpips_alex", "mouth_psnr", "fid", "fvd_styleganv", "sync_c_a", "rtf"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["one metric", "eight"],
)
def test_ten_thousand_rows_stay_usable(browser, tmp_path: Path, names: tuple[str, ...]) -> None:
    run = many(10_000, names)
    write_run(tmp_path / "run.json", run)
    index = write_site(SiteSources(files=(RunFile(tmp_path / "run.json", run),)), tmp_path / "out")
    assert all(path.stat().st_size < 2e6 for path in index.parent.rglob("*.html"))
    with opened(browser, index) as page:
        until(page, "document.querySelectorAll('#board tbody tr').length === 50", 60)
        assert "rows 1–50 of 10000" in page.inner_text("#status")
        # a busy machine may take its time over some clicks, not over all of an even number of them
        assert min(page.evaluate(SORT) for _ in range(12)) < 200
        shown = [float(text) for text in column(page, "psnr ↑")]
        assert shown in (sorted(shown), sorted(shown, reverse=True))
        page.click("text=next rows")
        assert "rows 51–100" in page.inner_text("#status")
        page.fill("#system", "system 09999")
        assert column(page, "system") == ["system"] and "rows 1–1 of 1" in page.inner_text("#status")
