"""The settings of a build: one record per stage, gathered; written into the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field

from .align import AlignConfig
from .crop import CropConfig
from .decode import DecodeConfig
from .keyframes import KeyframeConfig
from .sources.found import SourceConfig
from .splits import SplitConfig
from .track import TrackConfig
from .transcribe import TranscribeConfig
from .upscale import UpscaleConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """Everything that a sample's content depends on, beside its input."""

    source: SourceConfig = field(default_factory=SourceConfig)
    """How the corpus is read."""
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    """What counts as a usable clip."""
    transcribe: TranscribeConfig = field(default_factory=TranscribeConfig)
    """Speech recognition, where no transcript was released."""
    align: AlignConfig = field(default_factory=AlignConfig)
    """Phoneme times."""
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    """Which frame stands for a phoneme."""
    track: TrackConfig = field(default_factory=TrackConfig)
    """Following faces and choosing the speaker."""
    crop: CropConfig = field(default_factory=CropConfig)
    """Framing of the face."""
    upscale: UpscaleConfig = field(default_factory=UpscaleConfig)
    """Super-resolution."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Shares of train, val and test."""
