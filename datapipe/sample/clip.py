"""One clip from its plan: frames, sound and the truth about both."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..files import write_bytes, write_text
from ..records import Phoneme, Word, to_json
from ..weights import resolve
from .config import SampleConfig
from .fit import fit_mesh, own_portraits, read_photo
from .mesh import known_portraits
from .motion import blinks, head_motion
from .plan import ClipPlan
from .portrait import normalise
from .render import Poses, Puppet, Rendered, make_puppet, render
from .speech import Timeline, sound_of, timeline
from .viseme import mouth_curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A finished clip in memory."""

    plan: ClipPlan
    rendered: Rendered
    sound: NDArray[np.float32]
    """(N,) 16 kHz mono, as long as the frames."""
    timeline: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is true of a clip; the pipeline never reads it."""

    id: str
    identity: str
    displayable: bool
    """Whether frames of this person may appear in published pictures."""
    split: str | None
    fps: int
    num_frames: int
    language: str
    text: str
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]
    sync_offset: float
    """Seconds by which the sound is later than the lips."""


def make_clip(plan: ClipPlan, config: SampleConfig) -> Clip:
    """Render a clip; depends on nothing but the plan and the config."""
    cv2.setNumThreads(1)
    puppet = puppet_of(plan.portrait, plan.scene, plan.offset, config.portraits)
    truth = timeline(plan.utterance)
    num_frames = round(plan.utterance.duration * plan.fps)
    rng = np.random.default_rng(plan.seed)
    poses = Poses(
        mouth_T6=mouth_curve(truth.phonemes, num_frames, plan.fps, config.articulation),
        head_T6=head_motion(rng, num_frames, plan.fps, config.head_motion),
        blink_T=blinks(rng, num_frames, plan.fps),
    )
    return Clip(
        plan=plan, rendered=render(puppet, poses), sound=sound_of(plan.utterance, plan.seed), timeline=truth
    )


@lru_cache(maxsize=16)
def puppet_of(name: str, scene: tuple[int, int], offset: tuple[int, int], portraits: Path | None) -> Puppet:
    """Prepare a portrait for a frame, once per process."""
    photo, mesh = _photo_and_mesh(name, portraits)
    return make_puppet(normalise(name, photo, mesh, scene, offset))


def _photo_and_mesh(name: str, portraits: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    own = own_portraits(portraits)
    if name in own:
        photo = read_photo(own[name])
        return photo, fit_mesh(photo, own[name].name)
    entry = known_portraits()[name]
    return read_photo(resolve(entry.weight)), entry.mesh_478_3


def write_answer(clip: Clip, base: Path) -> None:
    """Write the truth about a clip as BASE.json and BASE.npz."""
    known = known_portraits().get(clip.plan.portrait)
    answer = Answer(
        id=clip.plan.id,
        identity=clip.plan.portrait,
        displayable=bool(known and known.displayable),
        split=clip.plan.split,
        fps=clip.plan.fps,
        num_frames=len(clip.rendered.frames_THW3),
        language=clip.timeline.language,
        text=clip.timeline.text,
        words=clip.timeline.words,
        phonemes=clip.timeline.phonemes,
        sync_offset=0.0,
    )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, lips_TK2=clip.rendered.lips_TK2, opening_T=clip.rendered.opening_T)
    write_bytes(base.with_name(base.name + ".npz"), buffer.getvalue())
    write_text(base.with_name(base.name + ".json"), to_json(answer))
