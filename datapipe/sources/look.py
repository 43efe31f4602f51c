"""Open media while clips are listed: in this process, or in a child, so that a crash costs one file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ..cell import Cell, CellLost, Message
from ..media import probe
from ..places import version_of
from ..records import Probe, Rejected, Seconds, from_dict, printable, to_dict
from ..segment import SegmentConfig
from .cut import Span, cut
from .found import Memo

PROBE_LIMIT: Seconds = 60.0
"""Longest that a child may take to say what a container holds."""
CUT_LIMIT: Seconds = 600.0
"""Longest that it may take to read a video's sound."""
MEMORY_BYTES = 2 << 30
"""Most that a child may take."""
LOST = {"crashed", "timeout", "too_large"}
"""A file that did this once is not tried again: its turn in the build will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How media are opened, and what is known of them from earlier listings."""

    memo: Memo = field(default_factory=dict)
    cell: Cell | None = None
    """The child that opens them; None is this process."""

    replies: dict[Path, Message] = field(default_factory=dict)
    """What the containers that were opened said."""

    def probe(self, path: Path) -> Probe:
        """Read what the container says; `Rejected` as `media.probe`, or crashed, timeout, too_large."""
        if path not in self.replies:
            self.replies[path] = self._ask({"path": to_dict(path)}, path, PROBE_LIMIT)
        return from_dict(_accepted(self.replies[path])["probe"], Probe)

    def cut(self, root: Path, path: str, span: Span, config: SegmentConfig) -> list[Span]:
        """Cut a span (not empty) of a file below the root at silences; nothing is decoded for what is known.

        The pieces are on the file's clock; there are none where a child was lost before. Raises `Rejected`
        as `media.read_audio`, or crashed, timeout, too_large.
        """
        if span[1] - span[0] <= config.longest:
            return [span]
        key = memo_key(root / path, path, span, config)
        if key not in self.memo:
            message = {"path": to_dict(root / path), "span": list(span), "config": to_dict(config)}
            reply = self._noted(key, self._ask(message, root / path, CUT_LIMIT))
            self.memo[key] = [(start, end) for start, end in reply["cut"]]
        return [(start, end) for start, end in self.memo[key]]

    def duration(self, root: Path, path: str, config: SegmentConfig) -> Seconds:
        """Give a video's length, from the memo when it is known; 0 where a child was lost before.

        Raises `Rejected` as `probe`.
        """
        key = memo_key(root / path, path, (0.0, 0.0), config)
        if key not in self.memo:
            reply = self._noted(key, self._ask({"path": to_dict(root / path)}, root / path, PROBE_LIMIT))
            self.memo[key] = [(0.0, from_dict(reply["probe"], Probe).duration)]
        return max((end for _, end in self.memo[key]), default=0.0)

    def _ask(self, message: Message, path: Path, limit: Seconds) -> Message:
        try:
            return self.cell.ask(message, limit, MEMORY_BYTES) if self.cell else answer(message)
        except CellLost as lost:
            return {"reason": lost.how, "message": f"{path.name} cannot be looked at: {lost}; leave it out"}

    def _noted(self, key: str, reply: Message) -> Message:
        """Note a loss as a cut without pieces."""
        if reply.get("reason") in LOST:
            self.memo[key] = []
        return _accepted(reply)


def _accepted(reply: Message) -> Message:
    if "reason" in reply:
        raise Rejected(reply["reason"], reply["message"])
    return reply


@contextmanager
def looking(memo: Memo | None, isolate: bool) -> Iterator[Look]:
    """Look at media until the end of the block; the memo is added to."""
    memo = {} if memo is None else memo
    with closing(Cell(f"{__name__}:answer")) if isolate else nullcontext() as cell:
        yield Look(memo=memo, cell=cell)


def answer(message: Message) -> Message:
    """Probe or cut the file that a message names: what the child does."""
    path = from_dict(message["path"], Path)
    try:
        if "span" not in message:
            return {"probe": to_dict(probe(path))}
        start, end = message["span"]
        return {"cut": cut(path, (start, end), from_dict(message["config"], SegmentConfig))}
    except Rejected as rejected:
        return {"reason": rejected.reason, "message": rejected.message}


def memo_key(path: Path, name: str, span: Span, config: SegmentConfig) -> str:
    """Name a cut: the file (by path below the root and version), the span, the settings."""
    settings = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode()).hexdigest()[:12]
    return f"{printable(name)}|{version_of(path)}|{span[0]:.3f}-{span[1]:.3f}|{settings}"
