"""Make a judge of lips and sound: shards in, a folder out, with what the judge is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import safetensors.torch

from datapipe.files import publish, sha256_of, write_text
from datapipe.records import Rejected, read_record, to_json
from datapipe.shards import identity_of

from .data import Crops, SyncClip, load_sync_clips
from .heldout import Heldout, hold_out, markdown
from .judge import CONFIG, WEIGHTS, JudgeRecord, make_judge
from .train import SyncTrainConfig, fit

HELDOUT_SPLIT = "val"
"""Never trained on; `test` is left alone altogether, for the evaluation."""
HELDOUT_CLIPS = 200
"""Held-out clips that are looked at, at most."""
REPORT, TRIALS = "report.md", "heldout.json"


def trained_before(shards: Sequence[Path], out: Path, config: SyncTrainConfig) -> Heldout | None:
    """What is known of the judge in `out`, when training again would only make the same one."""
    if not (out / CONFIG).is_file() or not (out / TRIALS).is_file():
        return None
    hint = f"remove {out} to train again"
    record = read_record(out / CONFIG, JudgeRecord, hint)
    same = (record.data, record.network, record.region) == (
        identity_of(shards),
        config.network,
        config.region,
    )
    alike = (record.seed, record.steps, record.training) == (config.seed, config.steps, _settings(config))
    whole = (out / WEIGHTS).is_file() and sha256_of(out / WEIGHTS) == record.weights
    return read_record(out / TRIALS, Heldout, hint) if same and alike and whole else None


def train_sync(shards: Sequence[Path], out: Path, config: SyncTrainConfig) -> Heldout:
    """Train on the split `train`, try on `val`, and write syncnet.safetensors, report.md and config.json.

    `config.json` comes last: a folder without it is no judge. Raises `Rejected("bad_input")` when `out` is
    taken, when a folder is no finished dataset, or when there is nothing to learn from.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Rejected("bad_input", f"{out} is there already; give a new folder, or remove it first")
    data = identity_of(shards)
    crops = Crops(region=config.region, side=config.network.side)
    clips = load_sync_clips(shards, "train", crops)
    if not clips:
        names = ", ".join(map(str, shards))
        raise Rejected("bad_input", f"{names}: no usable clip in the split `train`; build shards with some")
    network = fit(clips, crops, config)
    with publish(out / WEIGHTS) as temporary:
        safetensors.torch.save_file(network.state_dict(), temporary)
    record = _record(clips, data, sha256_of(out / WEIGHTS), config)
    return _finish(out, shards, record, crops)


def _record(clips: Sequence[SyncClip], data: str, weights: str, config: SyncTrainConfig) -> JudgeRecord:
    return JudgeRecord(
        network=config.network,
        region=config.region,
        unit=True,
        edges="masked",
        languages=tuple(sorted({clip.language for clip in clips})),
        num_train_clips=len(clips),
        num_heldout_clips=0,
        heldout_split=HELDOUT_SPLIT,
        within_one_frame=None,
        data=data,
        weights=weights,
        seed=config.seed,
        steps=config.steps,
        training=_settings(config),
    )


def _settings(config: SyncTrainConfig) -> dict[str, float]:
    """All other numbers of the training."""
    numbers = {name: value for name, value in asdict(config).items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in numbers.items() if name not in ("seed", "steps")}


def _finish(out: Path, shards: Sequence[Path], record: JudgeRecord, crops: Crops) -> Heldout:
    """Try the judge on held-out clips and write what is left to write."""
    clips = load_sync_clips(shards, HELDOUT_SPLIT, crops)[:HELDOUT_CLIPS]
    heldout = hold_out(make_judge(out, record), clips, crops, HELDOUT_SPLIT)
    write_text(out / REPORT, markdown(heldout))
    write_text(out / TRIALS, to_json(heldout) + "\n")
    final = replace(record, num_heldout_clips=len(clips), within_one_frame=heldout.share(1))
    write_text(out / CONFIG, to_json(final) + "\n")
    return heldout
