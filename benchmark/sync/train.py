"""Train a judge of lips and sound on one's own shards: SyncNet's two streams, contrasted within clips.

Each window of lips has to pick its own sound among all windows of the same stretch of the same clip, and
the other way round (InfoNCE; Chung, Chung and Kang 2019 take candidates of the same clip for SyncNet, too).
Candidates of other clips are left out: voice and face would tell them apart without a look at the lips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from datapipe.console import track
from datapipe.records import Rejected

from .data import Crops, SyncClip
from .distances import Region
from .syncnet import NUM_FRAMES, SyncNet, SyncNetConfig

MOUTH = Region(up=-0.1, down=1.1, aside=0.6)
"""The lower half of the face, around the mouth."""
BAD_STEPS = 5
"""Steps without a finite loss after which training gives up."""
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTrainConfig:
    """How a judge is trained."""

    network: SyncNetConfig = field(default_factory=SyncNetConfig)
    region: Region = field(default_factory=Region)
    """What the network sees of the face."""
    steps: int = 60_000
    """Updates of the weights."""
    clips_per_step: int = 16
    """Stretches of different clips in a step."""
    windows_per_clip: int = 40
    """Windows in a stretch: candidates that each window chooses among; shorter clips are left out."""
    learning_rate: float = 1e-3
    """Peak of the schedule: linear warm-up, then half a cosine to zero."""
    warmup: float = 0.1
    """Part of the steps that warms up."""
    weight_decay: float = 0.05
    """AdamW's."""
    sharpness: float = 16.0
    """Cosines are multiplied by it before the softmax."""
    jitter: float = 0.06
    """Largest shift of the crop, as a part of its side."""
    seed: int = 0
    """Seed of weights and of what is drawn."""
    device: Device = "cpu"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.clips_per_step < 1 or self.windows_per_clip < 2:
            raise Rejected("bad_input", "steps, clips or windows are too few; see the presets")


def demo() -> SyncTrainConfig:
    """About a minute on two cores: a narrow network that sees only the mouth, for the sample corpus."""
    return SyncTrainConfig(
        network=SyncNetConfig(side=64, width=0.125, dim=128),
        region=MOUTH,
        steps=300,
        clips_per_step=5,
        learning_rate=2e-3,
    )


def syncnet() -> SyncTrainConfig:
    """The published network's size on whole faces, for a large corpus and an accelerator."""
    return SyncTrainConfig()


PRESETS = {"demo": demo, "syncnet": syncnet}


def fit(clips: Sequence[SyncClip], crops: Crops, config: SyncTrainConfig) -> SyncNet:
    """Train a network on clips; equal for equal seed and number of threads.

    Raises `Rejected("bad_input")` when no clip is long enough, RuntimeError when the loss is no number.
    """
    usable = [clip for clip in clips if len(clip.cepstra_WFT) >= config.windows_per_clip]
    if not usable:
        seconds = (config.windows_per_clip + NUM_FRAMES) / 25
        raise Rejected("bad_input", f"none of {len(clips)} clips lasts {seconds:.1f} s; use longer ones")
    torch.manual_seed(config.seed)
    network = SyncNet(config.network).to(config.device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    bad = 0
    for step, (faces, sounds) in enumerate(
        track(_batches(usable, crops, config), "sync judge", config.steps)
    ):
        loss = _update(network, optimizer, faces.to(config.device), sounds.to(config.device), step, config)
        bad = 0 if math.isfinite(loss) else bad + 1
        if bad >= BAD_STEPS:
            raise RuntimeError(f"the loss of the sync judge was not a number for {bad} steps up to {step}")
    return network.to("cpu").eval()


def _batches(
    clips: Sequence[SyncClip], crops: Crops, config: SyncTrainConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in the order of the steps, each made in a second thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, clips, crops, config, 0)
        for step in range(config.steps):
            batch = coming.result()
            if step + 1 < config.steps:
                coming = pool.submit(draw, clips, crops, config, step + 1)
            yield batch


def draw(
    clips: Sequence[SyncClip], crops: Crops, config: SyncTrainConfig, step: int
) -> tuple[Tensor, Tensor]:
    """Faces (B, 3, W + 4, S, S) and cepstra (B, W, 13, 20) of one step; long clips are drawn more often."""
    rng = np.random.default_rng((config.seed, step))
    lengths = np.array([len(clip.cepstra_WFT) for clip in clips], np.float64)
    num = min(config.clips_per_step, len(clips))
    chosen = rng.choice(len(clips), num, replace=False, p=lengths / lengths.sum())
    stretches = [_stretch(clips[index], crops, config, rng) for index in chosen]
    faces, sounds = zip(*stretches, strict=True)
    return torch.stack(faces), torch.stack(sounds)


def _stretch(
    clip: SyncClip, crops: Crops, config: SyncTrainConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    num = config.windows_per_clip
    start = int(rng.integers(0, len(clip.cepstra_WFT) - num + 1))
    faces = _varied(crops.of(clip)[start : start + num + NUM_FRAMES - 1], config, rng)
    cepstra = torch.from_numpy(np.array(clip.cepstra_WFT[start : start + num]))
    cepstra[:, 0] += float(rng.uniform(-2.0, 2.0))  # log energy: how loud the recording is
    return faces, cepstra


def _varied(pictures_TSS3: NDArray[np.uint8], config: SyncTrainConfig, rng: np.random.Generator) -> Tensor:
    """(3, T, S, S) with another light, mirrored at times, cut a little beside: all pictures alike."""
    side = pictures_TSS3.shape[1]
    edge = round(config.jitter * side)
    faces = torch.from_numpy(pictures_TSS3).permute(3, 0, 1, 2).to(torch.float32)
    faces = faces * float(rng.uniform(0.7, 1.3)) + float(rng.uniform(-20.0, 20.0))
    if rng.random() < 0.5:
        faces = faces.flip(-1)
    y, x = (int(value) for value in rng.integers(0, 2 * edge + 1, 2))
    padded = functional.pad(faces, (edge, edge, edge, edge, 0, 0), mode="replicate")
    return padded[:, :, y : y + side, x : x + side]


def _update(
    network: SyncNet,
    optimizer: torch.optim.Optimizer,
    faces_B3TSS: Tensor,
    sounds_BWFT: Tensor,
    step: int,
    config: SyncTrainConfig,
) -> float:
    """One step; a loss or gradient that is not finite changes nothing."""
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step, config)
    loss = contrast(network, faces_B3TSS, sounds_BWFT, config.sharpness)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    if torch.isfinite(norm):
        optimizer.step()
    return float(loss.detach())


def contrast(network: SyncNet, faces_B3TSS: Tensor, sounds_BWFT: Tensor, sharpness: float) -> Tensor:
    """Mean cross entropy of picking the right window of the same stretch, lips to sound and back."""
    lips_BWD = functional.normalize(network.lips(faces_B3TSS), dim=-1)
    sound_BWD = network.sound(sounds_BWFT.flatten(0, 1)[:, None]).reshape(lips_BWD.shape)
    logits_BWW = sharpness * lips_BWD @ functional.normalize(sound_BWD, dim=-1).transpose(1, 2)
    right = torch.arange(logits_BWW.shape[1], device=logits_BWW.device).repeat(len(logits_BWW))
    there = functional.cross_entropy(logits_BWW.flatten(0, 1), right)
    back = functional.cross_entropy(logits_BWW.transpose(1, 2).flatten(0, 1), right)
    return (there + back) / 2


def rate_at(step: int, config: SyncTrainConfig) -> float:
    """Learning rate of a step, 0-based."""
    warm = max(1, round(config.warmup * config.steps))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
