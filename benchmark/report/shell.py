"""What every page is made in: a head with a policy that keeps scripts of others out, data that stays data."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def asset(name: str) -> str:
    """Text of a style, script or piece of a page beside this file."""
    return (HERE / name).read_text(encoding="utf-8")


def head(title: str, style: str, scripts: Sequence[str]) -> str:
    """Begin a page that loads nothing from elsewhere and runs these scripts alone, known by their hashes."""
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))}; "
        "img-src 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


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
