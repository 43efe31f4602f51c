"""Runs and files for the tests of the papers' tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench_rows import clips, info, row, whole_set

from benchmark.records import MetricInfo, Run, Score, SystemRun
from datapipe.files import write_text
from datapipe.records import to_json

CMLR = tuple(f"s{k}~2F20260119_section_1_00{k}~2E00_00{k}~2E90" for k in range(1, 6))
HDTF = ("WRA_A_000_000", "RD_B_000_000", "WDA_C_000_000")
PER_CLIP = (
    "psnr",
    "ssim",
    "lpips_alex",
    "csim_w600k_mbf",
    "sync_c_demo",
    "sync_d_demo",
    "latency",
    "rtf",
    "flicker",
)
HOSTILE = '=1+1|<img src=x onerror=alert(1)>&%$#_{}~^\\"[x](javascript:1)`a*b*'
PROTOCOLS = {
    "csim_w600k_mbf": {"backbone": "ArcFace MobileFaceNet"},
    "lpips_alex": {"trunk": "alex"},
    "sync_c_demo": {"judge": "sync.demo"},
    "sync_d_demo": {"judge": "sync.demo"},
}


def renamed(score: Score, keys: Sequence[str]) -> Score:
    """Values per clip under the keys of a corpus."""
    return replace(score, per_clip=dict(zip(keys, score.per_clip.values(), strict=True)))


def system(name: str, keys: Sequence[str], level: float, level_name: str = "video") -> SystemRun:
    """A system whose every metric is `level` and a little more in each clip."""
    values = [level + 0.1 * k for k in range(len(keys))]
    scores = [renamed(clips(metric, values), keys) for metric in PER_CLIP]
    scores += [
        whole_set("fid", level, [level] * 200, len(keys)),
        whole_set("fvd_styleganv", 10 * level, num=len(keys)),
    ]
    named = tuple(replace(each, metric=each.metric.replace("video/", f"{level_name}/")) for each in scores)
    return row(name, *named)


def infos(level_name: str = "video") -> tuple[MetricInfo, ...]:
    names = (*PER_CLIP, "fid", "fvd_styleganv")
    made = (info(name, **PROTOCOLS.get(name, {})) for name in names)
    return tuple(replace(each, name=each.name.replace("video/", f"{level_name}/")) for each in made)


def run_of(systems: Sequence[SystemRun], keys: Sequence[str], level_name: str = "video") -> Run:
    return Run(
        created="2026-01-01", reference=dict.fromkeys(keys, "sha"), metrics=infos(level_name),
        systems=tuple(systems), differences=(), weights={}, environment={}, seconds={},
    )  # fmt: skip


def write(path: Path, record: object) -> Path:
    write_text(path, to_json(record) + "\n")
    return path


def ablation_run(folder: Path, grid: str, variants: Sequence[str], level_name: str = "video") -> Path:
    """An ablation's scored grid: each variant a little worse than the next."""
    systems = [
        system(f"{name}-s{seed}", CMLR, 20.0 + k + 0.01 * seed, level_name)
        for k, name in enumerate(variants)
        for seed in (0, 1)
    ]
    return write(folder / f"{grid}.run.json", run_of(systems, CMLR, level_name))
