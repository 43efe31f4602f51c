"""The subcommands `avatarsync bench train-sync` and `check-sync`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from datapipe.console import DONE, FAILED, emit, say
from datapipe.records import to_json


@dataclass(frozen=True, kw_only=True)
class TrainSyncCommand:
    """Train a judge of lip-sync on your own shards, for languages that SyncNet was not trained on.

    Example: avatarsync bench train-sync --data SHARDS --out judges/mine
    """

    data: tuple[Path, ...]
    """Folders of shards; only their split `train` is learned from."""
    out: Path
    """Folder for the judge; its name becomes the name of the protocol, sync.NAME. A judge that was trained
    there on the same data with the same settings is kept."""
    preset: Literal["demo", "syncnet"] = "demo"
    """demo: a minute on two cores, for small corpora. syncnet: the published size, for an accelerator."""
    steps: int | None = None
    """Updates, instead of the preset's."""
    seed: int = 0
    """Seed of weights and batches."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train."""

    def execute(self) -> int:
        """Train, try the judge on held-out clips, and say what it found."""
        from .heldout import markdown
        from .make import train_sync, trained_before
        from .train import PRESETS

        config = replace(PRESETS[self.preset](), seed=self.seed, device=self.device)
        config = replace(config, steps=self.steps or config.steps)
        heldout = trained_before(self.data, self.out, config)
        if heldout:
            say(f"{self.out}: kept, trained on the same data with the same settings")
        else:
            heldout = train_sync(self.data, self.out, config)
        emit(markdown(heldout).rstrip("\n"))
        say(f"judge: {self.out}")
        return DONE


@dataclass(frozen=True, kw_only=True)
class CheckSyncCommand:
    """Score the same crops of videos with our SyncNet and with syncnet-python, and compare.

    Needs `avatarsync tools create speech`.

    Example: avatarsync bench check-sync --sync syncnet_v2.model --video a.mp4 b.mp4
    """

    sync: Path
    """Weights in the layout of syncnet_v2.model."""
    video: tuple[Path, ...]
    """Videos of a talking face with sound."""
    json: bool = False
    """Write one JSON array instead of a table."""

    def execute(self) -> int:
        """Print both scores of every video; exit code 1 when they differ by more than rounding does."""
        from .check import LARGEST, check, markdown

        found = [check(video, self.sync) for video in self.video]
        emit(to_json(tuple(found)) if self.json else markdown(found).rstrip("\n"))
        apart = max(each.largest for each in found)
        say(f"largest difference of a mean distance: {apart:.1e} (rounding: {LARGEST:.0e})")
        return DONE if apart <= LARGEST else FAILED
