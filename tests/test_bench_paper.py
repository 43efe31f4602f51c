"""The papers' tables and figures as files: ours beside theirs, traceable, escaped, always the same bytes."""

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from paper_rows import CMLR, HDTF, HOSTILE, ablation_run, run_of, system, write

from benchmark.paper.commands import usual_records
from benchmark.paper.document import Cell, Column, Grid, Row, cells
from benchmark.paper.latex import plain
from benchmark.paper.quoted import quoted
from benchmark.paper.render import ARTEFACTS, render_all
from benchmark.paper.scored_tables import same_method
from benchmark.paper.scores import scored
from benchmark.paper.sources import Sources, read_sources
from benchmark.paper.table_csv import inert
from datapipe.records import Rejected

LATEX = next(filter(None, map(shutil.which, ("tectonic", "pdflatex"))), None)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    both = (*CMLR, *HDTF)
    write(
        folder / "runs/both.json",
        run_of([system("AvatarSync", both, 20.0), system(HOSTILE, both, 10.0)], both),
    )
    write(folder / "runs/mandarin.json", run_of([system("hallo", CMLR, 15.0)], CMLR))
    ablation_run(folder / "ablations", "allocation", ("random", "fixed", "dynamic"))
    ablation_run(folder / "ablations", "losses", ("ce", "ce-lpips-identity-facial"), "keyframe")
    return folder


@pytest.fixture(scope="module")
def sources(source: Path) -> Sources:
    return read_sources([source / "runs"], [source / "ablations"])


@pytest.fixture(scope="module")
def out(source: Path, sources: Sources) -> Path:
    render_all(sources, source / "out")
    return source / "out"


def lines(out: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / f"{name}.csv").read_text(encoding="utf-8"))))


def found(rows: list[dict[str, str]], **asked: str) -> list[dict[str, str]]:
    return [each for each in rows if all(each[name].startswith(value) for name, value in asked.items())]


def test_twelve_artefacts_in_four_forms(out):
    assert len(ARTEFACTS) == 12
    for name in ARTEFACTS:
        assert all((out / f"{name}.{end}").stat().st_size for end in ("md", "tex", "csv", "html"))
    index = (out / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}.html"' in index for name in ARTEFACTS)


def test_nothing_measured_still_shows_the_papers_and_says_how_to_measure(tmp_path):
    artefacts = render_all(Sources(), tmp_path, formats=("md",))
    assert not any(each.is_measured for each in artefacts)
    for each in artefacts:
        text = (tmp_path / f"{each.name}.md").read_text(encoding="utf-8")
        assert "avatarsync " in text
        assert "not measured" in text or each.name == "eartalking"
        assert not [cell for cell in cells(each) if cell.trace]


def test_every_printed_number_of_the_first_table_is_in_every_form(out):
    table = quoted().table("Table 1")
    texts = {end: (out / f"table1.{end}").read_text(encoding="utf-8") for end in ("md", "tex", "csv", "html")}
    for row in table.rows:
        for value in row.cells.values():
            assert all(value in text for text in texts.values()), (row.name, value)
    printed = found(lines(out, "table1"), **{"from": "paper"})
    assert len(printed) == 9 * 16
    assert {each["mark"] for each in printed} == {"", "best", "second"}


def test_ours_stand_over_the_clips_of_each_corpus(out):
    rows = lines(out, "table1")
    (mandarin,) = found(rows, table="CMLR", row="AvatarSync (5 clips", column="PSNR")
    (english,) = found(rows, table="HDTF", row="AvatarSync (3 clips", column="PSNR")
    (both,) = found(rows, table="both", row="AvatarSync (8 clips", column="PSNR")
    assert float(mandarin["value"]) == pytest.approx(20.2)
    assert float(english["value"]) == pytest.approx(20.6)
    assert float(both["value"]) == pytest.approx(20.35)
    assert float(mandarin["low"]) < 20.2 < float(mandarin["high"])


def test_distances_between_sets_are_given_for_whole_runs_only(out):
    rows = lines(out, "table1")
    (mixed,) = found(rows, table="CMLR", row="AvatarSync (5 clips", column="FID")
    (alone,) = found(rows, table="CMLR", row="hallo (5 clips", column="FID")
    assert mixed["text"] == "not measured" and "both corpora" in mixed["notes"]
    assert float(alone["value"]) == 15.0


def test_a_method_stands_below_its_printed_row_whatever_its_spelling(out):
    names = [each["row"] for each in found(lines(out, "table1"), table="CMLR", column="PSNR")]
    at = names.index("Haloo")
    assert names[at + 1].startswith("hallo (5 clips") and names[at + 2] == "Haloo2"
    assert same_method("V-Express", "v_express") and not same_method("Haloo", "hallo2")


def test_mismatches_of_protocol_are_named(out):
    (mine,) = found(lines(out, "table1"), table="CMLR", row="AvatarSync (5 clips", column="PSNR")
    for word in ("‡", "sample corpus", "5 clips", "alex trunk", "ArcFace MobileFaceNet", "judge sync.demo"):
        assert word in mine["notes"]


def test_every_number_of_ours_leads_to_its_file(out):
    for name in ARTEFACTS:
        for each in found(lines(out, name), **{"from": "ours"}):
            if each["value"]:
                assert (out / each["file"]).resolve().is_file(), (name, each)
                assert re.fullmatch("[0-9a-f]{12}", each["sha256"])
    page = (out / "table1.html").read_text(encoding="utf-8")
    assert 'href="../runs/both.json" title="both.json, sha256 ' in page and "protocol 0123456789ab" in page


def test_the_ablations_stand_beside_their_tables(out):
    rows = lines(out, "table5")
    (printed,) = found(rows, row="Random", column="FVD", **{"from": "paper"})
    (mine,) = found(rows, row="Random (2 seeds", column="PSNR")
    assert printed["text"] == "553.39"
    assert float(mine["value"]) == pytest.approx(20.205) and "≠" in mine["text"]
    losses = lines(out, "table6")
    (ce,) = found(losses, row="CE (2 seeds", column="PSNR")
    assert float(ce["value"]) == pytest.approx(20.205)
    assert found(losses, row="CE + LPIPS", column="FID", text="not measured")


def test_hostile_names_stay_text(out):
    parser, seen = HTMLParser(), set()
    parser.handle_starttag = lambda tag, attrs: seen.add(tag)
    for name in ARTEFACTS:
        if not list(out.glob(f"{name}*.png")):
            parser.feed((out / f"{name}.html").read_text(encoding="utf-8"))
    assert "td" in seen and "img" not in seen and "script" not in seen
    text = (out / "table1.md").read_text(encoding="utf-8")
    assert "<img" not in text and not re.search(r"(?<!\\)\]\(javascript", text)
    rows = [line for line in text.splitlines() if "=1+1" in line]
    assert rows and all(len(re.findall(r"(?<!\\)\|", line)) == 11 for line in rows)
    assert all(each["row"].startswith("'=") for each in lines(out, "table1") if "=1+1" in each["row"])


@pytest.mark.parametrize("text", ["=1", "+cmd", "@x", "-2+3", "\tx"])
def test_formulas_are_made_inert_and_numbers_kept(text):
    assert inert(text) == f"'{text}" and inert("-2.5") == "-2.5"


def test_latex_escapes_everything_it_reads_as_markup():
    assert plain("a_b & 5 % {x} \\y $z$ #1 ~^") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \$z\$ \#1 \textasciitilde{}\textasciicircum{}"
    )
    assert plain("中") == r"\texttt{U+4E2D}"


@pytest.mark.skipif(
    LATEX is None, reason="no LaTeX on this machine (apt-get install texlive-latex-recommended)"
)
def test_the_latex_compiles(out, tmp_path):
    shutil.copytree(out, tmp_path / "paper")
    command = [LATEX, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    command = [LATEX, "paper.tex"] if "tectonic" in str(LATEX) else command
    done = subprocess.run(command, cwd=tmp_path / "paper", capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper/paper.pdf").stat().st_size > 10_000


def test_the_same_sources_give_the_same_bytes_without_dates_or_places(source, out, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(source, again, ignore=shutil.ignore_patterns("out"))
    render_all(read_sources([again / "runs"], [again / "ablations"]), again / "out")
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in (again / "out").iterdir())
    for name in names:
        first = (out / name).read_bytes()
        assert first == (again / "out" / name).read_bytes(), name
        assert str(source).encode() not in first


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(Rejected, match="no table or figure `table7`; known: table1"):
        render_all(Sources(), tmp_path, ("table7",))


def spoiled(source: Path, tmp_path: Path, change) -> Path:
    record = json.loads((source / "runs/both.json").read_text(encoding="utf-8"))
    change(record)
    path = tmp_path / "spoiled.json"
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("metrics"), "metrics"),
        (lambda r: r.update(extra=1), "extra"),
        (lambda r: r.update(schema="other/9"), "`schema` is 'other/9'"),
        (lambda r: r["systems"][0]["scores"][0].update(value="good"), r"systems\[0\].scores\[0\].value"),
        (lambda r: r["systems"][0]["scores"][0].update(metric="video/magic"), "video/magic"),
        (
            lambda r: r["systems"][1].update(name="AvatarSync"),
            r"systems\[1\].name is 'AvatarSync', which is there already",
        ),
        (
            lambda r: r["systems"][0]["scores"].append(r["systems"][0]["scores"][0]),
            r"scores\[11\].metric is 'video/psnr'",
        ),
    ],
)
def test_a_spoiled_run_is_refused_by_file_and_field(source, tmp_path, change, said):
    with pytest.raises(Rejected, match=f"spoiled.json.*{said}"):
        read_sources([spoiled(source, tmp_path, change)])


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"schema": NaN}', "\x00"])
def test_what_is_no_record_is_refused_by_name(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(Rejected, match=r"x\.json"):
        read_sources([tmp_path / "x.json"])
    with pytest.raises(Rejected, match="not there"):
        read_sources([tmp_path / "lost.json"])


def test_other_json_of_a_folder_is_left_alone(tmp_path):
    (tmp_path / "meta.json").write_text('{"schema": "avatarsync-shard/2"}')
    assert read_sources([tmp_path]).found == ()
    with pytest.raises(Rejected, match="no scored grid"):
        read_sources([], [tmp_path])


def test_remarks_of_a_cell_row_and_column_share_letters():
    from benchmark.paper.markdown import _grid

    cell = Cell(text="1", notes=("x", "y"))
    grid = Grid(
        name="n", caption="c", head="h", columns=(Column(title="t", notes=("y",)),),
        rows=(Row(label="r", origin="paper", cells=(cell,), notes=("x",)),),
    )  # fmt: skip
    text = "\n".join(_grid(grid, Path()))
    assert "t<sup>a</sup>" in text and "r<sup>b</sup>" in text and "1<sup>b,a</sup>" in text


def test_without_files_a_checkouts_own_records_are_read(tmp_path):
    kept = ("records/ablation-a.json", "records/demo-sweep.json", "runs/ablation-masks.json")
    for name in ("runs/a.json", "records/maps.json", *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert usual_records(tmp_path) == (tmp_path / "runs", tmp_path / "records")
    (tmp_path / "demo/paper/data").mkdir(parents=True)
    (tmp_path / "demo/run.json").write_text("{}")
    own = ("demo/run.json", "demo/paper/data", *kept)
    assert usual_records(tmp_path) == tuple(tmp_path / each for each in own)
    assert usual_records(tmp_path / "none") == ()


def test_of_two_runs_over_the_same_videos_the_one_stands_that_says_more(tmp_path):
    both = (*CMLR, *HDTF)
    write(tmp_path / "both.json", run_of([system("AvatarSync", both, 20.0)], both))
    write(tmp_path / "alone.json", run_of([system("AvatarSync", CMLR, 15.0)], CMLR))
    sources = read_sources([tmp_path])
    of_corpus = [(row.found.path.name, row.is_whole) for row in scored(sources, "CMLR")]
    assert of_corpus == [("alone.json", True)], "its distances of sets are of these clips"
    assert [row.found.path.name for row in scored(sources)] == ["both.json"]
    other = system("AvatarSync", CMLR, 15.0)
    other = replace(other, videos=dict.fromkeys(CMLR, "0" * 64))
    write(tmp_path / "alone.json", run_of([other], CMLR))
    assert len(scored(read_sources([tmp_path]), "CMLR")) == 2, "other videos are another row"
