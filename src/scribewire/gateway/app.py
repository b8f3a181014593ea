"""The composition root: builds the parts of a gateway, serves them on one port, drains them in order."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from scribewire import frames
from scribewire.core.audio import samples_of_s
from scribewire.core.keys import Scope
from scribewire.core.limits import Limits
from scribewire.dialects.table import FETCHING
from scribewire.errors import BadSettings
from scribewire.gateway.access import Access
from scribewire.gateway.fleet import Fleet
from scribewire.gateway.history import History
from scribewire.gateway.limits import RateLimits
from scribewire.gateway.peers import Peers
from scribewire.gateway.proxies import Proxies
from scribewire.gateway.relay import Relay
from scribewire.gateway.rest import create_app
from scribewire.gateway.services import Services
from scribewire.gateway.sessions import Sessions
from scribewire.gateway.shares import Shares
from scribewire.gateway.store import Store
from scribewire.gateway.tickets import Tickets
from scribewire.gateway.upgrade import PATHS, Unavailable, Upgrade
from scribewire.gateway.watching import PATH as WATCHING_PATH
from scribewire.gateway.watching import Watching
from scribewire.logs import configure_logs
from scribewire.metrics import Metrics
from scribewire.places import ADMIN_KEY_FILE, SERVE_FILE
from scribewire.scalers.table import create_scaler
from scribewire.settings import Settings

log = logging.getLogger(__name__)

# TCP alone would buffer some 90 s of audio before a client blocks; this bounds it near 2 s.
RECEIVE_BUFFER_BYTES: Final = 64 * 1024
MAX_MESSAGE_BYTES: Final = 1024 * 1024  # the contract
PING_INTERVAL_S: Final = 20.0  # the contract; and no deadline for the pong, which may sit behind unread audio
_EMBEDDED: Final = "pocketsphinx:"
# Beyond the waits that the fleet itself bounds: the machine's own deadline is the last resort.
_MARGIN_S: Final = 5.0


def serve(settings: Settings) -> int:
    """Run the service until it is told to stop; give the exit code.

    Raises a ScribewireError with one sentence when it cannot start.
    """
    configure_logs(log_format=settings.server.log_format, log_level=settings.server.log_level)
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    listener = _listen(settings)
    async with open_services(settings) as services:
        await _make_first_key(services)
        server = Server(_configure(services), services)
        url = _url_of(listener)
        serve_file = settings.data_dir / SERVE_FILE
        server.on_started = lambda: _announce(serve_file, url, settings)
        try:
            await server.serve(sockets=[listener])
        finally:
            serve_file.unlink(missing_ok=True)
    log.info("stopped")
    return 0


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Build the parts, start those that run, and end them in reverse."""
    store = await Store.open(settings.store.url or f"sqlite+aiosqlite:///{settings.data_dir / 'scribewire.db'}")
    metrics = Metrics()
    name = f"{platform.node()}-{os.getpid()}"
    peers = Peers(store, name) if store.shared else None
    if peers is not None:
        await peers.check_out()  # what an earlier life of the same name left behind
    fleet = Fleet(settings, create_scaler(settings), store, name=name, peers=peers)
    sessions = Sessions(settings, store, metrics, peers=peers)
    history = History(fleet, metrics)
    relay = Relay(store, name) if store.shared else None
    tasks: list[asyncio.Task[None]] = []
    try:
        await fleet.start()
        await sessions.start()
        tasks = [asyncio.create_task(one.run()) for one in (history, relay) if one is not None]
        yield Services(
            settings=settings,
            store=store,
            access=Access(store),
            limits=RateLimits(settings.limits),
            proxies=Proxies(settings.server.trusted_proxies),
            fleet=fleet,
            metrics=metrics,
            sessions=sessions,
            tickets=Tickets(store),
            shares=Shares(store, metrics, max_viewers=settings.limits.viewers, relay=relay),
            history=history,
            session_limits=_session_limits(settings),
            languages={tag: choice.model_dump() for tag, choice in settings.engines.languages.items()},
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sessions.stop()
        await fleet.stop()
        await store.close()


def build_app(services: Services) -> FastAPI:
    """Give the ASGI application: the REST side and the sockets."""
    app = create_app(services)
    for row in PATHS:
        app.router.routes.append(WebSocketRoute(row.path, Upgrade(services, row)))
    app.router.routes.append(WebSocketRoute(FETCHING.path, _fetching(services)))
    app.router.routes.append(WebSocketRoute(WATCHING_PATH, Watching(services)))
    return app


def _fetching(services: Services) -> Upgrade | Unavailable:
    if not services.settings.fetch.enabled:
        return Unavailable()
    from scribewire.gateway.fetching.endpoint import Fetching  # with a library of its own, for those who ask for it

    return Fetching(services)


class Server(uvicorn.Server):
    """uvicorn, draining before it stops: it would close every socket with 1012 the moment SIGTERM arrives."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        self._drain: asyncio.Task[None] | None = None
        self.on_started: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self.on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, end at once on the second."""
        if self._drain is not None:
            log.warning("ended by a second signal")
            # The children die with this process: their lifelines break.
            os._exit(128 + sig)
        loop = asyncio.get_running_loop()
        self._drain = loop.create_task(self._drain_and_exit())

    async def _drain_and_exit(self) -> None:
        log.info("draining", extra={"sessions": self._services.sessions.live})
        await self._services.sessions.announce_stop(self._services.settings.server.stop_notice_s)
        await self._services.sessions.finish_all(self._services.settings.server.grace_s)
        self._services.shares.stop()
        self.should_exit = True


def _configure(services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        build_app(services),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind(address)
    except OSError as error:
        raise BadSettings(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - told to clients of this machine
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(serve_file: Path, url: str, settings: Settings) -> None:
    _write_private(serve_file, json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    log.info("listening", extra={"url": url})
    choices = [choice for language in settings.engines.languages.values() for choice in language.model_dump().values()]
    if any(choice.startswith(_EMBEDDED) for choice in choices):
        log.info(
            "the embedded recogniser serves a first run; a deployment configures a better one in engines.languages"
        )


async def _make_first_key(services: Services) -> None:
    """Make a key with every scope when there is none at all, and leave its secret in the data folder."""
    path = services.settings.data_dir / ADMIN_KEY_FILE
    if await services.store.list_keys():
        return
    _, secret = await services.store.create_key("first key", scopes=frozenset(Scope))
    _write_private(path, secret.reveal() + "\n")
    log.info("made the first key", extra={"path": str(path)})


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step: whoever reads it finds all of it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _session_limits(settings: Settings) -> Limits:
    session = settings.session
    return Limits(
        start_wait_s=session.start_wait_s,
        open_wait_s=settings.autoscaling.start_wait_s + session.slot_wait_s + _MARGIN_S,
        replace_wait_s=session.replace_wait_s + _MARGIN_S,
        idle_s=session.idle_s,
        grace_s=max(0.5, settings.server.grace_s - 1.0),
        kept_samples=samples_of_s(session.kept_s),
        backlog_samples=samples_of_s(session.backlog_s),
        window_samples=samples_of_s(frames.WINDOW_S),
    )
