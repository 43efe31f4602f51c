"""What is committed under reports/ is what its records say, and rendering says the same every time."""

import shutil
from pathlib import Path

import pytest

from benchmark.rendering import render_reports, run_files
from datapipe.records import Rejected

REPORTS = Path(__file__).parent.parent / "reports"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records alone, somewhere else, and what is rendered from them there."""
    reports = tmp_path_factory.mktemp("copied") / "reports"
    for records in ("runs", "records", "papers"):
        shutil.copytree(REPORTS / records, reports / records)
    render_reports(reports)
    return reports


def test_what_is_committed_was_rendered_from_the_committed_records(rendered: Path) -> None:
    files = sorted(path.relative_to(rendered) for path in rendered.rglob("*") if path.is_file())
    assert Path("leaderboard.md") in files and Path("paper/table1.html") in files
    differing = [
        str(name) for name in files if (REPORTS / name).read_bytes() != (rendered / name).read_bytes()
    ]
    assert not differing, f"run `make report`: {', '.join(differing)}"


def test_a_changed_value_shows(tmp_path: Path) -> None:
    (source,) = [path for path in run_files(REPORTS / "runs") if path.name == "demo-sample-corpus.json"]
    text = source.read_text(encoding="utf-8")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / source.name).write_text(text.replace('"name": "avatarsync"', '"name": "other"'))
    render_reports(tmp_path)
    for page in ("leaderboard.md", "leaderboard.csv", "paper/table1.md"):
        assert (tmp_path / page).read_bytes() != (REPORTS / page).read_bytes()


def test_pages_hold_no_path_of_a_machine(rendered: Path) -> None:
    for path in rendered.rglob("*"):
        if path.suffix in (".md", ".csv", ".html", ".tex"):
            text = path.read_text(encoding="utf-8")
            assert str(rendered) not in text and str(REPORTS) not in text and "/tmp/" not in text


def test_ablations_and_other_records_are_not_on_the_board(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"schema": "avatarsync-run/2"}')
    (tmp_path / "ablation-masks.json").write_text('{"schema": "avatarsync-run/2"}')
    (tmp_path / "latency.json").write_text('{"schema": "avatarsync-latency/1"}')
    assert [path.name for path in run_files(tmp_path)] == ["a.json"]


def test_no_run_or_a_broken_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="holds no run"):
        render_reports(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/a.json").write_text("{")
    with pytest.raises(Rejected, match=r"a\.json is not JSON"):
        render_reports(tmp_path)
    (tmp_path / "runs/a.json").write_text('{"schema": "avatarsync-run/2"}')
    with pytest.raises(Rejected, match=r"a\.json is not a run"):
        render_reports(tmp_path)
