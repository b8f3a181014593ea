"""Whatever befalls its sockets, a durable session gives what an undisturbed one gives: no word lost, none doubled."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from scribewire.client.core import Bounds
from scribewire.client.fake_speech import say, silence
from scribewire.client.wire import Partial
from tests.client.world import World

Move = tuple[str, int]
WORDS = st.lists(st.sampled_from(["hi", "how", "are", "you", "ok"]), min_size=1, max_size=4)
SPEECH = st.lists(
    st.one_of(WORDS.map(lambda words: say(" ".join(words))), st.integers(0, 3000).map(silence)), max_size=6
)
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["speak", "speak", "send", "deliver", "1006", "1001", "flush", "echo"]),
        st.integers(1, 20),
    ),
    min_size=10,
    max_size=60,
)


PATIENT = Bounds(patience_s=1e6)
# Longer than what a new socket is sent of what came before.
BEFORE = say("once upon a time") + say("there was a king") + silence(2000)


class Caller:
    """Speaks by and by; keeps where it flushed, so that the same can be said undisturbed."""

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm
        self.at = 0
        self.flushes: list[int] = []

    def speak(self, world: World, amount: int) -> None:
        # Odd counts: a sample may come in two halves.
        piece = self.pcm[self.at : self.at + amount * 1777]
        self.at += len(piece)
        world.course.hear(piece)

    def flush(self, world: World) -> None:
        self.flushes.append(self.at)
        world.course.flush(len(self.flushes))


def undisturbed(caller: Caller) -> World:
    world = World().listen()
    at = 0
    for number, flush_at in zip(count(1), caller.flushes, strict=False):
        world.course.hear(caller.pcm[at:flush_at])
        world.course.flush(number)
        at = flush_at
    world.course.hear(caller.pcm[at:])
    return world.run_out()


def move(world: World, caller: Caller, kind: str, amount: int) -> None:
    match kind:
        case "speak":
            caller.speak(world, amount)
        case "flush":
            caller.flush(world)
        case "send":
            world.send(amount)
        case "deliver":
            world.deliver(amount)
        case "echo":
            for number, service in enumerate(world.services[:-1], start=1):
                for text in service.said:
                    world.tell(text, socket=number)
        case _:
            lose(world, int(kind), amount)


def lose(world: World, code: int, amount: int) -> None:
    world.close(code)
    for _ in range(amount % 3):
        world.fail()
    world.connect()
    if amount % 2:
        world.send().deliver(1)


@settings(max_examples=150)
@given(st.booleans(), SPEECH.map(b"".join), MOVES)
def test_the_finals_are_those_of_the_undisturbed_run(is_late: bool, pcm: bytes, moves: list[Move]) -> None:
    caller, world = Caller(BEFORE + pcm if is_late else pcm), World(bounds=PATIENT).listen()
    if is_late:
        caller.speak(world, len(BEFORE) // 1777)
        world.converse()
    for kind, amount in moves:
        move(world, caller, kind, amount)
        assert not world.course.is_over
    caller.speak(world, len(caller.pcm))
    world.run_out()
    assert world.course.error is None
    assert world.lasting == undisturbed(caller).lasting
    offsets = [event.offset_ms for event in world.events if isinstance(event, Partial)]
    assert offsets == sorted(offsets)
