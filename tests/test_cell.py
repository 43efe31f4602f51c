"""A child process per worker: what it prints, what it takes, how it dies, and that the next item goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datapipe.cell import Cell, CellLost

GIB = 2**30
TARGET = '''
import ctypes, os, signal, subprocess, sys, time
BELOW = """
import os, time
from datapipe.tools.serve import die_with_parent
die_with_parent(os.getppid())
kept = b"x" * (700 << 20)
time.sleep(60)
"""
def answer(message):
    what = message["do"]
    if what == "crash": ctypes.string_at(0)
    if what == "leave": os._exit(3)
    if what == "hang": time.sleep(60)
    if what == "eat":
        kept = []
        while True: kept.append(bytearray(os.urandom(1 << 20)) * 16)
    if what == "print": print("a library says hello"); sys.stdout.flush()
    if what == "large": return {"said": "x" * 3_000_000}
    if what == "eat below": subprocess.run([sys.executable, "-c", BELOW])
    return {"pid": os.getpid(), "said": message.get("say", "")}
'''


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    (tmp_path / "celltarget.py").write_text(TARGET)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    made = Cell("celltarget:answer")
    yield made
    made.close()


def ask(cell: Cell, what: str, timeout: float = 20.0, memory: int = GIB, **more: str) -> dict[str, object]:
    return cell.ask({"do": what, **more}, timeout, memory)


def test_one_child_answers_all(cell: Cell) -> None:
    first, second = ask(cell, "say", say="你好\n\u2028"), ask(cell, "print")
    assert first["said"] == "你好\n\u2028" and first["pid"] == second["pid"] != os.getpid()
    assert len(str(ask(cell, "large")["said"])) == 3_000_000


@pytest.mark.parametrize(
    ("what", "how", "detail"),
    [("crash", "crashed", "SIGSEGV"), ("leave", "crashed", "code 3"), ("hang", "timeout", "0 s"),
     ("eat", "too_large", "GiB"), ("eat below", "too_large", "GiB")],
)  # fmt: skip
def test_a_loss_has_its_reason_and_the_next_item_a_new_child(
    cell: Cell, what: str, how: str, detail: str
) -> None:
    before = ask(cell, "say")
    with pytest.raises(CellLost, match=detail) as caught:
        ask(cell, what, timeout=0.4 if what == "hang" else 20.0, memory=GIB // 2)
    assert caught.value.how == how
    after = ask(cell, "say")
    assert after["pid"] != before["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(before["pid"])), 0)


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path, cell: Cell) -> None:
    code = (
        "from datapipe.cell import Cell; c = Cell('celltarget:answer');"
        "print(c.ask({'do': 'say'}, 20, 1 << 30)['pid'], flush=True); c.ask({'do': 'hang'}, 60, 1 << 30)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    raise AssertionError("the child goes on without its parent")
