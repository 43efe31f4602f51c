"""The lossy steps that the published SyncNet chain puts between a video and the network.

Frames go through JPEG of high quality; the crops are encoded as MPEG-4 and then taken out as JPEG by ffmpeg
without a quality setting, so that its rate control (200 kbit/s) decides: near 30 dB after the first frames.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from datapipe.media import FPS

from .distances import Pictures

FRAME_QUALITY = 95
"""Of the first JPEG, on OpenCV's scale: near ffmpeg's `-qscale:v 2`."""
BITS_PER_PIXEL = 64
"""OpenCV's VideoWriter asks for so many, which leaves the quantiser at its least."""
JPEG_BITS_PER_SECOND = 200_000
"""ffmpeg's default for a video stream, also when it writes pictures."""


def through_jpeg(frames_THW3: Pictures) -> Pictures:
    """Encode and decode each frame (RGB in, RGB out) as the chain's first step does."""
    out = np.empty_like(frames_THW3)
    for copy, frame in zip(out, frames_THW3, strict=True):
        _, encoded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, FRAME_QUALITY])
        copy[:] = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1]
    return out


def through_codecs(crops_TSS3: Pictures) -> Pictures:
    """Encode and decode BGR crops as MPEG-4, then as JPEG under rate control."""
    side = crops_TSS3.shape[1]
    film = _coded(crops_TSS3, "mpeg4", "yuv420p", BITS_PER_PIXEL * FPS * side * side)
    return _coded(film, "mjpeg", "yuvj420p", JPEG_BITS_PER_SECOND)


def _coded(pictures_TSS3: Pictures, codec: str, pixels: str, bits_per_second: int) -> Pictures:
    """BGR pictures after an encoder and its decoder."""
    encoder = _encoder(codec, pixels, bits_per_second, pictures_TSS3.shape[1])
    decoder: Any = av.CodecContext.create(codec, "r")
    packets = []
    for number, picture in enumerate(pictures_TSS3):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24").reformat(
            format=pixels
        )
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return np.stack([frame.to_ndarray(format="bgr24") for frame in frames])


def _encoder(codec: str, pixels: str, bits_per_second: int, side: int) -> Any:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width = encoder.height = side
    encoder.pix_fmt = pixels
    encoder.time_base = Fraction(1, FPS)
    encoder.framerate = Fraction(FPS)
    encoder.bit_rate = bits_per_second
    encoder.thread_count = 1
    return encoder
