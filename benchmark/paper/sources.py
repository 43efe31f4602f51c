"""What artefacts are rendered from: record files of this suite, told apart by their schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from datapipe.files import sha256_of
from datapipe.records import Rejected, from_dict

from ..records import RUN_SCHEMA
from ..runs import read_run
from .document import Trace

RecordT = TypeVar("RecordT")
MAX_BYTES = 256 << 20
"""A record file above this is none of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One record file."""

    path: Path
    file_id: str
    record: Any

    def trace(self, protocol: str = "") -> Trace:
        """Where a number of this file is from."""
        return Trace(path=self.path, file_id=self.file_id, protocol=protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All record files that were named or found in named folders, in the order of their paths."""

    found: tuple[Found, ...] = ()

    def of(self, kind: type[RecordT]) -> tuple[tuple[Found, RecordT], ...]:
        """The files that hold a kind of record."""
        return tuple((each, each.record) for each in self.found if isinstance(each.record, kind))


def _kinds() -> dict[str, Callable[[], type[Any]]]:
    """Schema to the record that it stands for; imported only when such a file is met."""

    def latency() -> type[Any]:
        from ..speed.latency_report import LatencyReport

        return LatencyReport

    def sweep() -> type[Any]:
        from ..speed.sweep import Sweep

        return Sweep

    def people() -> type[Any]:
        from ..human.records import Study

        return Study

    def crops() -> type[Any]:
        from .crops import Crops

        return Crops

    def maps() -> type[Any]:
        from .maps import DifferenceMaps

        return DifferenceMaps

    def curves() -> type[Any]:
        from .curves import Curves

        return Curves

    def conditioning() -> type[Any]:
        from .conditioning import Conditioning

        return Conditioning

    return {
        "avatarsync-latency/1": latency,
        "avatarsync-latency-sweep/1": sweep,
        "avatarsync-human/1": people,
        "avatarsync-crops/1": crops,
        "avatarsync-difference-maps/1": maps,
        "avatarsync-curves/1": curves,
        "avatarsync-conditioning/1": conditioning,
    }


def read_sources(places: Sequence[Path], ablations: Sequence[Path] = ()) -> Sources:
    """Read files, and the records among the *.json of folders; of an ablation's folder its scored grids.

    Raises `Rejected("bad_input")` for a file that is not there, is no record, or lacks a field (by name); a
    folder may hold JSON of other kinds.
    """
    found: dict[Path, Found] = {}
    for path, must in _files(places, ablations):
        each = _read(path, must)
        if each is not None:
            found.setdefault(path.resolve(), each)
    return Sources(found=tuple(sorted(found.values(), key=lambda each: each.path.as_posix())))


def _files(places: Sequence[Path], ablations: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """(file, whether it must be a record of ours)."""
    for place in places:
        if place.is_dir():
            yield from ((path, False) for path in sorted(place.glob("*.json")))
        else:
            yield place, True
    for folder in ablations:
        scored = sorted(folder.glob("*.run.json"))
        if not scored:
            raise Rejected(
                "bad_input", f"{folder} holds no scored grid; make it with `avatarsync model ablate`"
            )
        yield from ((path, True) for path in scored)


def _read(path: Path, must: bool) -> Found | None:
    value = _json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema == RUN_SCHEMA:
        return Found(path=path, file_id=sha256_of(path)[:12], record=read_run(path))
    kinds = _kinds()
    if schema not in kinds:
        if must:
            known = ", ".join((RUN_SCHEMA, *kinds))
            raise Rejected("bad_input", f"{path}: its field `schema` is {schema!r}; known here: {known}")
        return None
    try:
        record = from_dict(value, kinds[schema]())
    except Exception as error:
        raise Rejected("bad_input", f"{path}: {_first_fault(error)}; make the file again") from error
    return Found(path=path, file_id=sha256_of(path)[:12], record=record)


def _json(path: Path) -> Any:
    if not path.is_file():
        raise Rejected("bad_input", f"{path} is not there; name a run, or a folder of them")
    if path.stat().st_size > MAX_BYTES:
        raise Rejected(
            "bad_input", f"{path} is larger than {MAX_BYTES >> 20} MiB: no record of this suite is"
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise Rejected("bad_input", f"{path} is no JSON ({error}); make the file again") from error


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _first_fault(error: BaseException) -> str:
    """The first field that did not fit, by name, as the codec reports it."""
    import cattrs

    if isinstance(error, (cattrs.BaseValidationError, cattrs.ForbiddenExtraKeysError)):
        return "; ".join(cattrs.transform_error(error)[:1])
    return str(error)
