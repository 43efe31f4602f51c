"""A flow that is scripted by the clips' names, to build without media."""

from __future__ import annotations

import time
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datapipe import task
from datapipe.config import BuildConfig
from datapipe.pack import Packed
from datapipe.records import Clip, Keyframe, Phoneme, Probe, Rejected, Sample, to_json
from datapipe.run import RunConfig as AnyRunConfig
from datapipe.shards import ARRAYS, escape_key, npy_bytes

CONFIG = BuildConfig()
RunConfig = partial(AnyRunConfig, isolate=False)
"""The scripted flow lives in this process."""


def packed(clip_id: str) -> Packed:
    facts = Probe(
        width=8, height=8, fps=Fraction(25), num_frames=4, duration=0.16, video_codec="h264",
        audio_codec=None, sample_rate=None,
    )  # fmt: skip
    meta = Sample(
        key=escape_key(clip_id), id=clip_id, source="folder", speaker="s", language="en", split="train",
        text="hi", text_origin="released", licence="unknown", fps=25, num_frames=4, size=32, duration=0.16,
        phonemes=(Phoneme(symbol="SIL", start=0.0, end=0.16),),
        keyframes=(Keyframe(frame=2, time=0.08, phoneme="SIL"),),
        probe=facts, quality={}, notes={}, lineage={},
    )  # fmt: skip
    arrays = {name: npy_bytes(np.zeros(512, np.float32)) for name in ARRAYS}
    media = {"video.m4v": b"v" + clip_id.encode(), "keyframes.m4v": b"k", "audio.wave": b"a", **arrays}
    return Packed(meta=meta, members={**media, "meta.json": to_json(meta).encode()})


class Script:
    """Stands in for the flow: what happens to a clip is its name."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.well = False

    def __call__(self, clip: Clip, config: BuildConfig, call: Any, gpu: Any) -> Packed:
        self.calls.append(clip.id)
        if not self.well:
            self.misbehave(clip.id)
        return call(packed, clip.id)

    def misbehave(self, clip_id: str) -> None:
        if clip_id.startswith("bug"):
            raise ZeroDivisionError("a bug")
        if clip_id.startswith("reject"):
            raise Rejected("no_face", f"{clip_id}: no face")
        if clip_id.startswith("slow"):
            while True:
                time.sleep(0.01)
        if clip_id.startswith("stop"):
            raise KeyboardInterrupt


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    made = Script()
    monkeypatch.setattr(task, "flow", made)
    return made


def corpus(root: Path, *names: str) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / f"{name}.mp4").write_bytes(name.encode())
    return root


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".tmp" in path.name]
