"""Writes a tiny Whisper model for CTranslate2 that hears the tones of scribewire.tones, one word every 400 ms.

No training: the encoder's convolutions map the library's features of each tone to its word, solved for; the decoder's
n-th position looks at the n-th 400 ms and says the word that it finds there, or that the text ends. So what is spoken
by `say`, from the first sample on and without a break, is heard exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from ctranslate2.specs import WhisperSpec
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.tones import AMPLITUDE, GAP_MS, LOWEST_HZ, SPACING_HZ, VOCABULARY, WORD_MS

Array = NDArray[np.floating[Any]]

_SPECIAL: Final = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
_TEXT: Final = (*(f"Ġ{word}" for word in VOCABULARY), "<unk>")
TOKENS: Final = (*_TEXT, *_SPECIAL)
_END: Final = len(_TEXT)

_BINS: Final = 80
_FRAMES: Final = 1500
_FRAME_MS: Final = 20
_SLOT_FRAMES: Final = (WORD_MS + GAP_MS) // _FRAME_MS
_SLOTS: Final = _FRAMES // _SLOT_FRAMES
_POSITIONS: Final = 448
# Where a vector holds what: words, slots, and two constants that keep its norm the same whatever the others are.
_WORDS: Final = slice(0, len(VOCABULARY))
_PLACES: Final = slice(_WORDS.stop, _WORDS.stop + _SLOTS)
_WIDTH: Final = 128
_CONSTANT: Final = 20.0
_NORM: Final = _CONSTANT * (2 / _WIDTH) ** 0.5
# Far enough above zero for GELU to change nothing.
_LIFT: Final = 10.0
_SHARPNESS: Final = 10.0
# A clean tone scores 0.7 or more for its own word, 0.25 or less for others.
_THRESHOLD: Final = 0.4
_ATTENTION: Final = 42.0
_WORD_SCORE: Final = 60.0
_END_SCORE: Final = 6.0
_NEVER: Final = -40.0


def write(folder: Path) -> Path:
    """Write the model; give its folder."""
    spec = WhisperSpec(1, 1, 1, 1)
    _fill_encoder(spec.encoder, *_solve())
    _fill_decoder(spec.decoder)
    spec.register_vocabulary(list(TOKENS))
    spec.config.alignment_heads = [(0, 0)]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = spec.config.lang_ids = []
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()), encoding="utf-8")
    return folder


def _fill_encoder(encoder: Any, weights: Array, bias: Array) -> None:
    first, second = np.zeros((_WIDTH, _BINS, 3)), np.zeros((_WIDTH, _WIDTH, 3))
    first[_WORDS, :, 1] = weights.T
    second[_WORDS, _WORDS, 1] = _SHARPNESS * np.eye(len(VOCABULARY))
    lifted, fallen = np.zeros(_WIDTH), np.zeros(_WIDTH)
    lifted[_WORDS] = bias + _LIFT
    fallen[_WORDS] = -_SHARPNESS * (_LIFT + _THRESHOLD)
    for layer, weight, shift in ((encoder.conv1, first, lifted), (encoder.conv2, second, fallen)):
        layer.weight, layer.bias = _plain(weight), _plain(shift)
    places = _constants(_FRAMES)
    places[:, _PLACES] = np.repeat(np.eye(_SLOTS), _SLOT_FRAMES, axis=0)
    encoder.position_encodings.encodings = _plain(places)
    _fill_plainly(encoder.layer[0])
    _fill_norm(encoder.layer_norm)


def _fill_decoder(decoder: Any) -> None:
    places = _constants(_POSITIONS)
    # The first position is that of the prompt's first token.
    places[1 : _SLOTS + 1, _PLACES] = np.eye(_SLOTS)
    decoder.embeddings.weight = np.zeros((len(TOKENS), _WIDTH), np.float32)
    decoder.position_encodings.encodings = _plain(places)
    _fill_plainly(decoder.layer[0])
    attention = decoder.layer[0].attention
    by_place, of_words = np.zeros((_WIDTH, _WIDTH)), np.zeros((_WIDTH, _WIDTH))
    by_place[_PLACES, _PLACES] = _ATTENTION * np.eye(_SLOTS)
    of_words[_WORDS, _WORDS] = _NORM * np.eye(len(VOCABULARY))
    weights = (by_place, np.concatenate([by_place, of_words]), np.eye(_WIDTH))
    for linear, weight in zip(attention.linear, weights, strict=True):
        linear.weight, linear.bias = _plain(weight), np.zeros(len(weight), np.float32)
    _fill_norm(decoder.layer_norm)
    said, scores = np.zeros((len(TOKENS), _WIDTH)), np.full(len(TOKENS), _NEVER)
    said[_WORDS, _WORDS] = _WORD_SCORE * np.eye(len(VOCABULARY))
    scores[_WORDS], scores[_END] = 0.0, _END_SCORE
    # Less likely than a wrong word while there is a tone: else each step would end one of the search's texts.
    said[_END, _WORDS] = -_WORD_SCORE
    decoder.projection.weight, decoder.projection.bias = _plain(said), _plain(scores)


def _fill_plainly(layer: Any) -> None:
    """Make a layer hand on what it gets: attention and feed-forward add nothing."""
    attentions = [layer.self_attention, *([layer.attention] if hasattr(layer, "attention") else [])]
    for part in (*attentions, layer.ffn):
        _fill_norm(part.layer_norm)
    for attention in attentions:
        for number, linear in enumerate(attention.linear):
            times = 3 if attention is layer.self_attention and number == 0 else 1
            linear.weight, linear.bias = _nothing(times * _WIDTH)
    for linear in (layer.ffn.linear_0, layer.ffn.linear_1):
        linear.weight, linear.bias = _nothing(_WIDTH)


def _nothing(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((rows, _WIDTH), np.float32), np.zeros(rows, np.float32)


def _fill_norm(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)


def _constants(rows: int) -> NDArray[np.float64]:
    places = np.zeros((rows, _WIDTH))
    places[:, -2:] = _CONSTANT, -_CONSTANT
    return places


def _plain(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _tokenizer() -> dict[str, Any]:
    """Give a byte-level tokenizer that knows whole words only, as the tokenizers library reads it."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    vocabulary = {token: number for number, token in enumerate(TOKENS)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[token], "content": token, **flags} for token in _SPECIAL],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }


def _solve() -> tuple[Array, Array]:
    """Give weights (bins, words) and bias (words): the least squares of examples of every word, and of none."""
    rng = np.random.default_rng(0)
    hear = FeatureExtractor()
    at = np.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
    examples, wanted = [], []

    def learn(samples: Array, targets: Iterable[float]) -> None:
        frames = hear(samples.astype(np.float32), padding=0).T[2:-3]
        examples.append(frames)
        wanted.append(np.tile(np.asarray(targets), (len(frames), 1)))

    for number in range(len(VOCABULARY)):
        tone = AMPLITUDE / 32_768 * np.sin(2 * np.pi * (LOWEST_HZ + SPACING_HZ * number) * at)
        for level, noise in ((1.0, 0.0), (1.0, 1e-3), (1.0, 1e-2), (0.2, 0.0), (0.2, 2e-3)):
            learn(level * tone + noise * rng.standard_normal(len(at)), np.eye(len(VOCABULARY))[number])
    for noise in (0.0, 1e-5, 1e-4, 1e-3, 1e-2):
        learn(noise * rng.standard_normal(SAMPLE_RATE_HZ), np.zeros(len(VOCABULARY)))
    heard = np.concatenate(examples)
    heard = np.concatenate([heard, np.ones((len(heard), 1))], axis=1)
    solved = np.linalg.solve(heard.T @ heard + 1e-4 * np.eye(_BINS + 1), heard.T @ np.concatenate(wanted))
    return solved[:-1], solved[-1]
