"""Follow every face through a clip and choose the one that is speaking.

Faces are linked from frame to frame by overlap, checked and re-found by identity. A face that is missed
for a few frames is interpolated. The speaker is the face whose lips move when the sound is loud; size
and presence decide where the lips do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .cuts import scene_cuts
from .faces import (
    Face,
    FaceConfig,
    Floats,
    Image,
    detect,
    embed,
    eye_distance,
    face_of,
    landmarks_in_boxes,
    mouth_opening,
    overlap,
)
from .media import FPS, SAMPLE_RATE
from .records import Box, Rejected

REFOUND = 0.1
"""By this much the cosine must be higher where the place does not speak for the same person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig:
    """How faces are followed, and what makes one the speaker."""

    min_overlap: float = 0.3
    """Intersection over union with the last box that links a detection to a face."""
    sure_overlap: float = 0.6
    """Below this overlap, and at intervals, the identity has to agree too."""
    min_cosine: float = 0.25
    """Identity cosine below which two faces are two people."""
    check_every: int = 25
    """Frames between identity checks of a face that moves smoothly."""
    min_presence: float = 0.5
    """A face must be detected in this part of the frames to be a candidate."""
    max_gap: int = 25
    """Longest run of frames without a detection that is interpolated; longer ones drop the candidate."""
    motion_weight: float = 1.0
    """Weight of the correlation between lip motion and loudness."""
    size_weight: float = 0.3
    """Weight of the face's size relative to the biggest candidate."""
    presence_weight: float = 0.3
    """Weight of the part of the frames in which the face was detected."""
    detector: FaceConfig = field(default_factory=FaceConfig)
    """How faces are searched for in a frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowedFace:
    """One identity in every frame."""

    boxes_T4: Floats
    scores_T: Floats
    """Detector confidence; 0 where the face was interpolated."""
    landmarks_TK2: Floats
    identity: Floats
    """(512,) unit embedding, mean over the checks."""
    motion: float = 0.0
    """Correlation of lip motion with loudness, -1 to 1."""
    rank: float = 0.0
    """Weighted sum that decides."""

    @property
    def presence(self) -> float:
        """Part of the frames in which the detector saw the face."""
        return float(np.mean(self.scores_T > 0))

    @property
    def size(self) -> float:
        """Median eye distance in pixels."""
        return float(np.median([eye_distance(points) for points in self.landmarks_TK2]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speaker:
    """The face that was chosen, and why."""

    face: FollowedFace
    candidates: int
    chosen_by: str


@dataclass(frozen=True, slots=True, eq=False)
class _Thread:
    """A face while it is being followed."""

    faces: dict[int, Face]
    identity: Floats
    checked: int


def track_speaker(
    frames_THW3: Image,
    audio: Floats,
    hint: Box | None = None,
    config: TrackConfig = TrackConfig(),
) -> Speaker:
    """Follow the faces of a clip and choose the speaking one; `hint` is where the corpus says it is.

    Raises `Rejected`: no_face (none in any frame), no_speaker (none that could be followed throughout).
    """
    threads = _follow(frames_THW3, config)
    if not threads:
        raise Rejected(
            "no_face", f"no face was found in any of the {len(frames_THW3)} frames; check the picture"
        )
    kept = [thread for thread in threads if _is_candidate(thread, len(frames_THW3), config)]
    kept = [thread for thread in kept if not _is_interrupted(thread, threads, frames_THW3, config)]
    if not kept:
        best = max(len(thread.faces) for thread in threads)
        raise Rejected(
            "no_speaker",
            f"no face stays: the best is in {best} of {len(frames_THW3)} frames; cut the clip where it shows",
        )
    faces = [_complete(thread, frames_THW3, config.detector) for thread in kept]
    inside = [face for face in faces if hint is not None and _within(face, hint)]
    speaker = choose_speaker(inside or faces, audio, config)
    return (
        replace(speaker, chosen_by="inside the annotated window: " + speaker.chosen_by) if inside else speaker
    )


def choose_speaker(
    faces: Sequence[FollowedFace], audio: Floats, config: TrackConfig = TrackConfig()
) -> Speaker:
    """Rank candidates by lip motion with the sound, size and presence; say in words what decided."""
    biggest = max(face.size for face in faces)
    ranked = sorted((_rated(face, audio, biggest, config) for face in faces), key=lambda face: -face.rank)
    return Speaker(face=ranked[0], candidates=len(ranked), chosen_by=_explain(ranked))


def loudness(audio: Floats, num_frames: int) -> NDArray[np.float64]:
    """Measure the sound's level in every video frame: log RMS over its 40 ms, in dB above -60 dBFS."""
    step = SAMPLE_RATE // FPS
    padded = np.zeros(num_frames * step, np.float64)
    padded[: min(len(audio), len(padded))] = audio[: len(padded)]
    rms = np.sqrt(np.mean(padded.reshape(num_frames, step) ** 2, axis=1))
    return np.asarray(20 * np.log10(np.maximum(rms, 1e-3)) + 60)


def motion_with_sound(landmarks_TK2: Floats, audio: Floats) -> float:
    """Correlate how much the lips move with how loud it is; the best of lags up to 3 frames, -1 to 1."""
    opening_T = gaussian_filter1d([mouth_opening(points) for points in landmarks_TK2], 1.0)
    moves_T = gaussian_filter1d(np.abs(np.gradient(opening_T)), 3.0)
    level_T = gaussian_filter1d(loudness(audio, len(moves_T)), 3.0)
    if len(moves_T) < 2 * FPS // 3 or moves_T.std() < 1e-6 or level_T.std() < 1e-6:
        return 0.0
    together = [_correlation(np.roll(moves_T, -lag)[3:-3], level_T[3:-3]) for lag in range(-3, 4)]
    return float(np.clip(max(together), -1.0, 1.0))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))


def _follow(frames_THW3: Image, config: TrackConfig) -> list[_Thread]:
    threads: list[_Thread] = []
    found: tuple[Face, ...] = ()
    for index, frame in enumerate(frames_THW3):
        if index == 0 or not np.array_equal(
            frame, frames_THW3[index - 1]
        ):  # a held frame shows the same faces
            found = detect(frame, config.detector)
        taken: set[int] = set()
        for face in found:
            chosen = _match(threads, taken, index, frame, face, config)
            if chosen is None:
                threads.append(_Thread({index: face}, embed(frame, face, config.detector), index))
                chosen = len(threads) - 1
            threads[chosen].faces[index] = face
            taken.add(chosen)
    return threads


def _match(
    threads: list[_Thread], taken: set[int], index: int, frame: Image, face: Face, config: TrackConfig
) -> int | None:
    """Find the thread that a detection continues: by place when that is sure, else by identity."""
    free = [number for number in range(len(threads)) if number not in taken]
    if not free:
        return None
    overlaps = {number: overlap(_last(threads[number]).box, face.box) for number in free}
    near = max(free, key=lambda number: overlaps[number])
    thread = threads[near]
    recent = index - max(thread.faces) <= 3
    if recent and overlaps[near] >= config.sure_overlap and index - thread.checked < config.check_every:
        return near
    vector = embed(frame, face, config.detector)
    same = {number: float(threads[number].identity @ vector) for number in free}
    place_agrees = recent and overlaps[near] >= config.min_overlap
    chosen = near if place_agrees and same[near] >= config.min_cosine else max(free, key=lambda n: same[n])
    if same[chosen] < config.min_cosine + (0.0 if chosen == near and place_agrees else REFOUND):
        return None
    blend = threads[chosen].identity * 0.8 + vector * 0.2
    identity = (blend / np.linalg.norm(blend)).astype(np.float32)
    threads[chosen] = replace(threads[chosen], identity=identity, checked=index)
    return chosen


def _last(thread: _Thread) -> Face:
    return thread.faces[max(thread.faces)]


def _is_candidate(thread: _Thread, num_frames: int, config: TrackConfig) -> bool:
    seen = np.array([-1, *sorted(thread.faces), num_frames])
    longest_gap = int(np.diff(seen).max()) - 1
    return len(thread.faces) >= config.min_presence * num_frames and longest_gap <= config.max_gap


def _is_interrupted(
    thread: _Thread, threads: Sequence[_Thread], frames_THW3: Image, config: TrackConfig
) -> bool:
    """Tell whether frames without the face show something else: another shot, or another person there."""
    unseen = np.setdiff1d(np.arange(len(frames_THW3)), list(thread.faces))
    if not len(unseen):
        return False
    if any(cut in unseen or cut - 1 in unseen for cut in scene_cuts(frames_THW3)):
        return True
    boxes_T4 = _fill(thread, len(frames_THW3))
    return any(
        _is_covered(thread, other, boxes_T4, frames_THW3, config) for other in threads if other is not thread
    )


def _is_covered(
    thread: _Thread,
    other: _Thread,
    boxes_T4: NDArray[np.float64],
    frames_THW3: Image,
    config: TrackConfig,
) -> bool:
    """Tell whether another person is where the face would be; a face that was lost and found again is not."""
    here = [
        index
        for index, face in other.faces.items()
        if index not in thread.faces and overlap(_box(boxes_T4[index]), face.box) >= config.min_overlap
    ]
    same = [
        float(thread.identity @ embed(frames_THW3[index], other.faces[index], config.detector))
        for index in here
    ]
    return bool(same) and max(same) < config.min_cosine + REFOUND


def _fill(thread: _Thread, num_frames: int) -> NDArray[np.float64]:
    """Interpolate the boxes of a face over the frames without it: (T, 4)."""
    seen = sorted(thread.faces)
    known_N4 = np.array([thread.faces[index].box for index in seen])
    return np.stack([np.interp(np.arange(num_frames), seen, known_N4[:, side]) for side in range(4)], axis=1)


def _complete(thread: _Thread, frames_THW3: Image, face_config: FaceConfig) -> FollowedFace:
    """Fill the gaps, steady the boxes, and locate the landmarks of every frame."""
    seen = sorted(thread.faces)
    boxes_T4 = gaussian_filter1d(_fill(thread, len(frames_THW3)), 1.5, axis=0, mode="nearest")
    scores_T = np.zeros(len(frames_THW3), np.float32)
    scores_T[seen] = [thread.faces[index].score for index in seen]
    return FollowedFace(
        boxes_T4=boxes_T4.astype(np.float32),
        scores_T=scores_T,
        landmarks_TK2=landmarks_in_boxes(frames_THW3, boxes_T4, face_config),
        identity=thread.identity,
    )


def _box(values: NDArray[np.float64]) -> Box:
    return (float(values[0]), float(values[1]), float(values[2]), float(values[3]))


def _rated(face: FollowedFace, audio: Floats, biggest: float, config: TrackConfig) -> FollowedFace:
    motion = motion_with_sound(face.landmarks_TK2, audio)
    rank = (
        config.motion_weight * motion * _liveliness(face)
        + config.size_weight * face.size / max(biggest, 1e-6)
        + config.presence_weight * face.presence
    )
    return replace(face, motion=motion, rank=rank)


def _liveliness(face: FollowedFace) -> float:
    """Tell moving lips from landmark noise: 0 for still lips, 1 from a spread of 0.04 eye distances."""
    opening_T = gaussian_filter1d([mouth_opening(points) for points in face.landmarks_TK2], 1.0)
    return float(min(opening_T.std() / 0.04, 1.0))


def _within(face: FollowedFace, hint: Box) -> bool:
    """Tell whether the face's middle lies in the window in most frames."""
    x = (face.boxes_T4[:, 0] + face.boxes_T4[:, 2]) / 2
    y = (face.boxes_T4[:, 1] + face.boxes_T4[:, 3]) / 2
    inside_T = (x > hint[0]) & (x < hint[2]) & (y > hint[1]) & (y < hint[3])
    return bool(inside_T.mean() > 0.5)


def _explain(ranked: Sequence[FollowedFace]) -> str:
    best = ranked[0]
    facts = f"lip motion follows loudness with r={best.motion:.2f}, eyes {best.size:.0f} px apart, " + (
        f"detected in {best.presence:.0%} of frames"
    )
    if len(ranked) == 1:
        return f"the only face that could be followed: {facts}"
    other = ranked[1]
    return (
        f"1 of {len(ranked)} faces, rank {best.rank:.2f} against {other.rank:.2f}: {facts}; "
        f"the next has r={other.motion:.2f}, {other.size:.0f} px, {other.presence:.0%}"
    )


def identity_of(frame_HW3: Image, landmarks_106_2: Floats) -> Floats:
    """Embed the face that the landmarks outline."""
    return embed(frame_HW3, face_of(landmarks_106_2))
