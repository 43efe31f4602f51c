"""Train one part of a run from shards: decide whether there is anything to do, do it, and mark it done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from datapipe.console import say
from datapipe.files import sha256_of, write_text
from datapipe.phonemes import PHONEMES
from datapipe.records import Rejected, from_dict, to_dict
from datapipe.shards import identity_of

from ..avatarsync.interpolate import Interpolator, InterpolatorConfig
from ..avatarsync.interpolator_objective import interpolator_objective
from ..avatarsync.keyframe_objective import keyframes_objective
from ..avatarsync.keyframes import KeyframeConfig, KeyframeTransformer
from ..avatarsync.tokenizer_objective import make_opponent, tokenizer_objective
from ..avatarsync.vocabulary import Vocabulary
from ..checkpoint import RESUME, SHARDED, WEIGHTS, Done, load_config, load_weights, save_weights
from ..data import TalkingClip
from ..framing import note_framing
from ..presets import Preset
from ..published.config import PublishedConfig
from ..published.importing import imported_in
from ..published.network import AnyTokenizer, PublishedTokenizer
from ..speech.durations import compare, make_durations, tracks_of
from ..tokenizer import Tokenizer, TokenizerConfig
from .codes import CODES, Codes
from .learner import this_process
from .loader import Stream, clips_for
from .loop import NetworkT, TrainConfig, Trained, finish, finished, fit

Part = Literal["tokenizer", "keyframes", "interpolator", "durations"]
IDENTITY, EVALUATION = "identity.json", "evaluation.json"
TokenizerT = TypeVar("TokenizerT", bound=AnyTokenizer)
KEPT_WINDOWS = 2
"""Codes of a stream that are kept, in windows of it."""
WATCHING = ("log_every", "checkpoint_every", "events")
"""Settings of a training that do not change what it learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One part to train."""

    part: Part
    preset: Preset
    run: Path
    """Folder of the run."""
    data: str
    """Identity of the data."""
    folders: tuple[Path, ...] = ()
    """The data themselves: shards."""


def train_part(part: Part, data: Sequence[Path], preset: Preset, run: Path) -> Done:
    """Train one part, or say that it is there already.

    Raises `Rejected`: bad_input (no shards, wrong size), missing_weight (keyframes before the tokenizer), and
    what `train.fit` raises.
    """
    process, folder = this_process(), run / part
    identity = identity_of_training(part, data, preset, run)
    earlier = finished(folder)
    process.wait_for_everyone()  # else one of several might see what another has already finished
    if earlier is not None and earlier.identity == identity:
        if process.is_main_process:
            say(f"{part}: reused, trained before on the same data with the same configuration")
        return earlier
    if process.is_main_process:
        drop_foreign_resume(folder, identity)
        note_framing(data, run)
    process.wait_for_everyone()
    config = _train_config(part, preset)
    job = Job(part=part, preset=preset, run=run, data=identity_of(data), folders=tuple(data))
    if part == "durations":  # pictures are not needed
        clips: Sequence[TalkingClip] = ()
    else:
        clips = clips_for(data, preset.tokenizer.size, config.in_memory_gb, config.seed)
    seconds = TRAIN[part](clips, job)
    done = Done(identity=identity, steps=config.steps, seconds=round(seconds, 1))
    if process.is_main_process:
        finish(folder, done)
        say(f"{part}: {done.steps} steps in {done.seconds:.0f} s, in {folder}")
    process.wait_for_everyone()
    return done


def identity_of_training(part: Part, data: Sequence[Path], preset: Preset, run: Path) -> str:
    """Hash all that decides the outcome: data, configuration, and the tokenizer for keyframes."""
    own = part == "durations"
    settings = {name: each for name, each in to_dict(preset).items() if name.startswith("durations") == own}
    for name, value in settings.items():
        if name.endswith("_train"):
            settings[name] = {key: each for key, each in value.items() if key not in WATCHING}
    facts: dict[str, Any] = {"part": part, "data": identity_of(data), "preset": settings}
    if part == "tokenizer":
        facts |= imported_in(run)
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
    return make_tuned(clips, preset, network)


def make_tuned(clips: Sequence[TalkingClip], preset: Preset, tokenizer: TokenizerT) -> Trained[TokenizerT]:
    """Return a tokenizer that has weights already, and the objective that trains it further."""
    torch.manual_seed(preset.tokenizer_train.seed)
    tokenizer.requires_grad_(True)
    loss = preset.tokenizer_loss
    opponent = make_opponent(loss)
    objective = tokenizer_objective(tokenizer, clips, loss, opponent)
    return Trained(tokenizer, objective, opponent, stream=_stream(clips), pictures=loss.batch)


def make_keyframes(
    clips: Sequence[TalkingClip],
    preset: Preset,
    tokenizer: AnyTokenizer,
    phonemes: tuple[str, ...] = PHONEMES,
    codes: Codes | None = None,
) -> Trained[KeyframeTransformer]:
    """Return a fresh keyframe transformer for a tokenizer, and its objective.

    The tokenizer decides how many tokens a frame has and how their bits are grouped.
    """
    torch.manual_seed(preset.keyframes_train.seed)
    vocabulary = Vocabulary(num_visual=2**tokenizer.config.bits, phonemes=phonemes)
    made = tokenizer.config
    config = replace(preset.keyframes, num_tokens=made.num_tokens, groups=made.groups)
    network = KeyframeTransformer(config, vocabulary)
    loss = preset.keyframes_loss
    objective = keyframes_objective(network, codes or codes_for(tokenizer, clips), clips, loss)
    many = loss.clips * loss.units
    return Trained(network, objective, helpers=(tokenizer,), stream=_stream(clips), pictures=many)


def codes_for(tokenizer: AnyTokenizer, clips: Sequence[TalkingClip]) -> Codes:
    """Tokens of clips; of a stream, only those at hand are kept."""
    return Codes(tokenizer, None if _stream(clips) is None else KEPT_WINDOWS * len(clips))


def _stream(clips: Sequence[TalkingClip]) -> Stream | None:
    return clips if isinstance(clips, Stream) else None


def make_interpolator(clips: Sequence[TalkingClip], preset: Preset) -> Trained[Interpolator]:
    """Return a fresh interpolator and its objective."""
    torch.manual_seed(preset.interpolator_train.seed)
    network = Interpolator(preset.interpolator)
    network.pairs.rest.data.copy_(_resting_points(clips))
    loss = preset.interpolator_loss
    objective = interpolator_objective(network, clips, loss)
    return Trained(network, objective, stream=_stream(clips), pictures=loss.batch)


def _resting_points(clips: Sequence[TalkingClip]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([clip.points_TL2 for clip in clips]).mean(0))


def load_tokenizer(run: Path) -> AnyTokenizer:
    """Load a tokenizer, trained here or imported."""
    config = load_config(run / "tokenizer", "tokenizer")
    if "family" in config:
        published = from_dict(config["network"], PublishedConfig)
        return _loaded(run / "tokenizer", PublishedTokenizer(published))
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


def _fit_and_save(trained: Trained[NetworkT], config: dict[str, Any], job: Job) -> float:
    seconds = fit(trained, _train_config(job.part, job.preset), job.run / job.part, job.part)
    if this_process().is_main_process:
        save_weights(job.run / job.part, trained.network, config | {"preset": to_dict(job.preset)})
    return seconds


def _train_tokenizer(clips: Sequence[TalkingClip], job: Job) -> float:
    """Train a fresh tokenizer, or an imported one further."""
    if config := imported_in(job.run):
        tokenizer = load_tokenizer(job.run)
        check_tokenizer(tokenizer, job.preset, job.run)
        say(f"tokenizer: {config['imported']['variant']} is trained further")
        return _fit_and_save(make_tuned(clips, job.preset, tokenizer), config, job)
    config = {"network": to_dict(job.preset.tokenizer)}
    return _fit_and_save(make_tokenizer(clips, job.preset), config, job)


def _train_keyframes(clips: Sequence[TalkingClip], job: Job) -> float:
    process, tokenizer = this_process(), load_tokenizer(job.run)
    check_tokenizer(tokenizer, job.preset, job.run)
    codes = codes_for(tokenizer.to(process.device), clips)
    if _stream(clips) is None:
        identity = f"{sha256_of(job.run / 'tokenizer' / WEIGHTS)} {job.data}"
        with process.main_process_first():
            codes.fill(clips, job.run / job.part / CODES, identity)
    trained = make_keyframes(clips, job.preset, tokenizer, codes=codes)
    config = {"network": to_dict(trained.network.config), "vocabulary": to_dict(trained.network.vocabulary)}
    return _fit_and_save(trained, config, job)


def _train_interpolator(clips: Sequence[TalkingClip], job: Job) -> float:
    config = {"network": to_dict(job.preset.interpolator)}
    return _fit_and_save(make_interpolator(clips, job.preset), config, job)


def _train_durations(clips: Sequence[TalkingClip], job: Job) -> float:
    trained = make_durations(
        tracks_of(job.folders, "train"), job.preset.durations, job.preset.durations_train
    )
    network = trained.network
    config = {"network": to_dict(job.preset.durations), "phonemes": network.phonemes}
    seconds = _fit_and_save(trained, config, job)
    held_out = tracks_of(job.folders, "test")
    if held_out and this_process().is_main_process:
        found = compare(network.cpu().eval(), held_out)
        write_text(job.run / job.part / EVALUATION, json.dumps(found, indent=1))
        say(
            f"durations: off by {found['log_error']:.3f} in log seconds on {found['phonemes']:.0f} held-out "
            f"phonemes, the rule table by {found['log_error_rule']:.3f}"
        )
    return seconds


def check_tokenizer(tokenizer: AnyTokenizer, preset: Preset, run: Path) -> None:
    """Refuse a run's tokenizer whose pictures or tokens are not those of a preset, naming both.

    An imported one decides on tokens itself; its pictures must be of the preset's size.
    """
    has, wants = tokenizer.config, preset.keyframes
    if isinstance(tokenizer, PublishedTokenizer):
        if has.size != preset.tokenizer.size:
            raise Rejected(
                "bad_weight",
                f"{run}/tokenizer was imported for {has.size} px, not for those of {preset.name}; "
                f"import it into another --out with --size {preset.tokenizer.size}",
            )
        return
    if (has.num_tokens, has.groups, has.size) != (wants.num_tokens, wants.groups, preset.tokenizer.size):
        other = load_config(run / "tokenizer", "tokenizer").get("preset", {}).get("name", "another")
        raise Rejected(
            "bad_weight",
            f"{run}/tokenizer is of the preset {other} ({has.num_tokens} tokens of {has.groups} bits at "
            f"{has.size} px), not of {preset.name} ({wants.num_tokens} of {wants.groups} at "
            f"{preset.tokenizer.size}); give --preset {other}, or train it anew in another --out",
        )


TRAIN: dict[str, Callable[[Sequence[TalkingClip], Job], float]] = {
    "tokenizer": _train_tokenizer,
    "keyframes": _train_keyframes,
    "interpolator": _train_interpolator,
    "durations": _train_durations,
}


def _train_config(part: Part, preset: Preset) -> TrainConfig:
    return {
        "tokenizer": preset.tokenizer_train,
        "keyframes": preset.keyframes_train,
        "interpolator": preset.interpolator_train,
        "durations": preset.durations_train,
    }[part]


def drop_foreign_resume(folder: Path, identity: str) -> None:
    """Start anew when the checkpoint in the folder belongs to other data or another configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / IDENTITY
    if not note.exists() or note.read_text(encoding="utf-8") != identity:
        (folder / RESUME).unlink(missing_ok=True)
        shutil.rmtree(folder / SHARDED, ignore_errors=True)
        write_text(note, identity)
