"""Ready adapters for public methods: how each is run from its own repository and environment."""

from __future__ import annotations

import json
from pathlib import Path

import cattrs

from datapipe.records import Rejected, from_dict
from datapipe.template import hint

from .adapter import Adapter, Option, ScratchFile
from .dubbing import LATENTSYNC, MUSETALK, WAV2LIP
from .portrait import (
    ANIPORTRAIT,
    DITTO,
    ECHOMIMIC,
    HALLO,
    HALLO2,
    SADTALKER,
    SONIC,
    STABLE_AVATAR,
    V_EXPRESS,
)

__all__ = ["ADAPTERS", "Adapter", "Option", "ScratchFile", "adapter_named", "table"]

ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        *(SADTALKER, V_EXPRESS, ANIPORTRAIT, HALLO, HALLO2, ECHOMIMIC),
        *(SONIC, STABLE_AVATAR, WAV2LIP, LATENTSYNC, MUSETALK, DITTO),
    )
}


def adapter_named(name: str) -> Adapter:
    """Find an adapter, or read one from a JSON file with the same fields; an unknown name lists all."""
    if name.endswith(".json"):
        return _read(Path(name))
    if name not in ADAPTERS:
        raise Rejected("bad_input", f"there is no adapter `{name}`, {hint(name, list(ADAPTERS))}")
    return ADAPTERS[name]


def _read(path: Path) -> Adapter:
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")), Adapter)
    except OSError as error:
        raise Rejected("bad_input", f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        hint_ = "`avatarsync bench systems show sadtalker --json` shows the fields"
        raise Rejected("bad_input", f"{path} is no adapter; {hint_}") from error


def table() -> str:
    """The adapters as a Markdown table, for docs/adding-a-method.md."""
    rows = [
        f"| `{each.name}` | [{each.title}]({each.repository}/tree/{each.commit}) | {each.paper} "
        f"| {each.code_licence} | {each.inputs} | {each.output} |"
        for each in ADAPTERS.values()
    ]
    head = "| name | method, version read | paper | licence of the code | takes | writes |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows])
