"""How long phonemes last, learned from those that were said: a small network beside the rule table.

A phoneme is seen with its neighbours, its stress or tone, and its place between two silences; the network
adds to the rule table's logarithm, so that an untrained one is the table. Silences are not learned: in a
corpus they are where clips were cut, in a text where its signs are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from datapipe.phonemes import PHONEMES
from datapipe.records import SILENCE, Phoneme, Rejected, from_dict
from datapipe.shards import read_metas

from ..avatarsync.draws import Objective
from ..avatarsync.vocabulary import NUM_CLASSES, viseme_class
from ..checkpoint import load_config, load_weights
from ..training.loop import TrainConfig, Trained
from .pace import LONGEST, SHORTEST, usual_length

PART = "durations"
MARKS = 6
"""0 for no stress or tone, else the mark and one more (English), or the tone (Mandarin)."""
FAR = 4
"""Steps from a silence that are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationConfig:
    """Size of the network."""

    width: int = 64
    """Of the hidden layer."""
    symbol_width: int = 12
    """Of a phoneme's embedding."""
    context: int = 2
    """Neighbours seen on either side."""
    dropout: float = 0.2
    """Of the hidden layer."""
    batch: int = 256
    """Phonemes of one step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spoken:
    """Phonemes with their facts and lengths; N of them, silences left out."""

    facts_NCF: NDArray[np.int64]
    """Around each phoneme C = 2 context + 1: symbol, viseme class, mark, steps since and until a silence."""
    log_seconds_N: NDArray[np.float32]


class DurationModel(nn.Module):
    """The median of each phoneme's length, in log seconds."""

    rule_P: Tensor
    """Log seconds by rule."""

    def __init__(self, config: DurationConfig, phonemes: tuple[str, ...] = PHONEMES) -> None:
        super().__init__()
        self.config, self.phonemes = config, phonemes
        self.symbol = nn.Embedding(len(phonemes), config.symbol_width)
        self.viseme = nn.Embedding(NUM_CLASSES, 4)
        self.mark = nn.Embedding(MARKS, 4)
        self.since, self.until = nn.Embedding(FAR + 1, 4), nn.Embedding(FAR + 1, 4)
        around = (2 * config.context + 1) * (config.symbol_width + 4 + 4) + 4 + 4
        self.hidden = nn.Sequential(nn.Linear(around, config.width), nn.SiLU(), nn.Dropout(config.dropout))
        self.out = nn.Linear(config.width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        rule = torch.tensor([math.log(usual_length(symbol)) for symbol in phonemes])
        self.register_buffer("rule_P", rule)

    def forward(self, facts_NCF: Tensor) -> Tensor:
        """Return medians, (N,)."""
        symbols, middle = facts_NCF[..., 0], facts_NCF[:, self.config.context]
        around = (self.symbol(symbols), self.viseme(facts_NCF[..., 1]), self.mark(facts_NCF[..., 2]))
        places = (self.since(middle[:, 3]), self.until(middle[:, 4]))
        seen = torch.cat([*(each.flatten(1) for each in around), *places], 1)
        moved_N: Tensor = self.out(self.hidden(seen)).squeeze(1)
        return self.rule_P[middle[:, 0]] + moved_N


def facts_of(
    symbols: Sequence[str], marks: Sequence[int | None], config: DurationConfig, phonemes: Sequence[str]
) -> NDArray[np.int64]:
    """Describe each phoneme of a track with its neighbours, (T, C, 5); beyond the ends there is silence.

    Raises `Rejected("bad_input")` for a phoneme that the run does not know.
    """
    index = {symbol: number for number, symbol in enumerate(phonemes)}
    unknown = sorted(set(symbols) - set(index))
    if unknown:
        raise Rejected(
            "bad_input", f"the run's durations know no phoneme {', '.join(unknown)}; train them anew"
        )
    since, until = _steps(symbols), _steps(symbols[::-1])[::-1]
    rows = [
        (index[symbol], viseme_class(symbol), _mark(symbol, mark), before, after)
        for symbol, mark, before, after in zip(symbols, marks, since, until, strict=True)
    ]
    silence = (index[SILENCE], viseme_class(SILENCE), 0, 0, 0)
    edge = [silence] * config.context
    padded_TF = np.array([*edge, *rows, *edge], np.int64)
    return np.stack([padded_TF[i : i + 2 * config.context + 1] for i in range(len(rows))])


def spoken_in(tracks: Iterable[Sequence[Phoneme]], config: DurationConfig) -> Spoken:
    """Take the phonemes of clips, silences as context alone."""
    facts, seconds = [], []
    for track in tracks:
        said = np.array([each.symbol != SILENCE for each in track])
        marks = [each.stress for each in track]
        facts.append(facts_of([each.symbol for each in track], marks, config, PHONEMES)[said])
        seconds.append(np.array([each.end - each.start for each in track])[said])
    lengths = np.clip(np.concatenate(seconds), SHORTEST, LONGEST)
    return Spoken(facts_NCF=np.concatenate(facts), log_seconds_N=np.log(lengths).astype(np.float32))


def tracks_of(data: Sequence[Path], split: str) -> list[tuple[Phoneme, ...]]:
    """Read the phoneme tracks of one split; media are skipped. Raises `Rejected("bad_input")` for none."""
    metas = (meta for folder in data for _, meta in read_metas(folder))
    tracks = [meta.phonemes for meta in metas if meta.split == split and len(meta.phonemes) > 1]
    if not tracks and split == "train":
        names = ", ".join(str(folder) for folder in data)
        raise Rejected("bad_input", f"{names}: no clip of the split `train`; build shards that have some")
    return tracks


def make_durations(
    tracks: Sequence[Sequence[Phoneme]], config: DurationConfig, train: TrainConfig
) -> Trained[DurationModel]:
    """Return a fresh network and its objective: the mean absolute error in log seconds."""
    torch.manual_seed(train.seed)
    network = DurationModel(config)
    return Trained(network, _objective(network, spoken_in(tracks, config)), pictures=config.batch)


def _objective(network: DurationModel, spoken: Spoken) -> Objective:
    def draw(rng: np.random.Generator, _: float) -> dict[str, Tensor]:
        rows = rng.integers(0, len(spoken.log_seconds_N), network.config.batch)
        off = network(torch.as_tensor(spoken.facts_NCF[rows])) - torch.as_tensor(spoken.log_seconds_N[rows])
        return {"loss": off.abs().mean()}

    return draw


@torch.no_grad()
def predict(
    network: DurationModel, symbols: Sequence[str], marks: Sequence[int | None]
) -> NDArray[np.float64]:
    """Predict the length of every phoneme in seconds, (T,): medians, between SHORTEST and LONGEST."""
    facts = facts_of(symbols, marks, network.config, network.phonemes)
    median_T = network(torch.from_numpy(facts))
    return np.asarray(np.clip(np.exp(median_T.numpy()), SHORTEST, LONGEST), np.float64)


@torch.no_grad()
def compare(network: DurationModel, tracks: Sequence[Sequence[Phoneme]]) -> dict[str, float]:
    """Mean absolute error in log seconds on clips: the network's, and the rule table's as its floor."""
    spoken = spoken_in(tracks, network.config)
    facts = torch.from_numpy(spoken.facts_NCF)
    truth = torch.from_numpy(spoken.log_seconds_N)
    rule = network.rule_P[facts[:, network.config.context, 0]]
    return {
        "phonemes": float(len(truth)),
        "log_error": float((network(facts) - truth).abs().mean()),
        "log_error_rule": float((rule - truth).abs().mean()),
    }


def load_durations(run: Path) -> DurationModel | None:
    """Load a run's durations; None when it has none. Raises `Rejected("bad_weight")`."""
    if not (run / PART).exists():
        return None
    config = load_config(run / PART, PART)
    network = DurationModel(from_dict(config["network"], DurationConfig), tuple(config["phonemes"]))
    load_weights(run / PART, network)
    network.eval().requires_grad_(False)
    return network


def _steps(symbols: Sequence[str]) -> list[int]:
    """Count the phonemes since the last silence, up to FAR; the first one after it has 0."""
    found, count = [], 0
    for symbol in symbols:
        found.append(min(count, FAR))
        count = 0 if symbol == SILENCE else count + 1
    return found


def _mark(symbol: str, mark: int | None) -> int:
    if mark is None:
        return 0
    return mark + 1 if symbol.isupper() else mark
