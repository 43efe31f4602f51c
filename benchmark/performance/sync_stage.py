"""(c) The sync stage against the package syncnet-python, on the same weights and clips."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datapipe import faces
from datapipe.media import read_audio, read_frames, write_video
from datapipe.performance.chain import ffmpeg_path
from datapipe.performance.figures import Figure, Line, Measurement, Table
from datapipe.performance.processes import run_module
from datapipe.performance.repeat import interleaved, ratios

from ..sync.distances import SyncScore, lip_windows, num_windows, score, sound_windows
from ..sync.judge import in_batches, load_judge
from .children import run_tool, tools_beside
from .corpus import whole_picture
from .sizes import Sizes

NUM_CLIPS, HEIGHT = 2, 720
NEAR = 1e-4
"""Difference of Sync-C and Sync-D, as a part of Sync-D, that float32 may make."""
METHOD = (
    "{clips} clips of {frames} frames, whole pictures {height} pixels high, with sound. Theirs: "
    "`SyncNetPipeline.inference` of syncnet-python as it ships (ffmpeg to AVI, JPEG and WAV, S3FD on "
    "every frame, tracks, crops to AVI and again to JPEG, windows one batch after the other with "
    "gradients on). Ours: decode, SCRFD on every tenth frame, crops in memory, both streams in batches, a "
    "clip per core (the protocol `fast`). Both in a process of their own, on all cores, with its start. "
    "No weights of SyncNet or S3FD are in a registry: both sides use SyncNet's published layout with the "
    "same random numbers, S3FD runs its network with random numbers on every frame and is then told the "
    "face's box. The values are compared on the crops and the sound that syncnet-python itself wrote."
)


def measure_sync_stage(sizes: Sizes, folder: Path) -> Measurement:
    """Compare values on equal crops, and the times of both whole stages."""
    videos, boxes = folder / "videos", folder / "boxes.json"
    _write_clips(videos, boxes, sizes.sync_frames)
    weights = folder / "weights"
    run_module("benchmark.performance.tools.random_weights", [weights], sizes.longest, **tools_beside())
    found: dict[str, Any] = {}
    ways: dict[str, Callable[[], object]] = {
        "syncnet-python": partial(by_package, videos, weights, boxes, folder, sizes, found),
        "ours": lambda: run_tool("own_sync", [videos, weights], folder / "own.json", sizes.longest),
    }
    times = interleaved(ways, sizes.sync_repeats, "(c) sync stage", warm_up=False)
    lines = tuple(
        _compared(name, each, folder / "work" / name / "cropped" / "crop_00000", weights)
        for name, each in found.items()
    )
    figures = (
        Figure(
            name="time of syncnet-python over ours, whole stage",
            unit="x",
            values=ratios(times["syncnet-python"], times["ours"]),
            expected="6 to 12",
            limit=5.0,
            sense="at least",
        ),
        *(Figure(name=f"{name}: wall time", unit="s", values=taken) for name, taken in times.items()),
    )
    columns = ("clip", "Sync-C ours", "theirs", "Sync-D ours", "theirs", "offset ours", "theirs", "ppm apart")
    return Measurement(
        name="c",
        title="The sync stage against syncnet-python",
        method=METHOD.format(clips=NUM_CLIPS, frames=sizes.sync_frames, height=HEIGHT),
        figures=figures,
        tables=(Table(title="Values on equal crops and sound", columns=columns, lines=lines),),
    )


def by_package(
    videos: Path, weights: Path, boxes: Path, folder: Path, sizes: Sizes, found: dict[str, Any]
) -> None:
    """Run the package's pipeline; its pictures and sound stay in `work`."""
    work, out = folder / "work", folder / "theirs.json"
    shutil.rmtree(work, ignore_errors=True)
    arguments = [videos, weights, boxes, work, out]
    environment = {**tools_beside(), "PATH": _path_with_ffmpeg(folder)}
    run_module("benchmark.performance.tools.syncnet", arguments, sizes.longest, **environment)
    found.update(json.loads(out.read_text(encoding="utf-8")))


def _compared(name: str, theirs: dict[str, list[float]], crops: Path, weights: Path) -> Line:
    """Put both values of a clip side by side; raises when they are not one."""
    if len(theirs["distance"]) != 1:
        raise RuntimeError(f"{name}: syncnet-python made {len(theirs['distance'])} tracks of one face")
    ours = on_crops(crops, weights)
    offset, confidence, distance = (theirs[each][0] for each in ("offset", "confidence", "distance"))
    off = max(abs(ours.confidence - confidence), abs(ours.distance - distance))
    if off > NEAR * distance or ours.offset != offset:
        raise RuntimeError(
            f"{name}: Sync-C, Sync-D and offset are {ours.confidence:.6f}, {ours.distance:.6f}, "
            f"{ours.offset} and {confidence:.6f}, {distance:.6f}, {offset}; on equal crops they must be equal"
        )
    values = (ours.confidence, confidence, ours.distance, distance, float(ours.offset), float(offset))
    return Line(label=name, values=(*values, 1e6 * off / distance))


def on_crops(folder: Path, weights: Path) -> SyncScore:
    """Score pictures and sound that lie in files, by our network and distances."""
    judge = load_judge(weights / "syncnet_v2.model")
    pictures = np.stack([np.asarray(cv2.imread(str(path))) for path in sorted(folder.glob("*.jpg"))])
    audio = read_audio(folder / "audio.wav")
    count = num_windows(len(pictures), len(audio))
    lips = in_batches(judge.lips, lip_windows(pictures, count))
    return score(lips, in_batches(judge.sound, sound_windows(audio, count)), "zeros")


def _write_clips(folder: Path, boxes: Path, num_frames: int) -> None:
    folder.mkdir(parents=True)
    found = {}
    for number in range(NUM_CLIPS):
        path = folder / f"clip-{number:03}.mp4"
        write_video(path, *whole_picture(number, num_frames, HEIGHT))
        found[path.stem] = faces.detect(read_frames(path, end=0.04)[0])[0].box
    boxes.write_text(json.dumps(found), encoding="utf-8")


def _path_with_ffmpeg(folder: Path) -> str:
    """The search path, with a folder ahead in which the ffmpeg program has the name that tools call."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    link = programs / "ffmpeg"
    if not link.exists():
        link.symlink_to(ffmpeg_path())
    return f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
