"""Train a neighbour on a run's latents, load it, and let it speak."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datapipe.console import say
from datapipe.files import sha256_of
from datapipe.media import FPS
from datapipe.records import Rejected, Seconds, from_dict, to_dict
from datapipe.shards import identity_of

from ..checkpoint import WEIGHTS, Done, load_config, load_weights, save_weights
from ..layers import to_signed
from ..tokenizer import Tokenizer
from ..training.loop import TrainConfig, Trained, finish, finished, fit
from ..training.parts import drop_foreign_resume, load_tokenizer
from .corpus import LatentClip, draw_clips, read_latents, space_of
from .kinds import KINDS, Kind
from .sound import rows_of_latents
from .space import FRAMES, SpaceConfig, check_tokenizer, draw_moves, encode, reference_latent

STEPS, RATE, BATCH = 400, 2e-3, 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbour:
    """A trained generator of latents with the tokenizer whose latents they are."""

    name: str
    run_id: str
    tokenizer: Tokenizer
    network: nn.Module
    space: SpaceConfig


def train_neighbour(
    name: str, data: Sequence[Path], run: Path, steps: int = STEPS, batch: int = BATCH
) -> Done:
    """Train `eartalking` or `joyavatar` into RUN/NAME, or say that it is there already.

    Raises `Rejected`: missing_weight (the run has no tokenizer), bad_input (unknown name, no steps, no clips
    that are long enough, a tokenizer without signs), and what `fit` raises.
    """
    kind, folder = kind_named(name), run / name
    if min(steps, batch) < 1:
        raise Rejected("bad_input", f"{steps} steps of {batch} clips train nothing; give 1 or more of each")
    config = TrainConfig(steps=steps, learning_rate=RATE)
    tokenizer = check_tokenizer(load_tokenizer(run)).eval()
    facts = [name, identity_of(data), sha256_of(run / "tokenizer" / WEIGHTS), to_dict(config), batch]
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    earlier = finished(folder)
    if earlier is not None and earlier.identity == identity:
        say(f"{name}: reused, trained before on the same data with the same configuration")
        return earlier
    drop_foreign_resume(folder, identity)
    clips = read_latents(tokenizer, data, "train", kind.length)
    space = space_of(clips)
    network = kind.make(space, config.seed)
    seconds = fit(_trained(kind, network, clips, space, batch), config, folder, name)
    save_weights(folder, network, {"space": to_dict(space)})
    done = Done(identity=identity, steps=steps, seconds=round(seconds, 1))
    finish(folder, done)
    return done


def _trained(
    kind: Kind, network: nn.Module, clips: Sequence[LatentClip], space: SpaceConfig, batch: int
) -> Trained[nn.Module]:
    def step(rng: np.random.Generator, done: float) -> dict[str, Tensor]:
        return kind.loss(network, draw_clips(clips, space, batch, kind.length, rng), done)

    return Trained(network, step, pictures=batch * kind.length * FRAMES)


def load_neighbour(name: str, run: Path) -> Neighbour:
    """Load what `train_neighbour` wrote. Raises `Rejected`: missing_weight, bad_weight, bad_input."""
    kind, folder = kind_named(name), run / name
    if not (folder / WEIGHTS).exists():
        raise Rejected(
            "missing_weight",
            f"{run} holds no trained {name}; make it: "
            f"`avatarsync model train-neighbour {name} --run {run} --data SHARDS`",
        )
    space = from_dict(load_config(folder, name)["space"], SpaceConfig)
    network = kind.make(space, 0)
    load_weights(folder, network)
    tokenizer = check_tokenizer(load_tokenizer(run)).eval()
    run_id = hashlib.sha256("".join(sha256_of(run / part / WEIGHTS) for part in ("tokenizer", name)).encode())
    return Neighbour(
        name=name, run_id=run_id.hexdigest()[:12], tokenizer=tokenizer, network=network.eval(), space=space
    )


@torch.no_grad()
def speak(
    neighbour: Neighbour, reference_HW3: NDArray[np.uint8], audio: NDArray[np.float32], duration: Seconds
) -> Iterator[NDArray[np.uint8]]:
    """Yield blocks of frames (n, S, S, 3) in order, round(duration * 25) frames in all."""
    kind, left = KINDS[neighbour.name], round(duration * FPS)
    code = encode(neighbour.tokenizer, reference_HW3[None])
    seen = neighbour.tokenizer.look(to_signed(torch.from_numpy(reference_HW3)[None]))
    rows = rows_of_latents(audio, -(-left // (FRAMES * kind.block)) * kind.block, FRAMES)
    made = kind.speak(neighbour.network, reference_latent(code), rows, neighbour.space.motion, 0)
    for moves in made:
        frames = draw_moves(neighbour.tokenizer, code, seen, moves / neighbour.space.scale)[:left]
        left -= len(frames)
        yield frames


def kind_named(name: str) -> Kind:
    """Look a neighbour up. Raises `Rejected("bad_input")`."""
    if name not in KINDS:
        raise Rejected("bad_input", f"unknown generator `{name}`; there are {', '.join(KINDS)}")
    return KINDS[name]
