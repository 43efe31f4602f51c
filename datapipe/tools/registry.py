"""The tool environments: what each is for, what it costs, and how it is made."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from ..records import Rejected

HERE = Path(__file__).parent
OFFLINE = (
    ("PYANNOTE_METRICS_ENABLED", "0"),
    ("HF_HUB_OFFLINE", "1"),
    ("TRANSFORMERS_OFFLINE", "1"),
    ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ("OTEL_SDK_DISABLED", "true"),
    ("NO_ALBUMENTATIONS_UPDATE", "1"),
    ("DO_NOT_TRACK", "1"),
    ("PYTHONWARNINGS", "ignore"),
)
"""Settings that keep third parties from downloading and from telling others what is done here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One environment: a folder with `lock.txt` and `program.py`, and what its making needs."""

    name: str
    packages: tuple[str, ...]
    """Distributions that it is there for; the lock holds them with all that they need."""
    imports: tuple[str, ...]
    """Modules that must be importable in it."""
    folder: Path
    """Where `lock.txt` (every package, pinned) and `program.py` (the operations) are."""
    first: tuple[str, ...] = ()
    """Distributions that must be there before the others can be built."""
    compiled: tuple[str, ...] = ()
    """Distributions built here from source; their wheels are kept."""
    programs: tuple[tuple[str, str], ...] = ()
    """Programs that packages carry under another name: the name to call, where it is in site-packages."""
    needs: tuple[str, ...] = ()
    """What the system must offer: names in `needs.NEEDS`."""
    download_bytes: int
    disk_bytes: int
    minutes: float
    """Time to make it on two cores with a fast network."""
    environment: tuple[tuple[str, str], ...] = OFFLINE
    """Variables of its worker."""

    @property
    def lock(self) -> Path:
        """The pinned packages."""
        return self.folder / "lock.txt"

    def pins(self) -> dict[str, str]:
        """Version of every package of the environment, by the lock: no other is used."""
        lines = self.lock.read_text(encoding="utf-8").splitlines()
        pairs = (line.split("#")[0].strip().partition("==") for line in lines)
        return {name: version for name, equal, version in pairs if equal}


TOOLS = {
    "vision": Tool(
        name="vision",
        packages=("gfpgan", "basicsr", "facexlib", "mmpose", "mmcv", "mmdet", "pytorch-fid", "lpips"),
        imports=("gfpgan", "basicsr", "facexlib", "mmpose.apis", "mmcv.ops", "mmdet", "pytorch_fid", "lpips"),
        folder=HERE / "vision",
        first=("setuptools", "wheel", "ninja", "Cython", "numpy"),
        compiled=("mmcv", "xtcocotools", "basicsr", "chumpy"),
        needs=("gcc", "g++", "Python.h", "libGL.so.1", "libglib-2.0.so.0"),
        download_bytes=2_840_000_000,
        disk_bytes=5_900_000_000,
        minutes=12,
    ),
    "speech": Tool(
        name="speech",
        packages=("whisperx", "syncnet-python"),
        imports=("whisperx", "whisperx.asr", "whisperx.alignment", "syncnet_python"),
        folder=HERE / "speech",
        programs=(("ffmpeg", "imageio_ffmpeg/binaries/ffmpeg-*"),),
        download_bytes=4_680_000_000,
        disk_bytes=8_400_000_000,
        minutes=4,
    ),
}
"""Every tool environment by name."""


def lookup(name: str) -> Tool:
    """Find a tool; an unknown name lists the known ones, the nearest first."""
    if name not in TOOLS:
        near = difflib.get_close_matches(name, TOOLS, n=1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise Rejected("bad_input", f"unknown tool `{name}`; {hint}known: {', '.join(TOOLS)}")
    return TOOLS[name]
