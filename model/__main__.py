"""`avatarsync model`: train the generator's parts, and make videos with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from datapipe.console import FAILED, WRONG_USE, emit, guarded, say

from .commands import (
    Ablate,
    Curves,
    Detect,
    Edit,
    Generate,
    GenerateCases,
    ImportTokenizer,
    Presets,
    Stream,
    Train,
)
from .neighbours.commands import TrainNeighbour

if TYPE_CHECKING:
    from .marking.watermark import WatermarkConfig

Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[TrainNeighbour, tyro.conf.subcommand("train-neighbour")]
    | Annotated[ImportTokenizer, tyro.conf.subcommand("import-tokenizer")]
    | Annotated[Curves, tyro.conf.subcommand("curves")]
    | Annotated[Presets, tyro.conf.subcommand("presets")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[GenerateCases, tyro.conf.subcommand("generate-cases")]
    | Annotated[Edit, tyro.conf.subcommand("edit")]
    | Annotated[Stream, tyro.conf.subcommand("stream")]
    | Annotated[Detect, tyro.conf.subcommand("detect")]
    | Annotated[Ablate, tyro.conf.subcommand("ablate")]
)


def main(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return guarded(lambda: _run(argv))
    except SystemExit as stop:  # how tyro ends after a usage error or --help
        return WRONG_USE if stop.code else 0


def _run(argv: list[str]) -> int:
    command = tyro.cli(Command, args=argv, prog="avatarsync model")
    return RUN[type(command)](command)


def _train(command: Train) -> int:
    import torch

    from .presets import adjusted, preset_named
    from .training.parts import train_part

    torch.set_num_threads(command.threads)
    names = ("steps", "accumulate", "precision", "ema", "in_memory_gb", "events")
    wanted = {name: value for name in names if (value := getattr(command, name)) is not None}
    preset = adjusted(preset_named(command.preset), command.part, wanted, command.batch)
    train_part(command.part, command.data, preset, command.out)
    return 0


def _train_neighbour(command: TrainNeighbour) -> int:
    import torch

    from .neighbours.train import train_neighbour

    torch.set_num_threads(command.threads)
    train_neighbour(command.name, command.data, command.run, command.steps, command.batch)
    return 0


def _import_tokenizer(command: ImportTokenizer) -> int:
    from .published.importing import import_tokenizer

    made = import_tokenizer(command.name, command.weights, command.out, command.size, command.averaged)
    say(f"{command.name}: {made.num_tokens} tokens of {made.bits} bits for pictures of {made.size} px")
    emit(str(command.out / "tokenizer"))
    return 0


def _curves(command: Curves) -> int:
    from .training.curves import draw_curves, read_curves

    draw_curves(read_curves(command.run), command.out)
    emit(str(command.out))
    return 0


def _presets(command: Presets) -> int:
    from .presets import preset_named
    from .training.budget import as_json, as_table, budgets

    found = [each for name in command.preset for each in budgets(preset_named(name))]
    emit(as_json(found) if command.json else as_table(found))
    return 0


def _generate(command: Generate) -> int:
    import torch

    from .speaking.film import FilmConfig, Request, make_film
    from .speech.synthesis import Synthesiser

    torch.set_num_threads(command.threads)
    config = FilmConfig(
        crop=command.crop,
        face=command.face,
        temperature=command.temperature,
        seed=command.seed,
        guidance=command.guidance,
        window=command.window,
        compile=command.compile,
        units=command.units,
        device=command.device,
        watermark=_mark(command),
    )
    request = Request(
        language=command.language,
        audio=command.audio,
        transcript=command.transcript,
        text=command.text,
        tts=Synthesiser(command=command.tts) if command.tts else None,
    )
    made = make_film(command.run, command.reference, request, command.out, config, command.project)
    emit(json.dumps(asdict(made)) if command.json else str(command.out))
    return 0


def _mark(command: Generate | GenerateCases | Stream) -> WatermarkConfig | None:
    from .marking.watermark import WatermarkConfig

    return WatermarkConfig(key=command.watermark_key) if command.watermark else None


def _edit(command: Edit) -> int:
    from .speaking.project import phoneme_table, read_project

    if command.phoneme is None:
        for line in phoneme_table(read_project(command.project).phonemes):
            emit(line)
        return 0
    import torch

    from .speaking.edit import Change
    from .speaking.film import edit_film

    torch.set_num_threads(command.threads)
    change = Change(index=command.phoneme, to=command.to, start=command.start, end=command.end)
    places = (command.out, command.save)
    facts = edit_film(command.project, change, places, command.audio, command.run, command.device)
    emit(json.dumps(facts) if command.json else str(command.out or command.save))
    return 0


def _stream(command: Stream) -> int:
    import torch

    from .speaking.film import Ends, FilmConfig, stream_film

    torch.set_num_threads(command.threads)
    config = FilmConfig(
        crop=command.crop,
        face=command.face,
        units=command.units,
        device=command.device,
        watermark=_mark(command),
    )
    ends = Ends(audio=command.audio, language=command.language, out=command.out, raw=command.raw)
    stream_film(command.run, command.reference, ends, config)
    return 0


def _generate_cases(command: GenerateCases) -> int:
    import torch

    from .cases import Places, make_cases
    from .generate import GenerateConfig

    torch.set_num_threads(command.threads)
    config = GenerateConfig(watermark=_mark(command))
    places = Places(cases=command.cases, out=command.out, run=command.run, data=command.data, config=config)
    failed = make_cases(command.system, places, command.keyframes)
    emit(str(command.out))
    return FAILED if failed else 0


def _detect(command: Detect) -> int:
    from .marking.detection import DetectConfig, detect_file, sentence

    found = detect_file(command.video, DetectConfig(key=command.key, false_alarm=command.false_alarm))
    emit(json.dumps(asdict(found)) if command.json else sentence(found))
    return 0


def _ablate(command: Ablate) -> int:
    import torch

    from .ablate import AblateConfig, ablate, show

    torch.set_num_threads(command.threads)
    config = AblateConfig(
        run=command.run,
        data=command.data,
        cases=command.cases,
        out=command.out,
        grid=command.grid,
        seeds=command.seeds,
        steps=command.steps,
        sync=command.sync,
    )
    code = ablate(config)
    emit(show(config, command.json))
    return code


RUN: dict[type, Callable[[Any], int]] = {
    Train: _train,
    TrainNeighbour: _train_neighbour,
    Curves: _curves,
    Presets: _presets,
    ImportTokenizer: _import_tokenizer,
    Generate: _generate,
    Edit: _edit,
    Stream: _stream,
    GenerateCases: _generate_cases,
    Detect: _detect,
    Ablate: _ablate,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
