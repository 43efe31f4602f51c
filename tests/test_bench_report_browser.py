"""The report opened and clicked through in a real browser, from the disk, without a network."""

import json
import shutil
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.metrics import MetricConfig
from benchmark.records import System
from benchmark.report import Sources, write_report
from benchmark.selftest.selftest import pattern
from datapipe.media import write_video
from datapipe.records import Phoneme, Probe, Sample, to_json

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
)
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
NUM_FRAMES = 50
SYMBOLS = ("SIL", "HH", "AH", "L", "OW", "SIL", "W", "ER", "L", "D")


def until(page, condition: str, seconds: float = 8.0) -> None:
    """Poll from outside: the page's policy forbids the evaluation that playwright's own waiting uses."""
    ends = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < ends, f"never: {condition}"
        page.wait_for_timeout(20)


def sample(key: str) -> Sample:
    ends = np.linspace(0, NUM_FRAMES / 25, len(SYMBOLS) + 1)
    spans = zip(SYMBOLS, ends[:-1], ends[1:], strict=True)
    probe = Probe(
        width=64,
        height=64,
        fps=Fraction(25),
        num_frames=NUM_FRAMES,
        duration=NUM_FRAMES / 25,
        video_codec="h264",
        audio_codec=None,
        sample_rate=None,
    )
    return Sample(
        key=key,
        id=f"{key} {HOSTILE}",
        source="folder",
        speaker=HOSTILE,
        language="en",
        split="test",
        text=HOSTILE,
        text_origin="",
        licence="",
        fps=25,
        num_frames=NUM_FRAMES,
        size=64,
        duration=NUM_FRAMES / 25,
        phonemes=tuple(Phoneme(symbol=s, start=float(a), end=float(b)) for s, a, b in spans),
        keyframes=(),
        probe=probe,
        quality={},
        notes={},
        lineage={},
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    tone = 0.2 * np.sin(np.arange(32000) / 8, dtype=np.float32)
    for number in range(3):
        frames = pattern(NUM_FRAMES, 64, number)
        write_video(root / f"cases/clip{number}.mp4", frames, tone)
        write_video(root / f"a/clip{number}.mp4", frames, crf=28)
        write_video(root / f"b/clip{number}.mp4", np.repeat(frames[:1], NUM_FRAMES, axis=0))
        cv2.imwrite(str(root / f"cases/clip{number}.png"), frames[0])
        (root / f"cases/clip{number}.json").write_text(to_json(sample(f"clip{number}")))
    (root / "b/clip2.mp4").unlink()
    (root / "run/tokenizer").mkdir(parents=True)
    (root / "run/tokenizer/log.jsonl").write_text(
        "\n".join(json.dumps({"step": k, "loss": 1 / (k + 1)}) for k in range(9))
    )
    cases = find_cases(root / "cases")
    systems = (System(name=HOSTILE, folder=root / "a"), System(name="static", folder=root / "b"))
    metrics = MetricConfig(names=("psnr", "ssim", "flicker_ratio"))
    run = evaluate(cases, systems, EvaluateConfig(metrics=metrics, workers=1))
    sources = Sources(run=run, cases=cases, systems=systems, train_log=root / "run", title=HOSTILE)
    return write_report(sources, root / "out")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser, index: Path):
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.trouble = []
    opened.on("console", lambda message: opened.trouble.append(message.text))
    opened.on("pageerror", lambda error: opened.trouble.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.trouble.append("a dialog opened"), dialog.dismiss()))
    opened.on("requestfailed", lambda request: opened.trouble.append(f"not loaded: {request.url}"))
    opened.goto(index.as_uri())
    until(opened, "videos.every((video) => video.readyState >= 2)")
    yield opened
    assert opened.trouble == []
    opened.close()


def test_playing_moves_every_player_and_the_phoneme(page) -> None:
    assert page.locator("#players video").count() == 3
    assert page.inner_text("#phoneme") == "SIL"
    page.click("#play")
    until(page, "leader.currentTime > 0.5")
    assert page.inner_text("#phoneme") != "SIL"
    assert page.locator("#strip button.now").count() == 1
    until(page, "!wasPlaying")
    assert page.inner_text("#play") == "Play"
    assert page.evaluate("videos.map((video) => video.muted)") == [False, True, True]


def test_a_player_that_falls_behind_is_brought_back(page) -> None:
    page.select_option("#speed", "0.25")  # slow, or the clip ends before a busy machine has looked
    page.click("#play")
    until(page, "leader.currentTime > 0.2")
    page.evaluate("videos[1].currentTime = 0; videos[2].currentTime = 1.8")
    until(
        page, "wasPlaying && videos.every((video) => Math.abs(video.currentTime - leader.currentTime) < 0.06)"
    )
    page.click("#play")
    until(page, "videos.every((video) => video.paused && video.currentTime === leader.currentTime)")
    assert page.evaluate("videos.map((video) => video.playbackRate)") == [0.25] * 3


def test_scrubbing_and_stepping_go_to_exact_frames(page) -> None:
    page.evaluate("byId('scrub').value = '31'; byId('scrub').dispatchEvent(new Event('input'))")
    until(page, "videos.every((video) => Math.abs(video.currentTime - 31.5 / 25) < 1e-3)")
    assert "frame 31/49" in page.inner_text("#clock")
    assert page.inner_text("#phoneme") == "W"
    page.click("#forward")
    until(page, "videos.every((video) => Math.abs(video.currentTime - 32.5 / 25) < 1e-3)")
    page.locator("h2").first.click()
    page.keyboard.press("ArrowLeft")
    until(page, "Math.abs(leader.currentTime - 31.5 / 25) < 1e-3")


def test_a_phoneme_is_a_place_to_go(page) -> None:
    page.locator("#strip button", has_text="ER").click()
    until(page, "Math.abs(leader.currentTime - 1.42) < 0.03")
    assert page.inner_text("#phoneme") == page.inner_text("#strip button.now") == "ER"


def test_switching_clips_and_missing_videos(page) -> None:
    page.select_option("#case", "2")
    until(page, "videos.length === 2 && videos.every((video) => video.readyState >= 2)")
    assert page.inner_text("#players .none") == "clip2: static has no video for it"
    page.click("#next")
    until(page, "videos.length === 3")
    assert page.input_value("#case") == "0"
    page.locator("h2").first.click()
    page.keyboard.press("p")
    assert page.input_value("#case") == "2"


def test_speed_sound_and_difference_maps(page) -> None:
    page.select_option("#speed", "0.25")
    assert page.evaluate("videos.map((video) => video.playbackRate)") == [0.25] * 3
    page.uncheck("#sound")
    assert page.evaluate("leader.muted")
    until(page, "[...document.querySelectorAll('.heat')].every((map) => map.naturalWidth === 64)")
    assert page.locator(".heat:visible").count() == 3
    page.uncheck("#heat")
    assert page.locator(".heat:visible").count() == 0


def test_hostile_names_are_only_text(page) -> None:
    assert page.inner_text("h1") == HOSTILE
    assert page.inner_text("#said") == HOSTILE
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.scripts.length") == 2


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_sideways_scrolling(page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_control_rows_fold_away_without_a_script(page) -> None:
    assert page.locator("tr.control:visible").count() == 4
    page.click(".fold + label")
    assert page.locator("tr.control:visible").count() == 0
    assert page.locator("tr.system:visible").count() == 2 and page.locator("tr.truth:visible").count() == 1


def test_names_stay_in_sight_when_a_table_scrolls(page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.evaluate("document.querySelector('.board .scroll').scrollLeft = 400")
    left = "document.querySelector('.board tbody th').getBoundingClientRect().left"
    assert page.evaluate(f"document.querySelector('.board .scroll').scrollLeft > 0 && {left} >= 0")


def test_every_control_has_a_name(page) -> None:
    unnamed = page.evaluate(
        """[...document.querySelectorAll('button, input, select, video, [role=img]')].filter((control) =>
          !(control.textContent.trim() || control.ariaLabel || control.labels?.length)).length"""
    )
    assert unnamed == 0
