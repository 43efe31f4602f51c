"""The data card: `README.md` of a dataset, in the form of Hugging Face dataset cards.

It says what is inside, how it was made and what it may be used for. Whatever comes from a corpus (names,
licences, file names) is escaped for YAML or Markdown. The same dataset gives the same text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .files import write_text
from .leakage import Leakage
from .quality import COLUMNS
from .records import REASONS, Manifest
from .stats import BETTER, counted, frame_of, summarise

FILE = "README.md"
MOST_SPEAKERS = 40
"""Speakers that are listed by name; the rest is counted."""
TASKS = ("text-to-video", "image-to-video", "automatic-speech-recognition")
TAGS = ("talking-head", "lip-sync", "phonemes", "visual-speech", "avatarsync")
SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")),
    *((1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M")),
)
LICENCES = {
    "cc by 4.0": "cc-by-4.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc0 1.0": "cc0-1.0",
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "unknown": "unknown",
}
"""Licences that the card's format has an identifier for; any other is `other` and spelled out."""
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#|~$&])")
CITATIONS = {
    "cmlr": r"""@inproceedings{zhao2019cascade,
  title     = {A Cascade Sequence-to-Sequence Model for {Chinese} {Mandarin} Lip Reading},
  author    = {Zhao, Ya and Xu, Rui and Song, Mingli},
  booktitle = {Proceedings of the ACM Multimedia Asia},
  year      = {2019}
}
@inproceedings{zhao2020hearing,
  title     = {Hearing Lips: Improving Lip Reading by Distilling Speech Recognizers},
  author    = {Zhao, Ya and Xu, Rui and Wang, Xinchao and Hou, Peng and Tang, Haihong and Song, Mingli},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2020}
}""",
    "hdtf": r"""@inproceedings{zhang2021flow,
  title     = {Flow-Guided One-Shot Talking Face Generation With a High-Resolution Audio-Visual Dataset},
  author    = {Zhang, Zhimeng and Li, Lincheng and Ding, Yu and Fan, Changjie},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2021}
}""",
}
"""What to cite for each corpus that asks for it."""
DESCRIPTIONS = {
    "cmlr": "sentences of Mandarin news, read by presenters (CMLR)",
    "hdtf": "English talking heads in high resolution (HDTF)",
    "folder": "a folder of videos",
}


def write_card(
    folder: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]], leakage: Leakage | None = None
) -> None:
    """Write the card of a dataset folder; `rows` are those of its table."""
    said = "" if leakage is None else leakage.sentence()
    write_text(folder / FILE, data_card(manifest, frame_of(rows), said, files={"train": "*.tar"}))


def data_card(
    manifest: Manifest,
    rows: pd.DataFrame,
    leakage: str = "",
    *,
    files: Mapping[str, str],
    filters: Sequence[str] = (),
) -> str:
    """Compose the card of these rows.

    `leakage` is the sentence of what the dataset's splits share.
    `files` are the paths of each split as `datasets` shall load them; `filters` are the conditions by which
    the rows were chosen out of the dataset.
    """
    facts = summarise(rows)
    parts = (
        _front(manifest, rows, files),
        f"# {markdown(manifest.name)}\n",
        _contents(manifest, rows, facts, filters),
        _making(manifest),
        _quality(facts),
        _rejects(manifest),
        _splits(leakage, filters),
        _terms(rows),
        _citation(rows),
    )
    return "\n".join(part for part in parts if part)


def yaml(text: str) -> str:
    """Quote any text as one YAML scalar."""
    quoted = json.dumps(text, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def markdown(text: str) -> str:
    """Escape any text so that Markdown shows it as it is, on one line."""
    return MARKUP.sub(r"\\\1", " ".join(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text).split()))


def _front(manifest: Manifest, rows: pd.DataFrame, files: Mapping[str, str]) -> str:
    lines = ["---", f"pretty_name: {yaml(manifest.name)}", *_licence(rows)]
    lines += _listed("language", sorted(set(rows["language"])))
    lines += _listed("task_categories", TASKS)
    lines += _listed("tags", TAGS)
    lines += _listed("size_categories", [_size(len(rows))])
    lines += ["configs:", "- config_name: default", "  data_files:"]
    lines += [f"  - split: {split}\n    path: {yaml(path)}" for split, path in files.items()]
    return "\n".join([*lines, "---", ""])


def _licence(rows: pd.DataFrame) -> list[str]:
    known = sorted({LICENCES.get(str(name).lower(), "other") for name in rows["licence"]}) or ["unknown"]
    if known == ["other"] or len(known) > 1:
        names = "; ".join(counted(rows["licence"]))
        return ["license: other", f"license_name: {yaml(names)}"]
    return [f"license: {known[0]}"]


def _listed(name: str, values: Iterable[str]) -> list[str]:
    there = [f"- {yaml(str(value))}" for value in values]
    return [f"{name}:", *there] if there else []


def _size(samples: int) -> str:
    return next((name for limit, name in SIZES if samples < limit), "n>10M")


def _contents(
    manifest: Manifest, rows: pd.DataFrame, facts: Mapping[str, Any], filters: Sequence[str]
) -> str:
    what = DESCRIPTIONS.get(manifest.source, manifest.source)
    lead = (
        f"{facts['samples']} aligned talking-head samples ({_time(facts['seconds'])}, {facts['speakers']}"
        f" speaker labels): {what}. Each has the cropped face at 25 frames a second, the sound, the"
        " transcript, words and phonemes with times, one keyframe for every phoneme, landmarks, and quality"
        " columns to filter by.\n"
    )
    by = ("split", "language", "source")
    counts = [_counts(name.capitalize(), rows.groupby(name)["duration"]) for name in by]
    chosen = [f"Chosen by {', '.join(map(markdown, filters))}.\n"] if filters else []
    return "\n".join([lead, *chosen, "## What is inside\n", *counts, _speakers(rows)])


def _counts(title: str, groups: Any) -> str:
    lines = [f"| {title} | samples | time |", "|---|---:|---:|"]
    lines += [f"| {markdown(str(name))} | {len(each)} | {_time(each.sum())} |" for name, each in groups]
    return "\n".join([*lines, ""])


def _speakers(rows: pd.DataFrame) -> str:
    spoken = Counter(map(str, rows["speaker"])).most_common()
    shown = ", ".join(f"{markdown(name)} ({count})" for name, count in sorted(spoken[:MOST_SPEAKERS]))
    rest = f", and {len(spoken) - MOST_SPEAKERS} more" if len(spoken) > MOST_SPEAKERS else ""
    return f"Speakers (samples): {shown}{rest}.\n" if spoken else ""


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.2f} h" if minutes >= 60 else f"{minutes:.1f} min"


def _making(manifest: Manifest) -> str:
    versions = ", ".join(
        f"{markdown(name)} {markdown(value)}" for name, value in sorted(manifest.versions.items())
    )
    lines = [
        "## How it was made\n",
        "Every clip was decoded once: transcript (the corpus' own, else recognised), phonemes aligned to the"
        " sound, one face followed and cropped along its landmarks, a keyframe chosen for every phoneme,"
        f" quality measured, encoded once. Versions: {versions}.\n",
        "| Weights | sha256 |",
        "|---|---|",
        *(f"| {markdown(name)} | `{sha256}` |" for name, sha256 in sorted(manifest.weights.items())),
        "\n<details><summary>Settings</summary>\n",
        "```json",
        json.dumps(manifest.config, indent=1, sort_keys=True).replace("`", "\\u0060"),
        "```\n\n</details>\n",
    ]
    return "\n".join(lines)


def _quality(facts: Mapping[str, Any]) -> str:
    lines = ["## Quality\n", "No sample was dropped by these; filter when you read.\n"]
    lines += [
        "| Column | 5 % | median | 95 % | samples | better | meaning |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for name, spread in facts["quality"].items():
        numbers = " | ".join(f"{spread[at]:g}" for at in ("p5", "median", "p95", "n"))
        better = {"small": "near 0", "none": "-"}.get(BETTER.get(name, "none"), BETTER.get(name, "-"))
        lines.append(f"| {markdown(name)} | {numbers} | {better} | {markdown(COLUMNS.get(name, ''))} |")
    return "\n".join([*lines, ""])


def _rejects(manifest: Manifest) -> str:
    if not manifest.rejected and not manifest.failed:
        return "## What was left out\n\nNothing: every clip became a sample.\n"
    lines = ["## What was left out\n", "| Reason | clips | meaning |", "|---|---:|---|"]
    lines += [
        f"| {markdown(reason)} | {number} | {markdown(REASONS.get(reason, ''))} |"
        for reason, number in sorted(manifest.rejected.items())
    ]
    if manifest.failed:
        lines.append(
            f"| failed | {manifest.failed} | an error of the software, with its trace in the ledger |"
        )
    return "\n".join([*lines, "\n`ledger.jsonl` has the sentence for each clip.\n"])


def _splits(leakage: str, filters: Sequence[str]) -> str:
    if not leakage:
        return ""
    whole = " (measured before these samples were chosen)" if filters else ""
    return f"## What the splits share\n\n{markdown(leakage)}{whole}.\n"


def _terms(rows: pd.DataFrame) -> str:
    lines = ["## Licence, consent, takedown\n", "| Licence | consent | samples |", "|---|---|---:|"]
    for (licence, consent), number in sorted(
        Counter(zip(rows["licence"], rows["consent"], strict=True)).items()
    ):
        lines.append(f"| {markdown(str(licence))} | {markdown(str(consent))} | {number} |")
    lines += [
        "\nThese are the words of the corpora; whoever uses the data answers for its use. The samples may"
        " show real people: do not make them say or do what they did not agree to.\n",
        "Takedown: `avatarsync data purge --shards . --speaker NAME` (or `--source`, `--id`) takes a"
        " person's or a video's samples out of shards, table and cache, and rewrites only the shards that"
        " hold one.\n",
    ]
    return "\n".join(lines)


def _citation(rows: pd.DataFrame) -> str:
    found = [CITATIONS[source] for source in sorted(set(rows["source"])) if source in CITATIONS]
    return "\n".join(["## Citation\n", "```bibtex", *found, "```", ""]) if found else ""
