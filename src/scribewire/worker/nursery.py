"""The nursery: a single-threaded process that loads engines once and forks a lane, a blocking loop, for each stream.

Run as `python -m scribewire.worker.nursery <control fd> <lifeline fd>`. It imports nothing that starts threads or an
event loop: a fork carries over the memory of such things, but not their threads.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

from scribewire.engines import table
from scribewire.engines.base import Engine, Stream
from scribewire.errors import EngineFailed, ScribewireError
from scribewire.lifeline import Lifeline, follow_parent
from scribewire.logs import configure_logs
from scribewire.worker.pipes import (
    TO_LANE,
    TO_NURSERY,
    Begin,
    Born,
    Loaded,
    LoadEngine,
    OpenStream,
    ToLane,
    receive_body,
    spell,
)
from scribewire.worker.quanta import Decoded, decode_all

_log = logging.getLogger(__name__)

# Socket loops win a contended core over decoders: a late decision costs every stream, a late window one.
NICENESS: Final = 5


class Nursery:
    """Serves one worker until its control socket or its lifeline ends."""

    def __init__(self, control: socket.socket, lifeline_fd: int) -> None:
        self._control = control
        self._lifeline_fd = lifeline_fd
        self._lanes = Lifeline()
        self._engines: dict[str, Engine] = {}

    def serve(self) -> None:
        """Carry out what the worker asks, one thing after the other."""
        while wait_for(self._control, self._lifeline_fd):
            try:
                body, descriptor = receive_body(self._control)
            except (EOFError, ConnectionError):
                return
            asked = TO_NURSERY.decode(body)
            if isinstance(asked, Begin):
                self._begin = asked
                configure_logs(log_format=asked.log_format, log_level=asked.log_level)
            elif isinstance(asked, LoadEngine):
                self._control.sendall(spell(self._load(asked.choice)))
            elif descriptor is not None:
                self._fork(asked.choice, socket.socket(fileno=descriptor))

    def _load(self, choice: str) -> Loaded:
        try:
            self._engines[choice] = _load_engine(choice, self._begin)
        except ScribewireError as error:
            _log.error("An engine did not load", extra={"engine": choice}, exc_info=error.__cause__)
            return Loaded(choice, error.code, str(error))
        # What is loaded now lives as long as this process: a collection must not touch, and so copy, it in every lane.
        gc.collect()
        gc.freeze()
        return Loaded(choice)

    def _fork(self, choice: str, lane: socket.socket) -> None:
        try:
            pid = os.fork()
        except OSError:
            _log.exception("A lane could not be forked")
            pid = -1
        if pid == 0:
            self._become_lane(choice, lane)
        lane.close()

    def _become_lane(self, choice: str, lane: socket.socket) -> NoReturn:
        self._control.close()
        self._lanes.let_go()
        follow_parent(self._lanes.read_fd)
        try:
            run_lane(self._engines[choice], lane, self._lanes.read_fd)
        except EngineFailed as error:
            # The worker sees the socket close and breaks the stream; the next one gets another lane.
            _log.error("A decoder broke", extra={"engine": choice}, exc_info=error.__cause__)
        finally:
            # Never back into the nursery's loop.
            os._exit(0)


def run_lane(engine: Engine, lane: socket.socket, lifeline_fd: int) -> None:
    """Decode what the socket brings until it or the lifeline ends.

    Raises EngineFailed from whatever the engine raised.
    """
    lane.sendall(spell(Born(os.getpid())))
    stream: Stream | None = None
    while wait_for(lane, lifeline_fd):
        try:
            body, _ = receive_body(lane)
        except (EOFError, ConnectionError):
            return
        try:
            stream, answer = _carry_out(TO_LANE.decode(body), engine, stream)
        except Exception as error:
            raise EngineFailed from error
        if answer is not None:
            lane.sendall(spell(answer))


def _carry_out(asked: ToLane, engine: Engine, stream: Stream | None) -> tuple[Stream, Decoded | None]:
    if isinstance(asked, OpenStream):
        if stream is not None:
            stream.close()
        return engine.open(asked.resume, asked.options), None
    assert stream is not None, "work before a stream"
    [decoded] = decode_all(engine, [(stream, asked)], time.process_time)
    return stream, decoded


def _load_engine(choice: str, begin: Begin) -> Engine:
    engine = table.create(choice, models_dir=Path(begin.models_dir), device=begin.device)
    try:
        engine.load()
    except ScribewireError:
        raise
    except Exception as error:
        raise EngineFailed(f"The engine {choice} broke while loading.") from error
    return engine


def wait_for(sock: socket.socket, lifeline_fd: int) -> bool:
    """Wait until there is something to read; give False when the lifeline ended."""
    readable, _, _ = select.select([sock.fileno(), lifeline_fd], [], [])
    return lifeline_fd not in readable


def main(control_fd: int, lifeline_fd: int) -> None:
    """Run a nursery on descriptors that the worker passed."""
    os.nice(NICENESS)
    follow_parent(lifeline_fd)
    # Nobody waits for a lane: the worker learns from its socket that it ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=control_fd) as control:
        Nursery(control, lifeline_fd).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
