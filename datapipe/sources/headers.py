"""Tell a damaged file from its first bytes and its length, without a decoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

MOST_BOXES = 10_000
"""A file in fragments has thousands of boxes; one with more is looked at no further."""
ISO_SUFFIXES = {".mp4", ".mov", ".m4v"}
STREAMED = {0, 0xFFFFFFFF}
"""What a WAV says of its length that was written before it was known."""


def header_fault(path: Path) -> str | None:
    """Say what is wrong with an MP4's or WAV's frame; None when nothing is, or for other formats."""
    try:
        with path.open("rb") as stream:
            num_bytes = stream.seek(0, os.SEEK_END)
            if num_bytes == 0:
                return "empty file"
            if path.suffix.lower() in ISO_SUFFIXES:
                return _iso_fault(stream, num_bytes)
            return _wav_fault(stream, num_bytes) if path.suffix.lower() == ".wav" else None
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _iso_fault(stream: BinaryIO, num_bytes: int) -> str | None:
    """Walk the boxes of the top level (ISO 14496-12, 4.2): size, name, content."""
    place, names = 0, list[bytes]()
    while place < num_bytes and len(names) < MOST_BOXES:
        stream.seek(place)
        head = stream.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if not names and head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp"):
            return "no MP4"
        if size != 0 and size < 8:
            return f"damaged after {place} bytes"
        names.append(head[4:8])
        place = place + size if size else num_bytes
    if place > num_bytes:
        return f"cut off: {num_bytes} of at least {place} bytes"
    return None if b"moov" in names else "cut off: no index (moov)"


def _wav_fault(stream: BinaryIO, num_bytes: int) -> str | None:
    """Compare the length that the RIFF header states."""
    stream.seek(0)
    head = stream.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return "no WAV"
    stated = int.from_bytes(head[4:8], "little")
    if head[:4] == b"RF64" or stated in STREAMED or stated + 8 <= num_bytes + 1:
        return None
    return f"cut off: {num_bytes} of {stated + 8} bytes"
