"""The AsyncAPI document of the data plane, made from the types of the messages. https://www.asyncapi.com/docs/reference"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from scribewire import __version__
from scribewire.dialects import scriptix_messages as wire
from scribewire.errors import table as error_rows
from scribewire.gateway.access import KEY_HEADERS

Document = dict[str, Any]
Kinds = Sequence[type[wire.Said]]

_AUDIO: Final = "Audio"
_SPOKEN: Final[Kinds] = (wire.Start, wire.Stop, wire.Flush)
_STATES: Final[Kinds] = (wire.Listening, wire.Stopped, wire.ShuttingDown, wire.Flushed, wire.Error)
_QUERY: Final[Mapping[str, Document]] = {
    "token": {"type": "string", "description": "A key or a ticket, for browsers; a header is believed before it."},
    "language": {"type": "string", "description": "Tag of a configured language; `en-US` finds `en`."},
    "type": {"type": "string", "enum": ["fast", "quality"], "default": "fast"},
    "shape": {"type": "string", "enum": ["v1", "v2"], "description": "Shape of the results; else the path's."},
}
_URL: Final[Mapping[str, Document]] = {"url": {"type": "string", "description": "What the service is to fetch."}}


@dataclass(frozen=True, slots=True)
class Channel:
    """One path, what is said on it in each direction, and what its query may hold."""

    name: str
    path: str
    sentence: str
    hears: Kinds
    says: Kinds
    audio: bool = True
    query: Mapping[str, Document] | None = None


CHANNELS: Final = (
    Channel(
        "realtime",
        "/v2/realtime",
        "A session: audio in, partials and finals out.",
        hears=_SPOKEN,
        says=(*_STATES, wire.Partial, wire.Final),
        query=_QUERY,
    ),
    Channel(
        "legacy",
        "/realtime",
        "A session whose results have the legacy shape.",
        hears=_SPOKEN,
        says=(*_STATES, wire.PartialV1, wire.FinalV1),
        query=_QUERY,
    ),
    Channel(
        "fetching",
        "/v2/client/{token}",
        "A session whose audio the service fetches. It begins by itself; `stop` ends it. Off unless it is set.",
        hears=(wire.Stop,),
        says=(wire.Loading, *_STATES, wire.Partial, wire.Final),
        audio=False,
        query={**_URL, **{name: _QUERY[name] for name in ("language", "type", "shape")}},
    ),
    Channel(
        "watching",
        "/v2/watch",
        "The captions of a share, read only: the finals so far, then what is said.",
        hears=(),
        says=(wire.Watching, wire.Speaking, wire.Paused, wire.Partial, wire.Final, wire.Stopped, wire.Error),
        audio=False,
        query={"token": {"type": "string", "description": "The secret of the share."}},
    ),
)
_ELSEWHERE: Final = {
    "/v1/listen": "Deepgram's protocol, as docs/dialects/deepgram.md says.",
    "/v1/realtime": "OpenAI's realtime transcription, as docs/dialects/openai.md says.",
    "/vosk": "The protocol of the Vosk server, as docs/dialects/vosk.md says.",
}
_FORMAT: Final = (
    "Signed 16-bit little-endian PCM, 16 kHz, mono, or a WAV stream of it; "
    "frames of any size up to 1 MiB, whose boundaries mean nothing."
)


def document(endpoint: str) -> Document:
    """Give the document of the service that is told of as `endpoint`, the URL of `/v2/realtime`."""
    said = sorted(
        {kind for channel in CHANNELS for kind in (*channel.hears, *channel.says)}, key=lambda kind: kind.__name__
    )
    schemas, parts = msgspec.json.schema_components(said, ref_template="#/components/schemas/{name}")
    for kind in {kind for channel in CHANNELS for kind in channel.says}:
        # What the server says it says with all fields, but those that it may leave out.
        always = [field.name for field in msgspec.structs.fields(kind) if field.default is not msgspec.UNSET]
        parts[kind.__name__]["required"] = always
    messages = {kind.__name__: _message(kind, schema) for kind, schema in zip(said, schemas, strict=True)}
    audio = {
        "contentType": "application/octet-stream",
        "summary": _FORMAT,
        "payload": {"type": "string", "format": "binary"},
    }
    url = urlsplit(endpoint)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Scribewire",
            "version": __version__,
            "description": "Realtime speech-to-text: the data plane. The control plane is in /openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": url.netloc,
                "protocol": url.scheme,
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _schemes()],
            }
        },
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": _operations(),
        "components": {"messages": {**messages, _AUDIO: audio}, "schemas": parts, "securitySchemes": _schemes()},
        "x-other-paths": _ELSEWHERE,
        "x-errors": {
            row.code: {"sentence": row.sentence, "close_code": row.close_code, "retryable": row.retryable}
            for row in error_rows()
        },
    }


def _message(kind: type[wire.Said], schema: Document) -> Document:
    summary = " ".join((inspect.getdoc(kind) or "").split())
    return {"name": kind.__name__, "summary": summary, "contentType": "application/json", "payload": schema}


def _channel(channel: Channel) -> Document:
    names = [kind.__name__ for kind in (*channel.hears, *channel.says)] + [_AUDIO] * channel.audio
    spelled: Document = {
        "address": channel.path,
        "description": channel.sentence,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": dict(channel.query or {})}}},
    }
    if "{token}" in channel.path:
        spelled["parameters"] = {"token": {"description": "A key or a ticket."}}
    return spelled


def _operations() -> Document:
    operations: Document = {}
    for channel in CHANNELS:
        heard = [kind.__name__ for kind in channel.hears] + [_AUDIO] * channel.audio
        for action, names in (("receive", heard), ("send", [kind.__name__ for kind in channel.says])):
            if names:
                operations[f"{channel.name}.{action}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel.name}"},
                    "messages": [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in names],
                }
    return operations


def _schemes() -> Document:
    headers = {name: {"type": "httpApiKey", "name": name, "in": "header"} for name in KEY_HEADERS}
    return {
        **headers,
        "bearer": {"type": "http", "scheme": "bearer"},
        "token": {"type": "httpApiKey", "name": "token", "in": "query"},
    }
