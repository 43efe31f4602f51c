"""`avatarsync model ablate`: train and make every variant of a grid, then have the benchmark score them all.

Each variant and seed is a folder OUT/GRID/VARIANT/seedN: the videos, its own run (the tokenizer and the
interpolator are those of the run under study), and ablation.json, written last. A folder whose ablation.json
names the same training, settings and cases is reused, so that an interrupted grid is taken up where it was.
The scores come from the suite's own command line, in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cattrs

from datapipe.console import DONE, DONE_WITH_REJECTS, say, track
from datapipe.files import hash_once, sha256_of, write_text
from datapipe.records import Rejected, from_dict, to_dict

from .avatar import PARTS, load_avatar
from .avatarsync.decode import DecodeConfig
from .cases import Places, make_cases
from .checkpoint import CONFIG, WEIGHTS
from .generate import GenerateConfig
from .grids import GRIDS, Grid, GridName, Variant, changed
from .presets import Preset
from .training.parts import train_part

RECORD = "ablation.json"
RUN = "run"
"""Folder of a variant's own run, beside its videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateConfig:
    """What is varied, on what, and where it goes."""

    run: Path
    """Folder of the trained run under study."""
    data: tuple[Path, ...]
    """Folders of shards; their split `train` is read."""
    cases: Path
    """Folder of test cases, with their ground truth."""
    out: Path
    """Folder for everything that is made."""
    grid: GridName
    """What is varied."""
    seeds: int = 3
    """Trainings (or draws) of each variant."""
    steps: int | None = None
    """Steps of each training; None trains as long as the run's preset."""
    sync: tuple[Path, ...] = ()
    """Judges of lip-sync, as `avatarsync bench run` takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What ablation.json says of one variant and seed."""

    grid: str
    title: str
    """Of the table."""
    variant: str
    label: str
    """Of the row."""
    place: int
    """Of the row in the table."""
    is_ours: bool
    seed: int
    system: str
    """Its name in the benchmark's run."""
    run: str
    """Id of the networks that made the videos."""
    identity: str
    """Hash of all that decides the videos; equal means nothing to do."""
    seconds: float
    """Training and making, on this machine; 0 added for what was reused."""
    failed: int
    """Cases without a video."""
    settings: dict[str, Any]
    """The preset it was trained with (None without training) and how frames were allotted."""


def ablate(config: AblateConfig) -> int:
    """Make and score a grid, and return the exit code: 3 when some case has no video or score.

    Raises `Rejected`: bad_input (no cases, a run without its preset), missing_weight (a part is not trained).
    """
    _check(config)
    grid, preset = GRIDS[config.grid], preset_of(config.run)
    records = []
    for variant, seed in track(list(planned(grid, config.seeds)), f"ablate {grid.name}"):
        records.append(_made(config, grid, variant, seed, preset))
    code = _score(config, grid, records)
    return DONE_WITH_REJECTS if any(record.failed for record in records) else code


def planned(grid: Grid, seeds: int) -> Iterator[tuple[Variant, int]]:
    """Every variant with each of its seeds; seed after seed, so that whole tables come early."""
    for seed in range(seeds):
        yield from ((variant, seed) for variant in grid.variants if variant.is_drawn or seed == 0)


def _check(config: AblateConfig) -> None:
    """Find what would go wrong only after the first training."""
    if config.seeds < 1 or (config.steps is not None and config.steps < 1):
        raise Rejected("bad_input", "--seeds and --steps are at least 1")
    if not any(config.cases.glob("*.json")):
        raise Rejected(
            "bad_input", f"{config.cases} holds no cases; write some with `avatarsync data export`"
        )


def preset_of(run: Path) -> Preset:
    """The preset that a run's keyframes were trained with."""
    path = run / "keyframes" / CONFIG
    if not path.exists():
        raise Rejected(
            "missing_weight",
            f"{run} holds no trained keyframes; train the run first: `avatarsync model train keyframes`",
        )
    config = json.loads(path.read_text(encoding="utf-8"))
    if "preset" not in config:
        raise Rejected("bad_input", f"{path} does not name its preset; train the keyframes again")
    try:
        return from_dict(config["preset"], Preset)
    except cattrs.BaseValidationError as error:
        raise Rejected(
            "bad_input", f"{path}: its preset is of another version; train the run again"
        ) from error


def _made(config: AblateConfig, grid: Grid, variant: Variant, seed: int, preset: Preset) -> Record:
    """Train (where the grid does) and make the videos of one variant and seed, or find them there."""
    folder = config.out / grid.name / variant.name / f"seed{seed}"
    began = time.perf_counter()
    mine = changed(preset, variant, seed, config.steps) if grid.trains else None
    run = _trained(config, folder / RUN, mine) if mine else config.run
    how = GenerateConfig(allocation=variant.allocation, decode=DecodeConfig(seed=seed), watermark=None)
    settings = {"preset": to_dict(mine) if mine else None, "generate": to_dict(how), "seed": seed}
    identity = _identity(run, settings, config.cases)
    earlier = _earlier(folder)
    if earlier is not None and earlier.identity == identity:
        say(f"{variant.name}, seed {seed}: reused, made before")
        return earlier
    (folder / RECORD).unlink(missing_ok=True)
    places = Places(cases=config.cases, out=folder, run=run, config=how)
    failed = make_cases("avatarsync", places, keyframes=grid.has_keyframes)
    record = Record(
        grid=grid.name,
        title=grid.title,
        variant=variant.name,
        label=variant.label,
        place=grid.variants.index(variant),
        is_ours=variant.is_ours,
        seed=seed,
        system=f"{variant.name}-s{seed}",
        run=load_avatar(run).run_id,
        identity=identity,
        seconds=round(time.perf_counter() - began, 1),
        failed=failed,
        settings=settings,
    )
    write_text(folder / RECORD, json.dumps(asdict(record), indent=1))
    return record


def _trained(config: AblateConfig, run: Path, preset: Preset) -> Path:
    """A run of its own keyframes over the tokenizer and the interpolator under study."""
    run.mkdir(parents=True, exist_ok=True)
    for part in ("tokenizer", "interpolator"):
        shared, link = (config.run / part).resolve(), run / part
        if not (shared / WEIGHTS).exists():
            raise Rejected("missing_weight", f"{config.run} holds no trained {part}; train it first")
        if link.is_symlink():
            link.unlink()
        link.symlink_to(shared, target_is_directory=True)
    train_part("keyframes", config.data, preset, run)
    return run


def _identity(run: Path, settings: dict[str, Any], cases: Path) -> str:
    """Hash the weights, the settings and all files of the cases."""
    facts = [json.dumps(settings, sort_keys=True), *(sha256_of(run / part / WEIGHTS) for part in PARTS)]
    facts += [f"{path.name} {hash_once(path)}" for path in sorted(cases.iterdir()) if path.is_file()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _earlier(folder: Path) -> Record | None:
    """What was made before; a record that cannot be read counts as none."""
    try:
        return Record(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _score(config: AblateConfig, grid: Grid, records: Sequence[Record]) -> int:
    """Have the benchmark measure every variant and seed as a system of its own; its exit code, 0 or 3."""
    systems = [
        f"{record.system}={config.out / grid.name / record.variant / f'seed{record.seed}'}"
        for record in records
    ]
    judges = ["--sync", *map(str, config.sync)] if config.sync else []
    command = [sys.executable, "-m", "avatarsync", "bench", "run", "--reference", str(config.cases)]
    command += ["--system", *systems, "--metrics", ",".join(grid.metrics), "--controls", "none", *judges]
    command += ["--out", str(config.out / f"{grid.name}.run.json"), "--replace"]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code not in (DONE, DONE_WITH_REJECTS):
        raise Rejected("bad_input", f"the videos were made but not scored: `bench run` ended with {code}")
    return code


def show(config: AblateConfig, as_json: bool) -> str:
    """The grid's table, as the benchmark renders it from the scores: Markdown, or JSON for programs."""
    form = ["--format", "json" if as_json else "markdown"]
    command = [sys.executable, "-m", "avatarsync", "bench", "ablation", "--ablation", str(config.out)]
    told = subprocess.run(
        [*command, "--grid", config.grid, *form], stdout=subprocess.PIPE, text=True, check=False
    )
    if told.returncode != DONE:
        raise Rejected(
            "bad_input", f"the scores cannot be shown: `bench ablation` ended with {told.returncode}"
        )
    return told.stdout.rstrip("\n")
