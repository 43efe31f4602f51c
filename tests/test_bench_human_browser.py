"""A whole session of a rater in a real browser, from the disk, without a network."""

import json
import shutil
import time
from pathlib import Path

import pytest
from study_kit import small_kit, write_videos

from benchmark.human.kit import read_key
from benchmark.human.score import score_study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
)
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


def until(page, condition: str, seconds: float = 10.0) -> None:
    """Poll from outside: the page's policy forbids the evaluation that playwright's own waiting uses."""
    ends = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < ends, f"never: {condition}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("browser")
    write_videos(root, num_cases=1, num_frames=6)
    small_kit(root, root / "kit", raters=1, title=HOSTILE)
    return root / "kit"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def context(browser):
    made = browser.new_context(viewport={"width": 1200, "height": 900})
    yield made
    made.close()


@pytest.fixture
def opened(context, kit: Path):
    """Opens the rater's page; whatever goes wrong in it fails the test."""
    pages = []

    def open_page():
        page = context.new_page()
        page.trouble = []
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("dialog", lambda dialog: (page.trouble.append("a dialog opened"), dialog.dismiss()))
        page.goto((kit / "raters/rater-01.html").as_uri())
        pages.append(page)
        return page

    yield open_page
    assert [page.trouble for page in pages] == [[]] * len(pages)


def watch(page) -> None:
    until(page, "video.readyState >= 2")
    page.click("#play")
    until(page, "state.seen.includes(item().id)")


def saved(page, tmp_path: Path) -> Path:
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_session_by_mouse_and_keyboard_ends_in_answers_that_score(
    opened, kit: Path, tmp_path: Path
) -> None:
    key, page = read_key(kit), opened()
    assert page.is_disabled("#start") and page.inner_text("h1") == HOSTILE
    page.check("#agree")
    page.click("#start")
    plan = key.plans[0]
    for number, item in enumerate(plan.items):
        assert page.inner_text("#where") == f"Video {number + 1} of {len(plan.items)}"
        assert page.is_disabled("#questions input >> nth=0") and page.is_disabled("#next")
        value = {"told": item.choose, "broken": 1}.get(item.kind, 1 + number % 5)
        assert page.locator("#told:visible").count() == (item.kind == "told")
        watch(page)
        if number % 2:
            for name in page.evaluate("data.dimensions"):
                page.check(f"input[name={name}][value='{value}']")
            page.click("#next")
        else:
            for _ in key.dimensions:
                page.keyboard.press(str(value))
            until(page, "document.activeElement.id === 'next'")
            page.keyboard.press("Enter")
    assert "6 of 6 videos are answered" in page.inner_text("#done-text")
    path = saved(page, tmp_path)
    assert path.name == f"answers-{key.hash}-01.json" and path.name in page.inner_text("#saved")
    study = score_study(kit, [path], None)
    assert [rater.status for rater in study.raters] == ["kept"] and study.raters[0].median_seconds is not None
    given = json.loads(path.read_text())["answers"]
    ratings = [item for item in plan.items if item.kind == "rating"]
    for item in ratings:
        row = next(row for row in study.systems if row.name == item.system)
        assert row.opinions[0].mean == given[item.id]["flicker"] == 1 + plan.items.index(item) % 5


def test_a_closed_page_goes_on_where_it_was(opened) -> None:
    page = opened()
    page.check("#agree")
    page.click("#start")
    watch(page)
    for _ in range(4):
        page.keyboard.press("3")
    page.keyboard.press("Enter")
    watch(page)
    page.keyboard.press("2")
    page.close()
    again = opened()
    assert again.inner_text("#start") == "Go on where I stopped"
    again.click("#start")
    assert again.inner_text("#where").startswith("Video 2 ")
    assert again.evaluate("answers()") == {"flicker": 2} and again.is_enabled("#questions input >> nth=0")
    again.click("#back")
    assert again.evaluate("Object.values(answers())") == [3] * 4 and again.is_enabled("#next")


def test_stopping_early_and_a_video_that_does_not_play(opened, kit: Path, tmp_path: Path) -> None:
    page = opened()
    page.check("#agree")
    page.click("#start")
    page.click("#broken")
    assert page.is_enabled("#next") and page.inner_text("#state").startswith("Noted")
    page.keyboard.press("3")
    assert page.evaluate("answers()") == {}
    page.click("#next")
    watch(page)
    page.keyboard.press("4")
    page.click("#early")
    content = json.loads(saved(page, tmp_path).read_text())
    assert content["unplayable"] == ["001"] and content["answers"] == {} and content["consent"] is True
    page.click("#review")
    assert page.inner_text("#where").startswith("Video 2 ")


def test_a_missing_video_is_noted_by_itself(context, kit: Path, tmp_path: Path) -> None:
    shutil.copytree(kit / "raters", tmp_path / "raters")
    for video in (tmp_path / "raters/videos").iterdir():
        video.unlink()
    page = context.new_page()
    page.goto((tmp_path / "raters/rater-01.html").as_uri())
    page.check("#agree")
    page.click("#start")
    until(page, "state.unplayable.length === 1")
    assert page.is_enabled("#next")


def test_the_arrow_keys_move_within_a_question(opened) -> None:
    page = opened()
    page.check("#agree")
    page.click("#start")
    watch(page)
    page.locator("input[name=lips][value='2']").focus()
    assert page.locator("fieldset.here").get_attribute("data-name") == "lips"
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("answers()") == {"lips": 3}
    assert page.locator("fieldset:has(input:checked) input:focus").count() == 1


def test_a_browser_without_storage_says_so_and_works(context, kit: Path, tmp_path: Path) -> None:
    page = context.new_page()
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); };")
    page.goto((kit / "raters/rater-01.html").as_uri())
    assert page.is_visible("#storage")
    page.check("#agree")
    page.click("#start")
    watch(page)
    page.keyboard.press("5")
    assert page.evaluate("answers()") == {"flicker": 5}


def test_it_fits_a_phone(opened) -> None:
    page = opened()
    page.set_viewport_size({"width": 320, "height": 640})
    page.check("#agree")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.click("#start")
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.scale label')].every((each) => each.offsetHeight >= 44)"
    )


def test_every_control_has_a_name_and_hostile_text_is_only_text(opened) -> None:
    page = opened()
    page.check("#agree")
    page.click("#start")
    controls = "#rating button, #rating input, #rating progress, #rating video"
    name_of = "each.getAttribute('aria-label') || each.getAttribute('aria-labelledby') || each.innerText"
    names = page.evaluate(f"[...document.querySelectorAll('{controls}')].map((each) => {name_of})")
    assert all(name.strip() for name in names)
    assert page.locator("img").count() == 0 and page.evaluate("document.scripts.length") == 2
