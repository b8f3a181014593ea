"""Writes tiny models for sherpa-onnx that hear the tones of scribewire.tones: one token a word, no training.

What a network would learn is solved for: weights that map the library's own features of each tone to its token, and
those of silence and noise to blank. So a model is written twice, the first time deaf, to get at those features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sherpa_onnx import OnlineRecognizer

from scribewire.tones import AMPLITUDE, LOWEST_HZ, SPACING_HZ, VOCABULARY

Solution = tuple[NDArray[np.float32], NDArray[np.float32]]
# Type and shape of an input or output.
Shaped = tuple[int, tuple[int | str, ...]]

BLANK: Final = 0
TOKENS: Final = ("<blk>", *(f"▁{word}" for word in VOCABULARY))
# What a chunk of the library's streaming zipformers is: 45 frames of 10 ms are looked at, 32 are used up.
CHUNK_FRAMES: Final = 32
LOOKED_AT_FRAMES: Final = 45
# Frames of 10 ms in one of NeMo's fast conformers, and the order of their tokens.
NEMO_FRAMES: Final = 8
_BLANK_LAST: Final = np.array([*range(1, len(TOKENS)), BLANK])
TOKENS_BLANK_LAST: Final = tuple(TOKENS[number] for number in _BLANK_LAST)
# How sharply the tones are told from one another.
SHARPNESS: Final = 10.0
# The scores of a clean tone: its own token's, and blank's while all others have none. Blank is no lower than that, so
# that noise is nothing; in a transducer it is higher, for when that may not say its last token again while the tone
# goes on.
OWN_SCORE: Final = 10.0
BLANK_SCORE: Final = 2.0
TRANSDUCER_BLANK_SCORE: Final = 6.0
_RATE_HZ: Final = 16_000
_BINS: Final = 80
_OPSET: Final = [helper.make_opsetid("", 17)]

# The smallest encoder that the library takes for a zipformer: one layer of width 4. Its states pass through unchanged.
_ZIPFORMER: Final = {
    "version": "1",
    "model_type": "zipformer2",
    "encoder_dims": "4",
    "query_head_dims": "1",
    "value_head_dims": "1",
    "num_heads": "1",
    "num_encoder_layers": "1",
    "cnn_module_kernels": "3",
    "left_context_len": "1",
    "T": str(LOOKED_AT_FRAMES),
    "decode_chunk_len": str(CHUNK_FRAMES),
}
_STATES: Final[Mapping[str, tuple[int | str, ...]]] = {
    "cached_key": (1, "N", 1),
    "cached_nonlin_attn": (1, "N", 1, 3),
    "cached_val1": (1, "N", 1),
    "cached_val2": (1, "N", 1),
    "cached_conv1": ("N", 4, 1),
    "cached_conv2": ("N", 4, 1),
    "embed_states": ("N", 128, 3, 19),
    "processed_lens": ("N",),
}


def write_ctc(folder: Path, *, ballast: int = 0) -> Path:
    """Write a zipformer2-CTC model; give its folder. `ballast` is the width of a useless layer that costs time."""
    tokens, model = _write_tokens(folder), folder / "model.onnx"
    nodes = [*_hearing(ballast=ballast), helper.make_node("LogSoftmax", ["scores"], ["log_probs"], axis=-1)]

    def write(solution: Solution) -> None:
        _save(model, nodes, _encoder_weights(solution, ballast=ballast), "log_probs", _ZIPFORMER)

    write(_DEAF)
    write(_solve(OnlineRecognizer.from_zipformer2_ctc(tokens=tokens, model=str(model))))
    return folder


def write_transducer(folder: Path, *, ballast: int = 0) -> Path:
    """Write a zipformer2 transducer that knows whole words only; give its folder.

    Its decoder forbids the token said last, so that a tone is one word; a word right after itself is not heard.
    """
    encoder, decoder, joiner = (folder / f"{part}.onnx" for part in ("encoder", "decoder", "joiner"))
    forbidding = -20.0 * np.eye(len(TOKENS), dtype=np.float32)
    forbidding[BLANK] = 0
    _save_plain(
        decoder,
        [
            helper.make_node("Gather", ["y", "last"], ["said"], axis=1),
            helper.make_node("Gather", ["forbidding", "said"], ["decoder_out"], axis=0),
        ],
        {"last": np.array(1), "forbidding": forbidding},
        {"y": (TensorProto.INT64, ("N", 2))},
        {"decoder_out": (TensorProto.FLOAT, ("N", len(TOKENS)))},
        {"vocab_size": str(len(TOKENS)), "context_size": "2"},
    )
    _save_plain(
        joiner,
        [helper.make_node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        {},
        {name: (TensorProto.FLOAT, ("N", len(TOKENS))) for name in ("encoder_out", "decoder_out")},
        {"logit": (TensorProto.FLOAT, ("N", len(TOKENS)))},
        {"joiner_dim": str(len(TOKENS))},
    )
    # As a trained list of pieces: the best first, letters last, and each a token.
    pieces = [*TOKENS[1:], "▁", *ascii_lowercase]
    lines = [f"{piece}\t{-number}" for number, piece in enumerate(pieces)]
    (folder / "bpe.vocab").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokens = _write_tokens(folder, [TOKENS[BLANK], *pieces])
    nodes = [*_hearing(ballast=ballast), helper.make_node("Identity", ["scores"], ["encoder_out"])]

    def write(solution: Solution) -> None:
        known = _encoder_weights(solution, ballast=ballast, blank=TRANSDUCER_BLANK_SCORE)
        _save(encoder, nodes, known, "encoder_out", _ZIPFORMER)

    write(_DEAF)
    parts = {"encoder": str(encoder), "decoder": str(decoder), "joiner": str(joiner)}
    write(_solve(OnlineRecognizer.from_transducer(tokens=tokens, model_type="zipformer2", **parts)))
    return folder


def write_nemo_ctc(folder: Path) -> Path:
    """Write a CTC model as NeMo's are: its frames are of 80 ms, its blank is the last token; give its folder."""
    tokens, model = _write_tokens(folder, TOKENS_BLANK_LAST), folder / "model.onnx"
    saying = [helper.make_node("LogSoftmax", ["ordered"], ["logits"], axis=-1)]
    shape = ("N", CHUNK_FRAMES // NEMO_FRAMES, len(TOKENS))

    def write(solution: Solution) -> None:
        _save_nemo(model, saying, _encoder_weights(solution, frames=NEMO_FRAMES), ("logits", shape), {})

    write(_DEAF)
    write(_solve(OnlineRecognizer.from_nemo_ctc(tokens=tokens, model=str(model))))
    return folder


def write_nemo_transducer(folder: Path) -> Path:
    """Write a transducer as NeMo's are: its frames are of 80 ms, its decoder has states; give its folder.

    As in the other transducer, the token said last is forbidden.
    """
    encoder, decoder, joiner = (folder / f"{part}.onnx" for part in ("encoder", "decoder", "joiner"))
    width = len(TOKENS)
    forbidding = -20.0 * np.eye(width, dtype=np.float32)
    forbidding[-1] = 0
    state: Shaped = (TensorProto.FLOAT, (1, "N", 1))
    states = {"state_h": state, "state_c": state}
    _save_plain(
        decoder,
        [
            helper.make_node("Gather", ["forbidding", "targets"], ["said"], axis=0),
            helper.make_node("Transpose", ["said"], ["outputs"], perm=[0, 2, 1]),
            *(helper.make_node("Identity", [name], [f"new_{name}"]) for name in ("target_length", *states)),
        ],
        {"forbidding": forbidding},
        {"targets": (TensorProto.INT32, ("N", 1)), "target_length": (TensorProto.INT32, ("N",)), **states},
        {
            "outputs": (TensorProto.FLOAT, ("N", width, 1)),
            "new_target_length": (TensorProto.INT32, ("N",)),
            **{f"new_{name}": shaped for name, shaped in states.items()},
        },
        {},
    )
    vectors = (TensorProto.FLOAT, ("N", width, 1))
    _save_plain(
        joiner,
        [helper.make_node("Add", ["encoder_outputs", "decoder_outputs"], ["logit"])],
        {},
        {"encoder_outputs": vectors, "decoder_outputs": vectors},
        {"logit": vectors},
        {},
    )
    tokens = _write_tokens(folder, TOKENS_BLANK_LAST)
    saying = [helper.make_node("Transpose", ["ordered"], ["outputs"], perm=[0, 2, 1])]
    shape = ("N", width, CHUNK_FRAMES // NEMO_FRAMES)
    notes = {"normalize_type": "", "pred_rnn_layers": "1", "pred_hidden": "1"}

    def write(solution: Solution) -> None:
        known = _encoder_weights(solution, frames=NEMO_FRAMES, blank=TRANSDUCER_BLANK_SCORE)
        _save_nemo(encoder, saying, known, ("outputs", shape), notes)

    write(_DEAF)
    parts = {"encoder": str(encoder), "decoder": str(decoder), "joiner": str(joiner)}
    write(_solve(OnlineRecognizer.from_transducer(tokens=tokens, **parts)))
    return folder


def write_paraformer(folder: Path) -> Path:
    """Write a paraformer, which fires once as a tone is in its second frame of 60 ms; give its folder."""
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    width = len(TOKENS)
    # The library adds waves of its own to the features to mark their place; so much louder, they count for nothing.
    loud = 100.0
    notes = {
        "vocab_size": str(width),
        "lfr_window_size": "7",
        "lfr_window_shift": "6",
        "encoder_output_size": str(width),
        "decoder_num_blocks": "1",
        "decoder_kernel_size": "2",
        "neg_mean": ",".join(["0"] * 7 * _BINS),
        "inv_stddev": ",".join([str(loud / width**0.5)] * 7 * _BINS),
    }
    nodes = [
        helper.make_node("Slice", ["speech", "middle", "after_middle", "last_axis"], ["frames"]),
        helper.make_node("MatMul", ["frames", "weights"], ["matched"]),
        helper.make_node("Add", ["matched", "bias"], ["told"]),
        helper.make_node("Softmax", ["told"], ["enc"], axis=-1),
        helper.make_node("Gather", ["enc", "blank"], ["blank_share"], axis=2),
        helper.make_node("Less", ["blank_share", "half"], ["is_tone"]),
        helper.make_node("Cast", ["is_tone"], ["now"], to=TensorProto.FLOAT),
        helper.make_node("Pad", ["now", "one_later"], ["before"]),
        helper.make_node("Pad", ["now", "two_later"], ["long_before"]),
        helper.make_node("Add", ["now", "before"], ["both"]),
        helper.make_node("Sub", ["both", "long_before"], ["new"]),
        helper.make_node("Sub", ["new", "one"], ["fires"]),
        helper.make_node("Relu", ["fires"], ["alphas"]),
        helper.make_node("Identity", ["speech_lengths"], ["enc_len"]),
    ]
    said = {"acoustic_embeds": (TensorProto.FLOAT, (1, "M", width)), "acoustic_embeds_len": (TensorProto.INT32, (1,))}
    heard = {"enc": (TensorProto.FLOAT, (1, "T", width)), "enc_len": (TensorProto.INT32, (1,))}
    state = {"in_cache_0": (TensorProto.FLOAT, (1, width, 1))}
    _save_plain(
        decoder,
        [
            helper.make_node("Identity", ["acoustic_embeds"], ["logits"]),
            helper.make_node("Mul", ["acoustic_embeds", "words_only"], ["words"]),
            helper.make_node("ArgMax", ["words"], ["sample_ids"], axis=2, keepdims=0),
            helper.make_node("Identity", ["in_cache_0"], ["out_cache_0"]),
        ],
        {"words_only": np.array([number != BLANK for number in range(width)], np.float32)},
        {**heard, **said, **state},
        {
            "logits": (TensorProto.FLOAT, (1, "M", width)),
            "sample_ids": (TensorProto.INT64, (1, "M")),
            "out_cache_0": (TensorProto.FLOAT, (1, width, 1)),
        },
        {},
    )
    # A word a token, without marks.
    tokens = _write_tokens(folder, [token.removeprefix("▁") for token in TOKENS])

    def write(solution: Solution) -> None:
        known: dict[str, NDArray[np.generic]] = {
            "middle": np.array([3 * _BINS]),
            "after_middle": np.array([4 * _BINS]),
            "last_axis": np.array([2]),
            "weights": solution[0] / np.float32(loud),
            "bias": solution[1],
            "blank": np.array(BLANK),
            "half": np.array(0.5, np.float32),
            "one": np.array(1, np.float32),
            "one_later": np.array([0, 1, 0, -1]),
            "two_later": np.array([0, 2, 0, -2]),
        }
        frames = {"speech": (TensorProto.FLOAT, (1, "T", 7 * _BINS)), "speech_lengths": (TensorProto.INT32, (1,))}
        _save_plain(encoder, nodes, known, frames, {**heard, "alphas": (TensorProto.FLOAT, (1, "T"))}, notes)

    write(_DEAF)
    parts = {"encoder": str(encoder), "decoder": str(decoder)}
    write(_solve(OnlineRecognizer.from_paraformer(tokens=tokens, **parts)))
    return folder


WRITERS: Final[Mapping[str, Callable[[Path], Path]]] = {
    "ctc": write_ctc,
    "transducer": write_transducer,
    "nemo-ctc": write_nemo_ctc,
    "nemo-transducer": write_nemo_transducer,
    "paraformer": write_paraformer,
}


def _write_tokens(folder: Path, tokens: Iterable[str] = TOKENS) -> str:
    """Write the list of tokens; give its path."""
    path = folder / "tokens.txt"
    lines = [f"{token} {number}" for number, token in enumerate(tokens)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


# --- graphs ----------------------------------------------------------------------------------------------------------


def _hearing(*, ballast: int) -> list[onnx.NodeProto]:
    """Give the nodes from frames `x` to a score for each token and 40 ms."""
    nodes = [
        helper.make_node("Slice", ["x", "zero", "chunk", "one"], ["used"]),
        helper.make_node("Reshape", ["used", "grouped"], ["groups"]),
        helper.make_node("ReduceMean", ["groups"], ["pooled"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weights"], ["matched"]),
        helper.make_node("Add", ["matched", "bias"], ["told"]),
        helper.make_node("Softmax", ["told"], ["shares"], axis=-1),
        helper.make_node("Mul", ["shares", "own"], ["high"]),
        helper.make_node("Add", ["high", "floor"], ["light" if ballast else "scores"]),
    ]
    if ballast:
        nodes += [
            helper.make_node("MatMul", ["pooled", "wide"], ["widened"]),
            helper.make_node("MatMul", ["widened", "heavy"], ["carried"]),
            helper.make_node("MatMul", ["carried", "narrow"], ["nothing"]),
            helper.make_node("Add", ["light", "nothing"], ["scores"]),
        ]
    return nodes


def _encoder_weights(
    solution: Solution, *, frames: int = 4, ballast: int = 0, blank: float = BLANK_SCORE
) -> dict[str, NDArray[np.generic]]:
    weights, bias = solution
    floor = np.zeros(len(TOKENS), np.float32)
    floor[BLANK] = blank
    known: dict[str, NDArray[np.generic]] = {
        "zero": np.array([0]),
        "chunk": np.array([CHUNK_FRAMES]),
        "one": np.array([1]),
        "grouped": np.array([0, CHUNK_FRAMES // frames, frames, _BINS]),
        "weights": weights,
        "bias": bias,
        "own": np.float32(OWN_SCORE).reshape(1),
        "floor": floor,
    }
    if ballast:
        heavy = np.random.default_rng(1).standard_normal((ballast, ballast)).astype(np.float32) / ballast
        known |= {
            "wide": np.ones((_BINS, ballast), np.float32) / _BINS,
            "heavy": heavy,
            "narrow": np.zeros((ballast, len(TOKENS)), np.float32),
        }
    return known


def _save(
    path: Path,
    nodes: Iterable[onnx.NodeProto],
    known: Mapping[str, NDArray[np.generic]],
    output: str,
    notes: Mapping[str, str],
) -> None:
    """Save an encoder: frames and states in, `output` and the same states out."""
    kinds = {name: TensorProto.INT64 if name == "processed_lens" else TensorProto.FLOAT for name in _STATES}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", LOOKED_AT_FRAMES, _BINS))]
    inputs += [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in _STATES.items()]
    chunk = ("N", CHUNK_FRAMES // 4, len(TOKENS))
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, chunk)]
    outputs += [helper.make_tensor_value_info(f"new_{name}", kinds[name], shape) for name, shape in _STATES.items()]
    passing = [helper.make_node("Identity", [name], [f"new_{name}"]) for name in _STATES]
    _write(path, [*nodes, *passing], known, inputs, outputs, notes)


def _save_nemo(
    path: Path,
    saying: Iterable[onnx.NodeProto],
    known: Mapping[str, NDArray[np.generic]],
    output: tuple[str, tuple[int | str, ...]],
    notes: Mapping[str, str],
) -> None:
    """Save an encoder of NeMo's: `saying` makes its output from scores with the blank last, in `ordered`."""
    nodes = [helper.make_node("Transpose", ["audio_signal"], ["x"], perm=[0, 2, 1]), *_hearing(ballast=0)]
    nodes += [helper.make_node("Gather", ["scores", "blank_last"], ["ordered"], axis=2), *saying]
    states: dict[str, Shaped] = {
        "length": (TensorProto.INT64, ("N",)),
        "cache_last_channel": (TensorProto.FLOAT, ("N", 1, 1, 1)),
        "cache_last_time": (TensorProto.FLOAT, ("N", 1, 1, 1)),
        "cache_last_channel_len": (TensorProto.INT64, ("N",)),
    }
    nodes += [helper.make_node("Identity", [name], [f"new_{name}"]) for name in states]
    name, shape = output
    dims = {f"{cache}_dim{number}": "1" for cache in ("cache_last_channel", "cache_last_time") for number in (1, 2, 3)}
    sizes = {"window_size": CHUNK_FRAMES, "chunk_shift": CHUNK_FRAMES, "subsampling_factor": NEMO_FRAMES}
    _save_plain(
        path,
        nodes,
        {**known, "blank_last": _BLANK_LAST},
        {"audio_signal": (TensorProto.FLOAT, ("N", _BINS, CHUNK_FRAMES)), **states},
        {name: (TensorProto.FLOAT, shape), **{f"new_{state}": shaped for state, shaped in states.items()}},
        {size: str(number) for size, number in sizes.items()}
        | {"vocab_size": str(len(TOKENS) - 1)}
        | dims
        | dict(notes),
    )


def _save_plain(
    path: Path,
    nodes: Iterable[onnx.NodeProto],
    known: Mapping[str, NDArray[np.generic]],
    inputs: Mapping[str, Shaped],
    outputs: Mapping[str, Shaped],
    notes: Mapping[str, str],
) -> None:
    _write(
        path,
        nodes,
        known,
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        notes,
    )


def _write(
    path: Path,
    nodes: Iterable[onnx.NodeProto],
    known: Mapping[str, NDArray[np.generic]],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    notes: Mapping[str, str],
) -> None:
    constants = [numpy_helper.from_array(value, name) for name, value in known.items()]
    graph = helper.make_graph(list(nodes), "tones", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=_OPSET, ir_version=8)
    helper.set_model_props(model, dict(notes))
    path.write_bytes(model.SerializeToString())


# --- weights ---------------------------------------------------------------------------------------------------------

_DEAF: Final[Solution] = (np.zeros((_BINS, len(TOKENS)), np.float32), np.zeros(len(TOKENS), np.float32))


def _solve(recogniser: OnlineRecognizer) -> Solution:
    """Give weights (80, tokens) and bias (tokens): the least squares of examples of every token."""
    examples, wanted = [], []
    rng = np.random.default_rng(0)
    at = np.arange(_RATE_HZ // 8) / _RATE_HZ
    for number in range(len(VOCABULARY)):
        tone = AMPLITUDE / 32_768 * np.sin(2 * np.pi * (LOWEST_HZ + SPACING_HZ * number) * at)
        for level, noise in ((1.0, 0.0), (1.0, 3e-3), (1.0, 1e-2), (0.2, 0.0), (0.2, 2e-3)):
            frames = _hear(recogniser, level * tone + noise * rng.standard_normal(len(at)))[2:-2]
            examples.append(frames)
            wanted += [number + 1] * len(frames)
    for noise in (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2):
        frames = np.repeat(_hear(recogniser, noise * rng.standard_normal(_RATE_HZ)), 3, axis=0)
        examples.append(frames)
        wanted += [BLANK] * len(frames)
    heard = np.concatenate(examples)
    heard = np.concatenate([heard, np.ones((len(heard), 1))], axis=1)
    targets = np.eye(len(TOKENS))[wanted]
    solved = np.linalg.solve(heard.T @ heard + 1e-3 * np.eye(_BINS + 1), heard.T @ targets)
    scaled = (SHARPNESS * solved).astype(np.float32)
    return scaled[:-1], scaled[-1]


def _hear(recogniser: OnlineRecognizer, samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the library's features of some samples, (frames, 80)."""
    stream = recogniser.create_stream()
    stream.accept_waveform(_RATE_HZ, samples.tolist())
    return np.array(stream.get_frames(0, len(samples) // 160 - 2)).reshape(-1, _BINS)
