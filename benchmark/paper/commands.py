"""`avatarsync bench paper` and `avatarsync bench crops`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from datapipe.console import DONE, DONE_WITH_REJECTS, emit, say
from datapipe.files import write_text
from datapipe.records import Rejected, to_json

Name = Literal[
    "all", "table1", "table2", "table3", "table4", "table5", "table6",
    "fig4b", "fig5", "fig9", "fig10", "fig11", "eartalking",
]  # fmt: skip


LASTING = ("runs/ablation-*.json", "records/ablation-*.json", "records/demo-sweep.json")


@dataclass(frozen=True, kw_only=True)
class PaperCommand:
    """Render the papers' tables and figures with ours beside them, each number traceable to its file.

    Example: avatarsync bench paper all --runs reports/runs --out reports/paper
    """

    names: Annotated[tuple[Name, ...], tyro.conf.Positional]
    """table1 to table6, fig4b, fig5, fig9, fig10, fig11, eartalking, or all."""
    runs: tuple[Path, ...] = ()
    """Files that this benchmark wrote (run, latency, sweep, human and crops records), or folders of them;
    without any, what lies in reports/: the demo's where it was run, and what is kept there."""
    ablation: tuple[Path, ...] = ()
    """Folders that were the --out of `avatarsync model ablate`."""
    out: Path = Path("paper")
    """Folder for the pages and pictures."""
    format: tuple[Literal["md", "latex", "csv", "html"], ...] = ("md", "latex", "csv", "html")
    """Forms to write; figures are written as PNG and SVG with any of them."""
    cases: Path | None = None
    """Folder with the ground truth, for heat-maps and frames."""
    system: tuple[str, ...] = ()
    """NAME=DIR, for heat-maps of its videos."""
    pictures: tuple[str, ...] = ()
    """Starts of the keys of the cases that pictures show (default: the first two)."""
    train_log: Path | None = None
    """Folder of a training run; its */log.jsonl give the loss curves."""

    def execute(self) -> int:
        """Write what was asked, and say where, and what is not measured."""
        from .render import ARTEFACTS, render_all
        from .sources import read_sources

        names = (
            tuple(ARTEFACTS) if "all" in self.names or not self.names else tuple(dict.fromkeys(self.names))
        )
        looked = self._look(names)
        given = self.runs or (() if self.ablation or looked else usual_records(Path("reports")))
        sources = read_sources((*given, *looked), self.ablation)
        artefacts = render_all(sources, self.out, names, self.format)
        for each in artefacts:
            if not each.is_measured:
                say(f"{each.name}: ours not measured; {each.command}")
        emit(f"{self.out / ('index.html' if 'html' in self.format else '')}")
        return DONE

    def _look(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        """Measure what comes from videos and logs and not from records, and keep it as records."""
        from ..cases import find_cases
        from .looking import Looking, look

        cases = find_cases(self.cases) if self.cases else ()
        if self.system and not cases:
            raise Rejected("bad_input", "--system needs --cases, the ground truth of its videos")
        return look(
            Looking(
                names=names,
                cases=cases,
                systems=self.system,
                pictures=self.pictures,
                train_log=self.train_log,
                ablations=self.ablation,
            ),
            self.out / "data",
        )


def usual_records(reports: Path) -> tuple[Path, ...]:
    """Find what a checkout's reports/ holds; a demo that was run stands in place of the one that is kept."""
    demo = [reports / "demo" / each for each in ("run.json", "cmlr.json", "crops.json", "paper/data")]
    if not demo[0].exists():
        return tuple(each for each in (reports / "runs", reports / "records") if each.is_dir())
    return (*(each for each in demo if each.exists()), *lasting_records(reports))


def lasting_records(reports: Path) -> tuple[Path, ...]:
    """Find what a demo does not measure itself: ablations take hours, a sweep a quiet machine."""
    return tuple(sorted(path for glob in LASTING for path in reports.glob(glob)))


@dataclass(frozen=True, kw_only=True)
class CropsCommand:
    """Compare face-centric and landmark-based crops by the identity that is seen in them, per speaker.

    Example: avatarsync bench crops --data shards/cmlr --root raw/cmlr --out crops.json
    """

    data: Path
    """Shard folder, whose landmarks are used."""
    root: Path
    """The corpus that the shards were built from."""
    out: Path
    """The record, for `avatarsync bench paper table4`."""
    limit: int | None = None
    """Only the first clips of each speaker."""

    def execute(self) -> int:
        """Write the record; exit code 3 when a clip could not be measured."""
        from .crops import compare_crops

        crops = compare_crops(self.data, self.root, self.limit)
        write_text(self.out, to_json(crops) + "\n")
        for key, why in crops.failures.items():
            say(f"failed: {key}: {why}")
        emit(
            f"{len(crops.clips)} clips of {len({clip.speaker for clip in crops.clips})} speakers: {self.out}"
        )
        return DONE_WITH_REJECTS if crops.failures else DONE
