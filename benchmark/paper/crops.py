"""What a crop does to who is seen in it: identity distances of crops made in two ways, per speaker.

The paper's Table 4 compares generators trained on either crop. Here the crops themselves are measured, from
the corpus' own videos and the landmarks in its shards, in two ways: `as cropped` holds each crop, as a
generator would see it, against the first of its clip (a crop whose scale and place wander looks like other
people); `aligned` holds the face in the crop, put upright by five points, against the same face in the
uncropped video (what the crop's size and edges cost). Distances are ISS, 1 - cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.console import track
from datapipe.crop import CropConfig, fit_matrices, to_crop, warp
from datapipe.faces import face_of, similarity
from datapipe.film import read_film
from datapipe.records import Clip, Rejected
from datapipe.shards import StoredSample, identity_of, read_samples
from datapipe.sources import SourceConfig, find_clips
from datapipe.weights import lookup

from ..identity import BACKBONES, Backbone, embedded
from ..records import Protocol, protocol

CROPS_SCHEMA = "avatarsync-crops/1"
EVERY = 15
"""Every so many frames are looked at; crops are fitted to all."""
Pictures = NDArray[np.uint8]
Points = NDArray[np.float32]
Mode = Literal["face", "pose"]
Measure = Literal["as cropped", "aligned"]
MODES: tuple[Mode, ...] = get_args(Mode)
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropOfClip:
    """One clip in both crops."""

    key: str
    speaker: str
    distances: dict[str, float]
    """`mode/measure/network` to the mean distance over the frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """A finished comparison of crops."""

    source: str
    """The corpus' adapter: cmlr, hdtf or folder."""
    data: str
    """Hash of the shards whose landmarks were used."""
    size: int
    """Side of the crops in pixels."""
    settings: dict[str, str]
    weights: dict[str, str]
    clips: tuple[CropOfClip, ...]
    failures: dict[str, str]
    """Clip to the reason why it could not be measured."""
    schema: str = CROPS_SCHEMA

    @property
    def protocol(self) -> Protocol:
        """What the distances depend on besides the clips."""
        return protocol(size=self.size, **self.settings)


def name_of(mode: Mode, measure: Measure, network: str) -> str:
    """Name of a distance in `CropOfClip.distances`."""
    return f"{mode}/{measure}/{network}"


def compare_crops(data: Path, root: Path, limit: int | None = None) -> Crops:
    """Measure every clip of a dataset, or the first `limit` of each speaker.

    `root` is the corpus that the shards were built from. Raises `Rejected("bad_input")` when the two do not
    belong together.
    """
    samples = list(_chosen(data, limit))
    source = samples[0].meta.source
    clips = {found.id: found for found in find_clips(source, root, SourceConfig()) if isinstance(found, Clip)}
    if not any(sample.meta.id in clips for sample in samples):
        raise Rejected("bad_input", f"{root} holds no clip of {data}; name the corpus that it was built from")
    measured, failures = [], {}
    for sample in track(samples, "crops"):
        try:
            measured.append(_measured(sample, clips))
        except Rejected as error:
            failures[sample.meta.key] = error.message
    return Crops(
        source=source,
        data=identity_of((data,))[:12],
        size=samples[0].meta.size,
        settings={"every": str(EVERY), "distance": "1 - cosine", "landmarks": "of the shards"},
        weights={entry.weight: lookup(entry.weight).sha256 for entry in BACKBONES.values()},
        clips=tuple(measured),
        failures=failures,
    )


def _chosen(data: Path, limit: int | None) -> Iterator[StoredSample]:
    taken: dict[str, int] = {}
    for sample in read_samples(data):
        taken[sample.meta.speaker] = taken.get(sample.meta.speaker, 0) + 1
        if limit is None or taken[sample.meta.speaker] <= limit:
            yield sample


def _measured(sample: StoredSample, clips: Mapping[str, Clip]) -> CropOfClip:
    clip = clips.get(sample.meta.id)
    if clip is None:
        raise Rejected(
            "missing_file", f"{sample.meta.id} is not in the corpus; name the one it was built from"
        )
    frames = read_film(clip.video, clip.start, clip.end).frames_THW3
    points_TK2 = sample.source_landmarks_TK2
    if len(frames) < len(points_TK2):
        raise Rejected(
            "truncated", f"{sample.meta.id} has {len(frames)} frames for {len(points_TK2)} landmarks"
        )
    if len(points_TK2) <= EVERY:
        raise Rejected(
            "too_short",
            f"{sample.meta.id} has {len(points_TK2)} frames; two are looked at from {EVERY + 1} on",
        )
    found = _distances(frames, points_TK2, sample.meta.size)
    return CropOfClip(key=sample.meta.key, speaker=sample.meta.speaker, distances=dict(found))


def _distances(frames_THW3: Pictures, points_TK2: Points, size: int) -> Iterator[tuple[str, float]]:
    looked = range(0, len(points_TK2), EVERY)
    truth = {
        name: _vectors([_upright(frames_THW3[t], points_TK2[t], backbone) for t in looked], backbone)
        for name, backbone in BACKBONES.items()
    }
    for mode in MODES:
        matrices_T23 = fit_matrices(points_TK2, CropConfig(mode=mode, size=size))
        moved_TK2 = to_crop(points_TK2, matrices_T23)
        crops = {t: warp(frames_THW3[t], matrices_T23[t], size) for t in looked}
        for name, backbone in BACKBONES.items():
            seen = _vectors([_squeezed(crop, backbone) for crop in crops.values()], backbone)
            upright = [_upright(crop, moved_TK2[t], backbone) for t, crop in crops.items()]
            kept = (_vectors(upright, backbone) * truth[name]).sum(axis=1)
            yield name_of(mode, "as cropped", name), float((1 - seen[1:] @ seen[0]).mean())
            yield name_of(mode, "aligned", name), float((1 - kept).mean())


def _squeezed(crop: Pictures, backbone: Backbone) -> Pictures:
    return np.asarray(
        cv2.resize(crop, (backbone.side, backbone.side), interpolation=cv2.INTER_AREA), np.uint8
    )


def _upright(picture: Pictures, points_K2: Points, backbone: Backbone) -> Pictures:
    matrix = similarity(face_of(points_K2).points_52, backbone.points_52)
    return np.asarray(cv2.warpAffine(picture, matrix, (backbone.side, backbone.side)), np.uint8)


def _vectors(pictures: Sequence[Pictures], backbone: Backbone) -> NDArray[np.float64]:
    """Unit vectors (n, dim), in batches that the network takes."""
    step = backbone.batch
    batches = [np.stack(pictures[k : k + step]) for k in range(0, len(pictures), step)]
    return np.concatenate([embedded(batch, backbone) for batch in batches]).astype(np.float64)
