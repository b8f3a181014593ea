"""What pages ask for beside the control plane: tickets, shares, languages, and how the service stands and stood."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from scribewire.core.audio import ms_of_samples
from scribewire.core.keys import Scope
from scribewire.core.languages import TYPES
from scribewire.errors import BadMessage, NotFound
from scribewire.gateway.history import STEP_S, Point
from scribewire.gateway.routes import ANY_KEY, Caller, Parts, Routes
from scribewire.gateway.shares import Share
from scribewire.gateway.tickets import Terms

route = Routes()

_ID: Final = r"^[0-9A-Za-z_-]{1,64}$"
_DAY_S: Final = 86_400.0
# As long as a long meeting; who wants more asks for it.
_USUAL_S: Final = 4 * 3600.0


class TicketWish(BaseModel):
    """A ticket to be made."""

    model_config = ConfigDict(extra="forbid")

    language: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="The only language that its session may ask for; null leaves that open."
    )
    type: Literal["fast", "quality"] | None = Field(default=None, description="The same for the type.")
    max_s: float = Field(default=_USUAL_S, ge=1, le=_DAY_S, description="Longest session in seconds.")
    share: str | None = Field(default=None, pattern=_ID, description="The share on which the session is shown.")
    origin: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None,
        description="Origin of the page that will use it, where a server asks for one; else the request's own.",
    )


class NewTicket(BaseModel):
    """A ticket, for one session that starts within a minute."""

    ticket: str = Field(description="To be given as `token` in the query of the endpoint.")
    expires_at: datetime
    endpoint: str = Field(description="The full WebSocket URL.", examples=["wss://realtime.example.org/v2/realtime"])


@route(
    "POST",
    "/api/v4/realtime/tickets",
    needs=Scope.REALTIME,
    tag="realtime",
    status=201,
    errors=(BadMessage, NotFound),
)
async def create_ticket(
    request: Request, caller: Caller, services: Parts, wish: Annotated[TicketWish | None, Body()] = None
) -> NewTicket:
    """Make a ticket: a credential for one session, that a page may hold where it must not hold a key.

    It is spent when the session starts, ends unspent within a minute, and holds for one origin alone.
    """
    wish = wish or TicketWish()
    if wish.share is not None:
        await services.shares.find(wish.share, caller.id)
    terms = Terms(
        max_s=wish.max_s,
        origin=wish.origin or request.headers.get("origin"),
        language=wish.language,
        type=wish.type,
        share=wish.share,
    )
    ticket, expires_at = await services.tickets.issue(caller.id, terms)
    endpoint = services.proxies.endpoint(request.scope, services.settings.server.public_url)
    return NewTicket(ticket=ticket.reveal(), expires_at=expires_at, endpoint=endpoint)


# --- shares ----------------------------------------------------------------------------------------------------------


class NewShare(BaseModel):
    """A share, with its secret, which is shown this once."""

    id: str
    secret: str = Field(description="Whoever has it may read along, and nothing else.")
    expires_at: datetime


class ShareView(BaseModel):
    """A share as its owner sees it."""

    id: str
    viewers: int = Field(description="How many read along at this gateway.")
    live: bool = Field(description="Whether a session is shown on it at this gateway.")
    expires_at: datetime


ShareId = Annotated[str, Path(alias="id", pattern=_ID)]


@route("POST", "/api/v4/realtime/shares", needs=Scope.REALTIME, tag="realtime", status=201)
async def create_share(caller: Caller, services: Parts) -> NewShare:
    """Make a share: a place where others read the captions of the sessions whose tickets name it."""
    share, secret = await services.shares.create(caller.id)
    return NewShare(id=share.id, secret=secret.reveal(), expires_at=share.expires_at)


@route("GET", "/api/v4/realtime/shares/{id}", needs=Scope.REALTIME, tag="realtime", errors=(BadMessage, NotFound))
async def show_share(share_id: ShareId, caller: Caller, services: Parts) -> ShareView:
    """Show one of one's own shares."""
    share: Share = await services.shares.find(share_id, caller.id)
    audience = services.shares.audience(share.id)
    return ShareView(id=share.id, viewers=audience.viewers, live=audience.live, expires_at=share.expires_at)


@route(
    "DELETE",
    "/api/v4/realtime/shares/{id}",
    needs=Scope.REALTIME,
    tag="realtime",
    status=204,
    errors=(BadMessage, NotFound),
)
async def close_share(share_id: ShareId, caller: Caller, services: Parts) -> None:
    """End one of one's own shares. Whoever reads along is told and sent away."""
    await services.shares.close(share_id, caller.id)


# --- how the service stands ------------------------------------------------------------------------------------------


class LanguageView(BaseModel):
    """A language that is configured, with the types that it has."""

    language: str
    types: list[Literal["fast", "quality"]]


class LanguagesView(BaseModel):
    """What sessions may ask for."""

    default: str = Field(description="The language of a session that names none.")
    languages: list[LanguageView]


@route("GET", "/api/v4/realtime/languages", needs=ANY_KEY, tag="realtime")
async def languages(services: Parts) -> LanguagesView:
    """Say which languages there are."""
    rows = [
        LanguageView(language=tag, types=[kind for kind in TYPES if chosen.get(kind)])
        for tag, chosen in sorted(services.languages.items())
    ]
    return LanguagesView(default=services.settings.engines.default_language, languages=rows)


class LiveSessionView(BaseModel):
    """A live session. Never its text."""

    session_id: str
    key_id: str
    key_name: str
    started_at: datetime
    language: str
    type: Literal["fast", "quality"]
    dialect: str
    worker: str = Field(description="Empty while it waits for one.")
    audio_ms: int = Field(description="Audio received so far.")
    lag_s: float | None = Field(description="Age of the newest audio that its last partial spoke of.")


@route("GET", "/api/v4/sessions/live", needs=ANY_KEY, tag="sessions")
async def list_live_sessions(caller: Caller, services: Parts) -> list[LiveSessionView]:
    """List the live sessions of this gateway, the oldest first: of all keys with the scope `admin`, else one's own."""
    found = services.sessions.of_key(None if Scope.ADMIN in caller.scopes else caller.id)
    return [
        LiveSessionView(
            session_id=one.session_id,
            key_id=one.key_id or "",
            key_name=one.key_name,
            started_at=one.started_at,
            language=one.profile.language,
            type="quality" if one.profile.type == "quality" else "fast",
            dialect=one.dialect,
            worker=one.worker,
            audio_ms=ms_of_samples(one.received_samples),
            lag_s=None if one.lag_s is None else round(one.lag_s, 3),
        )
        for one in found
        if one.profile is not None
    ]


class HistoryView(BaseModel):
    """How the service stood over the last hour, as this gateway saw it."""

    step_s: float
    points: tuple[Point, ...]


@route("GET", "/api/v4/fleet/history", needs=Scope.ADMIN, tag="service")
async def history(services: Parts) -> HistoryView:
    """Show the last hour."""
    return HistoryView(step_s=STEP_S, points=services.history.points)
