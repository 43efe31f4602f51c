"""Fill `{places}` in a command line: it is split like a shell would first, so that no path can add a word."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .records import Rejected

PLACE = re.compile(r"\{([a-z_]+)\}")


def split(template: str, places: Iterable[str], required: Sequence[str] = ()) -> tuple[str, ...]:
    """Split a template into words and check its places.

    Raises `Rejected("bad_input")`: an open quote, no word, a place that is not known, a required one missing.
    """
    try:
        words = tuple(shlex.split(template))
    except ValueError as error:
        raise Rejected("bad_input", f"the command `{template}` cannot be split: {error}") from error
    known, used = list(places), places_in(words)
    for place in used:
        if place not in known:
            raise Rejected("bad_input", f"the command holds {{{place}}}, {hint(place, known)}")
    missing = [place for place in required if place not in used]
    if missing or not words:
        rest = ", ".join(f"{{{place}}}" for place in known if place not in required)
        raise Rejected("bad_input", f"the command must hold {{{required[0]}}}, and may hold {rest}")
    return words


def places_in(words: Iterable[str]) -> tuple[str, ...]:
    """Names of the places, in order, each once."""
    return tuple(dict.fromkeys(name for word in words for name in PLACE.findall(word)))


def hint(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is not known: the nearest one, and all there are."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    mean = f"did you mean `{near[0]}`? " if near else ""
    return f"which is not known; {mean}known: {', '.join(known)}"


def fill(word: str, values: Mapping[str, str]) -> str:
    """Fill each place once: a value that holds `{out}` stays as it is."""
    return PLACE.sub(lambda found: values.get(found[1], found[0]), word)


def fill_all(value: Any, values: Mapping[str, str]) -> Any:
    """Fill every text in a tree of dicts and lists, keys too."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        return {fill(key, values): fill_all(each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill_all(each, values) for each in value]
    return value
