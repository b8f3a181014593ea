"""A real service whose engine is vosk with a tiny model: exact words at their times, live and all at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from scribewire.tones import GAP_MS, WORD_MS, say, silence
from service import Service
from tests.e2e.conftest import ready
from tests.tiny import vosk
from wire import Talk, Transcript

pytestmark = pytest.mark.e2e

FIRST, THEN = "alfa bravo charlie", "delta echo"
LEAD_MS, PAUSE_MS = 500, 1000
SPOKEN = silence(LEAD_MS) + say(FIRST) + silence(PAUSE_MS) + say(THEN)
TOLERANCE_MS = 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = vosk.write(tmp_path_factory.mktemp("vosk"))
    settings = {
        "ENGINES__LANGUAGES": json.dumps({"en": {"fast": f"vosk:{folder}"}}),
        "GATE__DETECTOR": "energy",
        "AUTOSCALING__MAX_WORKERS": "1",
    }
    with ready(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


async def hear(service: Service, *, pace: float | None = None) -> Transcript:
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start()
    await talk.send(SPOKEN, pace=pace)
    return await talk.stop()


async def test_each_utterance_is_heard_exactly_at_its_time(service: Service) -> None:
    heard = await hear(service)

    assert [final["text"] for final in heard.finals] == [FIRST, THEN]
    starts = [row[1] for final in heard.finals for row in final["words"]]
    second = LEAD_MS + 3 * (WORD_MS + GAP_MS) + PAUSE_MS
    expected = [LEAD_MS + number * (WORD_MS + GAP_MS) for number in range(3)]
    expected += [second + number * (WORD_MS + GAP_MS) for number in range(2)]
    assert starts == pytest.approx(expected, abs=TOLERANCE_MS)


async def test_text_grows_while_it_is_spoken(service: Service) -> None:
    heard = await hear(service, pace=1.0)

    partials = [message["text"] for _, message in heard.partials]
    assert {"alfa", "alfa bravo", FIRST, "delta", THEN} <= set(partials)
    assert all(FIRST.startswith(text) or THEN.startswith(text) for text in partials)


async def test_many_at_once_hear_the_same_to_the_last_figure(service: Service) -> None:
    heard = await asyncio.gather(*(hear(service) for _ in range(4)))

    assert all(each.finals == heard[0].finals for each in heard)
