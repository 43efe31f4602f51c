"""Train one part of a run from shards: decide whether there is anything to do, do it, and mark it done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from datapipe.console import say
from datapipe.files import sha256_of, write_text
from datapipe.phonemes import PHONEMES
from datapipe.records import from_dict, to_dict
from datapipe.shards import identity_of

from .avatarsync.interpolate import Interpolator, InterpolatorConfig
from .avatarsync.interpolator_objective import interpolator_objective
from .avatarsync.keyframe_objective import keyframes_objective
from .avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from .avatarsync.tokenizer_objective import make_opponent, tokenizer_objective
from .avatarsync.vocabulary import Vocabulary
from .checkpoint import RESUME, WEIGHTS, Done, load_config, load_weights, save_weights
from .data import TalkingClip, load_clips
from .framing import note_framing
from .presets import Preset
from .tokenizer import Tokenizer, TokenizerConfig
from .train import NetworkT, TrainConfig, Trained, finish, finished, fit

Part = Literal["tokenizer", "keyframes", "interpolator"]
IDENTITY = "identity.json"


def train_part(part: Part, data: Sequence[Path], preset: Preset, run: Path) -> Done:
    """Train one part, or say that it is there already.

    Raises `Rejected`: bad_input (no shards, wrong size), missing_weight (keyframes before the tokenizer).
    """
    folder = run / part
    identity = identity_of_training(part, data, preset, run)
    earlier = finished(folder)
    if earlier is not None and earlier.identity == identity:
        say(f"{part}: reused, trained before on the same data with the same configuration")
        return earlier
    _drop_foreign_resume(folder, identity)
    clips = load_clips(data, "train", preset.tokenizer.size)
    note_framing(data, run)
    seconds = TRAIN[part](clips, preset, run)
    done = Done(identity=identity, steps=_train_config(part, preset).steps, seconds=round(seconds, 1))
    finish(folder, done)
    return done


def identity_of_training(part: Part, data: Sequence[Path], preset: Preset, run: Path) -> str:
    """Hash all that decides the outcome: data, configuration, and the tokenizer for keyframes."""
    facts: dict[str, Any] = {"part": part, "data": identity_of(data), "preset": to_dict(preset)}
    if part == "keyframes":
        facts["phonemes"] = PHONEMES
        load_config(run / "tokenizer", "tokenizer")
        facts["tokenizer"] = sha256_of(run / "tokenizer" / WEIGHTS)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def make_tokenizer(clips: Sequence[TalkingClip], preset: Preset) -> Trained[Tokenizer]:
    """Return a fresh tokenizer and its objective."""
    torch.manual_seed(preset.tokenizer_train.seed)
    network = Tokenizer(preset.tokenizer)
    network.points.rest.data.copy_(_resting_points(clips))
    opponent = make_opponent(preset.tokenizer_loss)
    return Trained(
        network, tokenizer_objective(network, clips, preset.tokenizer_loss, opponent), opponent=opponent
    )


def make_keyframes(
    clips: Sequence[TalkingClip], preset: Preset, tokenizer: Tokenizer, phonemes: tuple[str, ...] = PHONEMES
) -> Trained[KeyframeTransformer]:
    """Return a fresh keyframe transformer for a trained tokenizer, and its objective."""
    torch.manual_seed(preset.keyframes_train.seed)
    vocabulary = Vocabulary(num_visual=2**tokenizer.config.bits, phonemes=phonemes)
    network = KeyframeTransformer(preset.keyframes, vocabulary)
    return Trained(network, keyframes_objective(network, tokenizer, clips, preset.keyframes_loss))


def make_interpolator(clips: Sequence[TalkingClip], preset: Preset) -> Trained[Interpolator]:
    """Return a fresh interpolator and its objective."""
    torch.manual_seed(preset.interpolator_train.seed)
    network = Interpolator(preset.interpolator)
    network.pairs.rest.data.copy_(_resting_points(clips))
    return Trained(network, interpolator_objective(network, clips, preset.interpolator_loss))


def _resting_points(clips: Sequence[TalkingClip]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([clip.points_TL2 for clip in clips]).mean(0))


def load_tokenizer(run: Path) -> Tokenizer:
    """Load a trained tokenizer."""
    config = load_config(run / "tokenizer", "tokenizer")
    return _loaded(run / "tokenizer", Tokenizer(from_dict(config["network"], TokenizerConfig)))


def load_keyframes(run: Path) -> KeyframeTransformer:
    """Load a trained keyframe transformer with the vocabulary it was trained with."""
    config = load_config(run / "keyframes", "keyframes")
    vocabulary = from_dict(config["vocabulary"], Vocabulary)
    return _loaded(
        run / "keyframes", KeyframeTransformer(from_dict(config["network"], KeyframeConfig), vocabulary)
    )


def load_interpolator(run: Path) -> Interpolator:
    """Load a trained interpolator."""
    config = load_config(run / "interpolator", "interpolator")
    return _loaded(run / "interpolator", Interpolator(from_dict(config["network"], InterpolatorConfig)))


def _loaded(folder: Path, network: NetworkT) -> NetworkT:
    load_weights(folder, network)
    network.eval().requires_grad_(False)
    return network


def _fit_and_save(
    part: Part, trained: Trained[NetworkT], config: dict[str, Any], preset: Preset, run: Path
) -> float:
    seconds = fit(trained, _train_config(part, preset), run / part, part)
    save_weights(run / part, trained.network, config | {"preset": to_dict(preset)})
    return seconds


def _train_tokenizer(clips: Sequence[TalkingClip], preset: Preset, run: Path) -> float:
    config = {"network": to_dict(preset.tokenizer)}
    return _fit_and_save("tokenizer", make_tokenizer(clips, preset), config, preset, run)


def _train_keyframes(clips: Sequence[TalkingClip], preset: Preset, run: Path) -> float:
    trained = make_keyframes(clips, preset, load_tokenizer(run))
    config = {"network": to_dict(preset.keyframes), "vocabulary": to_dict(trained.network.vocabulary)}
    return _fit_and_save("keyframes", trained, config, preset, run)


def _train_interpolator(clips: Sequence[TalkingClip], preset: Preset, run: Path) -> float:
    config = {"network": to_dict(preset.interpolator)}
    return _fit_and_save("interpolator", make_interpolator(clips, preset), config, preset, run)


TRAIN: dict[str, Callable[[Sequence[TalkingClip], Preset, Path], float]] = {
    "tokenizer": _train_tokenizer,
    "keyframes": _train_keyframes,
    "interpolator": _train_interpolator,
}


def _train_config(part: Part, preset: Preset) -> TrainConfig:
    return {
        "tokenizer": preset.tokenizer_train,
        "keyframes": preset.keyframes_train,
        "interpolator": preset.interpolator_train,
    }[part]


def _drop_foreign_resume(folder: Path, identity: str) -> None:
    """Start anew when the checkpoint in the folder belongs to other data or another configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / IDENTITY
    if not note.exists() or note.read_text(encoding="utf-8") != identity:
        (folder / RESUME).unlink(missing_ok=True)
        write_text(note, identity)
