"""Writes a tiny Kaldi model for vosk that hears the tones of scribewire.tones: one phone a word, no training.

Kaldi reads its text form as well as the binary one. What a network would learn is solved for: weights that map the
features of each tone to its phone, and those of silence and noise to the phone of silence.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.tones import AMPLITUDE, LOWEST_HZ, SPACING_HZ, VOCABULARY

Array = NDArray[np.floating[Any]]

# How sharply the tones are told from one another: log-probabilities are this many times what was solved for.
SHARPNESS: Final = 10.0
# What a word costs to begin, less than a frame of its tone brings: else one tone would be many words.
WORD_COST: Final = 4.0
# Bins narrow enough for each tone to look different from the next, over the tones alone.
BINS: Final = 64
LOWEST_BIN_HZ: Final = 300.0
HIGHEST_BIN_HZ: Final = 4500.0
_FRAME_SAMPLES: Final = 160
_SPAN_SAMPLES: Final = 400
_TRANSFORM: Final = 512

_PHONES: Final = 1 + len(VOCABULARY)
_SILENCE: Final = 1
_MFCC: Final = f"""\
--use-energy=false
--num-mel-bins={BINS}
--num-ceps={BINS}
--cepstral-lifter=0
--low-freq={LOWEST_BIN_HZ}
--high-freq={HIGHEST_BIN_HZ}
"""
_DECODING: Final = f"""\
--frame-subsampling-factor=3
--acoustic-scale=1.0
--beam=10.0
--lattice-beam=3.0
--max-active=3000
--endpoint.silence-phones={_SILENCE}
"""


class Arc(NamedTuple):
    """An arc of a graph: transition (0 is none), word (0 is none), cost, where to."""

    transition: int
    word: int
    cost: float
    to: int


def write(folder: Path) -> Path:
    """Write the model; give its folder."""
    (folder / "am").mkdir()
    (folder / "conf").mkdir()
    (folder / "graph" / "phones").mkdir(parents=True)
    (folder / "am" / "final.mdl").write_text(_transitions() + _network(*_solve()), encoding="ascii")
    (folder / "conf" / "mfcc.conf").write_text(_MFCC, encoding="ascii")
    (folder / "conf" / "model.conf").write_text(_DECODING, encoding="ascii")
    graph = folder / "graph"
    graph.joinpath("HCLG.fst").write_bytes(b"".join(_pack(_graph())))
    words = ("<eps>", *VOCABULARY)
    graph.joinpath("words.txt").write_text("".join(f"{word} {number}\n" for number, word in enumerate(words)))
    kinds = ("nonword" if phone == _SILENCE else "singleton" for phone in range(1, _PHONES + 1))
    boundaries = "".join(f"{phone} {kind}\n" for phone, kind in enumerate(kinds, start=1))
    graph.joinpath("phones", "word_boundary.int").write_text(boundaries)
    return folder


# --- the graph -------------------------------------------------------------------------------------------------------


def _graph() -> list[list[Arc]]:
    """Give the arcs of each state: from the first, into any phone, round and round in it, and back."""
    states = [[Arc(2 * p, p - 1, 0.0 if p == _SILENCE else WORD_COST, p) for p in range(1, _PHONES + 1)]]
    return states + [[Arc(0, 0, 0.0, 0), Arc(2 * p - 1, 0, 0.0, p)] for p in range(1, _PHONES + 1)]


def _pack(states: list[list[Arc]]) -> Iterator[bytes]:
    """Give a graph as OpenFst writes a vector of states; only the first is final."""
    yield struct.pack("<i", 0x7EB2FDD6)
    for text in (b"vector", b"standard"):
        yield struct.pack("<i", len(text)) + text
    yield struct.pack("<iiQqqq", 2, 0, 3, 0, len(states), 0)
    for number, arcs in enumerate(states):
        yield struct.pack("<fq", 0.0 if number == 0 else float("inf"), len(arcs))
        yield from (struct.pack("<iifi", *arc) for arc in arcs)


# --- the acoustic model ----------------------------------------------------------------------------------------------


def _transitions() -> str:
    """Give the topology: one state a phone, which goes on (odd transitions) or ends (even)."""
    phones = range(1, _PHONES + 1)
    topology = "<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.5 </State>\n<State> 1 </State>"
    return (
        "<TransitionModel>\n<Topology>\n<TopologyEntry>\n"
        f"<ForPhones>\n{' '.join(map(str, phones))}\n</ForPhones>\n{topology}\n</TopologyEntry>\n</Topology>\n"
        f"<Triples> {_PHONES}\n" + "".join(f"{phone} 0 {phone - 1}\n" for phone in phones) + "</Triples>\n"
        f"<LogProbs>\n{_spell([math.log(0.5)] * (2 * _PHONES + 1))}</LogProbs>\n</TransitionModel>\n"
    )


def _network(weights: Array, bias: Array) -> str:
    """Give a network of one affine layer and a softmax, from cepstra to the log-probabilities of the phones."""
    # The cosine transform is orthonormal, so that its transpose gives back the logarithms of the bins.
    rows = "\n".join(" ".join(f"{number:.5f}" for number in row) for row in weights.T @ _cosines().T)
    return (
        f"<Nnet3> \ninput-node name=input dim={BINS}\n"
        "component-node name=affine component=affine input=input\n"
        "component-node name=softmax component=softmax input=affine\n"
        "output-node name=output input=softmax objective=linear\n\n"
        "<NumComponents> 2\n"
        f"<ComponentName> affine <FixedAffineComponent> <LinearParams> [\n{rows} ]\n"
        f"<BiasParams> {_spell(bias)}</FixedAffineComponent>\n"
        f"<ComponentName> softmax <LogSoftmaxComponent> <Dim> {_PHONES} <ValueAvg> [ ]\n<DerivAvg> [ ]\n"
        "<Count> 0 <OderivRms> [ ]\n<OderivCount> 0 <NumDimsSelfRepaired> 0 <NumDimsProcessed> 0 "
        "</LogSoftmaxComponent>\n"
        "</Nnet3>\n<LeftContext> 0 <RightContext> 0 <Priors> [ ]\n"
    )


def _spell(numbers: Iterable[float]) -> str:
    return f"[ {' '.join(f'{number:.5f}' for number in numbers)} ]\n"


def _solve() -> tuple[Array, Array]:
    """Give weights (bins, phones) and bias (phones): the least squares of examples of every phone."""
    rng = np.random.default_rng(0)
    at = np.arange(SAMPLE_RATE_HZ // 8) / SAMPLE_RATE_HZ
    examples, wanted = [], []
    for number in range(len(VOCABULARY)):
        tone = AMPLITUDE * np.sin(2 * np.pi * (LOWEST_HZ + SPACING_HZ * number) * at)
        for level, noise in ((1.0, 1.0), (1.0, 100.0), (1.0, 300.0), (0.2, 1.0), (0.2, 60.0)):
            examples.append(_hear(level * tone + noise * rng.standard_normal(len(at))))
            wanted += [_SILENCE + number] * len(examples[-1])
    for noise in (0.3, 1.0, 3.0, 30.0, 100.0, 300.0):
        examples.append(np.repeat(_hear(noise * rng.standard_normal(SAMPLE_RATE_HZ)), 3, axis=0))
        wanted += [_SILENCE - 1] * len(examples[-1])
    heard = np.concatenate(examples)
    heard = np.concatenate([heard, np.ones((len(heard), 1))], axis=1)
    targets = np.eye(_PHONES)[wanted]
    solved = SHARPNESS * np.linalg.solve(heard.T @ heard + 1e-3 * np.eye(BINS + 1), heard.T @ targets)
    return solved[:-1], solved[-1]


def _hear(samples: Array) -> Array:
    """Give the logarithms of the bins, (frames, BINS), as Kaldi's features with their defaults have them."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _SPAN_SAMPLES)[::_FRAME_SAMPLES]
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_SPAN_SAMPLES) / (_SPAN_SAMPLES - 1))) ** 0.85
    power = np.abs(np.fft.rfft(frames, _TRANSFORM)) ** 2
    edges = np.linspace(_mel(LOWEST_BIN_HZ), _mel(HIGHEST_BIN_HZ), BINS + 2)
    place = _mel(np.arange(power.shape[1]) * SAMPLE_RATE_HZ / _TRANSFORM)[:, None]
    rising, falling = (place - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - place) / np.diff(edges)[1:]
    logs: Array = np.log(np.maximum(power @ np.maximum(np.minimum(rising, falling), 0.0), np.finfo(np.float32).eps))
    return logs


def _mel(hz: float | Array) -> Array:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hz) / 700.0))


def _cosines() -> Array:
    """Give the cosine transform, (cepstra, bins)."""
    cosines: Array = np.sqrt(2 / BINS) * np.cos(np.pi / BINS * np.outer(np.arange(BINS), np.arange(BINS) + 0.5))
    cosines[0] = np.sqrt(1 / BINS)
    return cosines
