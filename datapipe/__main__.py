"""`avatarsync data`: build, inspect and export shards."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import tyro

from .console import DONE, DONE_WITH_REJECTS, FAILED, WRONG_USE, emit, guarded, say
from .places import Place
from .records import to_dict

ArgumentsT = TypeVar("ArgumentsT")
Command = Callable[[list[str], str], int]
Where = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
EXAMPLES = """examples:
  avatarsync data sample raw
  avatarsync data doctor --source cmlr --root raw/cmlr
  avatarsync data build --source cmlr --root raw/cmlr --out shards/cmlr --cluster local --workers 8
  avatarsync data build --source folder --root clips --out shards/own --upscale.backend realesrgan
  avatarsync data build --source cmlr --root raw/cmlr --out shards/cmlr --retry not_aligned
  avatarsync data stats --shards shards/cmlr --json
  avatarsync data preview --shards shards/cmlr --out preview.html
  avatarsync data export --shards shards/cmlr --split test --out cases
  avatarsync data split --shards shards/cmlr --split.preset paper
  avatarsync data purge --shards shards/cmlr --speaker s3 --dry-run"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorArguments:
    """Compare a download with its own lists, without decoding it."""

    source: Literal["cmlr", "hdtf", "folder"]
    """Layout of the corpus."""
    root: Place
    """Folder of the download."""
    json: bool = False
    """Write the result to stdout as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsArguments:
    """Read a folder of shards."""

    shards: Place
    """Folder that `build` wrote."""
    json: bool = False
    """Write the result to stdout as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsArguments:
    """Count a dataset and show the spread of its quality columns."""

    shards: Place
    """Folder that `build` wrote."""
    where: Where = ()
    """Only samples that meet this: "quality.face_px >= 80", "abs(COLUMN) < 3", "split == val". Repeat it."""
    yield_: Annotated[str | None, tyro.conf.arg(name="yield")] = None
    """Quality column: show what each threshold on it would leave."""
    plot: Place | None = None
    """Draw what thresholds on every column would leave, as .png, .svg or .pdf."""
    phonemes: bool = False
    """Count phonemes by length and keyframes that collide too; reads the shards."""
    json: bool = False
    """Write everything to stdout as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewArguments:
    """Draw samples: keyframes with their phonemes over the sound's wave; a page has rejects and curves."""

    shards: Place
    """Folder that `build` wrote."""
    out: Place
    """A .png, or an .html page with sound."""
    where: Where = ()
    """Only samples that meet this: "quality.face_px >= 80", "abs(COLUMN) < 3", "speaker != s2". Repeat it."""
    split: str | None = None
    """Only this split."""
    key: str | None = None
    """Only this sample."""
    count: int = 12
    """At most so many, at even distances."""
    worst: int = 4
    """On a page, so many of the worst samples by every quality column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArguments:
    """Take samples out as files: one set per sample, or Parquet for Hugging Face `datasets`."""

    shards: Place
    """Folder that `build` wrote."""
    out: Place
    """Folder for the files."""
    format: Literal["cases", "hf"] = "cases"
    """cases: KEY.mp4 (with sound), KEY.png (frame 0), KEY.wav and KEY.json of every sample, beside what the
    folder holds. hf: data/SPLIT-*.parquet and a card, for `load_dataset`; replaces an earlier export only."""
    split: str | None = None
    """Only this split; left out, all."""
    where: Where = ()
    """Only samples that meet this: "quality.face_px >= 80", "abs(COLUMN) < 3", "speaker != s2". Repeat it."""
    limit: int | None = None
    """At most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeArguments:
    """Take samples out of a dataset for good, and keep them out of later builds."""

    shards: Place
    """Folder that `build` wrote."""
    speaker: tuple[str, ...] = ()
    """Speaker labels."""
    source: tuple[str, ...] = ()
    """Names of source files, with or without their ending."""
    id: tuple[str, ...] = ()
    """Clips."""
    cache: Place | None = None
    """The cache, when the build's was not OUT/.cache."""
    dry_run: bool = False
    """Only list what would go."""
    json: bool = False
    """Write the result to stdout as JSON."""


def sample(argv: list[str], prog: str) -> int:
    """Write the embedded sample corpora."""
    from .arguments import SampleArguments
    from .sample import make_sample

    arguments = _read(SampleArguments, argv, prog)
    report = make_sample(arguments.out, arguments.config)
    if arguments.json:
        emit(json.dumps(to_dict(report), ensure_ascii=False, sort_keys=True))
        return DONE
    done = "is there already, nothing was made" if report.reused else f"made in {report.seconds:.0f} s"
    clips = f"{report.num_cmlr_clips} Mandarin and {report.num_hdtf_clips} English clips"
    say(f"{clips} of {len(report.identities)} people, {report.num_frames} frames: {done}")
    emit(str(report.path))
    return DONE


def build(argv: list[str], prog: str) -> int:
    """Turn a corpus into shards."""
    from .arguments import BuildArguments, replayed
    from .leakage import leakage_sentence
    from .run import build as run_build

    arguments = _read(BuildArguments, argv, prog, replayed(argv))
    report = run_build(arguments.source, arguments.root, arguments.out, arguments.settings, arguments.run)
    counts = report.counts
    say(f"{counts.sentence()} [{report.seconds:.1f} s]")
    say(leakage_sentence(arguments.out))
    if arguments.json:
        facts = to_dict(counts) | {"out": str(arguments.out), "seconds": round(report.seconds, 3)}
        emit(json.dumps(facts, sort_keys=True))
    else:
        emit(str(arguments.out / "manifest.json"))
    if arguments.run.only is not None:
        say("\n".join(f"{row.reason}: {row.traceback or row.message}" for row in report.troubles))
    elif report.troubles:
        say(f"why, clip by clip: {arguments.out / 'ledger.jsonl'}")
    return DONE_WITH_REJECTS if counts.rejected or counts.failed else DONE


def plan(argv: list[str], prog: str) -> int:
    """Say what a build would do, without doing it."""
    from .arguments import BuildArguments, replayed
    from .run import plan as run_plan

    arguments = _read(BuildArguments, argv, prog, replayed(argv))
    found = run_plan(arguments.source, arguments.root, arguments.out, arguments.settings, arguments.run)
    if arguments.json:
        emit(json.dumps(found, ensure_ascii=False, sort_keys=True))
        return DONE
    for verdict, ids in found.items():
        emit(f"{verdict:<9} {len(ids):>6}   {', '.join(ids[:3])}{' ...' if len(ids) > 3 else ''}")
    return DONE


def doctor(argv: list[str], prog: str) -> int:
    """Compare a download with its lists."""
    from .sources import examine

    arguments = _read(DoctorArguments, argv, prog)
    report = examine(arguments.source, arguments.root, isolate=True)
    lists = {"have": report.have, "missing": report.missing, "broken": report.broken}
    lines = [f"{kind}: {name}" for kind, names in lists.items() for name in names]
    if arguments.json:
        emit(json.dumps(to_dict(report), ensure_ascii=False, sort_keys=True))
    else:
        emit("\n".join((*lines, *report.summary())))
    return DONE_WITH_REJECTS if report.missing or report.broken else DONE


def verify(argv: list[str], prog: str) -> int:
    """Check shards against their manifest."""
    from .manifest import verify as find_problems

    arguments = _read(ShardsArguments, argv, prog)
    problems = find_problems(arguments.shards)
    lines = list(problems) or ["sound: every shard has its sha256, every sample its members and schema"]
    emit(json.dumps({"problems": problems}) if arguments.json else "\n".join(lines))
    return FAILED if problems else DONE


def stats(argv: list[str], prog: str) -> int:
    """Show counts, quality columns and what thresholds would leave."""
    from . import stats as of
    from .manifest import read_manifest
    from .where import select

    arguments = _read(StatsArguments, argv, prog)
    manifest = read_manifest(arguments.shards)
    selection = select(of.read_rows(arguments.shards), arguments.where)
    if arguments.where:
        say(selection.sentence())
    rows = selection.rows
    facts = of.summarise(rows) | {"rejected": manifest.rejected, "failed": manifest.failed}
    curves = of.yield_curves(rows, arguments.yield_)
    spoken = of.spoken(of.metas_of(arguments.shards, rows)) if arguments.phonemes else {}
    if arguments.plot is not None:
        from .charts import plot_curves

        plot_curves(curves, arguments.plot)
        say(f"drawn: {arguments.plot}")
    if arguments.json:
        facts |= {"yields": to_dict(curves), "phonemes": to_dict(spoken)}
        emit(json.dumps(facts, ensure_ascii=False, sort_keys=True))
    else:
        emit(of.curve_table(curves[0]) if arguments.yield_ else of.table(facts) + of.spoken_table(spoken))
    return DONE


def preview(argv: list[str], prog: str) -> int:
    """Draw a contact sheet or a page."""
    from .export import Choice
    from .preview import PreviewConfig, write_preview

    arguments = _read(PreviewArguments, argv, prog)
    only = () if arguments.key is None else (f'key == "{arguments.key}"',)
    choice = Choice(split=arguments.split, where=(*arguments.where, *only))
    config = PreviewConfig(count=arguments.count, worst=arguments.worst)
    shown = write_preview(arguments.shards, arguments.out, choice, config)
    say(f"{shown} samples")
    emit(str(arguments.out))
    return DONE


def export(argv: list[str], prog: str) -> int:
    """Take samples out as plain files or as Parquet."""
    from .export import EXPORTS, Choice

    arguments = _read(ExportArguments, argv, prog)
    choice = Choice(split=arguments.split, where=arguments.where, limit=arguments.limit)
    keys = EXPORTS[arguments.format](arguments.shards, arguments.out, choice)
    say(f"{len(keys)} samples")
    emit(str(arguments.out))
    return DONE


def split(argv: list[str], prog: str) -> int:
    """Assign samples to new splits."""
    from .arguments import SplitArguments
    from .leakage import leakage_sentence
    from .rewrite import split_again

    arguments = _read(SplitArguments, argv, prog)
    splits = split_again(arguments.shards, arguments.split).splits
    if arguments.json:
        emit(json.dumps(splits, sort_keys=True))
    else:
        emit("\n".join(f"{name:<9} {count:>6}" for name, count in splits.items()))
    say(leakage_sentence(arguments.shards))
    return DONE


def purge(argv: list[str], prog: str) -> int:
    """Take a speaker, a source file or clips out."""
    from .purge import purge as take_out
    from .takedown import Takedown

    arguments = _read(PurgeArguments, argv, prog)
    request = Takedown(speakers=arguments.speaker, videos=arguments.source, ids=arguments.id)
    report = take_out(arguments.shards, request, arguments.cache, arguments.dry_run)
    emit(json.dumps(to_dict(report), sort_keys=True) if arguments.json else "\n".join(report.ids))
    would = "would be " if arguments.dry_run else ""
    shards = f"{len(report.shards)} shards {would}rewritten"
    say(f"{len(report.ids)} samples {would}taken out, {report.stays} stay, {shards}")
    return DONE


COMMANDS: dict[str, Command] = {
    "sample": sample,
    "plan": plan,
    "doctor": doctor,
    "build": build,
    "verify": verify,
    "stats": stats,
    "preview": preview,
    "export": export,
    "split": split,
    "purge": purge,
}


def main(argv: list[str]) -> int:
    """Run one data command and return its exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        emit(_usage())
        return DONE if argv else WRONG_USE
    if argv[0] not in COMMANDS:
        say(f"error: unknown command `{argv[0]}`; known: {', '.join(COMMANDS)}")
        return WRONG_USE
    command = COMMANDS[argv[0]]
    try:
        return guarded(lambda: command(argv[1:], f"avatarsync data {argv[0]}"))
    except SystemExit as error:  # how tyro ends after a usage error or --help
        return error.code if isinstance(error.code, int) else WRONG_USE


def _read(
    kind: type[ArgumentsT], argv: list[str], prog: str, default: ArgumentsT | None = None
) -> ArgumentsT:
    parsed: Any = tyro.cli(kind, args=argv, prog=prog, default=default)
    return parsed  # type: ignore[no-any-return]


def _usage() -> str:
    rows = "\n".join(f"  {name:<9} {(command.__doc__ or '').strip()}" for name, command in COMMANDS.items())
    return f"usage: avatarsync data COMMAND ...\n\n{rows}\n\n{EXAMPLES}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
