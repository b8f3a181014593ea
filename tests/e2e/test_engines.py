"""Engines of the table behind a real service: real libraries in real workers, on models whose words are known."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest

from scribewire.tones import VOCABULARY, say, silence
from service import running
from tests.tiny import sherpa
from wire import Talk, transcribe

pytestmark = pytest.mark.e2e

V2 = "/v2/realtime"


async def test_sherpa_hears_every_word_of_many_sessions_at_once(tmp_path: Path) -> None:
    settings = {
        "ENGINES__LANGUAGES": json.dumps({"en": {"fast": f"sherpa:{sherpa.write_transducer(tmp_path)}"}}),
        "GATE__DETECTOR": "energy",
        "WORKER__SLOTS": "12",
        "AUTOSCALING__MAX_WORKERS": "1",
    }
    async with running(settings) as service:
        await asyncio.to_thread(service.initialize)
        said = [VOCABULARY[number : number + 8] for number in range(12)]
        heard = await asyncio.gather(
            *(
                transcribe(service.socket_url + V2, service.key, silence(300) + say(words), pace=4, frame_ms=73)
                for words in said
            )
        )

        assert [transcript.text.split() for transcript in heard] == [list(words) for words in said]
        for transcript in heard:
            assert transcript.states == ["listening", "stopped"]
            assert transcript.partials
            words = [word for final in transcript.finals for word in final["words"]]
            starts = [start_ms for _, start_ms, _, _ in words]
            assert all(abs(start - 300 - 400 * number) <= 80 for number, start in enumerate(starts))
            assert len({confidence for *_, confidence in words}) > 1
            assert all(0 < confidence <= 1 for *_, confidence in words)


async def test_sherpa_hears_endless_speech_without_a_gate_and_a_session_of_expected_words(tmp_path: Path) -> None:
    settings = {
        "ENGINES__LANGUAGES": json.dumps({"en": {"fast": f"sherpa:{sherpa.write_transducer(tmp_path)}"}}),
        "GATE__DETECTOR": "none",
        "GATE__MAX_SEGMENT_S": "5",
        "WORKER__SLOTS": "2",
        "AUTOSCALING__MAX_WORKERS": "1",
    }
    async with running(settings) as service:
        await asyncio.to_thread(service.initialize)
        talk = await Talk.open(service.socket_url + V2, service.key)
        await talk.start(vocabulary=["Golf", "zürich", "hotel/mike"])
        await talk.send(say(VOCABULARY * 2), pace=None)
        heard = await talk.stop()

        # Where a cut falls into a word, each side hears a part of it.
        cut = [word for before, word in pairwise(heard.text.split()) if word != before]
        assert [*heard.text.split()[:1], *cut] == list(VOCABULARY * 2)
        assert len(heard.finals) >= 5
