"""One evaluation in a process of its own, with its time and peak memory: `PLAN OUT`.

PLAN is a JSON object: `truth`, `generated` and `store` (folders), `warm_up` (another pair of folders, or
null), `metrics` (names) and `preset`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ...cases import find_cases
from ...evaluate import EvaluateConfig, evaluate
from ...metrics import MetricConfig
from ...records import Run, System


def main(argv: Sequence[str]) -> None:
    """Score the pair once, after a smaller one that loads the networks when the plan names it."""
    plan = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    config = EvaluateConfig(
        metrics=MetricConfig(names=tuple(plan["metrics"]), preset=plan["preset"]), controls=()
    )
    if plan["warm_up"]:
        truth, generated = map(Path, plan["warm_up"])
        _score(truth, generated, config, None)
    started = time.perf_counter()
    run = _score(Path(plan["truth"]), Path(plan["generated"]), config, Path(plan["store"]))
    seconds = time.perf_counter() - started
    scores = {score.metric: score.value for score in run.systems[-1].scores}
    result = {"seconds": seconds, "peak_bytes": peak_bytes(), "scores": scores}
    Path(argv[1]).write_text(json.dumps(result), encoding="utf-8")


def _score(truth: Path, generated: Path, config: EvaluateConfig, store: Path | None) -> Run:
    return evaluate(find_cases(truth), [System(name="damaged", folder=generated)], config, store)


def peak_bytes() -> int:
    """Read the most this process held; getrusage would give its parent's where that was more."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1:])
