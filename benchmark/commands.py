"""The subcommands of `avatarsync bench`: each is its options, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from datapipe.console import DONE, DONE_WITH_REJECTS, emit, say
from datapipe.files import write_text
from datapipe.machine import usable_cores
from datapipe.records import Rejected, to_json
from datapipe.weights import cache_dir

from .alignment import Alignment
from .cases import find_cases
from .check_frames import CheckFramesCommand
from .controls import CONTROLS
from .human.commands import HumanCommand
from .paper.commands import CropsCommand, PaperCommand
from .records import Case, FailurePolicy, Run, System
from .rendering import RenderCommand
from .runs import RunFile, check_free, read_run, read_run_files, write_run
from .selftest.commands import SelftestCommand
from .speed.commands import CostCommand, LatencyCommand
from .submit.commands import MergeCommand, SubmitCommand
from .sync.commands import CheckSyncCommand, TrainSyncCommand
from .systems.commands import MakeCommand, SystemsCommand
from .systems.making import make_videos
from .systems.specs import FolderSpec, Spec, folder_name, open_system, parse_systems


@dataclass(frozen=True, kw_only=True)
class RunCommand:
    """Score folders of videos against ground truth and write a run.

    Example: avatarsync bench run --reference CASES --system ours=A static=B --out run.json
    """

    reference: Path
    """Folder with KEY.mp4, and KEY.png and KEY.json where there are."""
    system: tuple[str, ...]
    """NAME=DIR, one per system; DIR holds KEY.mp4 and perhaps timing.json. A command, a callable or a ready
    adapter makes its videos first: docs/adding-a-method.md."""
    out: Path
    """The run's JSON file; runs are append-only."""
    videos: Path | None = None
    """Folder for videos that are made (default: videos, beside the run)."""
    metrics: tuple[str, ...] = ("all",)
    """Names of metrics, or all; `psnr` is `video/psnr`, `keyframe/psnr` its teacher-forced twin."""
    preset: Literal["quick", "full"] = "quick"
    """full looks at every frame; quick at every n-th for the costly networks."""
    sync: tuple[Path, ...] = ()
    """Judges of lip-sync: syncnet_v2.model, or folders made by `bench train-sync`."""
    controls: Literal["all", "none"] = "all"
    """Rows made from the ground truth (a copy, shifted sound, a frozen frame, another speaker) that show that
    the metrics work."""
    alignment: Alignment = field(default_factory=Alignment)
    """What is done with a video that does not fit its ground truth."""
    on_failure: FailurePolicy = "exclude"
    """What stands for a failed clip: nothing (and the row ranks last), any row's worst value, the truth's."""
    cache: Path | None = None
    """Folder for features, kept between runs by content (default: the user's cache)."""
    cluster: str = "inline"
    """inline for threads, local for processes, or the address of a Dask scheduler (tcp://HOST:PORT)."""
    workers: int = field(default_factory=usable_cores)
    """Clips measured at a time."""
    selftest: bool = False
    """Reproduce the published values first; only then does the run say which metrics are conformant."""
    replace: bool = False
    """Write over an existing run."""

    def execute(self) -> int:
        """Evaluate; exit code 3 when a video is missing or unusable."""
        from . import leaderboard
        from .evaluate import EvaluateConfig, evaluate
        from .metrics import MetricConfig, metrics_for
        from .selftest.selftest import conformant, run_vectors

        check_free(self.out, self.replace)
        cases = find_cases(self.reference)
        systems = _made(self.system, cases, self.videos or self.out.parent / "videos")
        config = EvaluateConfig(
            metrics=MetricConfig(names=self.metrics, preset=self.preset, judges=self.sync),
            alignment=self.alignment,
            controls=tuple(CONTROLS) if self.controls == "all" else (),
            on_failure=self.on_failure,
            cluster=self.cluster,
            workers=self.workers,
        )
        metrics_for(config.metrics)
        journal = self.out.with_suffix(".journal.jsonl")
        proven = conformant(run_vectors()) if self.selftest else None
        scored = evaluate(cases, systems, config, self.cache or feature_cache(), journal)
        result = replace(scored, conformant=proven)
        write_run(self.out, result, self.replace)
        emit(leaderboard.markdown([result]).rstrip("\n"))
        return _say_failures(result)


def _made(texts: tuple[str, ...], cases: tuple[Case, ...], videos: Path) -> tuple[System, ...]:
    """Open every system's folder, after making the videos that are not there yet."""
    return tuple(make_videos(spec, cases, _folder(spec, videos)) for spec in parse_systems(texts))


def _folder(spec: Spec, videos: Path) -> Path:
    return spec.folder if isinstance(spec, FolderSpec) else videos / folder_name(spec.name)


def feature_cache() -> Path:
    """Where features are kept unless a command says otherwise."""
    return cache_dir().parent / "features"


def _say_failures(result: Run) -> int:
    for score in result.systems[0].scores:
        if score.not_measured and not score.not_measured.startswith("not applicable"):
            say(f"{score.metric}: not measured: {score.not_measured}")
    from .metrics.timing import NAMES

    reasons: dict[str, None] = {}
    for system in (row for row in result.systems if row.kind == "system"):
        told = (score for score in system.scores if score.metric not in NAMES)
        reasons.update({why: None for score in told for why in score.failures.values()})
    for why in reasons:
        say(f"failed: {why}")
    return DONE_WITH_REJECTS if reasons else DONE


@dataclass(frozen=True, kw_only=True)
class LeaderboardCommand:
    """Render tables from runs; scores of different protocols or references never share a column or table.

    Example: avatarsync bench leaderboard --runs reports/runs --html site
    """

    runs: tuple[Path, ...]
    """Run files, or folders of them."""
    out: Path | None = None
    """File to write; without it the table goes to stdout."""
    format: Literal["markdown", "csv"] = "markdown"
    """Markdown for people, csv for programs."""
    html: Path | None = None
    """Folder for a site instead: a board to sort and filter, and a page for every clip."""
    cases: Path | None = None
    """Of the site: folder with the ground truth, for players, phonemes and corpora."""
    system: tuple[str, ...] = ()
    """Of the site: NAME=DIR, folders of the videos that the runs scored."""
    latency: tuple[Path, ...] = ()
    """Of the site: latency.json of `bench latency`, for the plot of quality against speed."""
    media: bool = True
    """Of the site: put videos and pictures beside the pages."""
    title: str = "Talking-head leaderboard"
    """Of the site: its heading."""

    def execute(self) -> int:
        """Print or write the tables, or write the site and say where it is."""
        from . import leaderboard

        files = read_run_files(self.runs)
        if self.html:
            return self._site(files, self.html)
        render = {"markdown": leaderboard.markdown, "csv": leaderboard.as_csv}[self.format]
        text = render([file.run for file in files])
        if self.out:
            write_text(self.out, text)
        else:
            emit(text.rstrip("\n"))
        return DONE

    def _site(self, files: tuple[RunFile, ...], html: Path) -> int:
        from .site import SiteSources, write_site

        if self.system and not self.cases:
            raise Rejected("bad_input", "--system shows videos beside the truth; give --cases FOLDER too")
        specs = [_folder_spec(spec) for spec in parse_systems(self.system)] if self.system else []
        sources = SiteSources(
            files=files,
            cases=find_cases(self.cases) if self.cases else (),
            systems=tuple(open_system(spec.name, spec.folder) for spec in specs),
            latency=self.latency,
            media=self.media,
            title=self.title,
        )
        say(f"site: {write_site(sources, html)}")
        return DONE


def _folder_spec(spec: Spec) -> FolderSpec:
    if isinstance(spec, FolderSpec):
        return spec
    raise Rejected("bad_input", f"--system {spec.name}: a site shows videos that are there; give NAME=DIR")


@dataclass(frozen=True, kw_only=True)
class AblationCommand:
    """Print the tables of an ablation that `avatarsync model ablate` made and scored.

    Example: avatarsync bench ablation --ablation ablations --grid masks
    """

    ablation: Path
    """Folder that was its --out."""
    grid: tuple[str, ...] = ()
    """Which tables: masks, losses, allocation (default: all that are there)."""
    format: Literal["markdown", "json"] = "markdown"
    """Markdown for people, json for programs."""

    def execute(self) -> int:
        """Print the tables."""
        from .ablation import markdown, read_ablations

        tables = read_ablations(self.ablation, self.grid)
        emit(to_json(tables) if self.format == "json" else "\n".join(map(markdown, tables)).rstrip("\n"))
        return DONE


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write an HTML report with synchronised players, and the same in Markdown."""

    run: Path
    """The run to report on."""
    cases: Path
    """Folder with the ground truth."""
    system: tuple[str, ...]
    """NAME=DIR, one per system, as in the run."""
    videos: Path | None = None
    """Folder of the videos that the run made (default: videos, beside the run)."""
    out: Path
    """Folder for index.html, index.md and media/."""
    train_log: Path | None = None
    """Folder of a training run; its */log.jsonl give the loss curves."""
    ledger: tuple[Path, ...] = ()
    """Shard folders; their ledger.jsonl give the counts."""
    title: str = "Talking-head benchmark"
    """Heading of the page."""
    pictures: tuple[str, ...] = ()
    """Starts of the keys of the cases on the contact sheet (default: the first two)."""
    ablation: Path | None = None
    """Folder of ablations, as `avatarsync model ablate` leaves it; shown as the paper's Tables 3, 5 and 6."""
    preview: tuple[Path, ...] = ()
    """Pictures of the data to show, as `avatarsync data preview` draws them."""
    cache: Path | None = None
    """The run's feature cache, when it was not the user's."""

    def execute(self) -> int:
        """Write the report and say where it is."""
        from .headlines import headlines
        from .report import Sources, write_report

        videos = self.videos or self.run.parent / "videos"
        specs = parse_systems(self.system)
        sources = Sources(
            run=read_run(self.run),
            cases=find_cases(self.cases),
            systems=tuple(open_system(spec.name, _folder(spec, videos)) for spec in specs),
            train_log=self.train_log,
            ledgers=self.ledger,
            ablation=self.ablation,
            title=self.title,
            pictures=self.pictures,
            previews=self.preview,
            cache=self.cache or feature_cache(),
        )
        page = write_report(sources, self.out)
        for headline in headlines(sources.run):
            emit(headline.sentence())
        say(f"report: {page}")
        return DONE


Command = (
    RunCommand
    | MakeCommand
    | SystemsCommand
    | LeaderboardCommand
    | AblationCommand
    | PaperCommand
    | CropsCommand
    | ReportCommand
    | LatencyCommand
    | CostCommand
    | TrainSyncCommand
    | CheckSyncCommand
    | CheckFramesCommand
    | SelftestCommand
    | HumanCommand
    | SubmitCommand
    | MergeCommand
    | RenderCommand
)
COMMANDS: dict[str, type[Command]] = {
    "run": RunCommand,
    "make": MakeCommand,
    "systems": SystemsCommand,
    "leaderboard": LeaderboardCommand,
    "ablation": AblationCommand,
    "paper": PaperCommand,
    "crops": CropsCommand,
    "report": ReportCommand,
    "latency": LatencyCommand,
    "cost": CostCommand,
    "train-sync": TrainSyncCommand,
    "check-sync": CheckSyncCommand,
    "check-frames": CheckFramesCommand,
    "selftest": SelftestCommand,
    "human": HumanCommand,
    "submit": SubmitCommand,
    "merge": MergeCommand,
    "render": RenderCommand,
}
