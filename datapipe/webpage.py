"""How every page begins: it loads nothing from elsewhere and runs its own scripts alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape


def page_head(title: str, style: str, scripts: Sequence[str], media: str) -> str:
    """Begin a page that runs these scripts alone, by their hashes, with pictures and films from `media`.

    `media` is a list of sources in the words of a Content-Security-Policy: `data:`, `'self' file:`.
    """
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))}; "
        f"img-src {media}; media-src {media}; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
