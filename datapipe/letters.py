"""English letter-to-sound: the pronunciation of words that no dictionary has.

Each letter is given zero to two phones by looking at its neighbours, nearest first, as far as they matter: a
tree of exceptions (IGTree: Daelemans & Van den Bosch 1996) over a letter-phone alignment learned by
expectation-maximisation. `python -m datapipe.letters` learns it from the CMU dictionary and writes the table.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

Phones = tuple[str, ...]
Pairs = list[tuple[str, Phones]]
TABLE = Path(__file__).with_name("data") / "english_letters.json"
ORDER = (1, -1, 2, -2, 3, -3, 4, -4)
"""Offsets of the neighbours, the most telling first."""
MIN_WORDS = 3
"""A neighbourhood seen in fewer words makes no rule of its own."""
EDGE = "_"


def pronounce(word: str) -> Phones:
    """Guess the phones of a lower-case word; letters outside a-z are silent."""
    rules = _table()
    plain = "".join(letter for letter in word if letter in rules[0])
    return tuple(phone for i in range(len(plain)) for phone in _phones_at(plain, i, rules))


@cache
def _table() -> list[dict[str, str]]:
    """Rules by the number of neighbours they look at: letter and neighbours to phones joined by spaces."""
    table: list[dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def _phones_at(word: str, i: int, rules: list[dict[str, str]]) -> Phones:
    """Take the rule that looks furthest."""
    key = word[i]
    said = rules[0][key]
    for level, offset in enumerate(ORDER, start=1):
        key += _neighbour(word, i + offset)
        said = rules[level].get(key, said)
    return tuple(said.split())


def _neighbour(word: str, position: int) -> str:
    return word[position] if 0 <= position < len(word) else EDGE


def learn(words: Mapping[str, Phones], rounds: int = 5) -> list[dict[str, str]]:
    """Learn the rules from words and their phones."""
    usable = {word: phones for word, phones in words.items() if word.isascii() and word.isalpha()}
    costs = _first_costs(usable)
    for _ in range(rounds):
        counts = Counter(
            pair for word, phones in usable.items() for pair in best_path(word, phones, costs) or ()
        )
        costs = _costs(counts)
    aligned = {word: best_path(word, phones, costs) for word, phones in usable.items()}
    return _grow({word: pairs for word, pairs in aligned.items() if pairs})


Costs = Mapping[tuple[str, Phones], float]
UNSEEN = 14.0


def _first_costs(words: Mapping[str, Phones]) -> Costs:
    """Start from how often a phone and a letter are at the same relative place of a word."""
    counts: Counter[tuple[str, Phones]] = Counter()
    for word, phones in words.items():
        for i, letter in enumerate(word):
            place = i * len(phones) // len(word)
            counts[letter, phones[place : place + 1]] += 4
            counts[letter, ()] += 1
            counts[letter, phones[place : place + 2]] += 1
    return _costs(counts)


def _costs(counts: Counter[tuple[str, Phones]]) -> Costs:
    totals: Counter[str] = Counter()
    for (letter, _), count in counts.items():
        totals[letter] += count
    return {pair: -math.log(count / totals[pair[0]]) for pair, count in counts.items()}


def best_path(word: str, phones: Phones, costs: Costs) -> Pairs | None:
    """Give each letter zero to two of the phones, in order, at the least cost; None if they are too many."""
    ways: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for letter in word:
        reached: dict[int, tuple[float, int]] = {}
        for at, (cost, _) in ways[-1].items():
            for end in range(at, min(at + 2, len(phones)) + 1):
                total = cost + costs.get((letter, phones[at:end]), UNSEEN)
                if end not in reached or total < reached[end][0]:
                    reached[end] = (total, at)
        ways.append(reached)
    if len(phones) not in ways[-1]:
        return None
    return list(_walk_back(word, phones, ways))[::-1]


def _walk_back(
    word: str, phones: Phones, ways: list[dict[int, tuple[float, int]]]
) -> Iterator[tuple[str, Phones]]:
    end = len(phones)
    for i in range(len(word), 0, -1):
        at = ways[i][end][1]
        yield word[i - 1], phones[at:end]
        end = at


def _grow(aligned: Mapping[str, Pairs]) -> list[dict[str, str]]:
    """Keep at each level only the rules that say something else than the level below."""
    seen: list[defaultdict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(len(ORDER) + 1)]
    for word, pairs in aligned.items():
        for i, (_, phones) in enumerate(pairs):
            for level, key in enumerate(_keys(word, i)):
                seen[level][key][" ".join(phones)] += 1
    rules = [{key: _most(counter) for key, counter in seen[0].items()}]
    decided: dict[str, str] = dict(rules[0])
    for contexts in seen[1:]:
        before = decided
        decided = {}
        kept: dict[str, str] = {}
        for key, counter in contexts.items():
            inherited = before[key[:-1]]
            said = _most(counter) if counter.total() >= MIN_WORDS else inherited
            decided[key] = said
            if said != inherited:
                kept[key] = said
        rules.append(kept)
    return rules


def _keys(word: str, i: int) -> Iterable[str]:
    key = word[i]
    yield key
    for offset in ORDER:
        key += _neighbour(word, i + offset)
        yield key


def _most(counter: Counter[str]) -> str:
    return min(counter.items(), key=lambda item: (-item[1], item[0]))[0]


def main() -> None:
    """Learn from the whole dictionary and write the table."""
    from .english import dictionary
    from .files import write_text

    rules = learn({word: readings[0] for word, readings in dictionary().items()})
    write_text(TABLE, json.dumps(rules, sort_keys=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
