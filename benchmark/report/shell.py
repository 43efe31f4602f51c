"""What every page is made in: a head with a policy that keeps scripts of others out, data that stays data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datapipe.webpage import page_head

HERE = Path(__file__).parent


def asset(name: str) -> str:
    """Text of a style, script or piece of a page beside this file."""
    return (HERE / name).read_text(encoding="utf-8")


def head(title: str, style: str, scripts: Sequence[str]) -> str:
    """Begin a page whose pictures and films lie beside it."""
    return page_head(title, style, scripts, media="'self' file:")


def embedded(name: str, value: Any) -> str:
    """Put data into a page, for scripts to find under `name`."""
    return f'<script type="application/json" id="{name}">{inert_json(value)}</script>'


def inert_json(value: Any) -> str:
    """JSON that cannot close the element it stands in; NaN and infinity are errors."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return (
        text.replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("\u2028", "\\u2028")
    )


def players(chooser: str = "") -> str:
    """Shell of the players, which player.js fills; `chooser` holds the controls that change the clip."""
    return asset("players.html").replace("<!--chooser-->", chooser)
