"""A tool environment that costs nothing: our own interpreter, a program in a temporary folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from datapipe.files import sha256_of, write_text
from datapipe.records import to_json
from datapipe.tools import registry
from datapipe.tools.home import COMPLETE, Made
from datapipe.tools.registry import Tool

PROGRAM = """
import ctypes, os, pathlib, signal, socket, subprocess, sys, time, urllib.request
import numpy as np
from serve import ToolError
import neighbour

def once(values):  # true the first time that a file's name is asked for
    try:
        pathlib.Path(values["mark"]).touch(exist_ok=False)
        return True
    except FileExistsError:
        return False

def echo(values, arrays):
    return values | {"pid": os.getpid(), "cwd": os.getcwd(), "said": neighbour.WORD}, arrays
def change(values, arrays):
    for array in arrays.values():
        array += 1
    return {"float": np.float32(0.5), "int": np.int64(3)}, arrays
def crash(values, arrays):
    print("about to fall", file=sys.stderr, flush=True)
    ctypes.string_at(0)
def crash_once(values, arrays):
    if once(values): os.kill(os.getpid(), signal.SIGKILL)
    return echo(values, arrays)
def hang(values, arrays):
    child = subprocess.Popen(["sleep", "60"])
    pathlib.Path(values["mark"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
def chatter(values, arrays):
    print('{"ok": {"values": {"forged": 1}, "arrays": []}}', flush=True)
    os.write(1, b"garbage\\x00\\xff\\n")
    subprocess.run(["echo", "a program's words"], check=True)
    return {"read": subprocess.run(["cat"], capture_output=True).stdout.decode()}, {}
def reject(values, arrays):
    raise ToolError(values["reason"], "no face in frame 3; leave the clip out")
def bug(values, arrays):
    return {"x": {}["a key that is not there"]}, {}
def download(values, arrays):
    if values["how"] == "url": urllib.request.urlopen("http://127.0.0.1:9/")
    if values["how"] == "socket": socket.create_connection(("127.0.0.1", 9))
    if values["how"] == "name": socket.getaddrinfo("localhost", 80)
    if values["how"] == "datagram": socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
def pair(values, arrays):
    left, right = socket.socketpair()
    left.sendmsg([b"hello"])
    return {"read": right.recv(9).decode()}, {}
def objects(values, arrays):
    return {}, {"x": np.array([{}, []], object)}
def variables(values, arrays):
    return {name: os.environ.get(name) for name in values["names"]}, {}

OPERATIONS = {name: each for name, each in list(globals().items()) if callable(each) and name != "ToolError"}
"""


@pytest.fixture
def toolbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Register the tool `fake`, created already."""
    folder = tmp_path / "fake tool"
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    (folder / "neighbour.py").write_text("WORD = '你好'")
    (folder / "lock.txt").write_text("six==1.17.0\n")
    monkeypatch.setenv("AVATARSYNC_TOOLS", str(tmp_path / "home"))
    monkeypatch.setitem(registry.TOOLS, "fake", fake_tool(folder))
    made = Made(
        lock_sha256=sha256_of(folder / "lock.txt"),
        python=sys.executable,
        installer="none",
        seconds=0.0,
        num_bytes=0,
        versions={},
    )
    write_text(tmp_path / "home" / "fake" / COMPLETE, to_json(made))
    return registry.TOOLS["fake"]


def fake_tool(folder: Path) -> Tool:
    """Describe the tool; another process puts it into its registry by itself."""
    return Tool(
        name="fake",
        packages=("six",),
        imports=("six",),
        folder=folder,
        download_bytes=1,
        disk_bytes=1,
        minutes=1,
    )
