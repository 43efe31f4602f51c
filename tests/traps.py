"""Folders that are made to trip a reader: names, links, pipes, transcripts and lists nobody should trust."""

from __future__ import annotations

import os
from pathlib import Path

TRANSCRIPTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t\r\n \xef\xbb\xbf",
    "binary": bytes(range(256)) * 8,
    "megabyte": b"word " * 200_000,
    "endless_word": b"a" * 100_000,
    "only_points": "...?! -- «» 。，、 ···".encode(),
    "other_language": "Добрый день, это русский текст.".encode(),
    "right_to_left": "שלום עולם מה שלומך היום".encode(),
    "marks_on_marks": ("z" + "\u0315\u0334\u0357" * 4000).encode(),
    "digits": b"1234567890 " * 40 + b"9" * 5000,
    "surrogates": b"\xed\xa0\x80\xed\xbf\xbf and so on",
    "utf16": "Today, after two".encode("utf-16"),
    "null_bytes": b"Today,\x00 after\x00 two",
    "emoji": "🙂🙃 👩‍👩‍👧‍👦 🇫🇷".encode(),
}
"""What may lie beside a video as its transcript."""

NAMES: tuple[bytes, ...] = (
    b"caf\xe9.mp4",
    b"\xff\xfe\xfd.mp4",
    "日本語.mp4".encode(),
    b"two\nlines.mp4",
    b"-rf.mp4",
    b".hidden.mp4",
    b"a:b.mp4",
    b"concat:x|y.mp4",
    b"http:%2f%2fx.mp4",
    b"%d%s%n.mp4",
    b"img%03d.mp4",
    b"a.b.c.mp4",
    b"a~2Eb.mp4",
    b"..mp4",
    b"...mp4",
    b" .mp4",
    b"UPPER.MP4",
    b"'$(exit 1)`;.mp4",
    b"n" * 240 + b".mp4",
    "e\u0301.mp4".encode(),
    "\u00e9.mp4".encode(),
)
"""File names that are allowed on disk."""

PATHS = (
    "../../secret",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../../secret",
    "C:\\secret",
    "\\\\host\\share",
    "secret\x00",
    "%2e%2e%2fsecret",
    "~root/secret",
    "file:///etc/passwd",
    "x" * 5000,
)
"""What a list may give as a name."""


def make_names(root: Path, good: bytes) -> list[Path]:
    """Write the good clip under every awkward name."""
    root.mkdir(parents=True)
    for name in NAMES:
        (root / os.fsdecode(name)).write_bytes(good)
    return sorted(root.iterdir())


def make_places(root: Path, good: bytes) -> list[Path]:
    """Make what is no plain file but looks like one; `outside.mp4` leads out of the folder."""
    root.mkdir(parents=True)
    outside = root.parent / "outside_secret.mp4"
    outside.write_bytes(good)
    (root / "folder.mp4").mkdir()
    os.mkfifo(root / "pipe.mp4")
    (root / "dead.mp4").symlink_to(root / "nowhere")
    (root / "self.mp4").symlink_to(root / "self.mp4")
    (root / "ping.mp4").symlink_to(root / "pong.mp4")
    (root / "pong.mp4").symlink_to(root / "ping.mp4")
    (root / "null.mp4").symlink_to("/dev/null")
    (root / "zero.mp4").symlink_to("/dev/zero")
    (root / "outside.mp4").symlink_to(outside)
    deep = root / "deep"
    deep.mkdir()
    (deep / "loop").symlink_to(root)
    (root / "locked.mp4").write_bytes(good)
    (root / "locked.mp4").chmod(0)
    return sorted(each for each in root.iterdir() if each.name != "deep")


def make_transcripts(root: Path, good: bytes) -> None:
    """Put every odd transcript beside the good clip."""
    root.mkdir(parents=True)
    for name, text in TRANSCRIPTS.items():
        (root / f"{name}.mp4").write_bytes(good)
        (root / f"{name}.txt").write_bytes(text)


def make_cmlr(root: Path, good: bytes, wav: bytes) -> None:
    """A CMLR root with one good clip, and lists and texts that lie."""
    for kind, suffix, data in (
        ("video", ".mp4", good),
        ("audio", ".wav", wav),
        ("text", ".txt", "你好".encode()),
    ):
        place = root / kind / "s1" / "20200101" / f"section_1_000.00_000.48{suffix}"
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
    for number, text in enumerate(TRANSCRIPTS.values()):
        for kind, suffix, data in (("video", ".mp4", good), ("audio", ".wav", wav), ("text", ".txt", text)):
            name = f"section_2_{number:03d}.00_{number:03d}.48{suffix}"
            (root / kind / "s1" / "20200101" / name).write_bytes(data)
    day = "s1/20200101"
    os.mkfifo(root / "video" / day / "section_3_000.00_000.48.mp4")
    (root / "audio" / day / "section_3_000.00_000.48.wav").write_bytes(wav)
    (root / "video" / day / "section_4_000.00_000.48.mp4").write_bytes(good)
    os.mkfifo(root / "audio" / day / "section_4_000.00_000.48.wav")
    (root / "video" / day / "section_5_000.00_000.48.mp4").mkdir()
    (root / "audio" / day / "section_5_000.00_000.48.wav").symlink_to("section_5_000.00_000.48.wav")
    os.mkfifo(root / "text" / day / "section_6_000.00_000.48.txt")
    lines = [f"s1/{path}" for path in PATHS] + [f"{path}/20200101_section_1_0_1" for path in PATHS]
    listed = "\n".join([*lines, "s1/20200101_section_9_1_2", ",,,", "s1/20200101_section_1_000.00_000.48"])
    (root / "train.csv").write_bytes(listed.encode())
    (root / "val.csv").write_bytes(bytes(range(256)) * 4)
    (root / "test.csv").write_bytes(listed.encode("utf-16"))


def make_hdtf(root: Path, good: bytes) -> None:
    """An HDTF root with one good video, and annotations that lie."""
    (root / "videos").mkdir(parents=True)
    (root / "HDTF_dataset").mkdir()
    (root / "videos" / "WDA_Good0.mp4").write_bytes(good)
    os.mkfifo(root / "videos" / "WDA_Pipe0.mp4")
    (root / "videos" / "WDA_Folder0.mp4").mkdir()
    names = ["Good0", "Pipe0", "Folder0", *(path.replace("\x00", "") for path in PATHS if path)]
    times = [
        "00:00-00:01",
        "00:05-00:01",
        "99999999:00-99999999:10",
        "-1:00-00:10",
        "nan-inf",
        "00:00:00-00:00:01",
    ]
    rows = {
        "annotion_time": [f"{name}.mp4 {' '.join(times)}" for name in names],
        "crop_wh": [
            f"{name}_{k}.mp4 {box}"
            for name in names
            for k, box in enumerate(
                ("-5 1e9 0 10", "nan nan nan nan", "1 2 3", "99999999999 1 1 1", "0 0 0 0", "10 20 5 30")
            )
        ],
        "resolution": [
            f"{name}.mp4 {size}"
            for name, size in zip(names, ("0", "-1", "1e9", "x", "99999999999", "") * 4, strict=False)
        ],
        "video_url": [f"{name} https://example.invalid/{name}" for name in names],
    }
    for kind, lines in rows.items():
        (root / "HDTF_dataset" / f"WDA_{kind}.txt").write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
        (root / "HDTF_dataset" / f"RD_{kind}.txt").write_bytes(bytes(range(256)) * 2)
