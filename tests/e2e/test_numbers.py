"""Digits and stable partials on the real service, with real speech."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service import Service
from tests.e2e.conftest import Clip, ready
from wire import Talk, Transcript

pytestmark = pytest.mark.e2e

DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]


async def hear(service: Service, clip: Clip, *, pace: float | None = None, **options: object) -> Transcript:
    talk = await Talk.open(service.socket_url + "/v2/realtime", service.key)
    await talk.start(**options)
    await talk.send(clip.pcm, pace=pace)
    return await talk.stop()


async def test_numbers_are_words_unless_digits_are_asked_for(service: Service, clips: dict[str, Clip]) -> None:
    heard = await hear(service, clips["awb-digits"])
    assert "three four five" in heard.text
    assert not any(letter.isdigit() for letter in heard.text)


async def test_numbers_are_digits_in_finals_where_asked(service: Service, clips: dict[str, Clip]) -> None:
    spoken, written = [await hear(service, clips["awb-price"], actual_numbers=on) for on in (False, True)]
    assert "three hundred to four hundred and fifty dollars" in spoken.text
    assert "300 to 450 dollars" in written.text
    assert [final["offset_ms"] for final in written.finals] == [final["offset_ms"] for final in spoken.finals]
    [three, hundred] = [row for final in spoken.finals for row in final["words"] if row[0] in ("three", "hundred")][:2]
    [number] = [row for final in written.finals for row in final["words"] if row[0] == "300"]
    assert number == ["300", three[1], hundred[2], min(three[3], hundred[3])]
    for final in written.finals:
        assert final["text"] == " ".join(row[0] for row in final["words"])
        times = [time for row in final["words"] for time in row[1:3]]
        assert times == sorted(times)


async def test_numbers_are_digits_in_partials_where_asked(service: Service, clips: dict[str, Clip]) -> None:
    heard = await hear(service, clips["awb-digits"], pace=1.0, actual_numbers=True)
    assert heard.text.split()[-5:] == DIGITS[-5:]
    partials = [message["text"].split() for _, message in heard.partials]
    assert len([text for text in partials if text == DIGITS[: len(text)]]) >= 5


# --- stable partials --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that shows only what is stable."""
    with ready(tmp_path_factory.mktemp("steady"), {"SESSION__PARTIALS": "stable"}) as service:
        yield service


async def test_stable_partials_grow_and_are_sure(steady: Service, clips: dict[str, Clip]) -> None:
    heard = await hear(steady, clips["awb-price"], pace=1.0)
    partials = [message for _, message in heard.partials]
    assert len(partials) >= 3
    assert {partial["stability"] for partial in partials} == {1.0}
    texts = [partial["text"] for partial in partials]
    assert len(set(texts)) == len(texts)
    assert all(texts)
