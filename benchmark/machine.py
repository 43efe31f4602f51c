"""The machine a run was made on, and how its cores are used."""

from __future__ import annotations

from datapipe import machine

PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "onnxruntime", "av")


def use_one_thread() -> None:
    """One torch thread per worker: the same sums in the same order whatever the number of workers."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def environment(workers: int) -> dict[str, str]:
    """Versions and processor, without anything that names the machine or its user."""
    return {**machine.environment(PACKAGES), "workers": str(workers)}
