"""An audience: late readers get all finals, slow ones delay nobody, and what they read is what was said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scribewire.core import events as ev
from scribewire.gateway.audience import MAX_BEHIND, MAX_FINALS, Audience, Line, Viewer
from scribewire.gateway.shares import Showing


def final(text: str) -> ev.Final:
    return ev.Final((ev.Word(text, 0, 16_000, 0.9),), 16_000)


def partial(text: str) -> ev.Partial:
    return ev.Partial(text, 8_000, 0.5)


def shown(audience: Audience, session: str = "s1") -> Showing:
    return Showing("share", session, audience, None)


async def read(viewer: Viewer) -> list[dict[str, Any]]:
    """Read what waits, as a reader that is quick."""
    said: list[dict[str, Any]] = []

    async def send(text: str) -> None:
        said.append(json.loads(text))

    writing = asyncio.create_task(viewer.write(send))
    for _ in range(5):
        await asyncio.sleep(0)
    writing.cancel()
    return said


def texts(said: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in said if "text" in message]


async def test_who_comes_late_gets_the_finals_so_far_and_then_what_is_said() -> None:
    audience = Audience(now=0.0)
    session = shown(audience)
    for word in ("one", "two"):
        session.tell(partial(word))
        session.tell(final(word))
    late = audience.join()
    session.tell(partial("thr"))
    said = await read(late)
    assert said[0] == {"state": "watching", "live": True}
    assert texts(said) == ["one", "two", "thr"]
    assert [message.get("is_final") for message in said[1:]] == [True, True, False]


async def test_a_speaker_that_leaves_and_comes_back_is_told_of() -> None:
    audience = Audience(now=0.0)
    viewer = audience.join()
    first = shown(audience)
    first.tell(final("one"))
    first.end()
    first.end()
    shown(audience, "s2").tell(final("two"))
    said = await read(viewer)
    assert [message.get("state") or message["text"] for message in said] == [
        "watching", "speaking", "one", "paused", "speaking", "two",
    ]  # fmt: skip


async def test_a_reader_that_does_not_read_keeps_the_newest_partial_alone() -> None:
    audience = Audience(now=0.0)
    session = shown(audience)
    viewer = audience.join()
    for number in range(10_000):
        session.tell(partial(str(number)))
    assert texts(await read(viewer)) == ["9999"]


async def test_a_reader_that_falls_too_far_behind_is_closed_and_holds_nothing() -> None:
    audience = Audience(now=0.0)
    session, viewer = shown(audience), audience.join()
    for number in range(MAX_BEHIND + 1):
        session.tell(final(str(number)))
    assert (viewer.close_code, viewer.closing.is_set()) == (1013, True)
    assert await read(viewer) == []
    assert texts(await read(audience.join())) == [str(n) for n in range(MAX_BEHIND + 1 - MAX_FINALS, MAX_BEHIND + 1)]


async def test_a_final_that_is_told_twice_is_read_once_and_one_that_was_forgotten_stays_so() -> None:
    audience = Audience(now=0.0)
    lines = [Line(float(number), f"s1.{number}", f'{{"text":"{number}"}}') for number in range(MAX_FINALS + 1)]
    for line in (*lines[2:], lines[1], lines[1]):
        audience.add(line)
    viewer = audience.join()
    audience.add(lines[0])
    audience.add(lines[5])
    assert texts(await read(viewer)) == [str(number) for number in range(1, MAX_FINALS + 1)]


async def test_a_slow_reader_delays_no_other() -> None:
    audience = Audience(now=0.0)
    session = shown(audience)
    slow, quick = audience.join(), audience.join()

    async def never(text: str) -> None:
        await asyncio.Event().wait()

    stuck = asyncio.create_task(slow.write(never))
    await asyncio.sleep(0)
    session.tell(final("one"))
    assert texts(await read(quick)) == ["one"]
    stuck.cancel()


async def test_an_audience_is_idle_from_when_the_last_left() -> None:
    audience = Audience(now=0.0)
    viewer = audience.join()
    assert audience.idle_s(100.0) == 0.0
    audience.leave(viewer, 100.0)
    audience.begin("s1")
    assert audience.idle_s(150.0) == 0.0
    audience.end("s1", 200.0)
    assert audience.idle_s(230.0) == 30.0


@given(st.lists(st.tuples(st.booleans(), st.text("ab", min_size=1, max_size=3)), max_size=30), st.integers(0, 30))
def test_every_reader_reads_every_final_once_and_in_order(said: list[tuple[bool, str]], joins_at: int) -> None:
    async def play() -> None:
        audience = Audience(now=0.0)
        session, viewers = shown(audience), []
        for number, (is_final, text) in enumerate(said):
            if number == joins_at:
                viewers.append(audience.join())
            session.tell(final(text) if is_final else partial(text))
        viewers.append(audience.join())
        for viewer in viewers:
            heard = await read(viewer)
            assert [message["text"] for message in heard if message.get("is_final")] == [
                text for is_final, text in said if is_final
            ]

    asyncio.run(play())
