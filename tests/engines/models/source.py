"""A real HTTP server of files, with every vice that a test asks for; and small models to serve."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scribewire.engines.models.model import File, Model

SHERPA = {"tokens.txt": b"<blk> 0\n", "model.onnx": b"onnx" * 5_000, "test_wavs/0.wav": b"RIFF"}
VOSK = {"am/final.mdl": b"mdl", "conf/model.conf": b"--x=1\n", "graph/HCLG.fst": b"fst" * 100}
WHISPER = {"config.json": b"{}", "model.bin": bytes(range(256)) * 1_000, "tokenizer.json": b"{}"}


@dataclass
class Served:
    """One path: what is there, and how the server misbehaves. `breaks_after` is a number of bytes for each answer."""

    content: bytes = b""
    etag: str = '"v1"'
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirect: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None


@dataclass
class Source:
    """The server: its address, what it has, and the requests that came."""

    url: str
    paths: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def ranges_asked(self) -> list[str]:
        """Give the Range header of every request, empty where there was none."""
        return [headers.get("Range", "") for _, headers in self.asked]


@contextmanager
def serving() -> Iterator[Source]:
    """Run a server on a free port."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.asked.append((self.path, dict(self.headers)))
            _answer(self, source.paths.get(self.path))

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that left before their answer."""

    with Server(("127.0.0.1", 0), Answers) as server:
        source = Source(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield source
        finally:
            server.shutdown()
            thread.join()


def _answer(request: BaseHTTPRequestHandler, served: Served | None) -> None:
    status = 404 if served is None else served.statuses.pop(0) if served.statuses else 0
    if served is None or status or served.redirect:
        request.send_response(status or 302)
        request.send_header("Content-Length", "0")
        if served and not status:
            request.send_header("Location", served.redirect)
        request.end_headers()
        return
    served.before()
    first = _first_byte(request, served)
    body = served.content[first:]
    request.send_response(206 if first else 200)
    if first:
        request.send_header("Content-Range", f"bytes {first}-{len(served.content) - 1}/{len(served.content)}")
    headers = {"Content-Length": str(len(body)), "ETag": served.etag, **served.headers}
    for name, value in headers.items():
        if value:
            request.send_header(name, value)
    request.end_headers()
    if served.breaks_after:
        body = body[: served.breaks_after.pop(0)]
    request.wfile.write(body)
    request.close_connection = True


def _first_byte(request: BaseHTTPRequestHandler, served: Served) -> int:
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    fresh = request.headers.get("If-Range", served.etag) == served.etag
    return int(asked[1]) if asked and served.ranges and fresh else 0


def sha256(content: bytes) -> str:
    """Give a content's checksum."""
    return hashlib.sha256(content).hexdigest()


def tar_of(files: Mapping[str, bytes], *, top: str = "some-model/", kind: str = "bz2") -> bytes:
    """Give an archive of files under one folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: Mapping[str, bytes], *, top: str = "some-model/") -> bytes:
    """Give a zip archive of files under one folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return buffer.getvalue()


def archived(source: Source, content: bytes, *, published: bool = True, name: str = "tiny") -> Model:
    """Serve an archive of a sherpa model and give its row."""
    source.paths["/a/tiny.tar.bz2"] = Served(content)
    file = File(f"{source.url}/a/tiny.tar.bz2", len(content), sha256(content) if published else None)
    return Model(name, "sherpa", ("en",), "Apache-2.0", "https://example.org", (file,))


def loose(source: Source, files: Mapping[str, bytes] = WHISPER) -> Model:
    """Serve a whisper model's files and give its row."""
    for name, content in files.items():
        source.paths[f"/w/{name}"] = Served(content)
    rows = tuple(File(f"{source.url}/w/{name}", len(content), sha256(content)) for name, content in files.items())
    return Model("wee", "whisper", (), "MIT", "https://example.org", rows)
