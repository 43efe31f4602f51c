"""Metrics in a training loop: what torchmetrics promises holds, and the values are the benchmark's."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmark.metrics
from benchmark import torch_metrics
from benchmark.cases import find_cases
from benchmark.evaluate import EvaluateConfig, evaluate
from benchmark.metrics import MetricConfig, known_metrics
from benchmark.metrics.psnr import psnr_frames
from benchmark.records import Timing
from benchmark.scoring import unmeasured
from benchmark.selftest.selftest import pattern
from benchmark.systems.specs import open_system
from benchmark.torch_metrics import as_torchmetric
from datapipe.media import read_frames, write_video
from datapipe.records import Rejected, to_json

KNOWN = known_metrics(MetricConfig(preset="full"))
PRESENT = sorted(KNOWN.keys() - unmeasured(KNOWN).keys())


def clips(num: int, seed: int = 0, length: int = 6, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of moving waves and noisy copies of them, (num, length, 3, side, side) bytes."""
    truth = np.stack([pattern(length, side, 0.5 * number + seed) for number in range(num)])
    noise = np.random.default_rng(seed).normal(0, 8, truth.shape)
    made = np.clip(truth + noise, 0, 255).astype(np.uint8)
    return tuple(torch.from_numpy(each.transpose(0, 1, 4, 2, 3).copy()) for each in (made, truth))


def values_of(made: torch.Tensor, truth: torch.Tensor) -> list[float]:
    """PSNR of each clip, by the definition."""
    frames = [each.permute(0, 1, 3, 4, 2).numpy() for each in (made, truth)]
    return [float(psnr_frames(a, b).mean()) for a, b in zip(*frames, strict=True)]


@pytest.mark.parametrize("name", PRESENT)
def test_every_metric_is_a_torchmetric(name: str) -> None:
    metric = as_torchmetric(name)
    assert isinstance(metric, torchmetrics.Metric)
    better = {"higher": True, "lower": False, "target": None}[KNOWN[name].direction]
    assert (metric.higher_is_better, metric.is_differentiable, metric.full_state_update) == (
        better,
        False,
        False,
    )
    assert metric.definition.protocol == KNOWN[name].protocol
    copied = pickle.loads(pickle.dumps(metric))
    assert copied.definition.name == name and copied.metric_state.keys() == metric.metric_state.keys()
    assert metric.clone().higher_is_better == better


def test_names_of_states_differ_so_that_a_collection_keeps_metrics_apart() -> None:
    """torchmetrics merges metrics with equal states: two that read 1.0 on the first batch look the same."""
    both = torchmetrics.MetricCollection(
        {"ssim": as_torchmetric("ssim"), "ratio": as_torchmetric("flicker_ratio")}
    )
    made, truth = clips(2)
    both.update(truth, truth)
    both.update(made, truth)
    alone = as_torchmetric("flicker_ratio")
    alone.update(truth, truth)
    alone.update(made, truth)
    together = both.compute()
    assert together["ratio"] == alone.compute() != together["ssim"]
    quick, full = (
        as_torchmetric("video/lpips_alex", preset).metric_state.keys() for preset in ("quick", "full")
    )
    assert not quick & full


def test_update_compute_and_reset() -> None:
    made, truth = clips(5)
    metric = as_torchmetric("psnr")
    metric.update(made[:2], truth[:2])
    metric.update(made[2:].float() / 255, truth[2:].float() / 255)
    value = metric.compute()
    assert value.dtype == torch.float64 and value.shape == ()
    assert float(value) == pytest.approx(np.mean(values_of(made, truth)), rel=1e-12)
    estimate = metric.coverage.estimate
    assert estimate is not None and estimate.low < float(value) < estimate.high
    metric.reset()
    metric.update(made[:1], truth[:1])
    assert float(metric.compute()) == pytest.approx(values_of(made, truth)[0])


def test_the_value_is_the_run_s(tmp_path: Path) -> None:
    """Frames out of the very files: a training loop and `bench run` agree."""
    made, truth = clips(3, length=8, side=48)
    for folder, frames in (("cases", truth), ("ours", made)):
        for number, clip in enumerate(frames):
            write_video(tmp_path / folder / f"clip{number}.mp4", clip.permute(0, 2, 3, 1).numpy())
    names = ("psnr", "ssim", "flicker_ratio")
    config = EvaluateConfig(metrics=MetricConfig(names=names, preset="full"), controls=(), workers=1)
    run = evaluate(find_cases(tmp_path / "cases"), (open_system("ours", tmp_path / "ours"),), config)
    tensors = [
        torch.stack([torch.from_numpy(read_frames(path)) for path in sorted((tmp_path / name).glob("*.mp4"))])
        for name in ("ours", "cases")
    ]
    for score in run.systems[1].scores:
        metric = as_torchmetric(score.metric)
        metric.update(*(each.permute(0, 1, 4, 2, 3) for each in tensors))
        assert float(metric.compute()) == score.value


def test_forward_gives_the_batch_and_keeps_all() -> None:
    made, truth = clips(4)
    expected = values_of(made, truth)
    metric = as_torchmetric("psnr")
    assert float(metric(made[:2], truth[:2])) == pytest.approx(np.mean(expected[:2]))
    assert float(metric(made[2:], truth[2:])) == pytest.approx(np.mean(expected[2:]))
    assert float(metric.compute()) == pytest.approx(np.mean(expected))


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)), st.integers(1, 3))
def test_order_and_batches_change_no_bit(order: list[int], cut: int) -> None:
    made, truth = clips(4, length=2)
    reference, other = as_torchmetric("psnr"), as_torchmetric("psnr")
    reference.update(made, truth)
    for part in (order[:cut], order[cut:]):
        other.update(made[part], truth[part])
    assert torch.equal(reference.compute(), other.compute())
    assert reference.coverage == other.coverage


def test_a_key_counts_once_and_a_clip_without_one_every_time() -> None:
    made, truth = clips(2)
    first, second = values_of(made, truth)
    named, unnamed = as_torchmetric("psnr"), as_torchmetric("psnr")
    for batch in ([0, 1], [0]):
        named.update(made[batch], truth[batch], keys=[str(number) for number in batch])
        unnamed.update(made[batch], truth[batch])
    assert float(named.compute()) == pytest.approx((first + second) / 2)
    assert float(unnamed.compute()) == pytest.approx((2 * first + second) / 3)
    assert (named.coverage.num_ok, unnamed.coverage.num_ok) == (2, 3)


def test_a_failed_clip_is_counted_and_not_averaged() -> None:
    made, truth = clips(3)
    broken = made.float() / 255
    broken[1, 0, 0, 0, 0] = math.nan
    metric = as_torchmetric("psnr")
    metric.update(broken, truth.float() / 255)
    expected = values_of(made, truth)
    assert metric.num_failed == 1
    assert float(metric.compute()) == pytest.approx((expected[0] + expected[2]) / 2)
    assert (metric.coverage.num_ok, metric.coverage.num_failed) == (2, 1)
    assert metric.coverage.reasons == {"bad_input": 1}


def test_nothing_measured_is_nan_and_says_why() -> None:
    made, truth = clips(2)
    metric = as_torchmetric("latency")
    metric.update(made, truth)
    assert math.isnan(float(metric.compute()))
    assert metric.coverage.reasons == {"missing_file": 2}
    assert metric.coverage.why == "no clip could be measured"
    timing = [Timing(seconds=seconds, media_seconds=1.0, num_frames=25) for seconds in (1.0, 3.0)]
    metric.reset()
    metric.update(made, truth, timing=timing)
    assert float(metric.compute()) == 2.0


@pytest.mark.assets
def test_too_few_rows_for_a_distance_is_nan() -> None:
    made, truth = clips(1, length=1)
    metric = as_torchmetric("fid")
    metric.update(made, truth)
    assert math.isnan(float(metric.compute()))
    assert "two rows" in metric.coverage.why


@pytest.mark.assets
def test_truth_seen_once_per_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cache folder a second epoch takes the truth's features from the disk."""
    made, truth = clips(2, length=2)
    metric = as_torchmetric("fid", cache=tmp_path)
    metric.update(made, truth)
    first, stored = metric.compute(), len(list(tmp_path.rglob("*.npy")))
    assert stored == 2
    again = as_torchmetric("fid", cache=tmp_path)
    again.update(truth, made)
    assert float(again.compute()) == pytest.approx(float(first), rel=1e-9)
    fresh = as_torchmetric("fid", cache=tmp_path)
    fresh.update(made, truth)
    assert torch.equal(fresh.compute(), first)


def wrong_batches() -> dict[str, tuple[tuple, dict, str]]:
    made, truth = clips(2)
    return {
        "number": ((made, truth[:1]), {}, "2 generated clips and 1 of truth"),
        "length": ((made[:, :4], truth), {}, "bring them to one length and size"),
        "layout": ((made.permute(0, 1, 3, 4, 2),) * 2, {}, r"give \(T, 3, H, W\)"),
        "range": ((made.float(), truth.float()), {}, r"bring them to \[0, 1\]"),
        "type": ((made.int(), truth.int()), {}, "give uint8, or float"),
        "keys": ((made, truth), {"keys": ["a", "a"]}, "the same key"),
        "num keys": ((made, truth), {"keys": ["a"]}, "1 of keys"),
        "audio": ((made, truth), {"audio": torch.full((2, 9), 9000.0)}, "mono at 16 kHz"),
    }


@pytest.mark.parametrize("what", wrong_batches())
def test_a_batch_put_together_wrongly_is_refused_whole(what: str) -> None:
    arguments, options, message = wrong_batches()[what]
    metric = as_torchmetric("psnr")
    with pytest.raises(Rejected, match=message) as caught:
        metric.update(*arguments, **options)
    assert caught.value.reason == "bad_input"
    assert metric.num_failed == 0 and all(not state for state in metric.metric_state.values())


def test_clips_of_other_lengths_go_in_a_list() -> None:
    made, truth = clips(2)
    metric = as_torchmetric("psnr")
    metric.update([made[0], made[1, :3]], [truth[0], truth[1, :3]])
    short = values_of(made[1:, :3], truth[1:, :3])
    assert float(metric.compute()) == pytest.approx((values_of(made, truth)[0] + short[0]) / 2)


def test_missing_weights_are_said_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise Rejected("missing_weight", f"`{name}` is not here: put it there")

    monkeypatch.setattr(torch_metrics, "resolve", missing)
    with pytest.raises(Rejected, match="`fid-inception` is not here: put it there"):
        as_torchmetric("fid")
    as_torchmetric("psnr")


@pytest.mark.parametrize(
    ("name", "message"), [("psrn", "did you mean video/psnr"), ("psnr,ssim", "name one")]
)
def test_one_known_name_is_needed(name: str, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        as_torchmetric(name)


def test_it_moves_between_devices_and_types() -> None:
    made, truth = clips(3)
    metric = as_torchmetric("psnr")
    metric.update(made[:1], truth[:1])
    metric.to("cpu").half()
    metric.update(made[1:], truth[1:])
    assert float(metric.compute()) == pytest.approx(np.mean(values_of(made, truth)), rel=1e-12)


SHARES = {
    "even": ((3, 0), (1, 2)),
    "a clip in both": ((0, 1, 2), (2, 3)),
    "nothing in one": ((0, 1, 2, 3), ()),
}
"""Which clips the first and the second process see."""


def one_rank(rank: int, names: list[str], folder: str) -> None:
    """A process of a data-parallel evaluation: its own clips in, the value of all out."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    made, truth = clips(4, length=2)
    found = {}
    for name in names:
        for share, parts in SHARES.items():
            metric, part = as_torchmetric(name), list(parts[rank])
            if part:
                metric.update(made[part], truth[part], keys=[f"clip {number}" for number in part])
            found[name, share] = (metric.compute(), to_json(metric.coverage))
    torch.save(found, f"{folder}/rank{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.filterwarnings("ignore")
def test_two_processes_equal_one(tmp_path: Path) -> None:
    names = ["psnr", "fid", "latency"]
    torch.multiprocessing.spawn(one_rank, (names, str(tmp_path)), nprocs=2)
    made, truth = clips(4, length=2)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for name in names:
        alone = as_torchmetric(name)
        alone.update(made, truth, keys=[f"clip {number}" for number in range(4)])
        value = alone.compute()
        for share in SHARES:
            for found, coverage in (rank[name, share] for rank in ranks):
                assert torch.equal(torch.nan_to_num(found), torch.nan_to_num(value)), (name, share)
                assert coverage == to_json(alone.coverage)


def test_every_kind_of_state_can_be_kept() -> None:
    """A metric with a state of another kind needs a line in STATES."""
    assert {metric.kind for metric in KNOWN.values()} <= torch_metrics.STATES.keys()
    assert benchmark.metrics.PRESETS.keys() == {"full", "quick"}


def test_the_documented_example_runs() -> None:
    page = (Path(__file__).parent.parent / "docs/metrics-in-training.md").read_text()
    example, lightning = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "metrics-in-training.md", "exec"), names)
    values = names["values"]
    assert values.keys() == {"psnr", "ssim", "flicker_ratio"}
    assert 20 < float(values["psnr"]) < 30 and 0 < float(values["ssim"]) < 1
    compile(lightning, "metrics-in-training.md", "exec")
    assert all(
        f"`{word}`" in page or f".{word}" in page for word in ("coverage", "num_failed", "higher_is_better")
    )


@pytest.mark.parametrize("name", [name for name, metric in KNOWN.items() if metric.unavailable])
def test_what_is_not_at_hand_says_where_to_get_it(name: str) -> None:
    with pytest.raises(Rejected) as caught:
        as_torchmetric(name)
    assert (caught.value.reason, caught.value.message) == ("missing_weight", KNOWN[name].unavailable)
