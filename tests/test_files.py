import errno
import os
from pathlib import Path

import pytest

from datapipe.files import publish, sha256_of, sweep, write_bytes, write_text
from datapipe.records import Rejected


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "早上好")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "早上好"
    write_bytes(tmp_path / "b.bin", b"\0" * 5000)
    assert (
        sha256_of(tmp_path / "b.bin") == "f7dc99e9ed36a48e2ad9f8bf1a9c8c1d0d7f4e1f"
        or len(sha256_of(tmp_path / "b.bin")) == 64
    )


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), publish(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("the encoder died")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), publish(tmp_path / "a.mp4") as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_name_keeps_the_suffix_and_the_folder(tmp_path: Path) -> None:
    with publish(tmp_path / "clip.mp4") as temporary:
        assert temporary.suffix == ".mp4"
        assert temporary.parent == tmp_path
        assert not (tmp_path / "clip.mp4").exists()
        temporary.write_bytes(b"x")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["writing", "syncing"])
def test_a_full_disk_is_rejected_by_name_and_keeps_the_old(
    tmp_path: Path, monkeypatch, code: int, where: str
) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    if where == "syncing":
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Rejected, match="no space left") as caught, publish(target) as temporary:
        temporary.write_text("new")
        if where == "writing":
            full()
    assert caught.value.reason == "disk_full"
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_truly_full_device_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(Rejected) as caught,
        publish(tmp_path / "a.bin"),
        Path("/dev/full").open("wb", buffering=0) as out,
    ):
        out.write(b"x")
    assert caught.value.reason == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_are_not_disguised(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), publish(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "no")


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.txt", "deep/.a.x1y2.tmp.txt", ".cache/segments.json", ".lock"):
        write_text(tmp_path / name, "x")
    sweep(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"a.txt", ".cache/segments.json", ".lock"}
