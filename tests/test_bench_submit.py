"""Submissions: what was packed arrives, what was changed is named, and a board takes only what fits."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.__main__ import main
from benchmark.records import Protocol, Run
from benchmark.runs import read_run, read_runs, write_run
from benchmark.stats import differences
from benchmark.submit.merge import merge
from benchmark.submit.pack import Submission, chain_of, pack, read_submission, write_submission
from datapipe.records import Rejected, to_dict

COMMITTED = Path(__file__).parent.parent / "reports/runs/demo-sample-corpus.json"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def run() -> Run:
    return read_run(COMMITTED)


@pytest.fixture(scope="module")
def packed(run: Run) -> Submission:
    return pack(run, "run.json")


def a_system(run: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in run["systems"] if row["kind"] == "system")


def a_score(run: dict[str, Any]) -> dict[str, Any]:
    return next(score for score in a_system(run)["scores"] if score["metric"] == "video/psnr")


def rewritten(packed: Submission, path: Path, change: Change, chained: bool) -> Path:
    """Change the run inside the file; `chained` as a careful forger does, with a new chain."""
    value = json.loads(json.dumps(to_dict(packed)))
    change(value["run"])
    if chained:
        value["chain"] = to_dict(chain_of(value["run"]))
    path.write_text(json.dumps(value))
    return path


def test_a_packed_run_arrives_as_it_was(run: Run, packed: Submission, tmp_path: Path) -> None:
    write_submission(tmp_path / "s.json", packed)
    arrived = read_submission(tmp_path / "s.json")
    assert arrived.run == run and arrived.hash == packed.hash
    path = merge(arrived, "s.json", tmp_path / "board", False)
    assert path.parent == tmp_path / "board/runs" and read_run(path) == run


def test_the_same_run_gives_the_same_bytes_and_no_media(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        write_submission(tmp_path / name, pack(run, "run.json"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 2 * COMMITTED.stat().st_size


CHANGES: dict[str, tuple[Change, str]] = {
    "created": (lambda run: run.update(created="2001-01-01"), "created"),
    "value": (lambda run: a_score(run).update(value=99.0), "video/psnr"),
    "per_clip": (
        lambda run: a_score(run)["per_clip"].update({next(iter(run["reference"])): 1.0}),
        "video/psnr",
    ),
    "name": (lambda run: a_system(run).update(name="mine"), "systems, mine"),
    "video": (
        lambda run: a_system(run)["videos"].update({next(iter(run["reference"])): "0" * 64}),
        "systems, ",
    ),
    "protocol": (lambda run: run["metrics"][0]["protocol"].update(extra=1), "metrics, "),
    "weights": (lambda run: run.update(weights={}), "weights"),
    "environment": (lambda run: run.update(environment={}), "environment"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_part_is_named(packed: Submission, tmp_path: Path, name: str) -> None:
    change, part = CHANGES[name]
    path = rewritten(packed, tmp_path / "s.json", change, chained=False)
    with pytest.raises(Rejected, match=rf"s\.json: run, .*{part}.*changed since it was packed"):
        read_submission(path)


def test_a_shortened_chain_is_refused(packed: Submission, tmp_path: Path) -> None:
    value = to_dict(packed)
    value["chain"] = value["chain"][:-1]
    (tmp_path / "s.json").write_text(json.dumps(value))
    with pytest.raises(Rejected, match="field chain"):
        read_submission(tmp_path / "s.json")


def rename_case(run: dict[str, Any], to: str) -> None:
    old = next(iter(run["reference"]))
    text = json.dumps(run).replace(json.dumps(old), json.dumps(to))
    run.clear()
    run.update(json.loads(text))


def protocol_of(run: dict[str, Any], **settings: object) -> None:
    info = run["metrics"][0]
    info["protocol"].update(settings)
    info["protocol_hash"] = Protocol(tuple(sorted(info["protocol"].items()))).hash


FORGERIES: dict[str, tuple[Change, str]] = {
    "a better mean": (
        lambda run: a_score(run).update(value=99.0, high=99.0),
        "psnr, value: 99.0 does not follow",
    ),
    "a narrower interval": (
        lambda run: a_score(run).update(low=a_score(run)["value"]),
        "psnr, low: .* does not follow",
    ),
    "a clip left out": (lambda run: a_score(run)["per_clip"].popitem(), "psnr, num_ok"),
    "a clip too many": (
        lambda run: a_score(run)["per_clip"].update(nowhere=1.0),
        "per_clip has a clip 'nowhere'",
    ),
    "fewer clips": (lambda run: a_score(run).update(num_total=3), "num_ok says 8 of 3 clips"),
    "a failure hidden": (lambda run: a_score(run).update(num_ok=3), "num_ok"),
    "no reason": (lambda run: a_score(run).update(value=None), "a value or a reason"),
    "a difference": (lambda run: run["differences"][0].update(p_value=1e-9), "differences, p_value"),
    "a difference hidden": (lambda run: run["differences"].pop(), "differences: "),
    "a failed check": (lambda run: run["checks"][0].update(passed=False, found="no"), "checks, "),
    "another direction": (
        lambda run: run["metrics"][0].update(direction="lower"),
        "direction, target or unit",
    ),
    "an unknown metric": (
        lambda run: run["metrics"].append(run["metrics"][0] | {"name": "video/own"}),
        "video/own is no metric",
    ),
    "a metric twice": (
        lambda run: run["metrics"].append(run["metrics"][0]),
        "which is there already",
    ),
    "a system twice": (lambda run: run["systems"].append(run["systems"][-1]), "which is there already"),
    "a protocol's hash": (lambda run: run["metrics"][0]["protocol"].update(extra=1), "protocol_hash"),
    "a path": (lambda run: rename_case(run, "../../etc/passwd"), "is a path"),
    "a hidden file": (lambda run: rename_case(run, ".ssh"), "is a path"),
    "a name that blinks": (lambda run: a_system(run).update(name="a\u001b[5mb"), "not printable"),
    "no name": (lambda run: a_system(run).update(name=" "), "empty"),
    "a hash that is none": (
        lambda run: run["reference"].update(dict.fromkeys(run["reference"], "x")),
        "sha256",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_does_not_follow_is_refused_under_any_chain(
    packed: Submission, tmp_path: Path, name: str
) -> None:
    change, why = FORGERIES[name]
    path = rewritten(packed, tmp_path / "s.json", change, chained=True)
    with pytest.raises(Rejected, match=why) as caught:
        read_submission(path)
    assert str(path) in caught.value.message and caught.value.reason == "bad_input"


BROKEN = {
    "not json": ("{", "is not JSON"),
    "no object": ("[1]", "field schema"),
    "another schema": ('{"schema": "avatarsync-submission/9"}', "field schema"),
    "no run": ('{"schema": "avatarsync-submission/1", "run": 3, "chain": []}', "field run.schema"),
    "fields missing": (
        '{"schema": "avatarsync-submission/1", "run": {"schema": "avatarsync-run/2"}, "chain": []}',
        "its fields are not those",
    ),
    "not a number": ('{"schema": NaN}', "is not JSON"),
    "too deep": ("[" * 200_000, "is not JSON"),
    "binary": ("\x00PK\x03\x04", "is not JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    content, why = BROKEN[name]
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(Rejected, match=why):
        read_submission(tmp_path / "s.json")


def test_an_unknown_field_and_a_huge_or_missing_file_are_refused(packed: Submission, tmp_path: Path) -> None:
    path = rewritten(packed, tmp_path / "s.json", lambda run: run.update(script="rm"), chained=True)
    with pytest.raises(Rejected, match="its fields are not those"):
        read_submission(path)
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(65 << 20)
    with pytest.raises(Rejected, match="larger than 64 MB"):
        read_submission(tmp_path / "huge")
    with pytest.raises(Rejected, match="is not there"):
        read_submission(tmp_path / "gone")


def changed(run: Run, tmp_path: Path, change: Change) -> Submission:
    """Another honest run: changed before it was packed."""
    value = json.loads(json.dumps(to_dict(run))) | {"created": "2030-01-01"}
    change(value)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(value))
    return pack(read_run(path), "changed.json")


def test_duplicates_are_refused_and_nothing_is_written(run: Run, packed: Submission, tmp_path: Path) -> None:
    merge(packed, "one", tmp_path, False)
    with pytest.raises(Rejected, match="one: the board has this run already"):
        merge(packed, "one", tmp_path, False)
    later = changed(run, tmp_path, lambda value: value.update(seconds={}))
    with pytest.raises(Rejected, match=r"scores of .* on the same videos already"):
        merge(later, "later", tmp_path, False)
    same_moment = pack(replace(run, seconds={}), "run.json")
    with pytest.raises(Rejected, match="the board has a run of"):
        merge(same_moment, "same", tmp_path, False)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_new_system_joins_the_table(run: Run, packed: Submission, tmp_path: Path) -> None:
    merge(packed, "one", tmp_path, False)
    rows = tuple(row for row in run.systems if row.name != "avatarsync")
    fewer = pack(
        replace(run, created="2030", systems=rows, differences=differences(rows), checks=()), "fewer"
    )
    with pytest.raises(Rejected, match="already"):
        merge(fewer, "fewer", tmp_path, False)
    other = changed(run, tmp_path, lambda value: protocol_of(value, align_size="refuse"))
    with pytest.raises(
        Rejected, match=r"two: run, metrics, video/psnr: protocol .*align_size: refuse here, resample"
    ):
        merge(other, "two", tmp_path, False)
    assert len(read_runs((tmp_path / "runs",))) == 1


def test_other_ground_truth_needs_to_be_asked_for(run: Run, packed: Submission, tmp_path: Path) -> None:
    merge(packed, "one", tmp_path, False)
    other = changed(run, tmp_path, lambda value: value["reference"].update({min(run.reference): "0" * 64}))
    with pytest.raises(Rejected, match="--new-reference"):
        merge(other, "two", tmp_path, False)
    merge(other, "two", tmp_path, True)
    assert len({each.reference_hash for each in read_runs((tmp_path / "runs",))}) == 2


def test_the_commands_pack_and_merge(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run.json", run)
    packed, board = tmp_path / "s.json", tmp_path / "board"
    assert main(["submit", "--run", str(tmp_path / "run.json"), "--out", str(packed)]) == 0
    assert main(["merge", "--submission", str(packed), "--into", str(board)]) == 0
    (merged,) = (board / "runs").iterdir()
    assert capsys.readouterr().out.strip() == str(merged) and read_run(merged) == run
    assert main(["merge", "--submission", str(packed), "--into", str(board)]) == 2
