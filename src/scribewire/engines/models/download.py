"""Fetches one file over HTTP: resumed after a break, hashed as it comes, never more than was announced."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import msgspec

from scribewire import __version__
from scribewire.engines.models.manifest import Entry, Told, hash_file, hash_open, tell_nobody
from scribewire.engines.models.model import File
from scribewire.errors import ModelBroken

_MOST_REDIRECTS: Final = 10
_BUSY: Final = frozenset({408, 416, 425, 429})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, and how often it is asked; `backoff_s` doubles with every further try."""

    connect_s: float = 10.0
    read_s: float = 30.0
    tries: int = 6
    backoff_s: float = 1.0

    def client(self) -> httpx.Client:
        """Give a client that waits as long; it follows no redirect by itself."""
        timeout = httpx.Timeout(self.read_s, connect=self.connect_s)
        return httpx.Client(timeout=timeout, headers={"User-Agent": f"scribewire/{__version__}"})


PATIENT: Final = Patience()


class _Origin(msgspec.Struct, frozen=True):
    """Beside a part: which version of the file it is of (an ETag or a date; empty is unknown), and how long that is."""

    version: str
    total_bytes: int


class _Again(Exception):
    """Why another try may do better."""


class Download:
    """One file on its way into `part`, which the next run goes on with."""

    def __init__(self, client: httpx.Client, file: File, url: str, part: Path, *, tell: Told = tell_nobody) -> None:
        self._client = client
        self._file = file
        self._url = url
        self._part = part
        self._note = part.with_name(part.name + ".origin")
        self._tell = tell

    def fetch(self, patience: Patience) -> Entry:
        """Fetch what is missing, and give the whole file's size and checksum.

        Raises ModelBroken when the server refuses, its file is not the one of the catalogue, or all tries broke.
        """
        if self._is_whole():
            return self._entry(self._file.sha256 or "")
        reason: Exception = _Again("it was not asked")
        for attempt in range(patience.tries):
            if attempt:
                time.sleep(patience.backoff_s * 2 ** (attempt - 1))
            try:
                return self._try_once()
            except (httpx.TransportError, _Again) as error:
                reason = error
            except httpx.InvalidURL as error:
                raise ModelBroken(f"The address of {self._file.name} cannot be understood: {error}.") from error
        raise ModelBroken(
            f"{self._file.name} could not be fetched from {httpx.URL(self._url).host}: "
            f"{str(reason) or type(reason).__name__}. Pull again later to go on; without a network, "
            "scribewire models import takes a model from a file."
        ) from reason

    def _is_whole(self) -> bool:
        """Say whether a run before had all of it, which only a public checksum can tell."""
        file = self._file
        return (
            file.sha256 is not None
            and self._part.exists()
            and self._part.stat().st_size == file.size_bytes
            and hash_file(self._part, self._tell) == file.sha256
        )

    def _try_once(self) -> Entry:
        headers = {"Accept-Encoding": "identity"}
        origin = self._resumable()
        have_bytes = self._part.stat().st_size if origin else 0
        if origin and have_bytes:
            headers["Range"] = f"bytes={have_bytes}-"
            if origin.version:
                headers["If-Range"] = origin.version
        # Before asking: hashing gigabytes would keep the server waiting.
        digest = hash_open(self._part, self._tell) if have_bytes else hashlib.sha256()
        with self._answer(headers) as answer:
            resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
            total_bytes = self._total_of(answer, have_bytes if resumed else 0, origin)
            if not resumed:
                # In this order: a part must never lie beside the note of another version.
                self._forget()
                self._note.write_bytes(msgspec.json.encode(_Origin(_version_of(answer), total_bytes)))
                digest, have_bytes = hashlib.sha256(), 0
            self._write(answer, digest, have_bytes, total_bytes)
        entry = self._entry(digest.hexdigest())
        if self._file.sha256 not in (None, entry.sha256):
            self._forget()
            if resumed:  # the part may have been of another file
                raise _Again("what was resumed did not fit together")
            raise ModelBroken(f"{self._file.name} does not have its published checksum; it was thrown away.")
        return entry

    def _write(self, answer: httpx.Response, digest: hashlib._Hash, have_bytes: int, total_bytes: int) -> None:
        with self._part.open("ab" if have_bytes else "wb") as part:
            for block in answer.iter_raw():
                have_bytes += len(block)
                if have_bytes > total_bytes:
                    self._forget()
                    raise ModelBroken(f"{self._file.name} is longer than its server announced; it was thrown away.")
                part.write(block)
                digest.update(block)
                self._tell(self._file.name, have_bytes, total_bytes)
        if have_bytes < total_bytes:
            raise _Again(f"the answer ended after {have_bytes:,} of {total_bytes:,} bytes")

    def _resumable(self) -> _Origin | None:
        """Give where the part is from, if the rest of it may be asked for."""
        try:
            origin = msgspec.json.decode(self._note.read_bytes(), type=_Origin)
            have_bytes = self._part.stat().st_size
        except (OSError, msgspec.DecodeError):
            return None
        # With neither a version nor a checksum nothing would show that two halves are of two files.
        safe = bool(origin.version or self._file.sha256)
        return origin if safe and have_bytes < origin.total_bytes else None

    def _total_of(self, answer: httpx.Response, have_bytes: int, origin: _Origin | None) -> int:
        """Give how long the whole file is, and raise when this answer is not the one that was asked for."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ModelBroken(f"{answer.url.host} sends {self._file.name} compressed, which was not asked for.")
        if have_bytes:
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            total_bytes = int(found[2]) if found else 0
            fits = found and int(found[1]) == have_bytes and origin and total_bytes == origin.total_bytes
            if not fits or (origin and origin.version and _version_of(answer) not in ("", origin.version)):
                self._forget()
                raise _Again("the file there has changed")
        else:
            total_bytes = int(answer.headers.get("Content-Length", -1))
        exact_bytes = self._file.size_bytes if self._file.sha256 else None
        if total_bytes < 0:
            raise ModelBroken(f"{answer.url.host} does not say how long {self._file.name} is.")
        if exact_bytes not in (None, total_bytes):
            raise ModelBroken(f"{self._file.name} has {total_bytes:,} bytes there, and {exact_bytes:,} were published.")
        return total_bytes

    @contextmanager
    def _answer(self, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """Ask for the file, through redirects, and give the answer that has it."""
        request = self._client.build_request("GET", self._url, headers=headers)
        for _ in range(_MOST_REDIRECTS):
            answer = self._client.send(request, stream=True)
            try:
                if answer.next_request is None:
                    self._check_status(answer)
                    yield answer
                    return
            finally:
                answer.close()
            # httpx has taken away what is for the first host's eyes only.
            if request.url.scheme == "https" and answer.next_request.url.scheme != "https":
                raise ModelBroken(f"{request.url.host} redirects to an address without encryption: refused.")
            request = answer.next_request
        raise ModelBroken(f"{self._file.name} is redirected more than {_MOST_REDIRECTS} times.")

    def _check_status(self, answer: httpx.Response) -> None:
        code = answer.status_code
        if code in _BUSY or answer.is_server_error:
            if code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._forget()
            raise _Again(f"HTTP {code}")
        asked = "Range" in answer.request.headers
        if code != httpx.codes.OK and not (asked and code == httpx.codes.PARTIAL_CONTENT):
            raise ModelBroken(f"{answer.url.host} does not give {self._file.name}: HTTP {code}.")

    def _entry(self, sha256: str) -> Entry:
        return Entry(self._file.name, self._part.stat().st_size, sha256)

    def _forget(self) -> None:
        for path in (self._part, self._note):
            with suppress(FileNotFoundError):
                path.unlink()


def _version_of(answer: httpx.Response) -> str:
    """Give what If-Range may hold: a strong ETag, else a date (RFC 9110 section 13.1.5)."""
    etag = str(answer.headers.get("ETag", ""))
    return etag if etag and not etag.startswith("W/") else str(answer.headers.get("Last-Modified", ""))
