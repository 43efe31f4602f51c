"""What the packages need around them: an ffmpeg by its name, no telemetry, weights that are only tensors."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from serve import ToolError

QUIET = {"PYANNOTE_METRICS_ENABLED": "0", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def prepare() -> None:
    """Switch telemetry and downloads off, and put imageio-ffmpeg's program on the path as `ffmpeg`."""
    os.environ.update(QUIET)
    warnings.filterwarnings("ignore", module="pyannote")  # it would decode files with torchcodec; none is
    os.environ["PATH"] = f"{_ffmpeg_folder()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _ffmpeg_folder() -> str:
    """Make a folder that holds the one program, under the name that ffmpeg-python calls."""
    from imageio_ffmpeg import get_ffmpeg_exe

    folder = tempfile.mkdtemp(prefix="ffmpeg.")
    (Path(folder) / "ffmpeg").symlink_to(get_ffmpeg_exe())
    return folder


def use_threads(number: int) -> None:
    """Let torch take so many threads; packages change it when they are imported."""
    import torch

    torch.set_num_threads(number)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a checkpoint that holds named tensors and nothing else; nothing in it is executed.

    Raises `ToolError("bad_weight")`.
    """
    import torch

    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ToolError("bad_weight", f"{path.name} is no file of tensors: {type(error).__name__}") from error
    if not isinstance(loaded, dict) or not all(torch.is_tensor(each) for each in loaded.values()):
        raise ToolError("bad_weight", f"{path.name} holds something else than named tensors")
    return loaded
