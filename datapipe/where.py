"""Choose samples by their columns: conditions as a user types them, parsed, never evaluated.

`quality.face_px >= 80`, `abs(quality.av_difference_ms) <= 40`, `split == train`, `speaker != "s 1"`.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from .records import Rejected

FORM = re.compile(
    r"\s*(?:(?P<abs>abs)\s*\(\s*(?P<inner>[\w.]+)\s*\)|(?P<plain>[\w.]+))"
    r"\s*(?P<op>>=|<=|==|!=|>|<)\s*(?P<value>.*?)\s*",
    re.DOTALL,
)
QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'", re.DOTALL)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
TEXT_OPERATORS = ("==", "!=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One demand on one column."""

    column: str
    op: str
    value: str
    """As it was typed, without its quotes; read as a number when the column holds numbers."""
    absolute: bool = False
    """Compare the column's absolute value."""

    def __str__(self) -> str:
        """Give the condition back as one would type it."""
        name = f"abs({self.column})" if self.absolute else self.column
        return f"{name} {self.op} {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """What the conditions leave of a dataset's rows."""

    rows: pd.DataFrame
    """The rows that fit all conditions."""
    total: int
    """Rows there were before."""
    failed: dict[str, int]
    """Condition to the number of samples that have the column and do not fit; a sample can fail several."""
    lacking: dict[str, int]
    """Condition to the number of samples without the column's value; they are not kept either."""

    def sentence(self) -> str:
        """Say what was kept and what each condition took away."""
        parts = [f"{len(self.rows)} of {self.total} samples kept"]
        parts += [f"`{name}` is not met by {count}" for name, count in self.failed.items()]
        parts += [f"`{name}` cannot be said of {count}" for name, count in self.lacking.items() if count]
        return "; ".join(parts)


def parse(text: str) -> Condition:
    """Read `[abs(]COLUMN[)] OP VALUE`; anything else is `Rejected("bad_input")`."""
    found = FORM.fullmatch(text)
    if found is None or not found["value"]:
        raise Rejected(
            "bad_input",
            f"--where `{text}` is no condition; write COLUMN OP VALUE, for example "
            "`quality.face_px >= 80`, `abs(quality.av_difference_ms) <= 40` or `split == train`",
        )
    quoted = QUOTED.fullmatch(found["value"])
    value = found["value"] if quoted is None else quoted[1] or quoted[2] or ""
    column = found["inner"] or found["plain"]
    return Condition(column=column, op=found["op"], value=value, absolute=bool(found["abs"]))


def select(rows: pd.DataFrame, where: Sequence[str]) -> Selection:
    """Keep the rows that meet every condition; a row without the column's value does not meet it.

    Raises `Rejected("bad_input")` for a condition that cannot be read or does not fit its column.
    """
    kept = pd.Series(True, index=rows.index)
    failed, lacking = dict[str, int](), dict[str, int]()
    for condition in map(parse, where):
        column = _column(rows, condition)
        there = column.notna()
        met = there & _compare(column, condition)
        failed[str(condition)] = int((there & ~met).sum())
        lacking[str(condition)] = int((~there).sum())
        kept &= met
    return Selection(rows=rows[kept], total=len(rows), failed=failed, lacking=lacking)


def nearest(name: str, known: Sequence[str]) -> str:
    """Give the name that was probably meant, or nothing; with or without its prefix."""
    by_tail = {known_name.rpartition(".")[2]: known_name for known_name in known}
    close = difflib.get_close_matches(name, known, 1) or [
        by_tail[tail] for tail in difflib.get_close_matches(name.rpartition(".")[2], list(by_tail), 1)
    ]
    return close[0] if close else ""


def _column(rows: pd.DataFrame, condition: Condition) -> pd.Series[Any]:
    if condition.column not in rows.columns:
        there = [str(name) for name in rows.columns]
        meant = nearest(condition.column, there)
        hint = f" (did you mean `{meant}`?)" if meant else ""
        raise Rejected(
            "bad_input", f"there is no column `{condition.column}`{hint}; there is: {', '.join(there)}"
        )
    return rows[condition.column]


def _compare(column: pd.Series[Any], condition: Condition) -> pd.Series[bool]:
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        values = column.abs() if condition.absolute else column
        return pd.Series(OPERATORS[condition.op](values, _number(condition)), dtype=bool)
    if condition.absolute or condition.op not in TEXT_OPERATORS:
        raise Rejected(
            "bad_input", f"`{condition}`: {condition.column} holds text; compare it with == or != and a text"
        )
    texts = column.astype(object).map(str)
    return pd.Series(OPERATORS[condition.op](texts, condition.value), dtype=bool)


def _number(condition: Condition) -> float:
    try:
        value = float(condition.value)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise Rejected(
            "bad_input", f"`{condition}`: {condition.column} holds numbers; {condition.value} is none"
        )
    return value
