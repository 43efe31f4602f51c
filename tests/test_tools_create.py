"""Making a tool environment: whole or not there, by one at a time, with what the system and pip offer."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from datapipe.files import sha256_of
from datapipe.records import Rejected
from datapipe.tools import commands, create, home, installer, needs, registry
from datapipe.tools.installer import Installer
from datapipe.tools.registry import TOOLS, Tool

BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tinybuilt-2.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in FILES.items():
            wheel.writestr(path, text)
    return name
"""


def wheel_files(name: str, version: str, module: str) -> dict[str, str]:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": module,
        f"{name}_data/tool-7.1": "#!/bin/sh\necho tool\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    return files | {f"{info}/RECORD": "".join(rows) + f"{info}/RECORD,,\n"}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A tool whose packages lie in a folder: one wheel, and one source that must be built."""
    index, folder = tmp_path / "index", tmp_path / "tiny"
    index.mkdir(), folder.mkdir()
    with zipfile.ZipFile(index / "tinywheel-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in wheel_files("tinywheel", "1.0", "WORD = 'here'").items():
            wheel.writestr(path, text)
    backend = f"FILES = {wheel_files('tinybuilt', '2.0', 'import tinywheel')!r}\n" + BACKEND
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    info = "Metadata-Version: 2.1\nName: tinybuilt\nVersion: 2.0\n"
    with tarfile.open(index / "tinybuilt-2.0.tar.gz", "w:gz") as source:
        for name, text in {"backend.py": backend, "pyproject.toml": system, "PKG-INFO": info}.items():
            entry = tarfile.TarInfo(f"tinybuilt-2.0/{name}")
            entry.size = len(text.encode())
            source.addfile(entry, io.BytesIO(text.encode()))
    (folder / "lock.txt").write_text("tinybuilt==2.0\ntinywheel==1.0\n")
    tool = Tool(
        name="tiny",
        packages=("tinywheel", "tinybuilt"),
        imports=("tinywheel", "tinybuilt"),
        folder=folder,
        compiled=("tinybuilt",),
        programs=(("tool", "tinywheel_data/tool-*"),),
        download_bytes=1,
        disk_bytes=1,
        minutes=1,
    )
    monkeypatch.setitem(registry.TOOLS, "tiny", tool)
    monkeypatch.setenv("AVATARSYNC_TOOLS", str(tmp_path / "home"))
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(create.shutil, "which", lambda name: None)  # no uv
    return tool


@pytest.mark.slow
def test_an_environment_is_made_tried_listed_used_and_removed(
    tiny: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["create", "tiny", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"] == "ready" and row["versions"] == {"tinywheel": "1.0", "tinybuilt": "2.0"}
    assert row["num_bytes"] > 1e6 and row["seconds"] > 0 and row["installer"].startswith("pip ")
    kept = list((home.home() / "wheels").rglob("tinybuilt-2.0-*.whl"))
    assert len(kept) == 1 and "cp311" in kept[0].parent.name
    (home.folder_of(tiny) / "bin/tool").resolve().chmod(0o755)
    python, program = home.python_of(tiny), home.folder_of(tiny) / "bin/tool"
    code = "import tinybuilt; print(tinybuilt.tinywheel.WORD)"
    assert subprocess.check_output([python, "-I", "-c", code], text=True) == "here\n"
    assert subprocess.check_output([program], text=True) == "tool\n"
    assert commands.main(["check", "tiny"]) == 0
    (package,) = home.folder_of(tiny).glob("lib/*/site-packages/tinywheel.py")
    package.unlink()
    assert commands.main(["check", "tiny", "--json"]) == 1
    assert "tinywheel: ModuleNotFoundError" in capsys.readouterr().out
    assert commands.main(["remove", "tiny"]) == 0 and home.state_of(tiny) == "absent"
    assert kept[0].exists()


def scripted(tool: Tool, log: Path, script: str) -> None:
    """Stand for the empty environment: an interpreter that only says something and ends."""
    python = home.folder_of(tool) / create.PYTHON
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def test_a_failure_leaves_nothing_but_its_log(tiny: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'echo "ERROR: no matching distribution for tinywheel==1.0"; exit 1'
    monkeypatch.setattr(create, "_empty", lambda tool, log: scripted(tool, log, script))
    with pytest.raises(Rejected, match=r"`tiny` was not made.*no matching distribution.*tiny\.log") as caught:
        create.create(tiny)
    assert caught.value.reason == "bad_input" and home.state_of(tiny) == "absent"
    assert "no matching distribution" in (home.home() / "tiny.log").read_text()


def test_an_environment_that_does_not_work_is_not_kept(tiny: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "_compile", lambda *given: None)
    monkeypatch.setattr(create, "_link", lambda *given: None)
    script = 'case "$*" in *import*) echo "fault: tinybuilt: ImportError: libGL.so.1";; esac'
    monkeypatch.setattr(create, "_empty", lambda tool, log: scripted(tool, log, script))
    with pytest.raises(Rejected, match="does not work: tinybuilt: ImportError: libGL"):
        create.create(tiny)
    assert home.state_of(tiny) == "absent"


@pytest.fixture
def quick(tiny: Tool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make environments of nothing, and remember each making."""
    made: list[str] = []

    def make(tool: Tool, log: Path) -> home.Made:
        shutil.rmtree(home.folder_of(tool), ignore_errors=True)
        home.folder_of(tool).mkdir()
        time.sleep(0.3)
        made.append(tool.name)
        record = home.Made(
            lock_sha256=sha256_of(tool.lock),
            python="/bin/sh",
            installer="x",
            seconds=1,
            num_bytes=1,
            versions={},
        )
        create.write_text(home.folder_of(tool) / home.COMPLETE, create.to_json(record))
        return record

    monkeypatch.setattr(create, "_make", make)
    return made


def test_of_two_at_once_one_makes_and_the_other_waits(tiny: Tool, quick: list[str]) -> None:
    results: list[home.Made] = []
    threads = [threading.Thread(target=lambda: results.append(create.create(tiny))) for _ in range(3)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert quick == ["tiny"] and len(results) == 3 and results[0] == results[1] == results[2]
    create.create(tiny)
    assert quick == ["tiny"], "what is whole is left as it is"


def test_what_a_killed_or_older_creation_left_is_no_environment(tiny: Tool, quick: list[str]) -> None:
    (home.folder_of(tiny) / "bin").mkdir(parents=True)
    assert home.state_of(tiny) == "broken"
    (home.folder_of(tiny) / home.COMPLETE).write_text('{"lock_sha256": ')
    assert home.state_of(tiny) == "broken"
    create.create(tiny)
    assert home.state_of(tiny) == "ready" and not (home.folder_of(tiny) / "bin").exists()
    tiny.lock.write_text("tinywheel==1.1\n")
    assert home.state_of(tiny) == "outdated"
    create.create(tiny)
    assert quick == ["tiny", "tiny"] and home.state_of(tiny) == "ready"


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_removes_what_was_begun(
    tiny: Tool, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    def make(tool: Tool, log: Path) -> home.Made:
        (home.folder_of(tool) / "bin").mkdir(parents=True)
        raise ending

    monkeypatch.setattr(create, "_make", make)
    with pytest.raises(ending):
        create.create(tiny)
    assert home.state_of(tiny) == "absent"


def test_what_the_system_lacks_is_said_before_anything_is_done(
    tiny: Tool, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gcc", "libGL.so.1"):
        monkeypatch.setitem(needs.NEEDS, name, (lambda: False, needs.NEEDS[name][1]))
    with pytest.raises(Rejected, match=r"lacks gcc: .*build-essential; libGL\.so\.1: .*libgl1"):
        create.create(replace(tiny, needs=("gcc", "g++", "libGL.so.1")))
    with pytest.raises(Rejected, match=r"needs 100\.0 GB .*AVATARSYNC_TOOLS") as caught:
        monkeypatch.setattr(needs.shutil, "disk_usage", lambda place: namedtuple("Usage", "free")(10**9))
        create.create(replace(tiny, disk_bytes=90 * 10**9, download_bytes=10 * 10**9))
    assert caught.value.reason == "disk_full" and not quick
    assert all(look() in (True, False) for look, _ in needs.NEEDS.values())


def test_a_kept_wheel_is_used_and_nothing_is_compiled(tiny: Tool, tmp_path: Path) -> None:
    unused = Installer(python=tmp_path / "no python", log=tmp_path / "log", uv=None)
    kept = tmp_path / "mmcv-2.1.0-cp311-cp311-linux_x86_64.whl"
    kept.touch()
    assert create._wheel(unused, "mmcv==2.1.0", tmp_path) == kept
    with pytest.raises(Rejected, match="cannot be started"):
        create._wheel(unused, "mmcv==2.2.0", tmp_path)
    other = installer.build_key({"torch": "2.1.2"}), installer.build_key({"torch": "2.2.0"})
    assert other[0] != other[1] and all("gcc" in key and "glibc" in key for key in other)


def test_uv_is_told_what_pip_is_told_and_pip_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://index.example/simple\ncert = /a.pem\n"
        "extra-index-url = https://b.example/simple\n  https://c.example/simple\nfind-links = /x /y\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_CERT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/b.pem")
    settings = installer.pip_settings()
    told = installer.uv_variables(settings)
    assert told["UV_DEFAULT_INDEX"] == "https://index.example/simple" and told["SSL_CERT_FILE"] == "/b.pem"
    assert told["UV_INDEX"] == "https://b.example/simple https://c.example/simple"
    assert told["UV_FIND_LINKS"] == "/x,/y"
    assert installer.pip_variables(settings)["PIP_INDEX_URL"] == "https://index.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    assert "UV_DEFAULT_INDEX" not in installer.uv_variables(settings), "what the user told uv stands"
    for name, words in {"uv": "echo no such index; exit 1", "python": "echo $PIP_CERT $@ > $0.said"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    both = Installer(
        python=tmp_path / "python", log=tmp_path / "log.txt", uv=str(tmp_path / "uv"), settings=settings
    )
    both.install(["six==1.17.0"], "--no-build-isolation")
    said = (tmp_path / "python.said").read_text()
    assert said.startswith("/b.pem -m pip install --no-deps --no-build-isolation -r ")
    assert "uv could not install that" in capsys.readouterr().err


@pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))
def test_every_lock_pins_what_its_tool_names(tool: Tool) -> None:
    lines = tool.lock.read_text().splitlines()
    pins = tool.pins()
    assert len(pins) == len(lines) and all(line.count("==") == 1 for line in lines), "every line is a pin"
    assert {*tool.packages, *tool.first, *tool.compiled} <= set(pins)
    assert set(tool.needs) <= set(needs.NEEDS)


def test_wrong_use_is_told(tiny: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["create", "visoin"]) == 2 and "did you mean `vision`" in capsys.readouterr().err
    assert commands.main(["list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["tiny"]["state"] == "absent" and {"vision", "speech"} <= set(rows)
    assert commands.main(["check", "tiny"]) == 1 and "tools create tiny" in capsys.readouterr().err
