"""Pages: the web pages and their modules, as they lie in the package, under a strict Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGES: Final = {
    "/": "index.html",
    "/console": "console.html",
    "/watch": "watch.html",
    "/captions": "overlay.html",
}
_KINDS: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Everything from this host and nothing from anywhere else.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' blob:",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": POLICY,
    # Asked each time, and mostly answered with 304: a page and its modules are of one version.
    "cache-control": "no-cache",
    "permissions-policy": "microphone=(self), display-capture=(self)",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def add_pages(app: FastAPI) -> None:
    """Add every page and every file that pages ask for, each as a route of its own: there is no path to escape from."""
    folder = files("scribewire") / "web"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        kind = _KINDS.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None and not file.name.endswith(".html"):
            _add(app, f"/web/{file.name}", file.read_bytes(), kind)
    for path, name in PAGES.items():
        _add(app, path, (folder / name).read_bytes(), _KINDS[".html"])


def _add(app: FastAPI, path: str, body: bytes, kind: str) -> None:
    tag = f'"{sha256(body).hexdigest()[:20]}"'
    headers = {**_HEADERS, "etag": tag}

    async def show(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=kind, headers=headers)

    app.router.routes.append(Route(path, show, methods=["GET"], include_in_schema=False))
