"""What the speech environment does: recognise, align and judge with whisperx and syncnet-python.

Runs inside that environment, loaded by `serve.py`; the modules beside it are imported by name.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from heard import transcribe
from laid import align
from surroundings import prepare
from synced import sync, sync_video

PACKAGES = (
    "whisperx",
    "faster-whisper",
    "ctranslate2",
    "pyannote-audio",
    "transformers",
    "torch",
    "torchaudio",
)
"""Those that decide what is heard and when."""
JUDGES = ("syncnet-python", "scenedetect", "python_speech_features", "opencv-contrib-python")
"""Those that decide a score of lip-sync."""

prepare()


def versions(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name the versions of the packages whose numbers are used."""
    return {name: version(name) for name in (*PACKAGES, *JUDGES)}, {}


OPERATIONS = {
    "versions": versions,
    "transcribe": transcribe,
    "align": align,
    "sync": sync,
    "sync_video": sync_video,
}
