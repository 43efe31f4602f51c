"""A tool's worker: what crosses the border and how, what it may not do, how it dies, and what is left."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toolbox import toolbox  # noqa: F401 - a fixture

from datapipe import scratch
from datapipe.cell import Cell
from datapipe.records import Rejected
from datapipe.tools import serve, worker
from datapipe.tools.registry import TOOLS, Tool
from datapipe.tools.worker import ToolFailed, Worker, worker_of

pytestmark = pytest.mark.usefixtures("toolbox")
DTYPES = st.one_of(
    hnp.integer_dtypes(endianness="?"), hnp.floating_dtypes(endianness="?"), hnp.boolean_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
)  # fmt: skip
ELSEWHERE = f"""
import sys, pathlib, numpy as np
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import toolbox
from datapipe.tools import registry
from datapipe.tools.worker import worker_of
registry.TOOLS['fake'] = toolbox.fake_tool(pathlib.Path({{folder!r}}))
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    made = Worker("fake")
    yield made
    made.close()
    assert not list((tmp_path / "tmp").iterdir()), "temporary files are left"


def folders_in_memory() -> set[Path]:
    return set(scratch.MEMORY.glob(f"{scratch.PREFIX}*"))


def wait_until(true: object, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_one_process_answers_all_and_values_come_back(fake: Worker, tmp_path: Path) -> None:
    first = fake.ask("echo", text="语音\u2028\n", number=0.1, nested={"a": [1, None, True]}, path=tmp_path)
    second = fake.ask("echo", count=np.int64(7), share=np.float32(0.5))
    assert first.values["text"] == "语音\u2028\n" and first.values["nested"] == {"a": [1, None, True]}
    assert first.values["number"] == 0.1 and first.values["path"] == str(tmp_path)
    assert second.values["count"] == 7 and second.values["share"] == 0.5 and first.values["said"] == "你好"
    assert first.values["pid"] == second.values["pid"] != os.getpid()
    assert first.values["cwd"] != str(Path.cwd()), "what a package drops must not land in the user's folder"


def test_numpy_numbers_become_plain_and_arrays_are_writable_on_both_sides(fake: Worker) -> None:
    sent = np.zeros((3, 2**19))
    answer = fake.ask("change", arrays={"large": sent, "small": np.zeros(2)})
    assert answer.values == {"float": 0.5, "int": 3} and (answer.arrays["large"] == 1).all()
    assert not sent.any(), "the caller's array is its own"
    answer.arrays["large"] += 1
    answer.arrays["small"] += 1
    assert (answer.arrays["large"] == 2).all() and (answer.arrays["small"] == 2).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_arrays_cross_unchanged(fake: Worker, array: np.ndarray) -> None:
    sent = {"a": array, "turned": array.T, "step": array[::2] if array.ndim else array}
    back = fake.ask("echo", arrays=sent)
    for name, expected in sent.items():
        assert back.arrays[name].dtype == expected.dtype and back.arrays[name].shape == expected.shape
        np.testing.assert_array_equal(back.arrays[name], expected)
    assert list(back.arrays) == list(sent)


def test_a_film_crosses_without_leaving_files(fake: Worker) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (100, 256, 256, 3), np.uint8)
    back = fake.ask("echo", arrays={"frames": frames}).arrays["frames"]
    np.testing.assert_array_equal(back, frames)
    assert not [path for folder in fake._folders for path in folder.glob("*.npy")]


def test_a_full_memory_folder_sends_arrays_by_the_disk(fake: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SHARE", 0.0)  # of our side: the question goes to the last folder
    written: list[list[object]] = []
    write = serve.write_arrays
    monkeypatch.setattr(serve, "write_arrays", lambda *given: written.extend(write(*given)) or written)
    answer = fake.ask("echo", arrays={"a": np.arange(10)})
    assert written == [["a", len(fake._folders) - 1]] and answer.arrays["a"][9] == 9


def test_a_folder_that_fills_up_while_it_is_written_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, roomy = tmp_path / "full", tmp_path / "roomy"
    save = np.save

    def filling(stream: object, array: object, **given: object) -> None:
        if "full" in stream.name:  # type: ignore[attr-defined]
            raise OSError(28, "No space left on device")
        save(stream, array, **given)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(np, "save", filling)
    full.mkdir(), roomy.mkdir()
    assert serve.write_arrays({"a": np.zeros(4)}, "answer", [full, roomy]) == [["a", 1]]
    assert not list(full.iterdir()) and serve.take_arrays([["a", 1]], "answer", [full, roomy])["a"].shape == (
        4,
    )
    with pytest.raises(OSError, match="No space"):
        serve.write_arrays({"a": np.zeros(4)}, "answer", [full])


def test_nothing_is_pickled_either_way(fake: Worker, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        fake.ask("echo", arrays={"x": np.array([{}], object)})
    with pytest.raises(ToolFailed, match="allow_pickle"):
        fake.ask("objects")
    np.save(tmp_path / "answer-0.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        serve.take_arrays([["x", 0]], "answer", [tmp_path])
    assert not {"pickle.load", "import pickle"} & set(Path(serve.__file__).read_text().split("\n"))


def test_what_packages_print_is_passed_on_and_breaks_no_message(
    fake: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "datapipe.tools.worker"):
        assert fake.ask("chatter").values == {"read": ""}, "a program that a tool starts reads no message"
    said = caplog.text
    assert "garbage" in said and "a program's words" in said and "forged" in said
    assert fake.ask("echo", x=1).values["x"] == 1


def test_an_expected_failure_is_a_rejection_and_a_bug_brings_its_traceback(fake: Worker) -> None:
    with pytest.raises(Rejected, match="frame 3") as caught:
        fake.ask("reject", reason="no_face")
    assert caught.value.reason == "no_face"
    with pytest.raises(ToolFailed, match="no face in frame 3"):
        fake.ask("reject", reason="a reason that nobody knows")
    with pytest.raises(ToolFailed, match=r"(?s)`bug` of the tool.*program\.py.*a key that is not there"):
        fake.ask("bug")
    with pytest.raises(ToolFailed, match=r"has no operation `ecco`; it has .*echo"):
        fake.ask("ecco")


def test_a_worker_killed_in_mid_call_costs_a_repetition(fake: Worker, tmp_path: Path) -> None:
    before = fake.ask("echo").values["pid"]
    after = fake.ask("crash_once", arrays={"a": np.arange(5)}, mark=tmp_path / "mark")
    assert after.values["pid"] != before and after.arrays["a"].tolist() == [0, 1, 2, 3, 4]


def test_a_call_that_kills_twice_is_rejected_with_its_last_words(fake: Worker) -> None:
    with pytest.raises(Rejected, match="about to fall") as caught:
        fake.ask("crash")
    assert caught.value.reason == "crashed" and "SIGSEGV" in caught.value.message
    assert fake.ask("echo", x=2).values["x"] == 2


def test_a_call_that_takes_too_long_ends_with_all_that_it_started(fake: Worker, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        fake.ask("hang", mark=tmp_path / "pids", timeout=1.0)
    assert caught.value.reason == "timeout"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert fake.ask("echo", x=2).values["x"] == 2


@pytest.mark.parametrize("how", ["url", "socket", "name", "datagram"])
def test_no_connection_is_opened(fake: Worker, how: str) -> None:
    with pytest.raises(ToolFailed, match="a tool tried to open a connection"):
        fake.ask("download", how=how)
    assert fake.ask("pair").values == {"read": "hello"}


def test_telemetry_is_off_and_our_packages_are_out_of_reach(fake: Worker) -> None:
    names = [
        "PYANNOTE_METRICS_ENABLED",
        "HF_HUB_OFFLINE",
        "DO_NOT_TRACK",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "TMPDIR",
    ]
    values = fake.ask("variables", names=names).values
    assert [values[name] for name in names[:5]] == ["0", "1", "1", None, None]
    assert values["TMPDIR"].startswith(os.environ["TMPDIR"])
    assert all(dict(tool.environment)["PYANNOTE_METRICS_ENABLED"] == "0" for tool in TOOLS.values())


def test_a_missing_or_outdated_environment_says_how_to_make_it(toolbox: Tool, tmp_path: Path) -> None:  # noqa: F811
    (toolbox.folder / "lock.txt").write_text("six==1.16.0\n")
    with pytest.raises(Rejected, match=r"is outdated .*avatarsync tools create fake") as caught:
        Worker("fake").ask("echo")
    assert caught.value.reason == "missing_tool"
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(Rejected, match="is absent"):
        Worker("fake").ask("echo")
    with pytest.raises(Rejected, match="unknown tool `visoin`; did you mean `vision`"):
        Worker("visoin")


def test_threads_take_turns(fake: Worker) -> None:
    said: dict[int, object] = {}

    def ask(number: int) -> None:
        said[number] = fake.ask("echo", arrays={"a": np.full(3, number)}, number=number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert all(said[n].values["number"] == n and said[n].arrays["a"][0] == n for n in range(8))  # type: ignore[attr-defined]


def test_a_worker_does_not_outlive_a_killed_parent_and_its_memory_is_given_back(tmp_path: Path) -> None:
    before = folders_in_memory()
    call = f"worker_of('fake').ask('hang', arrays={{'a': np.zeros(9)}}, mark={str(tmp_path / 'pids')!r})"
    code = ELSEWHERE.format(folder=str(tmp_path / "fake tool")) + call
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent.parent)
    wait_until((tmp_path / "pids").exists)
    wait_until(lambda: (tmp_path / "pids").read_text())
    pid = int((tmp_path / "pids").read_text().split()[0])
    assert is_alive(pid) and len(folders_in_memory() - before) == 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not is_alive(pid))
    scratch.sweep_fast_folders()
    assert not folders_in_memory() - before


def test_a_killed_cell_takes_its_tool_worker_and_its_memory_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a build: the clip's child asks the tool, and is killed because the clip takes too long."""
    call = "def answer(message):\n    return worker_of('fake').ask(**message).values\n"
    code = ELSEWHERE.format(folder=str(tmp_path / "fake tool")) + call
    (tmp_path / "celltool.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    before = folders_in_memory()
    cell = Cell("celltool:answer")
    first = cell.ask({"operation": "echo"}, 20, 4 << 30)
    assert is_alive(first["pid"]) and len(folders_in_memory() - before) == 1
    cell.close()
    wait_until(lambda: not is_alive(first["pid"]))
    assert not folders_in_memory() - before


def test_one_worker_per_process_and_a_sweep_spares_the_living(fake: Worker) -> None:
    fake.ask("echo")
    held = folders_in_memory()
    scratch.sweep_fast_folders()
    assert folders_in_memory() == held and fake.ask("echo", x=3).values["x"] == 3
    assert worker_of("fake") is worker_of("fake")
    worker._workers.clear()
