"""The machine a run was made on, and how its cores are used."""

from __future__ import annotations

import ctypes

from datapipe import machine

M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""
PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "onnxruntime", "av")


def use_one_thread() -> None:
    """One torch thread per worker: the same sums in the same order whatever the number of workers."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def use_one_heap() -> None:
    """Let all threads share one heap: a heap per thread fragments, and memory grows with the clips.

    Only where the C library is glibc, and only for threads that begin later.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def environment(workers: int) -> dict[str, str]:
    """Versions and processor, without anything that names the machine or its user."""
    return {**machine.environment(PACKAGES), "workers": str(workers)}
