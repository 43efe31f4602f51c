"""How results of the slow stages are kept as files: JSON for records, npz for arrays; never pickle."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .align import Alignment
from .records import Transcript, from_json, to_json
from .track import FollowedFace, Speaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """To bytes and back."""

    suffix: str
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    """Raises `ValueError`, `KeyError` or `EOFError` when the bytes are damaged."""


def _json_codec(kind: type[Any]) -> Codec:
    return Codec(
        suffix=".json",
        write=lambda record: to_json(record).encode("utf-8"),
        read=lambda data: from_json(data.decode("utf-8"), kind),
    )


def speaker_to_npz(speaker: Speaker) -> bytes:
    """Serialise the chosen face with its arrays."""
    face = {each.name: getattr(speaker.face, each.name) for each in fields(FollowedFace)}
    arrays = {name: value for name, value in face.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in face.items() if name not in arrays}
    facts = {"candidates": speaker.candidates, "chosen_by": speaker.chosen_by, "face": plain}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    return buffer.getvalue()


def speaker_from_npz(data: bytes) -> Speaker:
    """Read what `speaker_to_npz` wrote."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            arrays = {name: stored[name] for name in stored.files if name != "facts"}
    except Exception as error:
        raise ValueError("a kept face cannot be read") from error
    face = FollowedFace(**arrays, **facts.pop("face"))
    return Speaker(face=face, **facts)


CODECS: dict[str, Codec] = {
    "understand": _json_codec(Transcript),
    "align": _json_codec(Alignment),
    "track_speaker": Codec(suffix=".npz", write=speaker_to_npz, read=speaker_from_npz),
}
"""The stages whose results are kept (their settings: `cache.DEPENDS`)."""
