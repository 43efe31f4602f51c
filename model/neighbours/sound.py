"""Rows of sound for latents: a log-mel spectrum, 50 rows a second, where EARTalking has WavLM's features."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.media import FPS, SAMPLE_RATE

BANDS, HOP, WINDOW, POINTS = 80, 320, 400, 512
ROWS_PER_FRAME = SAMPLE_RATE // HOP // FPS
ASIDE = 2
"""Rows of the sound before and after that a latent also hears."""
FLOOR = 1e-5
CENTRE, SPREAD = -5.0, 3.0
"""Brings logs of speech to about 0 and 1."""


@functools.cache
def mel_filters() -> Tensor:
    """Triangles (POINTS / 2 + 1, BANDS), even on HTK's mel scale from 0 to half the sampling rate."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, POINTS // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins) / np.diff(edges)[1:]
    return torch.from_numpy(np.maximum(0, np.minimum(rise, fall)).astype(np.float32))


def log_mel(audio: NDArray[np.float32], num_rows: int) -> Tensor:
    """Rows (num_rows, BANDS), one every 20 ms; beyond the sound there is silence."""
    wanted = num_rows * HOP + WINDOW
    padded = np.zeros(wanted, np.float32)
    padded[: min(len(audio), wanted)] = audio[:wanted]
    pieces = torch.from_numpy(padded).unfold(0, WINDOW, HOP)[:num_rows] * torch.hann_window(WINDOW)
    power = torch.fft.rfft(pieces, POINTS).abs().square()
    logs: Tensor = torch.log(power @ mel_filters() + FLOOR)
    return (logs - CENTRE) / SPREAD


def rows_of_latents(audio: NDArray[np.float32], num_latents: int, frames: int) -> Tensor:
    """Rows (num_latents, A, BANDS) that latents of `frames` frames hear: their own and ASIDE at both ends."""
    own = ROWS_PER_FRAME * frames
    silence = torch.full((ASIDE, BANDS), (float(np.log(FLOOR)) - CENTRE) / SPREAD)
    rows = torch.cat((silence, log_mel(audio, num_latents * own + ASIDE)))
    return rows.unfold(0, own + 2 * ASIDE, own).transpose(1, 2).contiguous()
