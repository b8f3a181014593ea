"""The table of dialects: which path speaks which, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scribewire.dialects.base import Dialect
from scribewire.dialects.deepgram import Deepgram
from scribewire.dialects.openai import OpenAI
from scribewire.dialects.scriptix import ScriptixV1, ScriptixV2
from scribewire.dialects.vosk import Vosk


@dataclass(frozen=True, slots=True)
class Row:
    """One WebSocket path and the name of its dialect."""

    path: str
    dialect: str


DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    "v1": ScriptixV1,
    "v2": ScriptixV2,
    "deepgram": Deepgram,
    "openai": OpenAI,
    "vosk": Vosk,
}
# The shapes of results that one request may choose between.
SHAPES: Final = frozenset({"v1", "v2"})
PATHS: Final = (
    Row("/v2/realtime", "v2"),
    Row("/realtime", "v1"),
    Row("/v1/listen", "deepgram"),
    Row("/v1/realtime", "openai"),
    Row("/vosk", "vosk"),
)
# Where the client names a URL, and the service fetches the audio itself.
FETCHING: Final = Row("/v2/client/{token}", "v2")
