import subprocess
import sys

import pytest

from datapipe import console
from datapipe.records import Rejected


def test_expected_failures_are_one_line_and_a_code(capsys) -> None:
    def fail(reason: str) -> int:
        raise Rejected(reason, "the sentence")

    assert console.guarded(lambda: fail("bad_input")) == 2
    assert console.guarded(lambda: fail("unknown_language")) == 2
    assert console.guarded(lambda: fail("not_aligned")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("error: the sentence\n") == 3


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert console.guarded(lambda: (tmp_path / "file" / "below").mkdir()) == 1
    assert "Not a directory; choose another place" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        console.guarded(lambda: (tmp_path / "none").read_text() and 0)


def test_success_none_and_own_codes() -> None:
    assert console.guarded(lambda: None) == 0
    assert console.guarded(lambda: 3) == 3


def test_interruption_is_said_and_has_its_code(capsys) -> None:
    def stop() -> int:
        raise KeyboardInterrupt

    assert console.guarded(stop) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = (
        "import sys; from datapipe.console import emit, guarded;"
        "sys.exit(guarded(lambda: [emit('line ' * 200) for _ in range(2000)] and 0))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        assert writer.stdout and writer.stderr
        assert writer.stdout.readline().startswith(b"line")
        writer.stdout.close()
        assert (writer.stderr.read(), writer.wait()) == (b"", 0)


def test_bugs_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        console.guarded(lambda: 1 // 0)


def test_data_goes_to_stdout_and_talk_to_stderr(capsys) -> None:
    console.emit('{"a": 1}')
    console.say("[not markup] 3/4")
    out, err = capsys.readouterr()
    assert out == '{"a": 1}\n'
    assert err == "[not markup] 3/4\n"


def test_track_yields_everything_also_without_a_length(capsys) -> None:
    assert list(console.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert list(console.track((i for i in range(2)), "counting", total=2)) == [0, 1]
    assert capsys.readouterr().out == ""
