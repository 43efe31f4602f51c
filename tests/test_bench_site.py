"""The site as files: faults are named, parts are means again, data stay data, names are only text."""

import base64
import gzip
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from bench_rows import clips, info, keys, row, run_of, whole_set
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.__main__ import main
from benchmark.cases import find_cases
from benchmark.leaderboard import column_id, tables
from benchmark.ranking import badness
from benchmark.records import GROUND_TRUTH, Run, System
from benchmark.runs import RunFile, read_run, read_run_files, write_run
from benchmark.selftest.selftest import pattern
from benchmark.site import SiteSources, write_site
from benchmark.site.boards import board_data, make_boards
from benchmark.site.clips import clip_columns, clip_pages
from benchmark.site.corpora import OF_A_SET, restricted
from benchmark.site.media import footage_of, plays_in_browsers, write_clip_media
from benchmark.site.pages import PACK_ABOVE, carry
from benchmark.site.provenance import column_tips
from benchmark.site.speeds import read_speeds
from benchmark.site.worst import NUM_WORST, worst_clips
from benchmark.speed.latency import Latency, LatencyConfig, Trial
from benchmark.speed.latency_report import LatencyReport
from datapipe.files import sha256_of
from datapipe.media import write_video
from datapipe.records import Rejected, to_dict, to_json

HOSTILE = "</script><img src=x onerror=alert(1)>\"'--><!--title-->"
NUM = 6


def a_run(**changes: object) -> Run:
    random = np.random.default_rng(1)
    rows = [
        row(GROUND_TRUTH, clips("psnr", [60.0] * NUM)),
        row("frozen", clips("psnr", [9.0] * NUM), kind="control"),
    ]
    for name in ("ours", HOSTILE, "third"):
        values = [None if name == "third" and k == 2 else 20 + 5 * random.random() for k in range(NUM)]
        lpips = clips("lpips_alex", list(random.random(NUM)))
        rows.append(row(name, clips("psnr", values), whole_set("fid", 30 * random.random(), num=NUM), lpips))
    return run_of([info("psnr"), info("fid"), info("lpips_alex")], rows, NUM, **changes)


def a_file(folder: Path, run: Run, name: str = "run.json") -> RunFile:
    write_run(folder / name, run)
    return RunFile(folder / name, run)


FAULTS = {
    "no JSON": (lambda run: None, r"is no JSON file"),
    "no schema": (lambda run: run.pop("schema"), r"is not a run: schema is None"),
    "a type": (lambda run: run["systems"][2].update(scores=3), r"\$\.systems\[2\]\.scores"),
    "a field that is not known": (lambda run: run["systems"][1].update(extra=1), r"extra.*\$\.systems\[1\]"),
    "an unknown metric": (
        lambda run: run["systems"][2]["scores"][0].update(metric="video/new"),
        r"systems\[2\]\.scores\[0\]\.metric is 'video/new'",
    ),
    "one system twice": (lambda run: run["systems"][3].update(name="ours"), r"systems\[3\]\.name is 'ours'"),
    "one metric twice": (lambda run: run["metrics"][1].update(name="video/psnr"), r"metrics\[1\]\.name"),
    "no name": (lambda run: run["systems"][2].update(name=" "), r"systems\[2\]\.name is empty"),
    "NaN": (lambda run: run["systems"][2]["scores"][1].update(value=math.nan), r"scores\[1\]\.value is nan"),
    "infinity in a clip": (
        lambda run: run["systems"][2]["scores"][0]["per_clip"].update(clip01=math.inf),
        r"scores\[0\]\.per_clip\['clip01'\] is inf",
    ),
    "a clip too many": (
        lambda run: run["systems"][2]["scores"][0]["per_clip"].update(other=1.0),
        r"scores\[0\]\.per_clip has a clip 'other'",
    ),
    "more clips than there are": (
        lambda run: run["systems"][2]["scores"][0].update(num_ok=9),
        r"scores\[0\]\.num_ok says 9 of 6",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_by_file_and_field(fault: str, tmp_path: Path) -> None:
    spoil, says = FAULTS[fault]
    content = to_dict(a_run())
    spoil(content)
    path = tmp_path / "sent.json"
    path.write_text("{" if fault == "no JSON" else json.dumps(content))
    with pytest.raises(Rejected, match=r"sent\.json") as caught:
        read_run(path)
    assert re.search(says, caught.value.message), caught.value.message


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(Rejected, match=r"deep\.json"):
        read_run_files([tmp_path])


def test_one_run_given_twice_is_refused_and_two_runs_of_a_system_are_not(tmp_path: Path) -> None:
    for name, created in (("a", "2026-01-01"), ("b", "2026-01-02"), ("c", "2026-01-01")):
        write_run(tmp_path / f"{name}.json", a_run(created=created))
    assert len(read_run_files([tmp_path / "a.json", tmp_path / "b.json"])) == 2
    with pytest.raises(Rejected, match=r"c\.json: systems\[2\]\.name is 'ours' .*a\.json has already"):
        read_run_files([tmp_path])


def test_a_corpus_is_scored_again_from_its_own_clips(tmp_path: Path) -> None:
    run, part = a_run(), keys(NUM)[:3]
    seen = restricted(run, part)
    for before, after in zip(run.systems, seen.systems, strict=True):
        for old, new in zip(before.scores, after.scores, strict=True):
            kept = [old.per_clip[key] for key in part if key in old.per_clip]
            if old.metric == "video/fid":
                assert new.value is None and new.not_measured == OF_A_SET
            else:
                assert new.value == pytest.approx(sum(kept) / len(kept)) and new.num_ok == len(kept)
            assert new.num_total == 3
    whole = restricted(run, keys(NUM))
    same = [s.value for each in whole.systems for s in each.scores if s.metric != "video/fid"]
    assert same == pytest.approx(
        [s.value for each in run.systems for s in each.scores if s.metric != "video/fid"]
    )


def test_a_value_that_is_no_mean_of_its_clips_is_not_known_for_a_part() -> None:
    odd = clips("psnr", [1.0, 2.0, 9.0], value=2.0)  # a median, say
    seen = restricted(run_of([info("psnr")], [row("a", odd)], 3), keys(3)[:2])
    assert seen.systems[0].scores[0].value is None


def test_boards_are_the_whole_set_and_each_corpus_of_it(tmp_path: Path) -> None:
    file = a_file(tmp_path, a_run())
    corpora = {key: "cmlr" if k < 4 else "hdtf" for k, key in enumerate(keys(NUM))}
    boards = make_boards([file], corpora)
    assert [board.label for board in boards] == ["cmlr + hdtf, 6 clips", "cmlr, 4 clips", "hdtf, 2 clips"]
    assert [board.label for board in make_boards([file], {})] == ["All clips, 6 clips"]
    assert {len(board.keys) for board in boards} == {6, 4, 2}


def test_rows_know_their_run_and_cells_are_those_of_the_table(tmp_path: Path) -> None:
    files = [
        a_file(tmp_path, a_run(created=created), f"{number}.json")
        for number, created in enumerate(("2026-01-01", "2026-01-02"))
    ]
    (board,) = make_boards(files, {})
    texts: dict[str, int] = {}
    data = board_data(board, texts, column_tips(board, files))
    (table,) = tables([file.run for file in files])
    assert data["rows"] == [name for name, _ in table.rows]
    assert data["runs"] == [-1, -1, 0, 0, 0, 1, 1, 1] and data["kinds"] == [0, 1, 2, 2, 2, 2, 2, 2]
    for column, told in zip(table.columns, data["columns"], strict=True):
        for number, (name, scores) in enumerate(table.rows):
            score, place = scores.get(column_id(column)), table.places[column_id(column)]
            if score is None or score.value is None:
                assert told["values"][number] is None and told["said"][number]
                continue
            assert told["values"][number] == pytest.approx(score.value, rel=1e-4)
            assert told["ranks"][number] == (place.ranks.get(name) or place.would_stand.get(name))
    lost = data["columns"][0]["lost"]
    assert lost == {4: [5, 6, 0], 7: [5, 6, 0]}
    assert list(texts)[data["columns"][0]["said"][4][0]] == "1 of 6 clips: lost"


def test_worst_clips_and_places_on_a_clip_are_those_of_a_plain_count(tmp_path: Path) -> None:
    (board,) = make_boards([a_file(tmp_path, a_run())], {})
    pages = {key: number for number, key in enumerate(board.keys)}
    found = worst_clips(board, pages)
    columns = {column_id(column.info): column for column in clip_columns(board)}
    assert set(found) == set(columns) and all("fid" not in name for name in found)
    for column in board.table.columns:
        name = column_id(column)
        if name not in found:
            continue
        cells = [
            (badness(column, value), number, key, value)
            for number, (who, scores) in enumerate(board.table.rows)
            if board.table.kinds[who] == "system"
            for key, value in scores[name].per_clip.items()
        ]
        worst = sorted(cells, reverse=True)[:NUM_WORST]
        assert [cell[:2] for cell in found[name]["all"]] == [[who, pages[key]] for _, who, key, _ in worst]
        for bad, who, key, _ in cells:
            better = sum(other < bad for other, _, at, _ in cells if at == key)
            worse = sum(other > bad for other, at, _, _ in cells if at == who)
            assert columns[name].ranks_RC[who, pages[key]] == 1 + better
            assert columns[name].from_worst_RC[who, pages[key]] == 1 + worse


@settings(max_examples=25, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    )
)
def test_data_come_out_of_a_page_as_they_went_in(value: object) -> None:
    text = carry("site", {"hostile": [HOSTILE, "\u2028", "<!--"], "value": value})
    (inside,) = re.fullmatch(
        r'<script type="application/json" id="site">(.*)</script>', text, re.DOTALL
    ).groups()
    assert not re.search("[<>&]", inside)
    assert json.loads(inside) == {"hostile": [HOSTILE, "\u2028", "<!--"], "value": value}


def test_much_data_travel_packed_and_the_same_every_time() -> None:
    value = {"names": [f"{HOSTILE} {k}" for k in range(PACK_ABOVE // 40)]}
    text = carry("site", value)
    assert text == carry("site", value) and 'data-packed="gzip"' in text and len(text) < PACK_ABOVE
    inside = re.search(r">(.*)</script>", text).group(1)
    assert json.loads(gzip.decompress(base64.b64decode(inside))) == value


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def elements_of(path: Path) -> list[tuple[str, dict]]:
    parser = Elements()
    parser.feed(path.read_text())
    return parser.found


def test_names_are_only_text_pages_link_what_exists_and_come_out_the_same(tmp_path: Path) -> None:
    failed = {"metric": "video/psnr", "row": HOSTILE, "expected": HOSTILE, "passed": False, "found": HOSTILE}
    content = to_dict(a_run(weights={HOSTILE: "00"}, environment={"cpu": HOSTILE})) | {"checks": [failed]}
    (tmp_path / "<b>run.json").write_text(json.dumps(content))
    sources = SiteSources(files=read_run_files([tmp_path / "<b>run.json"]), title=HOSTILE)
    once, again = (write_site(sources, tmp_path / name).parent for name in ("once", "again"))
    made = sorted(path.relative_to(once) for path in once.rglob("*") if path.is_file())
    assert len(made) == 3 + NUM
    for place in made:
        assert (once / place).read_bytes() == (again / place).read_bytes()
        assert str(tmp_path) not in (once / place).read_text()
    for page in once.rglob("*.html"):
        found = elements_of(page)
        assert not {"img", "b", "iframe"} & {tag for tag, each in found if "onerror" in each or tag == "img"}
        assert not any(name.startswith("on") for _, each in found for name in each)
        links = [each["href"].split("#")[0] for tag, each in found if tag == "a" and "href" in each]
        assert all((page.parent / link).exists() for link in links), links
        assert not any(
            "http" in str(value)
            for _, each in found
            for value in each.values()
            if value != each.get("http-equiv")
        )


def foreign_video(path: Path, frames: np.ndarray) -> None:
    """MPEG-4 part 2, which no browser plays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", 25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        out.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for number, key in enumerate(keys(2)):
        write_video(root / f"cases/{key}.mp4", pattern(10, 32, number))
        write_video(root / f"ours/{key}.mp4", pattern(10, 32, number), crf=30)
    cv2.imwrite(str(root / "cases/clip00.png"), pattern(1, 32, 0)[0])
    foreign_video(root / "foreign/clip00.mp4", pattern(10, 32, 0))
    (root / "foreign/clip01.mp4").write_bytes(b"no video")
    return root


def filmed(root: Path, run: Run) -> RunFile:
    """The run as if it had scored the videos of the folder."""
    content = to_dict(run)
    content["reference"] = {key: sha256_of(root / f"cases/{key}.mp4") for key in keys(2)}
    for system in content["systems"]:
        folder = root / system["name"]
        system["videos"] = {path.stem: sha256_of(path) for path in sorted(folder.glob("*.mp4"))}
    path = root / "run.json"
    path.write_text(json.dumps(content))
    return RunFile(path, read_run(path))


def two_clips() -> Run:
    rows = [row(GROUND_TRUTH, clips("psnr", [60.0] * 2)), row("elsewhere", clips("psnr", [2.0, 1.0]))]
    rows += [row(name, clips("psnr", [20.0, 21.0])) for name in ("ours", "foreign")]
    return run_of([info("psnr")], rows, 2)


def systems_in(root: Path, *names: str) -> tuple[System, ...]:
    return tuple(System(name=name, folder=root / name) for name in names)


def test_videos_are_copied_encoded_anew_or_a_reason(videos: Path, tmp_path: Path) -> None:
    file = filmed(videos, two_clips())
    footage = footage_of([file], find_cases(videos / "cases"), systems_in(videos, "ours", "foreign"), True)
    first, second = (write_clip_media(footage, key, tmp_path, f"media/{key}") for key in keys(2))
    assert [track["name"] for track in first["tracks"]] == [GROUND_TRUTH, "ours", "foreign", "elsewhere"]
    copied, anew = (tmp_path / first["tracks"][number]["video"] for number in (1, 2))
    assert copied.read_bytes() == (videos / "ours/clip00.mp4").read_bytes()
    assert plays_in_browsers(anew) and not plays_in_browsers(videos / "foreign/clip00.mp4")
    assert first["tracks"][3]["why"] == "its folder was not given: --system NAME=DIR"
    assert second["tracks"][2]["video"] is None and "clip01.mp4" in second["tracks"][2]["why"]
    assert first["picture"] and second["picture"] is None and first["num_frames"] == 10
    assert all((tmp_path / track["heat"]).is_file() for track in first["tracks"] if track["video"])


def test_another_video_than_the_scored_one_is_not_shown(videos: Path, tmp_path: Path) -> None:
    file = filmed(videos, two_clips())
    cases = find_cases(videos / "cases")
    moved = (System(name="ours", folder=videos / "foreign"),)
    found = write_clip_media(footage_of([file], cases, moved, True), "clip00", tmp_path, "media/0")
    assert "sha256 differs" in found["tracks"][1]["why"]
    none = write_clip_media(footage_of([file], cases, moved, False), "clip00", tmp_path / "none", "media/0")
    assert {track["video"] for track in none["tracks"]} == {None} and not (tmp_path / "none").exists()
    with pytest.raises(
        Rejected, match="--system others: no run has such a system; they have elsewhere, ours"
    ):
        footage_of([file], cases, (System(name="others", folder=videos),), True)


def test_every_clip_of_a_whole_set_has_a_page(tmp_path: Path) -> None:
    other = run_of([info("psnr")], [row("a", clips("psnr", [1.0]))], 1)
    boards = make_boards([a_file(tmp_path, a_run()), a_file(tmp_path, other, "other.json")], {})
    pages = clip_pages(boards)
    assert [page.number for page in pages] == list(range(NUM + 1))
    assert [page.key for page in pages] == [*keys(NUM), "clip00"]
    assert [board.label.split(", set ")[0] for board in boards] == ["All clips, 6 clips", "All clips, 1 clip"]


def test_the_command_writes_a_site_or_says_what_is_wrong(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = filmed(videos, two_clips()).path, tmp_path / "site"
    words = ["leaderboard", "--runs", str(run), "--html", str(out), "--title", "Ours"]
    shown = ["--system", f"ours={videos / 'ours'}"]
    assert main([*words, *shown]) == 2 and "--cases FOLDER" in capsys.readouterr().err
    assert main([*words, "--cases", str(videos / "cases"), "--system", "ours=cmd:x {out}"]) == 2
    assert main([*words, "--cases", str(videos / "cases"), *shown]) == 0
    assert f"site: {out / 'index.html'}" in capsys.readouterr().err
    assert (out / "runs/0.json").read_bytes() == run.read_bytes()
    assert (out / "clips/media/1/1.mp4").is_file() and not (out / "clips/media/1/2.mp4").exists()


def test_speeds_are_of_timing_sessions_and_faults_are_named(tmp_path: Path) -> None:
    taken = Latency(
        key="a", trials=tuple(Trial(seconds=s) for s in (1.0, 2.0, 9.0)), media_seconds=4.0, num_frames=100
    )
    report = LatencyReport(
        system="ours",
        created="2026",
        config=LatencyConfig(),
        load_seconds=None,
        clips=(taken,),
        tails=(),
        environment={},
    )
    path = tmp_path / "latency.json"
    path.write_text(to_json(report))
    assert read_speeds([path])["ours"]["rtf"] == 0.5
    with pytest.raises(Rejected, match="timed by another file"):
        read_speeds([path, path])
    for change, says in (
        ({"clips": []}, "no times above 0"),
        ({"clips": 3}, r"\$\.clips"),
        ({"schema": "x"}, "'x'"),
    ):
        path.write_text(json.dumps(to_dict(report) | change))
        with pytest.raises(Rejected, match=says):
            read_speeds([path])
