"""What a number rests on: the protocol of its column, the weights behind it, the run that it is from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from datapipe.weights import registry

from ..leaderboard import column_id
from ..records import MetricInfo, Run
from ..report.sections import counted_checks, failed_checks
from ..runs import RunFile
from .boards import Board

ALIGNMENT = "align_"
"""How the settings begin that bring a video beside its truth; they are told in one line."""
BETTER = {"higher": "higher is better", "lower": "lower is better", "target": "nearer to {target} is better"}


def column_tips(board: Board, files: Sequence[RunFile]) -> dict[str, list[str]]:
    """Lines about every column of a board: definition, protocol, weights."""
    runs = [files[number].run for number in board.files]
    return {column_id(info): _tip(info, runs) for info in board.table.columns}


def _tip(info: MetricInfo, runs: Sequence[Run]) -> list[str]:
    settings = {name: value for name, value in info.protocol.items() if not name.startswith(ALIGNMENT)}
    aligned = {
        name.removeprefix(ALIGNMENT): value
        for name, value in info.protocol.items()
        if name.startswith(ALIGNMENT)
    }
    lines = [info.about, _direction(info)]
    lines += [f"{name}: {value}" for name, value in settings.items()]
    if aligned:
        lines.append("alignment: " + ", ".join(f"{name} {value}" for name, value in aligned.items()))
    return [*filter(None, lines), *_weights(info, runs), f"protocol {info.protocol_hash}"]


def _direction(info: MetricInfo) -> str:
    if info.direction == "target" and info.target is None:
        return "near the truth is better; not ranked"
    return BETTER[info.direction].format(target=info.target)


def _weights(info: MetricInfo, runs: Sequence[Run]) -> list[str]:
    """One line per file of weights that the metric used, with the sha256 that the runs recorded."""
    used = _weights_of_metrics().get(info.name, ())
    recorded = dict.fromkeys(
        (name, run.weights[name])
        for run in runs
        if info in run.metrics
        for name in used
        if name in run.weights
    )
    return [f"weights {name}: sha256 {sha256[:16]}…{_licence(name, sha256)}" for name, sha256 in recorded]


def _licence(name: str, sha256: str) -> str:
    known = registry().get(name)
    if known is None or known.sha256 != sha256:
        return ", not the file of this version's registry"
    return f", {known.about}; {known.licence}"


@cache
def _weights_of_metrics() -> dict[str, tuple[str, ...]]:
    """Metric to the registry names it needs. A judge of lip-sync has its hash in its protocol instead."""
    from ..metrics import MetricConfig, known_metrics

    return {name: metric.weights for name, metric in known_metrics(MetricConfig()).items()}


def run_data(number: int, file: RunFile, place: str | None) -> dict[str, Any]:
    """A run as its entry on the page tells it; `place` is the copy of its file."""
    run = file.run
    return {
        "number": number,
        "file": file.path.name,
        "place": place,
        "created": run.created,
        "set": run.reference_hash,
        "clips": len(run.reference),
        "systems": sum(system.kind == "system" for system in run.systems),
        "on_failure": run.on_failure,
        "checks": counted_checks(run) if run.checks else "no control rows were checked",
        "failed": failed_checks(run),
        "environment": [f"{name} {value}" for name, value in run.environment.items()],
        "weights": [
            f"{name}: sha256 {sha256}{_licence(name, sha256)}" for name, sha256 in run.weights.items()
        ],
    }
