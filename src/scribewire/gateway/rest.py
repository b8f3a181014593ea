"""The REST side: the control plane of the contract, keys, reports, the fleet, probes and metrics."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from fastapi import FastAPI, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from scribewire import __version__
from scribewire.core.audio import ms_of_samples
from scribewire.core.keys import SCOPES, Key, Scope, Secret
from scribewire.errors import (
    BadMessage,
    InitializeFailed,
    NeverReady,
    NotFound,
    ScaledDown,
    ScribewireError,
    ServiceStopping,
    StoreFailed,
)
from scribewire.gateway import asyncapi, rest_pages
from scribewire.gateway.access import KEY_HEADERS
from scribewire.gateway.edge import Edge
from scribewire.gateway.pages import add_pages
from scribewire.gateway.roster import FleetView, Status, WorkerPhase
from scribewire.gateway.routes import ANY_KEY, PUBLIC, Caller, Parts, Routes
from scribewire.gateway.services import Services
from scribewire.gateway.store import SessionReport
from scribewire.metrics import Metrics

route = Routes()

# Ids are ours: letters and digits. What else may stand in a path need not reach the store.
_ID = r"^[0-9A-Za-z_-]{1,64}$"
_READY_TO_CONNECT: Final = "Realtime service is ready for connections"
_MESSAGES: Final = {
    Status.READY: "Realtime service is ready",
    Status.STARTING: "Realtime service is starting up",
    Status.SCALED_DOWN: ScaledDown.sentence,
}


# --- the control plane -----------------------------------------------------------------------------------------------


class Readiness(BaseModel):
    """How the service stands, and where its sessions are opened."""

    status: Status
    message: str
    endpoint: str = Field(description="The full WebSocket URL.", examples=["wss://realtime.example.org/v2/realtime"])
    ready: bool


@route(
    "POST",
    "/api/v4/realtime/initialize",
    "/v4/realtime/initialize",
    needs=Scope.ADMIN,
    tag="realtime",
    errors=(InitializeFailed, NeverReady, ServiceStopping),
)
async def initialize(request: Request, services: Parts) -> Readiness:
    """Start the service if it is scaled down, and answer once it is ready.

    With autoscaling off it answers at once and touches nothing. A body is not read.
    """
    began, outcome = time.monotonic(), "ready"
    try:
        await services.fleet.initialize()
    except ScribewireError as error:
        outcome = error.code
        raise
    finally:
        services.metrics.initialize_s.labels(outcome).observe(time.monotonic() - began)
    return _readiness(request, services, Status.READY, _READY_TO_CONNECT)


@route("GET", "/api/v4/realtime/status", "/v4/realtime/status", needs=ANY_KEY, tag="realtime")
async def status(request: Request, services: Parts) -> Readiness:
    """Say how the service stands. Never starts it."""
    await services.fleet.refresh()
    found = services.fleet.status()
    return _readiness(request, services, found, _MESSAGES[found])


def _readiness(request: Request, services: Services, found: Status, message: str) -> Readiness:
    endpoint = services.proxies.endpoint(request.scope, services.settings.server.public_url)
    return Readiness(status=found, message=message, endpoint=endpoint, ready=found is Status.READY)


# --- keys ------------------------------------------------------------------------------------------------------------


def _check_future(value: datetime) -> datetime:
    """Take a time without a zone for UTC, and none that is past."""
    at = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if at <= datetime.now(UTC):
        raise ValueError("must lie in the future")
    return at


def _check_printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not hold control characters")
    return value


class KeyWish(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")  # a misspelt limit would be none

    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_check_printable)
    ] = Field(description="What the key is for.")
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = Field(
        description=" ".join(f"`{scope}`: {sentence}" for scope, sentence in SCOPES.items())
    )
    expires_at: Annotated[datetime, AfterValidator(_check_future)] | None = Field(
        default=None, description="When it ends; null for never. UTC unless it names a zone."
    )
    max_sessions: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Most live sessions at a time; null for the service's own limit."
    )


class KeyView(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    prefix: str = Field(description="How its secret begins.")
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    max_sessions: int | None

    @classmethod
    def of(cls, key: Key) -> Self:
        """Show a key."""
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            max_sessions=key.max_sessions,
        )


class NewKey(KeyView):
    """A key that was just made, with its secret, which is shown this once."""

    key: str = Field(description="The secret.")

    @classmethod
    def with_secret(cls, key: Key, secret: Secret) -> Self:
        """Show a key and its secret."""
        return cls(key=secret.reveal(), **KeyView.of(key).model_dump())


@route("POST", "/api/v4/keys", needs=Scope.ADMIN, tag="keys", status=201, errors=(BadMessage,))
async def create_key(wish: KeyWish, services: Parts) -> NewKey:
    """Make a key. Its secret is in `key`, and is shown this once."""
    key, secret = await services.store.create_key(
        wish.name, scopes=wish.scopes, expires_at=wish.expires_at, max_sessions=wish.max_sessions
    )
    return NewKey.with_secret(key, secret)


@route("GET", "/api/v4/keys", needs=Scope.ADMIN, tag="keys")
async def list_keys(services: Parts) -> list[KeyView]:
    """List every key, oldest first, revoked and expired ones too."""
    return [KeyView.of(key) for key in await services.store.list_keys()]


@route("DELETE", "/api/v4/keys/{id}", needs=Scope.ADMIN, tag="keys", status=204, errors=(NotFound, BadMessage))
async def revoke_key(key_id: Annotated[str, Path(alias="id", pattern=_ID)], services: Parts) -> None:
    """Revoke a key, at once; its live sessions end within 5 seconds. Twice is once."""
    if not await services.access.revoke(key_id):
        raise NotFound


# --- reports ---------------------------------------------------------------------------------------------------------


class SessionView(BaseModel):
    """What is said of a session once, at its end. Never its text."""

    session_id: str
    key_id: str
    started_at: datetime
    ended_at: datetime
    language: str
    type: Literal["fast", "quality"]
    dialect: str
    audio_ms: int = Field(description="Audio received.")
    finals: int
    words: int
    partials: int
    streams: int = Field(description="Streams that it needed; more than one when workers were lost or drained.")
    streams_lost: int
    finals_dropped: int = Field(description="Finals that another stream had given already.")
    bad_messages: int
    discarded_bytes: int = Field(description="Audio that came before `start` or after `stop`.")
    listening_after_s: float | None = Field(description="From `start` to `listening`.")
    close_code: int
    error_code: str | None

    @classmethod
    def of(cls, filed: SessionReport) -> Self:
        """Show a report."""
        said = filed.report
        return cls(
            session_id=filed.session_id,
            key_id=filed.key_id,
            started_at=filed.started_at,
            ended_at=filed.ended_at,
            language=filed.language,
            type="quality" if filed.type == "quality" else "fast",
            dialect=filed.dialect,
            audio_ms=ms_of_samples(said.received_samples),
            finals=said.finals,
            words=said.words,
            partials=said.partials,
            streams=said.streams,
            streams_lost=said.streams_lost,
            finals_dropped=said.finals_dropped,
            bad_messages=said.bad_messages,
            discarded_bytes=said.discarded_bytes,
            listening_after_s=said.listening_after_s,
            close_code=said.close_code,
            error_code=said.error_code,
        )


@route("GET", "/api/v4/sessions", needs=ANY_KEY, tag="sessions", errors=(BadMessage,))
async def list_sessions(
    caller: Caller,
    services: Parts,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most reports to give.")] = 100,
    before: Annotated[
        str | None, Query(pattern=_ID, description="The last session_id of the page before this one.")
    ] = None,
) -> list[SessionView]:
    """List the reports of sessions, the latest end first: of all keys with the scope `admin`, else of one's own."""
    key_id = None if Scope.ADMIN in caller.scopes else caller.id
    filed = await services.store.list_reports(key_id=key_id, limit=limit, before=before)
    return [SessionView.of(one) for one in filed]


# --- the service itself ----------------------------------------------------------------------------------------------


class Health(BaseModel):
    """That it is well."""

    status: Literal["ok"] = "ok"


@route("GET", "/api/v4/fleet", needs=Scope.ADMIN, tag="service")
async def fleet(services: Parts) -> FleetView:
    """Show the workers."""
    return services.fleet.view()


@route("POST", "/api/v4/fleet/workers/{id}/drain", needs=Scope.ADMIN, tag="service", status=202, errors=(NotFound,))
async def drain_worker(worker: Annotated[str, Path(alias="id")], services: Parts) -> FleetView:
    """Have a worker take no more sessions and end with its last. Those that it has move to others, and lose nothing."""
    services.fleet.drain(worker)
    return services.fleet.view()


@route("GET", "/healthz", needs=PUBLIC, tag="service")
async def healthz() -> Health:
    """Say that this process answers."""
    return Health()


@route("GET", "/readyz", needs=PUBLIC, tag="service", errors=(ServiceStopping, StoreFailed))
async def readyz(services: Parts) -> Health:
    """Say that this gateway takes calls and new sessions, be there workers or not."""
    if services.sessions.stopping:
        raise ServiceStopping
    await services.store.check()
    return Health()


class AsyncApi(JSONResponse):
    """An AsyncAPI document."""

    media_type = "application/json"


@route("GET", "/asyncapi.json", needs=PUBLIC, tag="service")
async def asyncapi_document(request: Request, services: Parts) -> AsyncApi:
    """Describe the data plane: the messages of its sockets, as AsyncAPI 3."""
    return AsyncApi(asyncapi.document(services.proxies.endpoint(request.scope, services.settings.server.public_url)))


class MetricsText(Response):
    """Metrics in the format of Prometheus."""

    media_type = "text/plain"


@route("GET", "/metrics", needs=PUBLIC, tag="service")
async def metrics(request: Request, services: Parts) -> MetricsText:
    """Give the metrics to Prometheus."""
    show_fleet(services.metrics, services.fleet.view())
    text, content_type = services.metrics.write(request.headers.get("accept", ""))
    return MetricsText(text, headers={"content-type": content_type})


def show_fleet(shown: Metrics, view: FleetView) -> None:
    """Set the gauges that follow the fleet."""
    shown.workers_wanted.set(view.target)
    shown.sessions_waiting.set(view.waiting)
    shown.streams_live.set(view.live)
    shown.slots.set(sum(worker.slots for worker in view.workers))
    for phase in WorkerPhase:
        shown.workers.labels(phase.value).set(sum(worker.phase is phase for worker in view.workers))
    for gauge in (shown.worker_lag_s, shown.worker_rtf, shown.worker_cpu_s, shown.worker_memory_bytes):
        gauge.clear()  # of workers that are gone
    for worker in view.workers:
        shown.worker_lag_s.labels(worker.worker).set(worker.lag_s)
        shown.worker_rtf.labels(worker.worker).set(worker.rtf)
        shown.worker_cpu_s.labels(worker.worker).set(worker.cpu_s)
        shown.worker_memory_bytes.labels(worker.worker).set(worker.memory_bytes)


TABLES: Final = (route, rest_pages.route)


# --- the application -------------------------------------------------------------------------------------------------


def create_app(services: Services) -> FastAPI:
    """Give the application of the REST side; sockets are added by the composition root."""
    app = FastAPI(
        title="Scribewire",
        summary="Realtime speech-to-text: the control plane. Sessions are WebSockets at the endpoint that it names.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for table in TABLES:
        table.mount(app)
    add_pages(app)
    origins = services.settings.server.cors_origins
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", *KEY_HEADERS],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Edge, metrics=services.metrics)
    return app
