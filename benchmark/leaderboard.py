"""Tables from runs. Scores share a column only if their protocols agree, a table only if their references do.

Rows stand in the order truth, controls, systems; only systems are ranked (`ranking.py`). Tables of many
columns are split into groups that belong together, so that they can be read.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .ranking import AverageRank, Places, average_ranks, averaged_columns, places, whole
from .records import GROUND_TRUTH, MetricInfo, RowKind, Run, Score

ARROWS = {"higher": "↑", "lower": "↓", "target": "→"}
NOT_MEASURED = "not measured"
AVERAGE = "avg_r"
"""Name of the column of mean ranks."""
MAX_COLUMNS = 8
"""Columns up to which a table stays in one piece."""
GROUPS = {
    "Overall": (AVERAGE,),
    "Mouth": ("video/mouth", "video/lmd"),
    "Picture": ("video/psnr", "video/ssim", "video/lpips", "video/fid", "video/fvd"),
    "Identity and expression": ("video/csim", "video/iss", "video/efid"),
    "Sync": ("video/sync",),
    "Motion": ("video/flicker", "video/warping"),
    "Keyframes, each from the true past": ("keyframe/",),
    "Time": ("video/",),
    "Other": ("",),
}
"""Heading to the starts of its metrics' names; the first that fits counts."""
KIND_ORDER: tuple[RowKind, ...] = ("truth", "control", "system")


@dataclass(frozen=True, slots=True)
class Table:
    """Systems on one set of ground-truth videos."""

    reference_hash: str
    num_clips: int
    columns: tuple[MetricInfo, ...]
    rows: tuple[tuple[str, dict[str, Score]], ...]
    """Name of the row and its scores by column id: truth, controls, systems."""
    kinds: dict[str, RowKind]
    """Name of the row to what it is; only systems are ranked."""
    places: dict[str, Places]
    """Column id to the ranking of the systems."""

    @property
    def ranks(self) -> dict[str, dict[str, int]]:
        """Column id to system to rank, 1 is best; ties share the better rank."""
        return {column: each.ranks for column, each in self.places.items()}

    def is_best(self, column: str, row: str) -> bool:
        """Whether a row leads a column."""
        return self.places[column].ranks.get(row) == 1


def column_id(info: MetricInfo) -> str:
    """What a column stands for: the metric under its protocol."""
    return f"{info.name}@{info.protocol_hash}"


def tables(runs: Sequence[Run]) -> tuple[Table, ...]:
    """One table per set of references, in the order in which they occur."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.reference_hash, []).append(run)
    return tuple(_table(name, group) for name, group in groups.items())


def _table(reference_hash: str, runs: Sequence[Run]) -> Table:
    columns = {column_id(info): info for run in runs for info in run.metrics}
    rows: dict[str, dict[str, Score]] = {}
    kinds: dict[str, RowKind] = {}
    for run in runs:
        ids = {info.name: column_id(info) for info in run.metrics}
        for system in run.systems:
            scores = {ids[score.metric]: score for score in system.scores}
            kind: RowKind = "truth" if system.name == GROUND_TRUTH else system.kind
            name = _free_name(system.name, run.created, rows) if kind == "system" else system.name
            rows.setdefault(name, {}).update(scores)
            kinds[name] = kind
    keys = sorted(runs[0].reference)
    columns = {**_with_average(columns, rows, kinds, keys), **columns}
    found = {
        column: places(info, {name: row[column] for name, row in rows.items() if column in row}, kinds, keys)
        for column, info in columns.items()
    }
    ordered = tuple((name, rows[name]) for kind in KIND_ORDER for name in rows if kinds[name] == kind)
    return Table(reference_hash, len(keys), tuple(columns.values()), ordered, kinds, found)


def _free_name(name: str, created: str, taken: Mapping[str, object]) -> str:
    """A name of its own for every row: a system's second run is told apart by its date, then by a number."""
    if name not in taken:
        return name
    dated, number = f"{name} ({created})", 2
    while dated in taken:
        dated, number = f"{name} ({created}, {number})", number + 1
    return dated


def _with_average(
    columns: Mapping[str, MetricInfo],
    rows: dict[str, dict[str, Score]],
    kinds: Mapping[str, RowKind],
    keys: Sequence[str],
) -> dict[str, MetricInfo]:
    """Give every system a mean rank where the table has the metrics for it; the column that this adds."""
    systems = {name: scores for name, scores in rows.items() if kinds[name] == "system"}
    chosen = averaged_columns(columns, systems)
    if not chosen or len(systems) < 2:
        return {}
    info = _average_info(chosen, len(systems))
    averages = average_ranks(chosen, systems, keys)
    for name, scores in rows.items():
        scores[column_id(info)] = _average_score(averages.get(name), len(keys))
    return {column_id(info): info}


def _average_info(chosen: Mapping[str, MetricInfo], num_systems: int) -> MetricInfo:
    titles = ", ".join(info.title for info in chosen.values())
    settings = {"over": ", ".join(chosen), "ties": "share the mean of their places", "missing": "stands last"}
    return MetricInfo(
        name=AVERAGE,
        title="Avg-R",
        unit="",
        direction="lower",
        target=None,
        about=f"Mean rank among {num_systems} systems over {titles}; ties share the mean of their places, "
        "a system without a value stands last.",
        protocol=settings,
        protocol_hash=hashlib.sha256("|".join(chosen).encode()).hexdigest()[:12],
    )


def _average_score(average: AverageRank | None, num_clips: int) -> Score:
    """The cell of a mean rank; the ground truth and controls have none."""
    lacking = average.lacking if average else ()
    return Score(
        metric=AVERAGE,
        value=average.value if average else None,
        low=average.low if average else None,
        high=average.high if average else None,
        num_ok=num_clips if average else 0,
        num_total=num_clips,
        failures={},
        per_clip={},
        not_measured=None if average else "not applicable: only systems are ranked",
        note=f"stands last on {', '.join(lacking)}: no value" if lacking else "",
    )


def grouped(table: Table) -> tuple[tuple[str, tuple[MetricInfo, ...]], ...]:
    """Columns under their headings; few columns stay together under none."""
    if len(table.columns) <= MAX_COLUMNS:
        return (("", table.columns),)
    groups: dict[str, list[MetricInfo]] = {heading: [] for heading in GROUPS}
    for info in table.columns:
        groups[_group(info)].append(info)
    return tuple((heading, tuple(infos)) for heading, infos in groups.items() if infos)


def _group(info: MetricInfo) -> str:
    return next(heading for heading, starts in GROUPS.items() if info.name.startswith(starts))


def heading(info: MetricInfo, columns: Sequence[MetricInfo]) -> str:
    """Title, unit and direction; a mark where papers print the other arrow; the hash where two look alike."""
    twins = sum(other.name == info.name for other in columns) > 1
    unit = f" [{info.unit}]" if info.unit else ""
    printed = "†" if info.as_printed and info.as_printed != info.direction else ""
    return f"{info.title}{unit} {ARROWS[info.direction]}{printed}" + (
        f" ({info.protocol_hash})" if twins else ""
    )


def footnotes(table: Table) -> tuple[str, ...]:
    """What a reader of the table must know about its columns and marks."""
    notes = [
        f"† {info.title}: the paper prints {ARROWS[info.as_printed]}; ranked by its definition, "
        f"{info.direction} is better."
        for info in table.columns
        if info.as_printed and info.as_printed != info.direction
    ]
    notes += [f"Avg-R: {info.about}" for info in table.columns if info.name == AVERAGE]
    policies = sorted(
        {str(info.protocol["on_failure"]) for info in table.columns if "on_failure" in info.protocol}
    )
    notes += [POLICY_NOTES[policy] for policy in policies if policy in POLICY_NOTES]
    cells = [
        (name, info, scores.get(column_id(info))) for name, scores in table.rows for info in table.columns
    ]
    behind = {
        name for name, info, score in cells if score and score.value is not None and not whole(info, score)
    }
    if any(table.kinds[name] == "system" for name in behind):
        notes.append("(k/n): only k of n clips have a value; such a system ranks behind those that have all.")
    noted: dict[tuple[str, str], list[str]] = {}
    for name, info, score in cells:
        if score and score.note and table.kinds[name] == "system":
            noted.setdefault((info.title, score.note), []).append(name)
    notes += [f"{title} of {', '.join(names)}: {note}." for (title, note), names in noted.items()]
    return tuple(dict.fromkeys(notes))


POLICY_NOTES = {
    "worst": "Failed clips take the worst value that any row has on them.",
    "truth": "Failed clips take the ground truth's value; such a system still ranks behind.",
}


def conformance(runs: Sequence[Run]) -> str:
    """Which metrics reproduced their test vectors on the machine of the runs, as the runs say."""
    said = [set(run.conformant) for run in runs if run.conformant is not None]
    if not said:
        return "Conformance: not claimed; `avatarsync bench selftest` was not part of this run."
    names = sorted(set.intersection(*said)) if len(said) == len(runs) else []
    return f"Conformant, every test vector reproduced: {', '.join(names) or 'none'}."


def number(value: float) -> str:
    """As many decimals as the size asks for, without exponents for what tables hold."""
    if 1e-9 < abs(value) < 1e-3 or abs(value) >= 1e6:
        return f"{value:.2e}"
    digits = 4 if 1e-9 < abs(value) < 0.1 else 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{value:.{digits}f}" if abs(value) > 1e-9 else "0.000"


def cell(score: Score | None) -> str:
    """Value, interval and, when clips failed, how many count."""
    if score is None or score.value is None:
        return NOT_MEASURED if score is None or not (score.not_measured or "").startswith("not app") else "–"
    interval = (
        f" [{number(score.low)}, {number(score.high)}]"
        if score.low is not None and score.high is not None
        else ""
    )
    counted = f" ({score.num_ok}/{score.num_total})" if score.num_ok < score.num_total else ""
    return number(score.value) + interval + counted


def rank_text(table: Table, column: str, row: str) -> str:
    """`#2 (1–3)`: place and its 95 % range; `(#2)`: where a row that is not ranked would stand."""
    each = table.places[column]
    if row in each.would_stand:
        return f"(#{each.would_stand[row]})"
    if row not in each.ranks:
        return ""
    low, high = each.ranges.get(row, (0, 0))
    return f"#{each.ranks[row]}" + (f" ({low}–{high})" if low else "")


def markdown(runs: Sequence[Run]) -> str:
    """All tables in Markdown; the best value of a column is bold."""
    return "\n\n".join("\n".join(_markdown(table, runs)) for table in tables(runs)) + "\n"


def _markdown(table: Table, runs: Sequence[Run]) -> Iterator[str]:
    yield f"{table.num_clips} clips, reference set `{table.reference_hash}`; mean, 95 % interval over clips, "
    yield "#place (its 95 % range); ground truth and controls are not ranked: (#k) is where they would stand."
    for title, columns in grouped(table):
        yield f"\n### {title}\n" if title else ""
        yield "| system | " + " | ".join(heading(info, table.columns) for info in columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        yield from (_markdown_row(table, name, scores, columns) for name, scores in table.rows)
    yield ""
    yield from (f"- {escaped(note)}" for note in footnotes(table))
    yield f"- {escaped(conformance([run for run in runs if run.reference_hash == table.reference_hash]))}"


def _markdown_row(table: Table, name: str, scores: Mapping[str, Score], columns: Sequence[MetricInfo]) -> str:
    cells = []
    for column in map(column_id, columns):
        text = cell(scores.get(column))
        marked = f"**{text}**" if table.is_best(column, name) else text
        cells.append(f"{marked} {rank_text(table, column, name)}".rstrip())
    shown = escaped(name) if table.kinds[name] == "system" else f"*{escaped(name)}*"
    return f"| {shown} | " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Keep names from becoming Markdown or HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "|*_`[]\\" else letter for letter in escaped)


CSV_HEAD = (
    *("reference", "system", "metric", "protocol", "unit", "direction", "value", "low", "high"),
    *("num_ok", "num_total", "rank", "not_measured", "kind", "rank_low", "rank_high", "imputed", "note"),
)


def as_csv(runs: Sequence[Run]) -> str:
    """One line per row and metric, with all that the cell rests on."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for table in tables(runs):
        for name, scores in table.rows:
            for info in table.columns:
                score = scores.get(column_id(info))
                if score:
                    writer.writerow(
                        (table.reference_hash, _inert(name), *_csv_cells(table, name, info, score))
                    )
    return out.getvalue()


def _csv_cells(table: Table, name: str, info: MetricInfo, score: Score) -> tuple[object, ...]:
    numbers = ("" if value is None else repr(value) for value in (score.value, score.low, score.high))
    ranking = table.places[column_id(info)]
    rank, ranks = ranking.ranks.get(name, ""), ranking.ranges.get(name, ("", ""))
    counts = (score.num_ok, score.num_total, rank, _inert(score.not_measured or ""), table.kinds[name])
    about = (info.name, info.protocol_hash, info.unit, info.direction)
    return (*about, *numbers, *counts, *ranks, len(score.imputed), _inert(score.note))


def _inert(name: str) -> str:
    """Keep a name from becoming a formula in a spreadsheet."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name
