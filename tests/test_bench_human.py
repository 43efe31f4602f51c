"""A kit says nothing of who made what, treats all videos alike, and is the same every time."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from study_kit import NUM_FRAMES, SYSTEMS, small_kit, write_videos

from benchmark.__main__ import main
from benchmark.human.footage import damaged_frames
from benchmark.human.kit import read_key
from benchmark.human.page import texts
from benchmark.human.records import DIMENSIONS, Key
from benchmark.selftest.selftest import pattern
from datapipe.media import probe, read_frames
from datapipe.records import Rejected


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study")
    write_videos(made)
    return made


@pytest.fixture(scope="module")
def kit(root: Path) -> Path:
    small_kit(root, root / "kit")
    return root / "kit"


@pytest.fixture(scope="module")
def key(kit: Path) -> Key:
    return read_key(kit)


def test_what_raters_get_names_no_system_and_no_kind(kit: Path, key: Key) -> None:
    files = [path for path in (kit / "raters").rglob("*") if path.is_file()]
    assert len(files) == len(key.plans) + len(key.videos)
    for path in files:
        content = path.read_bytes()
        for word in (*SYSTEMS, "ground truth", "clip0", '"kind"', '"again"'):
            assert word.encode() not in content, (path.name, word)
    page = (kit / "raters/rater-01.html").read_text()
    items = json.loads(page.split('id="data">')[1].split("</script>")[0])["items"]
    assert {frozenset(item) for item in items} <= {
        frozenset({"id", "video"}),
        frozenset({"id", "video", "choose"}),
    }


def test_all_videos_of_a_clip_are_alike(kit: Path, key: Key) -> None:
    shapes = {}
    for shown in key.videos:
        path = kit / "raters/videos" / shown.file
        about = probe(path)
        shapes.setdefault(shown.case, set()).add(
            (about.width, about.height, about.num_frames, about.audio_codec)
        )
        with av.open(str(path)) as opened:
            assert not {"title", "comment", "artist", "creation_time"} & set(opened.metadata)
    assert shapes == {case: {(32, 32, NUM_FRAMES - 1, "aac")} for case in key.cases}
    assert len({path.stat().st_mtime for path in (kit / "raters").rglob("*.*")}) == 1


def test_every_item_leads_to_its_video(kit: Path, key: Key) -> None:
    shown = {each.file: each for each in key.videos}
    for plan in key.plans:
        for item in plan.items:
            assert (shown[item.video].case, shown[item.video].system) == (item.case, item.system)
            assert (kit / "raters/videos" / item.video).is_file()
    ratings = {(item.system, item.case) for item in key.plans[0].items if item.kind == "rating"}
    assert ratings == {(system, case) for system in ("ground truth", *SYSTEMS) for case in key.cases}


def grey(path: Path) -> np.ndarray:
    frames = read_frames(path)[: NUM_FRAMES - 1].astype(np.float32).mean(axis=3)
    return frames if frames.shape[1] == 32 else frames.reshape(len(frames), 32, 2, 32, 2).mean(axis=(2, 4))


def test_the_picture_is_that_of_the_system(root: Path, kit: Path, key: Key) -> None:
    folders = {"ground truth": "cases"} | dict(zip(SYSTEMS, SYSTEMS, strict=True))
    given = {
        (s, case): grey(root / folder / f"{case}.mp4") for s, folder in folders.items() for case in key.cases
    }
    for shown in key.videos[:-2]:
        picture = grey(kit / "raters/videos" / shown.file)
        distances = {name: float(np.abs(picture - each).mean()) for name, each in given.items()}
        assert min(distances, key=lambda name: distances[name]) == (shown.system, shown.case)
        assert any("no sound of its own" in note for note in shown.notes) == (shown.system == SYSTEMS[1])


def test_a_seed_gives_the_same_kit_and_another_seed_other_names(
    root: Path, kit: Path, key: Key, tmp_path: Path
) -> None:
    again = small_kit(root, tmp_path / "again")
    assert again == key and again.hash == key.hash
    for path in (kit / "raters").rglob("*.*"):
        assert (
            tmp_path / "again/raters" / path.relative_to(kit / "raters")
        ).read_bytes() == path.read_bytes()
    other = small_kit(root, tmp_path / "other", seed=12)
    assert not {each.file for each in other.videos} & {each.file for each in key.videos}


def blocks_of(frame: np.ndarray) -> np.ndarray:
    return frame.reshape(4, 16, 4, 16, 3).swapaxes(1, 2).reshape(16, -1)


def test_a_damaged_clip_looks_damaged_and_does_not_flash() -> None:
    frames = pattern(30, 64, 0)
    damaged = damaged_frames(frames, 1)
    assert np.array_equal(damaged, damaged_frames(frames, 1)) and damaged.shape == frames.shape
    jumps = [n for n in range(1, 30) if (damaged[n] != damaged[n - 1]).any()]
    assert jumps == [12, 24], "three flashes a second or more can harm"
    for number in (0, 12, 24):
        ours, given = blocks_of(damaged[number]), blocks_of(frames[number])
        assert (ours != given).any(axis=1).sum() == 8 and sorted(ours.tolist()) == sorted(given.tolist())


def test_a_clip_that_one_system_lacks_is_left_out_for_all(root: Path, tmp_path: Path) -> None:
    for name in ("cases", *SYSTEMS):
        shutil.copytree(root / name, tmp_path / name)
    (tmp_path / SYSTEMS[0] / "clip1.mp4").unlink()
    (tmp_path / SYSTEMS[1] / "clip2.mp4").write_bytes(b"not a video")
    key = small_kit(tmp_path, tmp_path / "kit", raters=1)
    assert key.cases == ("clip0",) and set(key.left_out) == {"clip1", "clip2"}
    assert "no video of ours-secret" in key.left_out["clip1"]
    assert len(list((tmp_path / "kit/raters/videos").iterdir())) == 3 + 2
    (tmp_path / SYSTEMS[0] / "clip0.mp4").unlink()
    with pytest.raises(Rejected, match="no case can be shown by every system"):
        small_kit(tmp_path, tmp_path / "none")


def test_without_the_truth_and_with_one_sound(root: Path, tmp_path: Path) -> None:
    key = small_kit(root, tmp_path / "kit", raters=1, truth=False, sound="truth")
    assert key.systems == SYSTEMS
    assert {item.system for item in key.plans[0].items if item.kind == "rating"} == set(SYSTEMS)


def test_a_folder_in_use_is_refused(kit: Path, root: Path) -> None:
    with pytest.raises(Rejected, match="holds files already"):
        small_kit(root, kit)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 1}', "[" * 100_000])
def test_a_broken_key_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(Rejected, match="is not there"):
        read_key(tmp_path)
    (tmp_path / "key.json").write_text(content)
    with pytest.raises(Rejected, match="is not the key of a kit"):
        read_key(tmp_path)


def test_the_languages_say_the_same_things() -> None:
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys() and len(english["how"]) == len(chinese["how"])
    for words in (english, chinese):
        assert set(words["dimensions"]) == {each.name for each in DIMENSIONS}
        assert "{choose}" in words["told"] and "{minutes}" in words["welcome"]
        assert all(set(each) == {"title", "question", "low", "high"} for each in words["dimensions"].values())


def test_the_command_makes_a_kit(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "consent.txt").write_text("Our board's words <b>.")
    command = [
        "human",
        "make",
        "--cases",
        str(root / "cases"),
        "--raters",
        "2",
        "--out",
        str(tmp_path / "kit"),
    ]
    command += ["--language", "zh", "--consent", str(tmp_path / "consent.txt"), "--contact", "a@b.org"]
    assert main([*command, "--system", *(f"{name}={root / name}" for name in SYSTEMS)]) == 0
    assert "give out" in " ".join(capsys.readouterr().err.split())
    page = (tmp_path / "kit/raters/rater-02.html").read_text()
    assert 'lang="zh-Hans"' in page and "Our board's words \\u003cb\\u003e." in page and "a@b.org" in page
    assert main([*command, "--system", f"a={root / SYSTEMS[0]}"]) == 2
    assert main([*command, "--system", "a=cmd:echo {out}"]) == 2
