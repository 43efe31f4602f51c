"""One id space for the keyframe model: picture tokens 0..V-1, phonemes after them, special tokens last.

As in CogVideo, whose sequence {text}[B]{frames} AvatarSync takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from datapipe.mandarin import FINALS, INITIALS, RHOTIC
from datapipe.records import SILENCE, Rejected

VISEMES: dict[str, str] = {
    "rest": SILENCE,
    "lips": "M B P b p m",
    "lip_teeth": "F V f",
    "tongue_teeth": "TH DH",
    "tongue_ridge": "T D N L d t n l",
    "hiss": "S Z z c s iz ir ii iii",
    "hush": "SH ZH CH JH zh ch sh r",
    "back": "K G NG HH g k h",
    "palate": "Y j q x y",
    "curl": "R ER er",
    "pout": "W UW w u v vn",
    "wide": "IY i in ing",
    "half_wide": "IH UH e en eng uen ueng",
    "mid": "AH EH EY ei uei ue ie ve ian van",
    "low_front": "AE",
    "open": "AA AY a ia ua ai uai an uan ang iang uang",
    "open_round": "AW ao iao",
    "half_round": "AO OW OY o uo ou iou ong iong",
}
"""Mouth classes: phonemes of both languages that look alike share part of their embedding (many-to-one)."""
_CLASS_OF = {symbol: index for index, row in enumerate(VISEMES.values()) for symbol in row.split()}
OTHER = len(VISEMES)
NUM_CLASSES = OTHER + 1


def viseme_class(symbol: str) -> int:
    """Return the mouth class of a phoneme (rhotic finals as without the r); `OTHER` outside the table."""
    return _CLASS_OF.get(symbol, _CLASS_OF.get(symbol.removesuffix("r"), OTHER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The ids of one trained model."""

    num_visual: int
    """V, the size of the tokenizer's codebook."""
    phonemes: tuple[str, ...]
    """Symbols in id order; stored with the weights, so that a later inventory cannot shift them."""

    @property
    def begin(self) -> int:
        """[B], the begin-of-image token before the reference."""
        return self.num_visual + len(self.phonemes)

    @property
    def start(self) -> int:
        """[F], the input of a frame's first position."""
        return self.begin + 1

    @property
    def nothing(self) -> int:
        """Stands in the place of a phoneme that is left out, for classifier-free guidance."""
        return self.start + 1

    def __len__(self) -> int:
        return self.nothing + 1

    def phoneme_ids(self, symbols: Iterable[str]) -> list[int]:
        """Whole-vocabulary ids of phonemes; an unknown symbol is refused by name."""
        index = {symbol: self.num_visual + i for i, symbol in enumerate(self.phonemes)}
        symbols = list(symbols)
        unknown = sorted(set(symbols) - set(index))
        if unknown:
            raise Rejected(
                "bad_input", f"the model knows no phoneme {', '.join(unknown)}; train it on data with them"
            )
        return [index[symbol] for symbol in symbols]

    def joined(self, ids: Sequence[int]) -> list[int]:
        """Give a Mandarin initial and its final one id, which stands for both; other phonemes keep theirs.

        What is left of conditioning when phonemes are not told apart within a syllable (paper 4.3, the
        comparison without phoneme-level representation).
        """
        symbols = [self.phonemes[each - self.num_visual] for each in ids]
        joined = list(ids)
        for i, pair in enumerate(pairwise(symbols)):
            if pair[0] in INITIALS and pair[1] in (*FINALS, *RHOTIC):
                first, second = ids[i] - self.num_visual, ids[i + 1] - self.num_visual
                joined[i] = joined[i + 1] = len(self) + first * len(self.phonemes) + second
        return joined
