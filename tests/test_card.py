"""card: YAML that reads back, Markdown that no name can break, the same text for the same dataset."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from small import dataset, manifest, sample

from datapipe import card
from datapipe.leakage import measure_leakage
from datapipe.stats import frame_of
from datapipe.table import row_of

HOSTILE = "a|b](javascript:x) <script>alert(1)</script> `c`\n# *d* _e_ --- : { & }"


def made(metas: list[Any], **changes: Any) -> str:
    rows = [row_of(meta, "x.tar") for meta in metas]
    return card.data_card(manifest(metas, (), **changes), frame_of(rows), "", files={"train": "*.tar"})


def front(text: str) -> dict[str, Any]:
    _, matter, _ = text.split("---\n", 2)
    read: dict[str, Any] = yaml.safe_load(matter)
    return read


def test_front_matter_is_what_the_hub_reads() -> None:
    facts = front(made([sample(0), sample(1, language="zh")]))
    assert facts["license"] == "cc-by-4.0" and facts["language"] == ["en", "zh"]
    assert facts["size_categories"] == ["n<1K"] and facts["pretty_name"] == "small"
    assert facts["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "*.tar"}]}
    ]


def test_a_licence_without_identifier_is_spelled_out() -> None:
    facts = front(made([sample(0, licence="CMLR: research use only"), sample(1)]))
    assert facts["license"] == "other" and facts["license_name"] == "CC BY 4.0; CMLR: research use only"


def test_the_hub_library_takes_it() -> None:
    from huggingface_hub import DatasetCard

    read = DatasetCard(made([sample(0)], rejected={"no_face": 2}))
    assert read.data.license == "cc-by-4.0" and read.data.task_categories == list(card.TASKS)


def test_what_a_reader_wants_to_know() -> None:
    text = made([sample(number) for number in range(5)], rejected={"no_face": 2}, failed=1, source="cmlr")
    assert "| train | 3 | 0.0 min |" in text and "s0 (3), s1 (2)" in text
    assert "| no\\_face | 2 | no face was found |" in text and "| failed | 1 |" in text
    assert f"| net | `{'ab' * 32}` |" in text and '"size": 32' in text
    assert "| CC BY 4.0 | given | 5 |" in text and "avatarsync data purge" in text
    assert "| face\\_px | 100.2 | 102 | 103.8 | 5 | higher |" in text
    assert "zhao2019cascade" in made([sample(0, source="cmlr")]) and "bibtex" not in text


def test_no_name_breaks_out() -> None:
    metas = [sample(0, speaker=HOSTILE, licence=HOSTILE, consent=HOSTILE, source="folder")]
    text = made(metas, name=HOSTILE, versions={"x": HOSTILE}, config={"x": "```\n" + HOSTILE})
    body = text.split("---\n", 2)[2]
    outside = re.sub(r"```json.*?```", "", body, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<script", outside) and not re.search(r"(?<!\\)\]\(", outside)
    assert outside.count("\n# ") == 1 and "```" not in re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    terms = next(line for line in body.splitlines() if line.endswith("| 1 |") and "alert" in line)
    assert len(re.findall(r"(?<!\\)\|", terms)) == 4
    assert front(text)["pretty_name"] == HOSTILE


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_one_scalar_and_one_line(text: str) -> None:
    assert yaml.safe_load(f"x: {card.yaml(text)}") == {"x": text}
    assert len(card.markdown(text).splitlines()) <= 1


def test_the_same_dataset_gives_the_same_card(tmp_path: Path) -> None:
    metas = [sample(number, split="test" if number < 2 else "train") for number in range(4)]
    rows = [row_of(meta, "x.tar") for meta in metas]
    folder = dataset(tmp_path, metas)
    described = replace(manifest(metas, ()), rejected={"silent": 1})
    card.write_card(folder, described, rows, measure_leakage(rows))
    first = (folder / "README.md").read_bytes()
    card.write_card(folder, described, [dict(reversed(row.items())) for row in rows], measure_leakage(rows))
    assert (folder / "README.md").read_bytes() == first
    assert b"also in other splits" in first


def test_datasets_loads_the_folder_by_its_card(tmp_path: Path) -> None:
    import datasets

    metas = [sample(number) for number in range(4)]
    folder = dataset(tmp_path / "shards", metas)
    card.write_card(folder, manifest(metas, ()), [row_of(meta, "x.tar") for meta in metas])
    (folder / ".cache/ab").mkdir(parents=True)
    (folder / ".cache/ab/x.tar").write_bytes((folder / "small-000000.tar").read_bytes())
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 4}
    assert {row["meta.json"]["id"] for row in loaded["train"]} == {meta.id for meta in metas}
