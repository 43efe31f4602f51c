"""The numbers of the papers: as their text has them, and with each other."""

import os
import re
from pathlib import Path

import pytest

from benchmark.paper.quoted import NAMES, PAPERS, QuotedRow, QuotedTable, number_of, quoted
from datapipe.records import Rejected, to_json

SEEDS = os.environ.get("AVATARSYNC_PAPERS", "")
TEXTS = [path.read_text(encoding="utf-8") for path in sorted(Path(SEEDS).glob("*.txt"))] if SEEDS else []
AT_HAND = pytest.mark.skipif(
    not TEXTS, reason="the papers' text is not at hand: name its folder in AVATARSYNC_PAPERS"
)
CLIP_SECONDS = 3.92
"""98 frames at 25 per second."""


def plain(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>|\|", " ", line)).strip()


def lines_of(start: str) -> list[str]:
    """Lines of the one text that begins with a phrase."""
    (text,) = (each for each in TEXTS if start in each[:1500])
    return [plain(line) for line in text.splitlines()]


def printed(table: QuotedTable, row: QuotedRow, group: str = "") -> list[str]:
    """A row's cells in the order of the columns."""
    names = [each.name for each in table.columns if not group or each.group in ("", group)]
    return [row.cells[name] for name in names if name in row.cells]


def column(table: QuotedTable, name: str) -> dict[str, float]:
    return {row.name: number_of(row.cells[name]) for row in table.rows if name in row.cells}


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_file_is_what_the_codec_writes(name):
    assert (PAPERS / f"{name}.json").read_text(encoding="utf-8") == to_json(quoted(name)) + "\n"


def test_an_unknown_paper_is_named():
    with pytest.raises(Rejected, match="no paper `hallo`"):
        quoted("hallo")


@AT_HAND
@pytest.mark.parametrize("name", ["Table 1", "Table 2", "Table 4", "Table 5"])
def test_every_row_is_a_line_of_the_papers_text(name):
    lines = lines_of("AVATAR SYNC: RETHINKING")
    table = quoted().table(name)
    for row in table.rows:
        assert " ".join((row.name, *printed(table, row))) in lines


@AT_HAND
def test_the_loss_grid_is_the_papers():
    """Its rows begin with an experiment's number and check marks."""
    lines = lines_of("AVATAR SYNC: RETHINKING")
    table = quoted().table("Table 6")
    ends = [" ".join(printed(table, row)) for row in table.rows]
    begun = [next(k for k, line in enumerate(lines) if line.endswith(end)) for end in ends]
    assert begun == list(range(begun[0], begun[0] + 8))
    for row, at in zip(quoted().table("Table 6").rows, begun, strict=True):
        assert lines[at].count("✓") == len(row.name.split(" + "))


@AT_HAND
def test_marks_are_the_papers():
    """Bold and underlined cells of Table 1, as often as the paper has them."""
    (text,) = (each for each in TEXTS if "AVATAR SYNC: RETHINKING" in each[:1500])
    for row in quoted().table("Table 1").rows:
        raw = next(line for line in text.splitlines() if plain(line).startswith(row.name) and "0." in line)
        bold, lined = re.findall(r"<b>([\d.]+)</b>", raw), re.findall(r"<u>([\d.]+)</u>", raw)
        names = [each.name for each in quoted().table("Table 1").columns]
        assert [row.cells[name] for name in names if name in row.best] == bold
        assert [row.cells[name] for name in names if name in row.second] == lined


@AT_HAND
def test_what_figures_say_is_in_words():
    text = " ".join(lines_of("AVATAR SYNC: RETHINKING"))
    for word in ("4.8 \\pm 0.41", "3.8 \\pm 0.48", "4.4 \\pm 0.50", "3.6 \\pm 0.62", "2.4 \\times"):
        assert word in text
    assert "41.8%, 9.6%, and 21.5%" in text


@AT_HAND
def test_eartalking_and_joyavatar_are_as_printed():
    lines = lines_of("EARTalking: End-to-end")
    table = quoted("eartalking").table("Table 1")
    for group in ("HDTF", "MEAD"):
        for row in table.rows:
            end = " ".join((row.name, *printed(table, row, group)))
            assert any(line.endswith(end) for line in lines), (group, row.name)
    for name in ("Table 2", "Table 3"):
        table = quoted("eartalking").table(name)
        assert all(" ".join((row.name, *printed(table, row))) in lines for row in table.rows)
    assert any("16 FPS on a single GPU" in text for text in TEXTS)


def test_real_time_factors_are_latency_over_the_clips_length():
    for row in quoted().table("Table 2").rows:
        assert number_of(row.cells["latency"]) / CLIP_SECONDS == pytest.approx(
            number_of(row.cells["RTF"]), abs=0.005
        )


@pytest.mark.parametrize("name", ["Table 1", "Table 2", "Table 5", "Table 6"])
def test_bold_is_the_best_by_the_printed_arrow(name):
    """Where a column has bold cells they are all that have its best value."""
    table = quoted().table(name)
    for each in table.columns:
        values = column(table, each.name)
        bold = {row.name for row in table.rows if each.name in row.best}
        best = min(values.values()) if each.arrow == "lower" else max(values.values())
        if bold:
            assert bold == {row for row, value in values.items() if value == best}, each.name
        else:
            assert table.notes_on("", each.name) and len(set(values.values())) == 1


@pytest.mark.parametrize("name", ["Table 1", "Table 6"])
def test_underlined_is_second_and_what_lacks_the_line_has_a_note(name):
    table = quoted().table(name)
    for each in table.columns:
        values = column(table, each.name)
        ordered = sorted(set(values.values()), reverse=each.arrow == "higher")
        lined = {row.name for row in table.rows if each.name in row.second}
        second = {row for row, value in values.items() if value == ordered[1]}
        assert lined <= second
        bold = {row.name for row in table.rows if each.name in row.best}
        if len(bold) == 1:  # several best leave no second
            assert all(table.notes_on(row, each.name) for row in second - lined), each.name


def test_totals_of_the_crop_table_are_means_of_its_speakers():
    table = quoted().table("Table 4")
    for each in table.columns:
        values = column(table, each.name)
        total = values.pop("Total")
        noted = table.notes_on("Total", each.name)
        assert sum(values.values()) / 5 == pytest.approx(total, abs=1e-4 if noted else 5.1e-5), each.name


def test_dynamic_allocation_is_the_model_of_the_first_table():
    first, fifth = (quoted().table(name) for name in ("Table 1", "Table 5"))
    assert {f"CMLR {name}": value for name, value in fifth.row("Dynamic (ours)").cells.items()} == {
        name: value for name, value in first.row("AvatarSync").cells.items() if name.startswith("CMLR")
    }


def test_average_ranks_of_eartalking_are_sums_over_six():
    """Five metrics are ranked; dividing by six gives all twelve printed values, cut after two digits."""
    table = quoted("eartalking").table("Table 1")
    for group in ("HDTF", "MEAD"):
        ranks = dict.fromkeys((row.name for row in table.rows), 0)
        for each in table.columns:
            if each.group == group and each.title != "Avg-R":
                values = column(table, each.name)
                ordered = sorted(values.values(), reverse=each.arrow == "higher")
                for row, value in values.items():
                    ranks[row] += 1 + ordered.index(value)
        for row, printed in column(table, f"{group} Avg-R").items():
            assert int(100 * ranks[row] / 6) / 100 == pytest.approx(printed), (group, row)


def test_losing_a_column_is_refused():
    table = quoted().table("Table 5")
    with pytest.raises(ValueError, match="Table 5 has no column"):
        QuotedTable(id="Table 5", caption="", page=None, columns=table.columns[:2], rows=table.rows)
