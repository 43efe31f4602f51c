"""The page of one rater: a file that needs no network and knows nothing of who made which video."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..report.shell import embedded, head
from .records import ANSWERS_SCHEMA, BEST, WORST, Key, Language, Plan

HERE = Path(__file__).parent
SECONDS_PER_ANSWER = 3.0
"""What four answers take beyond the video, in which they can be thought of; for the estimate on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What whoever runs the study adds to the page."""

    consent: str = ""
    """Replaces the page's own text; paragraphs are separated by empty lines."""
    contact: str = ""


def rater_page(key: Key, plan: Plan, words: Words, seconds_per_video: float) -> str:
    """Write the page of one rater; it holds the key's hash and file names, and no name of any system."""
    style, script = (_asset(name) for name in ("study.css", "study.js"))
    text = texts(key.language)
    count = len(plan.items)
    minutes = math.ceil(count * (seconds_per_video + len(key.dimensions) * SECONDS_PER_ANSWER) / 60)
    data: dict[str, Any] = {
        "schema": ANSWERS_SCHEMA,
        "kit": key.hash,
        "rater": plan.rater,
        "title": key.title,
        "scale": [WORST, BEST],
        "dimensions": [each.name for each in key.dimensions],
        "items": [
            {"id": item.id, "video": f"videos/{item.video}"}
            | ({"choose": item.choose} if item.choose else {})
            for item in plan.items
        ],
        "minutes": minutes,
        "contact": words.contact,
        "text": text | ({"consent": words.consent} if words.consent else {}),
    }
    top = head(key.title, style, [script]).replace('lang="en"', f'lang="{text["language"]}"', 1)
    body = (_asset("study.html"), embedded("data", data), f"<script>{script}</script>", "</body></html>\n")
    return "\n".join((top, *body))


def texts(language: Language) -> dict[str, Any]:
    """All that raters read, in one language."""
    found: dict[str, Any] = json.loads(_asset(f"texts/{language}.json"))
    return found


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
