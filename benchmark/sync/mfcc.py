"""Mel cepstra as SyncNet was trained on them: the defaults of python_speech_features 0.6, at 16 kHz.

Rectangular windows of 25 ms every 10 ms, pre-emphasis 0.97, 26 mel filters on a spectrum of 512 points,
13 cepstra with lifter 22, the first replaced by the log of the window's energy. 100 columns a second.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from datapipe.media import SAMPLE_RATE

WINDOW, STEP = 400, 160
"""Samples per window, and from one window to the next."""
NUM_POINTS, NUM_FILTERS, NUM_CEPSTRA = 512, 26, 13
PRE_EMPHASIS, LIFTER = 0.97, 22
EPSILON = np.finfo(np.float64).eps
"""Stands for an energy of zero, whose logarithm there is none."""


def mfcc(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Cepstra (num_columns, 13) of 16-bit sound; its end is filled up with zeros to a whole window."""
    if not len(samples):
        return np.empty((0, NUM_CEPSTRA))
    power = _power(_windows(_emphasised(samples)))
    energy = _positive(power.sum(axis=1))
    mel = _positive(power @ _filters().T)
    cepstra: NDArray[np.float64] = dct(np.log(mel), type=2, axis=1, norm="ortho")[:, :NUM_CEPSTRA] * _lifter()
    cepstra[:, 0] = np.log(energy)
    return cepstra


def to_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound in [-1, 1] as ffmpeg writes it into a 16-bit file; what came from such a file is unchanged."""
    samples: NDArray[np.int16] = np.clip(np.rint(audio * 32768.0), -32768, 32767).astype(np.int16)
    return samples


def _emphasised(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    signal = samples.astype(np.float64)
    return np.append(signal[:1], signal[1:] - PRE_EMPHASIS * signal[:-1])


def _windows(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    count = 1 + max(0, -(-(len(signal) - WINDOW) // STEP))
    padded = np.pad(signal, (0, max(0, (count - 1) * STEP + WINDOW - len(signal))))
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP][:count]


def _power(windows_NW: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(windows_NW, NUM_POINTS)
    return np.asarray(np.abs(spectrum) ** 2 / NUM_POINTS)


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values == 0.0, EPSILON, values)


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles (26, 257) between points that are equally far apart in mel, rounded down to bins."""
    top = 2595.0 * np.log10(1.0 + SAMPLE_RATE / 2 / 700.0)
    hertz = 700.0 * (10.0 ** (np.linspace(0.0, top, NUM_FILTERS + 2) / 2595.0) - 1.0)
    edges = np.floor((NUM_POINTS + 1) * hertz / SAMPLE_RATE)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(NUM_POINTS // 2 + 1)
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    # the left edge counts, the right one does not: at the centre both slopes read 1
    return np.where((bins >= left) & (bins < right), np.minimum(rising, falling), 0.0)


@cache
def _lifter() -> NDArray[np.float64]:
    return 1.0 + LIFTER / 2.0 * np.sin(np.pi * np.arange(NUM_CEPSTRA) / LIFTER)
