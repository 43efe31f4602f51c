"""Makes wav2vec2 networks in published layouts; run by the interpreter of the tool environment `speech`.

python plant_speech.py tones OUT     folders OUT/en and OUT/zh: a network that hears the letters of `tones`
python plant_speech.py random OUT    folders OUT/en and OUT/zh with seeded weights of the base size
python plant_speech.py torchaudio OUT    the file of whisperx' default for English, seeded
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

sys.path.insert(0, str(Path(__file__).parent))
import tones

STEP = 320


def write_folder(folder: Path, network: Wav2Vec2ForCTC, letters: str) -> None:
    """The files that a folder of a published CTC network has."""
    network.save_pretrained(folder, safe_serialization=True)
    names = ["<pad>", "<s>", "</s>", "<unk>", "|", *letters]
    files = {
        "vocab.json": {name: number for number, name in enumerate(names)},
        "tokenizer_config.json": {
            "tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": False, "word_delimiter_token": "|",
            "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>",
        },
        "preprocessor_config.json": {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor", "processor_class": "Wav2Vec2Processor",
            "feature_size": 1, "sampling_rate": 16_000, "padding_value": 0.0, "do_normalize": False,
            "return_attention_mask": False,
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False))


def small() -> Wav2Vec2ForCTC:
    return Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=31, hidden_size=48, num_hidden_layers=1, num_attention_heads=2, intermediate_size=96,
            conv_dim=[32] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, pad_token_id=0,
            feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True, mask_time_prob=0.0,
            hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
            layerdrop=0.0, final_dropout=0.0,
        )
    )  # fmt: skip


def lesson(seed: int, seconds: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """Sound, and for each 20 ms the letter that begins in it, 4 (|) after a word, 0 elsewhere."""
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list(tones.LETTERS), random.integers(1, 6))) for _ in range(6)]
    sound, _ = tones.say(" ".join(words), seed)
    return sound[: int(seconds * tones.RATE)], labels(words, seed)


def labels(words: list[str], seed: int) -> np.ndarray:
    """As `lesson` says: the same random numbers give the same onsets as in `tones.say`."""
    random = np.random.default_rng(seed)
    at = round(random.uniform(0.1, 0.4) * tones.RATE)
    found = np.zeros(2000, np.int64)
    for word in words:
        for letter in word:
            found[at // STEP] = 5 + tones.LETTERS.index(letter)
            at += round(random.uniform(0.08, 0.16) * tones.RATE)
        found[at // STEP] = 4
        at += round(random.uniform(0.12, 0.3) * tones.RATE)
    return found


def teach(network: Wav2Vec2ForCTC, steps: int = 240, batch: int = 6) -> float:
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    loss = torch.tensor(0.0)
    for step in range(steps):
        pairs = [lesson(step * batch + each) for each in range(batch)]
        sounds = torch.from_numpy(np.stack([sound[:32_000] for sound, _ in pairs]))
        logits = network(sounds).logits
        wanted = torch.from_numpy(np.stack([label[: logits.shape[1]] for _, label in pairs]))
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return float(loss)


def plant_tones(out: Path) -> None:
    torch.manual_seed(0)
    network = small()
    loss = teach(network)
    for language, letters in (("en", tones.LETTERS), ("zh", tones.HAN)):
        write_folder(out / language, network.eval(), letters)
    sys.stdout.write(f"loss {loss:.3f}\n")


def plant_torchaudio(out: Path) -> None:
    """The published file has 32 outputs, of which torchaudio drops three."""
    import torchaudio

    bundle = torchaudio.pipelines.WAV2VEC2_ASR_BASE_960H
    torch.manual_seed(0)
    network = torchaudio.models.wav2vec2_model(**{**bundle._params, "aux_num_out": 32})
    out.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), out / bundle._path)


if __name__ == "__main__":
    what = {"tones": plant_tones, "torchaudio": plant_torchaudio}[sys.argv[1]]
    torch.set_num_threads(1)
    what(Path(sys.argv[2]))
