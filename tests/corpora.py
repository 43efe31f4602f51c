"""Small corpora in the layouts that the adapters read, with media only where something is decoded."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from datapipe import media
from datapipe.sources import look

CMLR_IDS = (
    "s1/20260105_section_6_-00.01_001.87",
    "s2/20260105_section_1_000.19_002.55",
    "s5/20151009_section_3_030.36_032.65",
)
CMLR_TEXT = "今天很好\n今天 0.10 0.50\n很好 0.50 0.90\n"
MP4_HEAD = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov"
WAV_HEAD = b"RIFF\x04\0\0\0WAVE"


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cmlr_files(root: Path, clip_id: str, nested: bool = False, text: bytes = CMLR_TEXT.encode()) -> None:
    speaker, _, rest = clip_id.partition("/")
    date, _, section = rest.partition("_")
    folder = f"{speaker}/{speaker}/{date}" if nested else f"{speaker}/{date}"
    touch(root / "video" / folder / f"{section}.mp4", MP4_HEAD)
    touch(root / "audio" / folder / f"{section}.wav", WAV_HEAD)
    touch(root / "text" / folder / f"{section}.txt", text)


def cmlr(root: Path, nested: bool = False) -> Path:
    for clip_id in CMLR_IDS:
        cmlr_files(root, clip_id, nested)
    touch(root / "train.csv", f"{CMLR_IDS[0]}\n{CMLR_IDS[1]}\n".encode())
    touch(root / "test.csv", b"\xef\xbb\xbf" + f"{CMLR_IDS[2]}\n".encode())
    return root


def video(path: Path, seconds: float, gaps: tuple[float, ...] = (), sound: bool = True) -> Path:
    """A still of 64x36 with a tone that pauses for 0.4 s around each gap."""
    t = np.arange(round(seconds * 16000)) / 16000
    audio = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    for gap in gaps:
        audio[round((gap - 0.2) * 16000) : round((gap + 0.2) * 16000)] = 0.0
    path.parent.mkdir(parents=True, exist_ok=True)
    still = np.random.default_rng(0).integers(0, 255, (1, 36, 64, 3), np.uint8)
    media.write_video(path, still.repeat(round(seconds * 25), 0), audio if sound else None)
    return path


def hdtf_lists(root: Path, group: str, times: str, **others: str) -> Path:
    """Write one group's lists: `times` is annotion_time, the others by their names."""
    for kind, text in {"annotion_time": times, **others}.items():
        touch(root / "HDTF_dataset" / f"{group}_{kind}.txt", text.encode())
    return root


def answer_or_die(message: dict[str, Any]) -> dict[str, Any]:
    """Answer like the child that looks at media, but die of one file and hang on another."""
    if "crash" in message["path"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in message["path"]:
        time.sleep(60)
    return look.answer(message)
