"""preview: one file that asks for nothing, shows the worst, explains the rejects, and runs no one's code."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Picture
from small import dataset, sample

from datapipe import __main__ as data
from datapipe import preview as of
from datapipe.export import Choice
from datapipe.ledger import Row
from datapipe.manifest import read_manifest, write_manifest
from datapipe.preview import PreviewConfig, write_preview
from datapipe.preview.worst import worst_rows
from datapipe.records import Rejected
from datapipe.stats import frame_of
from datapipe.table import row_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = '</script><img src=x onerror="alert(1)"> & \'"'
ROWS = [
    Row(clip=f"bad/{HOSTILE}", status="rejected", reason="no_face", message=f"no face in {HOSTILE}"),
    Row(clip="bad/2", status="rejected", reason="silent", message="quiet"),
    Row(clip="bug/1", status="failed", reason="ValueError", message="odd", traceback=f"trace {HOSTILE}"),
]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metas = [sample(number) for number in range(5)]
    metas.append(sample(5, id=HOSTILE, text=HOSTILE, speaker=HOSTILE, notes={HOSTILE: HOSTILE}))
    return dataset(tmp_path_factory.mktemp("small"), metas, ROWS)


@pytest.fixture(scope="module")
def page(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    assert write_preview(shards, out, Choice(), PreviewConfig(count=3, worst=2)) == 3
    return out


def test_the_page_asks_for_nothing_and_runs_no_ones_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"#][^"]{0,9})', text)
    assert links and all(link.startswith("data:") for link in links)
    assert HOSTILE not in text and 'onerror="' not in text and text.count("<script>") == 1
    assert "default-src 'none'" in text


def test_the_page_has_its_sections(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert all(f'id="{name}"' in text for name in ("splits", "samples", "quality", "rejects"))
    assert text.count('class="sample"') == text.count("<video") == 3
    assert "The same in all samples: exposure 0.5" in text
    assert "<b>1</b> no_face" in text and "an error of the software" in text and "quiet" in text
    assert "abs(" not in text and "quality.face_px &gt;= 100" in text


def test_samples_are_spread_evenly(page: Path) -> None:
    shown = re.findall(r'class="sample"><h3>([^<]+)<', page.read_text(encoding="utf-8"))
    assert shown[:2] == ["s0/clip.0", "s0/clip.2"] and len(shown) == 3


@pytest.mark.parametrize(
    ("column", "worst"),
    [
        ("face_px", ["s0/clip.0", "s1/clip.1"]),
        ("jitter_px", ["s0/clip.4", "s1/clip.3"]),
        ("exposure", []),
        ("head_motion_px", ["s1/clip.3", "s0/clip.0"]),
        ("av_difference_ms", ["s0/clip.2", "s0/clip.4"]),
    ],
)
def test_the_worst_by_a_column(column: str, worst: list[str]) -> None:
    motion, late = (1.0, 5.0, 5.0, 9.5, 6.0), (0.0, 10.0, -90.0, 20.0, 40.0)
    metas = [sample(number) for number in range(5)]
    metas = [
        replace(meta, quality=meta.quality | {"head_motion_px": motion[k], "av_difference_ms": late[k]})
        for k, meta in enumerate(metas)
    ]
    rows = frame_of([row_of(meta, "x.tar") for meta in metas])
    assert list(worst_rows(rows, column, 2)["id"]) == worst


def test_a_full_page_leaves_players_out_and_keeps_pictures(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of, "MEDIA_BYTES", 1)
    write_preview(shards, tmp_path / "p.html", Choice())
    text = (tmp_path / "p.html").read_text()
    assert "<video" not in text and text.count("player left out") == 6 and text.count('class="sound"') == 6


def test_a_dataset_without_samples_shows_why(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [], ROWS)
    write_manifest(folder, replace(read_manifest(folder), rejected={"no_face": 1, "silent": 1}, failed=1))
    assert write_preview(folder, tmp_path / "p.html", Choice()) == 0
    assert "There are none." in (tmp_path / "p.html").read_text()


def test_a_reject_says_how_to_try_it_alone(tmp_path: Path) -> None:
    command = "avatarsync data build --only 'bad/2'"
    folder = dataset(tmp_path / "d", [sample(0)], [replace(ROWS[1], reproduce=command)])
    write_preview(folder, tmp_path / "p.html", Choice())
    assert "--only &#x27;bad/2&#x27;" in (tmp_path / "p.html").read_text()


def test_the_sheet_and_the_command(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["preview", "--shards", str(shards), "--out"]
    assert data.main([*base, str(tmp_path / "p.png"), "--count", "2"]) == 0
    assert "2 samples" in capsys.readouterr().err and Picture.open(tmp_path / "p.png").width > 1000
    assert data.main([*base, str(tmp_path / "p.html"), "--key", sample(3).key]) == 0
    assert "1 samples" in capsys.readouterr().err
    for wrong in (
        ["p.gif"],
        ["p.html", "--where", "x"],
        ["p.png", "--key", "nobody"],
        ["p.png", "--split", "x"],
    ):
        assert data.main([*base, str(tmp_path / wrong[0]), *wrong[1:]]) == 2
    with pytest.raises(Rejected, match=r"\.png or \.html"):
        write_preview(shards, tmp_path / "p.gif", Choice())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_in_a_browser(page: Path, width: int, scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        troubles, asked = [], []
        view.on("console", lambda message: troubles.append(message.text))
        view.on("pageerror", lambda error: troubles.append(str(error)))
        view.on("dialog", lambda dialog: troubles.append(dialog.message))
        view.on("request", lambda request: asked.append(request.url))
        view.goto(page.as_uri())
        view.click(".stills button:nth-child(2)")
        view.wait_for_timeout(300)
        assert view.evaluate("document.querySelector('video').currentTime") == pytest.approx(0.11, abs=0.02)
        assert view.query_selector(".stills button.now") is not None
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert not troubles and [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        browser.close()
