"""Bad input: whatever a file is, it becomes a clip or one sentence with a reason; nothing hangs or grows."""

from __future__ import annotations

import hashlib
import os
import resource
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import damages
import numpy as np
import pytest
import traps
from damages import Damage

from datapipe import __main__ as data
from datapipe.decode import decode
from datapipe.ledger import read_ledger
from datapipe.limits import time_limit
from datapipe.media import probe, read_audio, read_frames, wav_bytes
from datapipe.records import REASONS, Clip, Rejected
from datapipe.shards import read_samples
from datapipe.weights import resolve

MAX_GROWTH_BYTES = 400 << 20
ITEM_SECONDS = 10.0
FEWEST = 500


def outcome(path: Path) -> str:
    """`ok`, or the reason; anything but a `Rejected` goes on up."""
    clip = Clip(id=path.stem, source="folder", speaker="x", video=path)
    with time_limit(ITEM_SECONDS):
        try:
            probe(path)
            decoded = decode(clip)
        except Rejected as rejected:
            assert (
                rejected.message and "\n" not in rejected.message and str(path.parent) not in rejected.message
            )
            rejected.message.encode("utf-8")
            return rejected.reason
    assert decoded.frames_THW3.ndim == 4 and len(decoded.audio) == 640 * len(decoded.frames_THW3)
    assert np.isfinite(decoded.audio).all() and np.abs(decoded.audio).max() <= 1.0
    return "ok"


def high_water_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def all_files() -> Iterator[Damage]:
    yield from damages.damaged_files()
    yield from damages.wrong_files()


def test_every_damage_becomes_a_clip_or_a_reason(tmp_path: Path) -> None:
    before, counts, wrong, changed = high_water_bytes(), Counter[str](), [], []
    for damage in all_files():
        path = tmp_path / damage.name
        path.write_bytes(damage.data)
        try:
            counts[outcome(path)] += 1
        except BaseException as error:  # noqa: BLE001 - the list of all that went wrong is what helps
            wrong.append(f"{damage.name} ({damage.note}): {error!r}")
        changed += [damage.name] if path.read_bytes() != damage.data else []
        path.unlink()
    assert not wrong, "\n".join(wrong[:20])
    assert not changed and not list(tmp_path.iterdir())
    assert counts.total() >= FEWEST and counts.keys() <= REASONS.keys() | {"ok"}
    assert {
        "not_a_video",
        "truncated",
        "no_video_stream",
        "no_audio",
        "too_short",
        "too_large",
    } <= counts.keys()
    assert high_water_bytes() - before < MAX_GROWTH_BYTES


def test_the_same_seed_makes_the_same_files() -> None:
    first, second = (
        hashlib.sha256(b"".join(d.name.encode() + d.data for d in all_files())).hexdigest() for _ in range(2)
    )
    assert first == second


def test_rare_but_whole_files_are_read_and_empty_ones_are_named(tmp_path: Path) -> None:
    for odd in damages.odd_files():
        path = tmp_path / odd.name
        path.write_bytes(odd.data)
        assert outcome(path) == odd.name.partition("-")[0], odd.name


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    """The file it names is a good clip here, so a reader that follows it would succeed."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(damages.small_clip())
    for wrong in damages.wrong_files(str(secret)):
        path = tmp_path / wrong.name
        path.write_bytes(wrong.data)
        assert outcome(path) in {"not_a_video", "no_video_stream", "truncated"}, wrong.name


def test_no_pipe_folder_or_link_is_waited_for(tmp_path: Path) -> None:
    found = {
        path.name: outcome(path) for path in traps.make_places(tmp_path / "places", damages.small_clip())
    }
    assert found.pop("locked.mp4") == ("ok" if os.geteuid() == 0 else "missing_file")
    assert found == {
        "folder.mp4": "not_a_video",
        "pipe.mp4": "not_a_video",
        "null.mp4": "not_a_video",
        "zero.mp4": "not_a_video",
        "dead.mp4": "missing_file",
        "self.mp4": "missing_file",
        "ping.mp4": "missing_file",
        "pong.mp4": "missing_file",
        "outside.mp4": "ok",  # a link is the user's own: what a source may list is the source's business
    }


def test_any_name_that_a_disk_holds_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = traps.make_names(tmp_path / "names", damages.small_clip())
    assert len(found) == len(traps.NAMES)
    monkeypatch.chdir(tmp_path / "names")  # a bare `concat:x|y.mp4` must not be taken for a protocol
    for path in found:
        assert outcome(path) == "ok" and outcome(Path(path.name)) == "ok"
    assert outcome(tmp_path / "\x00.mp4") == outcome(tmp_path / ("n" * 300)) == "missing_file"


def tree(root: Path) -> dict[str, str]:
    """What every entry below a folder is: its mode and times, and its bytes where it has any."""
    entries = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            state = path.lstat()
            content = (
                hashlib.sha256(path.read_bytes()).hexdigest()
                if path.is_file() and not path.is_symlink()
                else ""
            )
            entries[os.fsdecode(path)] = f"{state.st_mode} {state.st_mtime_ns} {state.st_size} {content}"
    return entries


def build(source: str, root: Path, out: Path) -> tuple[int, Counter[str]]:
    code = data.main(["build", "--source", source, "--root", str(root), "--out", str(out), "--size", "64"])
    rows = read_ledger(out).values()
    assert not [row for row in rows if row.status == "failed"], [
        row for row in rows if row.status == "failed"
    ][:3]
    assert all(row.reason in REASONS and row.message for row in rows if row.status == "rejected")
    assert not [path for path in out.rglob("*") if ".tmp" in path.name]
    return code, Counter(row.reason or row.status for row in rows)


@pytest.mark.slow
@pytest.mark.assets
def test_a_build_of_nothing_but_damage_explains_every_file(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    names = set()
    for damage in (*all_files(), *damages.odd_files()):
        (root / damage.name).write_bytes(damage.data)
        (root / damage.name).with_suffix(".txt").write_text("Today, after two")
        names.add(damage.name)
    before = tree(root)
    code, counts = build("folder", root, tmp_path / "out")
    assert code == 3 and counts.total() == len(names) >= FEWEST
    assert tree(root) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "out"}


def real_clip(**changes: object) -> bytes:
    """One second and a half of the real clip, two people in the picture, one speaking."""
    source = resolve("clip-obama")
    frames = changes.pop("frames", None)
    settings = {
        "frames": list(read_frames(source, 0.8, 2.6) if frames is None else frames),
        "samples": read_audio(source, 0.8, 2.6)[None],
    }
    return damages.clip_with(**(settings | changes))


@pytest.mark.slow
@pytest.mark.assets
def test_real_faces_get_through_whatever_the_header_does_to_them(tmp_path: Path) -> None:
    """Turned, squeezed and crowded pictures give samples; what cannot be one gives its reason."""

    def turn(video: Any, audio: Any) -> None:
        video.set_display_rotation(90)

    def squeeze(video: Any, audio: Any) -> None:
        video.codec_context.sample_aspect_ratio = Fraction(2)

    frames = read_frames(resolve("clip-obama"), 0.8, 2.6)
    root = tmp_path / "raw"
    root.mkdir()
    files = {
        "two_people": real_clip(),
        "turned": real_clip(frames=np.rot90(frames, -1, (1, 2)), shape=turn),
        "squeezed": real_clip(frames=frames[:, :, ::2], shape=squeeze),
        "crowd": real_clip(frames=np.tile(frames[:, ::2, ::2], (1, 2, 2, 1))),
        "upside_down": real_clip(frames=frames[:, ::-1, ::-1]),
        "nobody": real_clip(frames=np.full_like(frames, 128)),
        "other_text": real_clip(),
    }
    for name, content in files.items():
        (root / f"{name}.mp4").write_bytes(content)
        text = "gardening equipment and weather" if name == "other_text" else "Today, after two"
        (root / f"{name}.txt").write_text(text)
    before = tree(root)
    code, _ = build("folder", root, tmp_path / "out")
    rows = read_ledger(tmp_path / "out")
    said = {name: rows[name].reason or rows[name].status for name in files}
    assert code == 3 and tree(root) == before
    assert {said[name] for name in ("two_people", "turned", "squeezed", "crowd")} == {"done"}, said
    assert said["nobody"] == "no_face" and said["other_text"] == "not_aligned"
    assert said["upside_down"] in {"done", "no_face", "no_speaker"}
    notes = {sample.meta.id: sample.meta.notes["decode"] for sample in read_samples(tmp_path / "out")}
    assert notes["two_people"] == "as in the file" and "upright" in notes["turned"]
    assert "scaled by 2.0000 x 1.0000" in notes["squeezed"]


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("make", [traps.make_names, traps.make_places, traps.make_transcripts])
def test_a_build_over_traps_explains_every_one(tmp_path: Path, make: object) -> None:
    root = tmp_path / "raw"
    make(root, damages.small_clip())  # type: ignore[operator]
    before = tree(tmp_path)
    code, counts = build("folder", root, tmp_path / "out")
    assert code == 3 and counts.total() > 0
    assert {
        name: state for name, state in tree(tmp_path).items() if "/out" not in name.replace("/outside", "")
    } == {name: state for name, state in before.items()}


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("source", ["cmlr", "hdtf"])
def test_lists_that_lie_name_nothing_outside(tmp_path: Path, source: str) -> None:
    root, good = tmp_path / "a" / "b" / "raw", damages.small_clip()
    (tmp_path / "secret.mp4").write_bytes(good)
    if source == "cmlr":
        traps.make_cmlr(root, good, wav_bytes(damages.tone(0.48)[0]))
    else:
        traps.make_hdtf(root, good)
    before = tree(root)
    code, _ = build(source, root, tmp_path / "out")
    assert code == 3 and tree(root) == before
    assert not [
        row for row in read_ledger(tmp_path / "out").values() if "secret" in row.clip and row.status == "done"
    ]
