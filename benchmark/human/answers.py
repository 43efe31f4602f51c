"""Read what raters send back. It comes from strangers: nothing is believed that the key does not bear out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from datapipe.records import Rejected

from .records import ANSWERS_SCHEMA, BEST, WORST, Answers, Key, Plan

MOST_BYTES = 1 << 20
FIELDS = {"schema", "kit", "rater", "consent", "answers", "unplayable", "seconds"}
MOST_SECONDS = 86400.0
"""A day; a longer time is what a tab left open tells, and is cut."""


def read_answers(paths: Sequence[Path], key: Key) -> tuple[Answers, ...]:
    """Read and check every file; raises `Rejected("bad_input")` naming the file and the field."""
    found: dict[str, tuple[Path, Answers]] = {}
    for path in paths:
        answers = _read(path, key)
        if answers.rater in found:
            other = found[answers.rater][0]
            raise Rejected("bad_input", f"{path}: {other} is of rater {answers.rater} too; keep one of them")
        found[answers.rater] = (path, answers)
    if not found:
        raise Rejected("bad_input", "no answers; give the files that the raters saved")
    return tuple(found[rater][1] for rater in sorted(found))


def _read(path: Path, key: Key) -> Answers:
    value = _parsed(path)
    if not isinstance(value, dict) or set(value) != FIELDS:
        _refuse(path, "its fields are not those of saved answers")
    if value["schema"] != ANSWERS_SCHEMA:
        _refuse(path, f"field schema is not {ANSWERS_SCHEMA}")
    if value["kit"] != key.hash:
        _refuse(path, f"field kit: the answers belong to another kit than {key.hash}, or the key was changed")
    plans = {plan.rater: plan for plan in key.plans}
    rater = value["rater"]
    if not isinstance(rater, str) or rater not in plans:
        _refuse(path, "field rater names nobody whom the kit has a page for")
    if value["consent"] is not True:
        _refuse(path, "field consent: the rater did not agree to take part")
    unplayable = _unplayable(path, value["unplayable"], plans[rater])
    ratings = _ratings(path, value["answers"], plans[rater], key)
    if both := set(unplayable) & set(ratings):
        _refuse(path, f"field answers.{min(both)}: the video is said not to have played")
    return Answers(
        rater=rater,
        ratings=ratings,
        unplayable=unplayable,
        seconds=_seconds(path, value["seconds"], plans[rater]),
    )


def _parsed(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            _refuse(path, f"it is larger than {MOST_BYTES >> 20} MB")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError as error:
        raise Rejected("bad_input", f"{path} is not there; give the file that the rater saved") from error
    except (ValueError, RecursionError) as error:
        raise Rejected("bad_input", f"{path} is not JSON; ask the rater to save the file again") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _refuse(path: Path, why: str) -> NoReturn:
    raise Rejected("bad_input", f"{path}: {why}; ask the rater for the file that the page saved")


def _ids(path: Path, name: str, given: list[Any], plan: Plan) -> list[str]:
    """Check that every entry is an item of the rater's page, and none stands twice."""
    known = {item.id for item in plan.items}
    unknown = [id for id in given if not isinstance(id, str) or id not in known]
    if unknown:
        _refuse(path, f"field {name}: the page of rater {plan.rater} has no item {str(unknown[0])[:20]}")
    if len(set(given)) < len(given):
        _refuse(path, f"field {name} names an item twice")
    return given


def _unplayable(path: Path, given: Any, plan: Plan) -> tuple[str, ...]:
    if not isinstance(given, list):
        _refuse(path, "field unplayable is no list")
    return tuple(sorted(_ids(path, "unplayable", given, plan)))


def _ratings(path: Path, given: Any, plan: Plan, key: Key) -> dict[str, dict[str, int]]:
    names = {dimension.name for dimension in key.dimensions}
    if not isinstance(given, dict):
        _refuse(path, "field answers is no object")
    for id in _ids(path, "answers", list(given), plan):
        answers = given[id]
        if not isinstance(answers, dict) or set(answers) != names:
            _refuse(path, f"field answers.{id} must hold {', '.join(sorted(names))}")
        for name, value in answers.items():
            if type(value) is not int or not WORST <= value <= BEST:
                _refuse(path, f"field answers.{id}.{name} is no whole number from {WORST} to {BEST}")
    return {id: dict(given[id]) for id in sorted(given)}


def _seconds(path: Path, given: Any, plan: Plan) -> dict[str, float]:
    if not isinstance(given, dict):
        _refuse(path, "field seconds is no object")
    for id in _ids(path, "seconds", list(given), plan):
        value = given[id]
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            _refuse(path, f"field seconds.{id} is no time")
    return {id: min(float(given[id]), MOST_SECONDS) for id in sorted(given)}
