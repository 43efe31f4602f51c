"""The options of `avatarsync model`'s commands; what is done with them is in `__main__`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from datapipe.places import Place

Part = Literal["tokenizer", "keyframes", "interpolator", "durations"]


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train one part of a run, in any order, but keyframes after the tokenizer; durations serve --text.

    Example: avatarsync model train tokenizer --data shards/cmlr shards/hdtf --preset demo --out runs/demo
    """

    part: tyro.conf.Positional[Part]
    """Which network."""
    data: tuple[Place, ...]
    """Folders of shards; their split `train` is read."""
    out: Path
    """Folder of the run; a part that is there already for the same data and preset is reused."""
    preset: str = "demo"
    """tiny, demo or paper."""
    threads: int = 2
    """CPU threads; use 1 where two trainings run side by side."""
    steps: int | None = None
    """Updates of the weights; without it the preset's, likewise below."""
    batch: int | None = None
    """Pictures, clips of keyframes, or pairs of each batch: what decides the memory."""
    accumulate: int | None = None
    """Batches of one step on each device."""
    precision: Literal["fp32", "fp16", "bf16"] | None = None
    """fp16 and bf16: mixed; fp16 needs a GPU."""
    ema: float | None = None
    """Decay of the averaged weights that are saved then; 0 saves the last ones."""
    in_memory_gb: float | None = None
    """Larger corpora are streamed from their shards, with this much of them at hand."""
    events: bool | None = None
    """Write TensorBoard's files into OUT/PART/events."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Draw the loss curves of a run: every term of every part that was trained, or is being trained.

    Example: avatarsync model curves --run runs/demo --out curves.png
    """

    run: Path
    """Folder of the run."""
    out: Path
    """The picture to write: .png, .svg or .pdf."""


@dataclass(frozen=True, kw_only=True)
class Presets:
    """Show what each preset costs to train, counted at its true sizes without any hardware.

    Example: avatarsync model presets --json
    """

    preset: tuple[str, ...] = ("tiny", "demo", "paper")
    """Which ones."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class ImportTokenizer:
    """Make a published tokenizer the tokenizer of a run; then train keyframes and interpolator there.

    Example: avatarsync model import-tokenizer --name llamagen-f16 --weights vq_ds16_c2i.pt
    --size 512 --out runs/paper
    """

    name: str
    """magvit2-f16, magvit2-f8, magvit2-f16-16384, llamagen-f16, llamagen-f8, taming-f16-1024 or
    taming-f16-16384."""
    weights: Path
    """Its checkpoint as it was published: safetensors, or .pt, .pth, .ckpt with tensors only."""
    out: Path
    """Folder of the run."""
    size: int | None = None
    """Side of the run's pictures in pixels; it must be that of the preset that keyframes are trained with."""
    averaged: bool = True
    """Take the averaged (EMA) weights where the checkpoint has them; `--no-averaged` takes the last ones."""


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Make one video of a reference picture that speaks.

    Example: avatarsync model generate --run runs/demo --reference me.jpg --audio hello.wav --language en
    --out hello.mp4
    """

    run: Path
    """Folder of a trained run."""
    reference: Path
    """Picture of a face."""
    out: Path
    """The mp4 to write."""
    language: str
    """zh or en."""
    audio: Path | None = None
    """Speech; the video gets its sound and its length."""
    transcript: str | None = None
    """What the speech says; without it the speech is recognised."""
    text: str | None = None
    """Words to say, in a robotic voice by rule; for a natural one give --tts, or --audio and --transcript."""
    tts: str | None = None
    """Command of a speech synthesiser for --text; {text} or {text_file} and {out}, a wav, are filled in:
    `piper --model en.onnx --input-file {text_file} --output-file {out}`."""
    crop: bool = True
    """Find and cut out the face; `--no-crop` when the picture is a crop already."""
    project: Path | None = None
    """Also keep what `model edit` needs in this folder: tokens, sound, and every frame without loss."""
    face: Literal["only", "largest"] = "only"
    """only: a picture with several faces is refused. largest: its largest face is taken."""
    units: int = 32
    """Most keyframes that are written together; fewer need less memory."""
    device: str = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    json: bool = False
    """Print the facts of the video (frames, seconds, rtf, first_frame_seconds, run_id) as JSON."""
    temperature: float = 0.0
    """0 writes the likeliest tokens; above it they are sampled."""
    seed: int = 0
    """Seed of the sampling."""
    guidance: tuple[float, ...] = (1.0,)
    """Weight of what is said, one number or one per sub-token; 1 is off. Needs a run of drop_phonemes > 0."""
    window: int | None = None
    """Tokens that a row of the picture must hold before the next row starts: fewer steps, other tokens; None
    writes one token after another."""
    compile: bool = False
    """Compile the steps of decoding: slow to start, quicker then; for long videos on a GPU."""
    watermark: bool = True
    """Mark the video invisibly as made by this run (docs/responsible-use.md)."""
    watermark_key: str = "avatarsync"
    """Decides the mark's pattern; the detector needs the same."""
    threads: int = 1
    """CPU threads; the small steps of decoding gain nothing from more."""


@dataclass(frozen=True, kw_only=True)
class GenerateCases:
    """Make the videos of one system for a folder of test cases, and time them.

    Example: avatarsync model generate-cases --run runs/demo --cases cases --system avatarsync
    --out videos/avatarsync
    """

    cases: Path
    """Folder of KEY.png, KEY.wav and KEY.json, as `avatarsync data export` writes it."""
    out: Path
    """Folder for KEY.mp4 and timing.json."""
    run: Path | None = None
    """Folder of a trained run; for all systems but static and retrieval."""
    system: Literal["avatarsync", "static", "retrieval", "eartalking", "joyavatar"] = "avatarsync"
    """Which system; the last two are trained with `train-neighbour`."""
    data: tuple[Place, ...] = ()
    """Folders of shards; for the system retrieval."""
    keyframes: bool = False
    """Also write teacher-forced keyframes into OUT/KEY.keyframes, for the benchmark's keyframe metrics; needs
    the ground truth KEY.mp4 among the cases."""
    watermark: bool = False
    """Mark the videos as `generate` does; some metrics see it (docs/responsible-use.md has figures)."""
    watermark_key: str = "avatarsync"
    """Decides the mark's pattern."""
    threads: int = 1
    """CPU threads; the small steps of decoding gain nothing from more."""


@dataclass(frozen=True, kw_only=True)
class Detect:
    """Say whether a video carries this suite's invisible mark, and which run made it.

    Example: avatarsync model detect hello.mp4
    """

    video: tyro.conf.Positional[Path]
    """The video to look at; it may have been encoded again, resized or cut a little."""
    key: str = "avatarsync"
    """The key it was marked with."""
    false_alarm: float = 1e-6
    """Largest chance that a video without the mark is called marked."""
    json: bool = False
    """Print the finding as JSON."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Change one phoneme of a project; without --phoneme its phonemes are listed with their numbers.

    Only what depends on the phoneme is made anew; every other frame, and the sound, stay as they are.

    Example: avatarsync model edit --project hello --phoneme 7 --to OW --out hello2.mp4
    """

    project: Path
    """Folder that `model generate --project` wrote."""
    phoneme: int | None = None
    """Number of the phoneme, from 0."""
    to: str | None = None
    """Its new symbol; `SIL` closes the mouth."""
    start: float | None = None
    """Second at which it shall start; the phoneme before ends there."""
    end: float | None = None
    """Second at which it shall end; the phoneme after starts there."""
    audio: Path | None = None
    """Sound of the whole video anew, of the same length, where a word is said otherwise too."""
    out: Path | None = None
    """The mp4 to write."""
    save: Path | None = None
    """Folder for the edited project; the old one's own folder replaces it."""
    run: Path | None = None
    """Folder of the run; without it the one that made the project."""
    device: str = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    threads: int = 1
    """CPU threads."""
    json: bool = False
    """Print what was made anew (keyframes, spans of frames) and the facts of the video as JSON."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Make a video while speech comes in, in constant memory however long it is.

    Sound is cut at silences, recognised and timed piece by piece; frames follow each piece at once.

    Example: avatarsync model stream --run runs/demo --reference me.jpg --audio talk.wav --language en
    --out talk.mp4
    """

    run: Path
    """Folder of a trained run."""
    reference: Path
    """Picture of a face."""
    audio: str
    """Sound file of any length, or - for WAV on standard input."""
    language: str
    """zh or en."""
    out: str
    """The mp4 to write, or - for standard output: an mp4 in fragments, as it grows."""
    raw: bool = False
    """With --out -, write bare RGB frames (height x width x 3 bytes each, 25 a second) instead of an mp4."""
    crop: bool = True
    """Find and cut out the face; `--no-crop` when the picture is a crop already."""
    face: Literal["only", "largest"] = "only"
    """only: a picture with several faces is refused. largest: its largest face is taken."""
    watermark: bool = True
    """Mark the video invisibly as made by this run (docs/responsible-use.md)."""
    watermark_key: str = "avatarsync"
    """Decides the mark's pattern; the detector needs the same."""
    units: int = 32
    """Most keyframes that are written together; fewer need less memory."""
    device: str = "cpu"
    """cpu, cuda, cuda:1 or mps."""
    threads: int = 1
    """CPU threads."""


@dataclass(frozen=True, kw_only=True)
class Ablate:
    """Train and score the variants of one of the paper's ablations, at the size of a trained run.

    What was finished before is reused, so that an interrupted grid goes on where it was.

    Example: avatarsync model ablate --run runs/demo --data shards/cmlr shards/hdtf --cases cases --grid masks
    --seeds 3 --out ablations
    """

    run: Path
    """Folder of the trained run; its tokenizer and interpolator serve all variants."""
    data: tuple[Place, ...]
    """Folders of shards; their split `train` is read."""
    cases: Path
    """Folder of KEY.png, KEY.wav, KEY.json and KEY.mp4, as `avatarsync data export` writes it."""
    out: Path
    """Folder for OUT/GRID/VARIANT/seedN/KEY.mp4 and the scores, OUT/GRID.run.json."""
    grid: Literal["masks", "losses", "allocation", "conditioning"]
    """masks: Table 3, phonemes that a keyframe sees. losses: Table 6, terms of the loss. allocation: Table 5,
    frames between keyframes; nothing is trained. conditioning: Figure 5, phonemes or only syllables."""
    seeds: int = 3
    """Trainings (or draws) of each variant."""
    steps: int | None = None
    """Steps of each training (default: as many as the run's preset)."""
    sync: tuple[Path, ...] = ()
    """Judges of lip-sync, as `avatarsync bench run` takes them."""
    json: bool = False
    """Print the table as JSON."""
    threads: int = 2
    """CPU threads."""
