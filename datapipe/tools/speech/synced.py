"""Sync scores by syncnet-python: of crops that are given, or of a whole video by its own chain."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from serve import ToolError
from surroundings import read_tensors, use_threads

FPS, RATE = 25, 16_000
FEWEST_FRAMES = 21
"""Sixteen windows of five frames; the last one possible is not counted, as published."""


def sync(
    values: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Score `crops` (T, 224, 224, 3) BGR against `audio` (N,) int16 at 16 kHz with the file `syncnet`.

    Gives `offset`, `confidence` and `distance`, and the array `distances` (V, 31) of every window to the
    sound at every shift.
    """
    import torch

    use_threads(values["threads"])
    _check_length(len(arrays["crops"]), len(arrays["audio"]))
    instance = _instance(values["syncnet"])
    with tempfile.TemporaryDirectory() as folder, _kept_distances() as kept, torch.no_grad():
        _write_crops(Path(folder), arrays["crops"], arrays["audio"])
        options = SimpleNamespace(tmp_dir=folder, batch_size=values["batch"], vshift=values["shifts"])
        offset, confidence, distance = instance.evaluate(options)
    found = {"offset": offset, "confidence": confidence, "distance": distance}
    return found, {"distances": kept[0]}


def sync_video(
    values: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Score the file `video`, with the sound in the file `audio`, by the package's whole chain.

    S3FD (`s3fd`) finds the faces, tracks are cut out, and each is scored. Gives `tracks` (offset, confidence
    and distance of each) and the package's own sum of them, `confidence` (the highest) and `distance` (the
    least, perhaps of another track). Raises `ToolError("no_face")` when no track is long and large enough.
    """
    import torch

    use_threads(values["threads"])
    pipeline = _pipeline(values["syncnet"], values["s3fd"], values["min_face"], values["batch"])
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        found = pipeline.inference(values["video"], values["audio"], cache_dir=folder)
    offsets, confidences, distances, confidence, distance, _, _ = found
    if not offsets:
        raise ToolError("no_face", f"no face of {values['min_face']} pixels was followed for 2 s")
    tracks = [list(each) for each in zip(offsets, confidences, distances, strict=True)]
    return {"tracks": tracks, "confidence": confidence, "distance": distance}, {}


def _check_length(num_frames: int, num_samples: int) -> None:
    common = min(num_frames, num_samples * FPS // RATE)
    if common < FEWEST_FRAMES:
        raise ToolError("too_short", f"{common} frames of picture and sound; a score needs {FEWEST_FRAMES}")


def _write_crops(folder: Path, crops_TSS3: np.ndarray, audio_N: np.ndarray) -> None:
    """Lay the crops out as the package reads them, without loss: its reader goes by content, not by name."""
    import cv2
    from scipy.io import wavfile

    for number, picture in enumerate(crops_TSS3, start=1):
        _, data = cv2.imencode(".png", np.ascontiguousarray(picture), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        (folder / f"{number:06d}.jpg").write_bytes(data.tobytes())
    wavfile.write(folder / "audio.wav", RATE, np.ascontiguousarray(audio_N, np.int16))


@contextlib.contextmanager
def _kept_distances() -> Iterator[list[np.ndarray]]:
    """Keep the distances (V, shifts) that the package works out and does not return."""
    import torch

    module: Any = importlib.import_module("syncnet_python.SyncNetInstance")
    kept: list[np.ndarray] = []
    original = module.calc_pdist

    def keeping(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        kept.append(torch.stack(found).numpy())
        return found

    module.calc_pdist = keeping
    try:
        yield kept
    finally:
        module.calc_pdist = original


@lru_cache(maxsize=1)
def _instance(syncnet: str) -> Any:
    from syncnet_python import SyncNetInstance, SyncNetModel

    network = SyncNetModel()
    try:
        network.load_state_dict(read_tensors(Path(syncnet)))
    except RuntimeError as error:
        raise ToolError(
            "bad_weight", f"{Path(syncnet).name} is no SyncNet of the package: {error}"
        ) from error
    return SyncNetInstance(net=network, device="cpu")


@lru_cache(maxsize=1)
def _pipeline(syncnet: str, s3fd: str, min_face: int, batch: int) -> Any:
    from syncnet_python import SyncNetPipeline

    for path in (syncnet, s3fd):
        read_tensors(Path(path))  # before the package opens it
    chosen = {
        "syncnet_weights": syncnet,
        "s3fd_weights": s3fd,
        "min_face_size": min_face,
        "batch_size": batch,
    }
    try:
        return SyncNetPipeline(chosen, device="cpu")
    except RuntimeError as error:
        raise ToolError("bad_weight", f"weights of another network than the package's: {error}") from error
