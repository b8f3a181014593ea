"""What a second of speech costs, measured on decoders that cost a known amount."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scribewire.assets import sample_pcm
from scribewire.core.audio import WINDOW_BYTES
from scribewire.engines.base import PLAIN, Options
from scribewire.worker.calibration import ENOUGH_CPU_S, measure_rtf, own_cores
from scribewire.worker.quanta import Decoded, Decoder, Decoders, Quantum


class PricedDecoders(Decoders):
    """Charge `rtf` for audio and `begin_s` for every beginning; want the first segment again after `again_after`."""

    batch = 1

    def __init__(self, *, rtf: float, begin_s: float = 0.0, again_after: int = 0) -> None:
        self.rtf = rtf
        self.begin_s = begin_s
        self.again_after = again_after
        self.windows = 0
        self.charged_s = 0.0
        self.closed = 0

    async def load(self) -> None:
        raise AssertionError("loaded already")

    async def open(self, resume: bytes = b"", options: Options = PLAIN) -> Decoder:
        return _Priced(self)

    async def decode(self, work: Sequence[tuple[Decoder, Quantum]]) -> list[Decoded]:
        [(_, quantum)] = work
        assert all(len(window) == WINDOW_BYTES for window in quantum.windows)
        if quantum.begin is not None:
            self.windows = 0
        self.windows += len(quantum.windows)
        cpu_s = self.rtf * len(quantum.windows) * 0.032 + (self.begin_s if quantum.begin is not None else 0)
        self.charged_s += cpu_s
        again = 0 < self.again_after <= self.windows
        self.again_after = 0 if again else self.again_after
        return [Decoded(cpu_s, again=again)]

    async def close(self) -> None:
        raise AssertionError("not ours to close")


class _Priced(Decoder):
    def __init__(self, decoders: PricedDecoders) -> None:
        self._decoders = decoders

    def close(self) -> None:
        self._decoders.closed += 1


async def test_the_cost_is_that_of_going_on_not_of_beginning() -> None:
    decoders = PricedDecoders(rtf=0.07, begin_s=0.06)
    assert await measure_rtf(decoders, sample_pcm()) == pytest.approx(0.07)
    assert decoders.closed == 1


async def test_an_engine_that_wants_the_beginning_again_is_measured_all_the_same() -> None:
    decoders = PricedDecoders(rtf=0.07, begin_s=0.06, again_after=6)
    assert await measure_rtf(decoders, sample_pcm()) == pytest.approx(0.07)


@pytest.mark.parametrize("rtf", [2.0, 50.0])
async def test_a_slow_engine_is_known_after_a_second_of_work(rtf: float) -> None:
    decoders = PricedDecoders(rtf=rtf)
    assert await measure_rtf(decoders, sample_pcm()) == pytest.approx(rtf)
    assert decoders.charged_s <= ENOUGH_CPU_S + rtf * 0.096


def test_there_is_some_of_a_core() -> None:
    assert own_cores() > 0
