"""(a) The stages decode, crop and encode, against one straight loop of PyAV and OpenCV that does the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from ..crop import CropConfig, crop_face
from ..media import FPS, read_frames, write_video
from ..picture import TO_RGB, TO_YUV
from .figures import Figure, Measurement
from .footage import Footage, enlarged, likeness, plain
from .repeat import Sizes, interleaved, ratios

METHOD = (
    "One clip at 25 fps with given landmarks: `read_frames`, `crop_face`, `write_video`, against one "
    "function that decodes, converts, warps and encodes frame by frame with PyAV and OpenCV: the same "
    "conversion flags, matrices, interpolation and x264 settings, one decoding and one encoding thread "
    "each. The two videos must be alike to 40 dB. Clips: the public-domain address at 320 x 240, and the "
    "same enlarged to 1280 x 720."
)
EXPECTED = "1.02 to 1.15"
SAME = 40.0
"""PSNR in dB above which two videos are one: a pixel that is one level off makes x264 choose otherwise."""


def measure_straight(sizes: Sizes, folder: Path) -> Measurement:
    """Measure the stages' time over the straight loop's, on a small and on a large picture."""
    figures = []
    for name, footage in (
        ("320 x 240", plain(folder, sizes.clip_seconds)),
        ("1280 x 720", enlarged(folder, sizes.clip_seconds)),
    ):
        figures += _compare(name, footage, folder, sizes.repeats)
    return Measurement(name="a", title="Decode, crop, encode", method=METHOD, figures=tuple(figures))


def _compare(name: str, footage: Footage, folder: Path, repeats: int) -> list[Figure]:
    config = CropConfig()
    ours, theirs = folder / "stages.mp4", folder / "straight.mp4"
    matrices_T23 = crop_face(read_frames(footage.path), footage.landmarks_TK2, config).matrices_T23
    ways = {
        "stages": partial(by_stages, footage, ours, config),
        "straight loop": partial(by_loop, footage.path, theirs, matrices_T23, config.size),
    }
    times = interleaved(ways, repeats, f"(a) {name}")
    if (alike := likeness(ours, theirs)) < SAME:
        raise RuntimeError(f"{name}: the two videos agree to {alike:.1f} dB only, so their times say nothing")
    num_frames = len(footage.landmarks_TK2)
    rates = [
        Figure(name=f"{name}: {way}", unit="frames/s", values=tuple(num_frames / t for t in taken))
        for way, taken in times.items()
    ]
    bar = Figure(
        name=f"{name}: time of the stages over the straight loop's",
        unit="x",
        values=ratios(times["stages"], times["straight loop"]),
        expected=EXPECTED,
        limit=1.25,
    )
    return [bar, *rates]


def by_stages(footage: Footage, out: Path, config: CropConfig) -> None:
    """Take the clip through the stages, whole arrays from one to the next."""
    cropped = crop_face(read_frames(footage.path), footage.landmarks_TK2, config)
    write_video(out, cropped.frames_THW3)


def by_loop(source: Path, out: Path, matrices_T23: NDArray[np.float64], size: int) -> None:
    """Do the same frame by frame, written for nothing but this."""
    flags = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
    with av.open(str(source)) as reader, av.open(str(out), "w", format="mp4", options=flags) as writer:
        stream = _h264(writer, size)
        pictures = reader.streams.video[0]
        pictures.codec_context.thread_count = 1
        to_rgb, to_yuv = VideoReformatter(), VideoReformatter()
        for frame, matrix_23 in zip(reader.decode(pictures), matrices_T23, strict=True):
            picture = to_rgb.reformat(frame, format="rgb24", interpolation=TO_RGB, threads=1).to_ndarray()
            crop = av.VideoFrame.from_ndarray(_warped(picture, matrix_23, size), format="rgb24")
            yuv = to_yuv.reformat(
                crop, format="yuv420p", dst_colorspace=Colorspace.ITU601, interpolation=TO_YUV, threads=1
            )
            writer.mux(stream.encode(yuv))
        writer.mux(stream.encode(None))


def _warped(picture_HW3: Any, matrix_23: NDArray[np.float64], size: int) -> Any:
    scale = float(np.hypot(matrix_23[0, 0], matrix_23[1, 0]))
    if scale < 0.75:
        spread = 0.5 * float(np.sqrt(1.0 / scale**2 - 1.0))
        picture_HW3, matrix_23 = _around_crop(picture_HW3, matrix_23, size, int(3 * spread) + 8)
        picture_HW3 = cv2.GaussianBlur(picture_HW3, (0, 0), spread)
    kind = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(picture_HW3, matrix_23, (size, size), flags=kind, borderMode=cv2.BORDER_REFLECT_101)


def _around_crop(picture_HW3: Any, matrix_23: NDArray[np.float64], size: int, margin: int) -> Any:
    """Cut the part of the picture that the crop sees, so that no more than it is blurred."""
    back_23 = cv2.invertAffineTransform(matrix_23)
    corners_42 = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ back_23[:, :2].T + back_23[:, 2]
    x0, y0 = np.maximum(corners_42.min(0).astype(int) - margin, 0)
    x1, y1 = corners_42.max(0).astype(int) + margin
    moved_23 = matrix_23.copy()
    moved_23[:, 2] += matrix_23[:, :2] @ (x0, y0)
    return picture_HW3[y0:y1, x0:x1], moved_23


def _h264(writer: Any, size: int) -> Any:
    options = {"crf": "14", "preset": "medium", "x264-params": "mbtree=0"}
    stream = writer.add_stream("libx264", rate=FPS, options=options)
    stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.colorspace, context.color_range = 6, 1
    context.color_primaries, context.color_trc = 6, 6
    return stream
