"""Routes: each declared once, with what it needs; how it is guarded, how it refuses, how OpenAPI shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from copy import copy
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from scribewire.core.keys import Key, Scope
from scribewire.errors import (
    BadMessage,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RateLimited,
    ScribewireError,
    StoreFailed,
)
from scribewire.gateway.access import KEY_HEADERS, credential_of
from scribewire.gateway.services import Services

log = logging.getLogger(__name__)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Any]])


class Open(Enum):
    """What a route asks of its caller instead of a scope."""

    PUBLIC = "nothing"
    ANY_KEY = "a valid key"


PUBLIC: Final = Open.PUBLIC
ANY_KEY: Final = Open.ANY_KEY


class Problem(BaseModel):
    """Every answer that is not a success."""

    detail: str = Field(description="What is wrong, in one sentence.", examples=[NotAuthenticated.sentence])


@dataclass(frozen=True, slots=True)
class Row:
    """One route. The first path is documented; the others are aliases of it."""

    method: str
    paths: tuple[str, ...]
    needs: Scope | Open
    endpoint: Callable[..., Coroutine[Any, Any, Any]]
    status: int
    tag: str
    errors: tuple[type[ScribewireError], ...]


class Routes:
    """A table of routes."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def __call__(
        self,
        method: str,
        *paths: str,
        needs: Scope | Open,
        tag: str,
        status: int = 200,
        errors: Iterable[type[ScribewireError]] = (),
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route. There is none without `needs`: it is wanted here, where a module is imported."""
        if not isinstance(needs, Scope | Open):
            raise TypeError(f"the route {paths[0]} does not say what it needs")

        def declare(endpoint: Endpoint) -> Endpoint:
            self.rows.append(Row(method, paths, needs, endpoint, status, tag, tuple(errors)))
            return endpoint

        return declare

    def mount(self, app: FastAPI) -> None:
        """Add every route to the application."""
        app.router.routes.extend(self._made)
        app.add_exception_handler(ScribewireError, _refuse)
        app.add_exception_handler(RequestValidationError, _refuse_invalid)
        app.add_exception_handler(HTTPException, _refuse_unmatched)

    @cached_property
    def _made(self) -> list[BaseRoute]:
        # Once for all applications of a process: to make one takes FastAPI milliseconds. What answers GET answers HEAD.
        router = APIRouter(generate_unique_id_function=lambda made: made.name)
        for row in self.rows:
            for number, path in enumerate(row.paths):
                _add(router, row, path, documented=number == 0)
                if row.method == "GET":
                    _add_head(router)
        return router.routes


# --- guarding --------------------------------------------------------------------------------------------------------


def services_of(request: Request) -> Services:
    """Give the parts of this gateway."""
    services: Services = request.app.state.services
    return services


def key_of(request: Request) -> Key:
    """Give the key that the guard admitted."""
    key: Key = request.state.key
    return key


Parts = Annotated[Services, Depends(services_of)]
Caller = Annotated[Key, Depends(key_of)]

_CREDENTIALS: Final = (
    Security(APIKeyHeader(name=KEY_HEADERS[0], scheme_name="Key", auto_error=False)),
    Security(HTTPBearer(scheme_name="Bearer", auto_error=False)),
)


async def _admit(request: Request, needs: Scope | Open) -> None:
    services = services_of(request)
    services.limits.count_call(services.proxies.address_of(request.scope))
    scope = needs if isinstance(needs, Scope) else None
    key = await services.access.admit(credential_of(request.headers, {}), scope)
    services.limits.count_call_of_key(key.id)
    request.state.key = key


def _guarded(needs: Scope | Open) -> type[APIRoute]:
    """Give the kind of route that admits its caller before it reads, let alone judges, the rest of a request."""

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def admit_and_answer(request: Request) -> Response:
                await _admit(request, needs)
                return await answer(request)

            return answer if needs is PUBLIC else admit_and_answer

    return Guarded


def _add(router: APIRouter, row: Row, path: str, *, documented: bool) -> None:
    router.add_api_route(
        path,
        row.endpoint,
        methods=[row.method],
        status_code=row.status,
        tags=[row.tag],
        dependencies=[] if row.needs is PUBLIC else list(_CREDENTIALS),
        responses=_responses(row) if documented else None,
        include_in_schema=documented,
        route_class_override=_guarded(row.needs),
    )


def _add_head(router: APIRouter) -> None:
    """Answer HEAD as the newest route answers GET: by a copy."""
    head = copy(router.routes[-1])
    assert isinstance(head, APIRoute)
    head.methods, head.include_in_schema = {"HEAD"}, False
    router.routes.append(head)


# --- refusing --------------------------------------------------------------------------------------------------------


def _responses(row: Row) -> dict[int | str, dict[str, Any]]:
    """Give the refusals that a route documents: its own, and those that its guard makes."""
    guard: tuple[type[ScribewireError], ...] = ()
    if row.needs is not PUBLIC:
        guard = (NotAuthenticated, RateLimited, StoreFailed)
    if isinstance(row.needs, Scope):
        guard = (*guard, NotPermitted)
    sentences: dict[int | str, list[str]] = {}
    for error in dict.fromkeys((*guard, *row.errors)):
        sentences.setdefault(error.http_status, []).append(error.sentence)
    return {status: {"model": Problem, "description": " / ".join(said)} for status, said in sentences.items()}


def _problem(error: ScribewireError) -> JSONResponse:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 11.6.1 wants a scheme
    return JSONResponse({"detail": str(error)}, status_code=error.http_status, headers=headers)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScribewireError)
    services_of(request).metrics.refused.labels(error.code).inc()
    if error.http_status >= 500:
        cause = error if error.__cause__ is not None else None
        log.error("a request failed", exc_info=cause, extra={"code": error.code, "reason": str(error)})
    return _problem(error)


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _refuse(request, BadMessage(_sentence(error.errors()[0])))


def _sentence(problem: dict[str, Any]) -> str:
    """Name the field and say what is wrong with it, never what it held."""
    if problem["type"] == "json_invalid":
        return "The body is not valid JSON."
    field = ".".join(str(part) for part in problem["loc"][1:]) or "The body"
    said = {"missing": "is missing", "extra_forbidden": "is not known"}.get(problem["type"])
    if said is None:
        message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        said = f"{message[0].lower()}{message[1:]}"
    return f"{field} {said}."


async def _refuse_unmatched(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == NotFound.http_status:
        return _problem(NotFound())
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_of(request))
    return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Give every method that a path has: each is a route of its own."""
    matching = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in matching for method in getattr(route, "methods", None) or ()})
