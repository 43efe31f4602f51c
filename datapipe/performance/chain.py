"""(c) Cutting clips out of one video, against the chain of ffmpeg commands that the field's pipelines use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from ..crop import crop_frames
from ..machine import usable_cores
from ..media import SAMPLE_RATE, read_audio, read_frames, write_video, write_wav
from ..records import Rejected, Seconds
from .figures import Figure, Measurement
from .footage import enlarged_video, likeness
from .repeat import Sizes, interleaved, ratios

SOURCE_FPS = 30
SIDE = 256
WINDOW = (430, 60, 420)
"""Left, top and side of the fixed face window in the 1280 x 720 picture."""
Span = tuple[Seconds, Seconds]
METHOD = (
    "A 1280 x 720 video at 30 fps with sound becomes clips at 25 fps, cropped to a fixed window of 420 "
    "pixels and brought to 256 x 256, each with a 16 kHz mono WAV. Ours: one pass per clip (decode, warp,"
    " encode) on one thread. Theirs: four passes, as in LatentSync's and MuseTalk's preparation, each its"
    " own ffmpeg command and, but for the sound, its own H.264 encoding at ffmpeg's defaults: 25 fps, "
    "segments, crop, sound; the crop at our rate factor. The chain runs with one thread per command (the "
    "bar), and with as many as ffmpeg likes against ours on one thread per core."
)
EXPECTED = {"one thread": "8 to 15", "all cores": "4 to 8"}
MOST_LAG = 3
"""Frames by which the chain's change of rate may shift the picture."""


def measure_chain(sizes: Sizes, folder: Path) -> Measurement:
    """Measure the chain's time over ours; that the products are alike is checked, and said."""
    ends = [(k + 1) * sizes.chain_seconds for k in range(sizes.chain_segments)]
    spans = [(end - sizes.chain_seconds, end) for end in ends]
    source = enlarged_video(folder, ends[-1] + 0.5, SOURCE_FPS)
    ways: dict[str, Callable[[], object]] = {
        "one pass, one thread": partial(by_one_pass, source, folder / "one", spans, 1),
        "chain, one thread": partial(by_chain, source, folder / "chain", spans, 1),
        "one pass, all cores": partial(by_one_pass, source, folder / "one", spans, usable_cores()),
        "chain, all cores": partial(by_chain, source, folder / "chain", spans, 0),
    }
    times = interleaved(ways, sizes.repeats, "(c) chain of ffmpeg")
    alone = ratios(times["chain, one thread"], times["one pass, one thread"])
    whole = ratios(times["chain, all cores"], times["one pass, all cores"])
    figures = [
        Figure(
            name="time of the chain over ours, one thread",
            unit="x",
            values=alone,
            expected=EXPECTED["one thread"],
            limit=3.0,
            sense="at least",
        ),
        Figure(
            name="time of the chain over ours, all cores",
            unit="x",
            values=whole,
            expected=EXPECTED["all cores"],
        ),
        *(Figure(name=f"{name}: wall time", unit="s", values=taken) for name, taken in times.items()),
        Figure(name="likeness of the products, worst clip", unit="dB PSNR", values=(_alike(folder, spans),)),
    ]
    return Measurement(
        name="c", title="Against a chain of ffmpeg commands", method=METHOD, figures=tuple(figures)
    )


def by_one_pass(source: Path, out: Path, spans: list[Span], threads: int) -> None:
    """Make every clip from the source itself: decode once, encode once; `threads` clips at a time."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_clip, source, out), range(len(spans)), spans))


def _clip(source: Path, out: Path, index: int, span: Span) -> None:
    left, top, side = WINDOW
    scale = SIDE / side
    shift = 0.5 * (scale - 1.0)
    matrix_23 = np.array([[scale, 0.0, shift - scale * left], [0.0, scale, shift - scale * top]])
    frames = read_frames(source, *span)
    crops = crop_frames(frames, np.broadcast_to(matrix_23, (len(frames), 2, 3)), SIDE)
    write_video(out / f"{index}.mp4", crops)
    write_wav(out / f"{index}.wav", read_audio(source, *span))


def by_chain(source: Path, out: Path, spans: list[Span], threads: int) -> None:
    """Make them in four passes over files; `threads` 0 leaves the number to ffmpeg."""
    out.mkdir(parents=True, exist_ok=True)
    run = partial(_ffmpeg, threads)
    resampled = out / "25fps.mp4"
    run([], source, ["-r", "25", "-ar", "16000", "-c:v", "libx264", "-c:a", "aac"], resampled)
    left, top, side = WINDOW
    window = f"crop={side}:{side}:{left}:{top},scale={SIDE}:{SIDE}"
    for index, (start, end) in enumerate(spans):
        segment = out / f"{index}-segment.mp4"
        span = ["-ss", f"{start}", "-t", f"{end - start}"]
        run(span, resampled, ["-c:v", "libx264", "-c:a", "aac"], segment)
        run([], segment, ["-vf", window, "-an", "-c:v", "libx264", "-crf", "14"], out / f"{index}.mp4")
        run([], segment, ["-vn", "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le"], out / f"{index}.wav")


def _ffmpeg(threads: int, before: list[str], source: Path, after: list[str], target: Path) -> None:
    limit = ["-threads", str(threads), "-filter_threads", str(threads)] if threads else []
    quiet = ["-y", "-nostdin", "-loglevel", "error"]
    command = [ffmpeg_path(), *quiet, *limit, *before, "-i", str(source), *limit, *after, str(target)]
    subprocess.run(command, check=True)


def ffmpeg_path() -> str:
    """Find the ffmpeg program; `Rejected("step_failed")` where the extra `bench` is not installed."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ModuleNotFoundError as error:
        message = "(c) needs the ffmpeg program: run `make bench-datapipe`, or pip install imageio-ffmpeg"
        raise Rejected("step_failed", message) from error
    return str(get_ffmpeg_exe())


def _alike(folder: Path, spans: list[Span]) -> float:
    """Compare the products, in dB for the worst clip; raises when they are not the same clips."""
    worst = np.inf
    for index in range(len(spans)):
        ours, theirs = folder / "one", folder / "chain"
        sounds = [read_audio(each / f"{index}.wav") for each in (ours, theirs)]
        if abs(len(sounds[0]) - len(sounds[1])) > 0.1 * SAMPLE_RATE:
            raise RuntimeError(f"clip {index}: the chain made another clip, so the times say nothing")
        worst = min(worst, likeness(ours / f"{index}.mp4", theirs / f"{index}.mp4", MOST_LAG))
    return worst
