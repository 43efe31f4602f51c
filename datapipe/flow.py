"""READ FIRST. One clip, from raw video to a finished sample.

Every line is a stage: a pure function of what came before, its config last. `cpu` and `gpu` decide how a
stage is run: here and now in tests, timed and kept in a build; on a cluster with GPUs, `prepare` and what
follows it are tasks of different workers. A clip that cannot go on raises `Rejected`; any
other exception is a bug and ends this clip alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from .agreement import agree
from .align import align
from .config import BuildConfig
from .crop import crop_face
from .decode import decode
from .faces import openings
from .keyframes import choose_keyframes
from .media import probe
from .pack import Draft, Packed, Said, Seen, draft, pack
from .records import Clip
from .track import track_speaker
from .understand import understand
from .upscale import enhance, gather

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class Call(Protocol):
    """How a stage is run."""

    def __call__(self, stage: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run the stage on its arguments and give its result."""


def run_here(stage: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
    """Call a stage in this process, as it is."""
    return stage(*args, **kwargs)


def flow(clip: Clip, config: BuildConfig, cpu: Call = run_here, gpu: Call = run_here) -> Packed:
    """Turn one clip into a sample; decodes once, encodes once, writes nothing."""
    return complete(prepare(clip, config, cpu), config, cpu, gpu)


def prepare(clip: Clip, config: BuildConfig, call: Call = run_here) -> Draft:
    """Do everything but super-resolution; the full frames are not needed after it."""
    facts = call(probe, clip.video)
    raw = call(decode, clip, config.decode)
    transcript = call(understand, clip, raw.audio, config.transcribe)
    alignment = call(align, raw.audio, transcript, config.align)
    agreement = call(agree, clip, transcript, alignment, raw.audio, config.transcribe)
    speaker = call(track_speaker, raw.frames_THW3, raw.audio, raw.crop_hint, config.track)
    cropped = call(crop_face, raw.frames_THW3, speaker.face.landmarks_TK2, config.crop)
    opening_T = openings(cropped.landmarks_TK2)
    keyframes = call(choose_keyframes, alignment.phonemes, len(opening_T), config.keyframes, opening_T)
    plain = call(gather, raw.frames_THW3, cropped, keyframes, config.upscale)
    said = Said(transcript=transcript, alignment=alignment, keyframes=keyframes, agreement=agreement)
    seen = Seen(speaker=speaker, cropped=cropped, plain=plain)
    return call(draft, clip, facts, raw, said, seen, config)


def complete(drafted: Draft, config: BuildConfig, cpu: Call = run_here, gpu: Call = run_here) -> Packed:
    """Enhance what was drafted, and put the sample together."""
    enhanced = gpu(enhance, drafted.plain, config.upscale)
    return cpu(pack, drafted, enhanced)
