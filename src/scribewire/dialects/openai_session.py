"""OpenAI sessions: what a client configures of one, read from both shapes of the protocol and spelled in both.

The present shape nests under `audio.input`; the earlier one, which is still spoken, is flat. A field that an update
leaves out keeps its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from scribewire.core.audio import MAX_RATE_HZ, MIN_RATE_HZ, AudioFormat, Encoding
from scribewire.dialects.vocabulary import fit_vocabulary

PCM_RATE_HZ: Final = 24_000
G711_RATE_HZ: Final = 8_000
_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "audio/pcm": "linear16",
    "audio/pcmu": "mulaw",
    "audio/pcma": "alaw",
    "pcm16": "linear16",
    "g711_ulaw": "mulaw",
    "g711_alaw": "alaw",
}
_FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "linear16": ("audio/pcm", "pcm16"),
    "mulaw": ("audio/pcmu", "g711_ulaw"),
    "alaw": ("audio/pcma", "g711_alaw"),
}


class Format(Struct):
    """`audio.input.format`. The protocol knows 24 kHz alone; other rates are taken too."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Annotated[int, Meta(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)] | None = None


class Transcription(Struct):
    """`audio.input.transcription`, or `input_audio_transcription`."""

    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    languages: list[str] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    keywords: list[str] | UnsetType | None = UNSET


class TurnDetection(Struct):
    """`turn_detection`. Its figures are the deployment's, not the client's, to choose."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"


class AudioInput(Struct):
    """`audio.input`."""

    format: Format | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class Audio(Struct):
    """`audio`."""

    input: AudioInput | None = None


class SessionUpdate(Struct):
    """`session`, in either shape."""

    type: Literal["transcription"] = "transcription"
    audio: Audio | None = None
    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | UnsetType | None = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class Options:
    """What is configured."""

    audio: AudioFormat = AudioFormat(sample_rate_hz=PCM_RATE_HZ)  # noqa: RUF009 - frozen
    model: str | None = None
    language: str | None = None
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    detects_turns: bool = True

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Give the keywords, and those of a prompt that is a list of them; one that is a sentence biases nothing."""
        listed = re.split(r"[,;\n]", self.prompt)
        return fit_vocabulary([*self.keywords, *(listed if len(listed) > 1 else ())])

    def update(self, session: SessionUpdate, *, begun: bool) -> Options:
        """Give the options after an update. What the stream was opened with stays, once it is."""
        given = (session.audio and session.audio.input) or AudioInput()
        transcription = given.transcription or session.input_audio_transcription
        detection = session.turn_detection if given.turn_detection is UNSET else given.turn_detection
        options = replace(
            self,
            audio=_audio_of(given.format or session.input_audio_format) or self.audio,
            detects_turns=self.detects_turns if detection is UNSET else detection is not None,
        )
        return options if begun or not transcription else options.transcribe(transcription)

    def transcribe(self, given: Transcription) -> Options:
        """Give the options after what an update says of the transcription."""
        language = given.language
        if language is UNSET and given.languages:
            language = given.languages[0]
        return replace(
            self,
            model=self.model if given.model is UNSET else given.model,
            language=self.language if language is UNSET else language or None,
            prompt=self.prompt if given.prompt is UNSET else given.prompt or "",
            keywords=self.keywords if given.keywords is UNSET else tuple(given.keywords or ()),
        )

    def spell(self, session_id: str, *, flat: bool) -> dict[str, object]:
        """Give the effective configuration: what is not there has no effect."""
        nested_name, flat_name = _FORMATS[self.audio.encoding]
        transcription: dict[str, object] = {"model": self.model, "language": self.language, "prompt": self.prompt}
        detection = {"type": "server_vad"} if self.detects_turns else None
        head: dict[str, object] = {"id": f"sess_{session_id}", "object": "realtime.transcription_session"}
        if flat:
            return head | {
                "input_audio_format": flat_name,
                "input_audio_transcription": transcription,
                "turn_detection": detection,
            }
        audio_format: dict[str, object] = {"type": nested_name}
        if self.audio.encoding == "linear16":
            audio_format["rate"] = self.audio.sample_rate_hz
        audio = {
            "format": audio_format,
            "noise_reduction": None,
            "transcription": transcription | {"keywords": self.keywords},
            "turn_detection": detection,
        }
        return head | {"type": "transcription", "audio": {"input": audio}, "include": []}


def _audio_of(given: Format | str | UnsetType | None) -> AudioFormat | None:
    match given:
        case Format(type="audio/pcm", rate=rate):
            return AudioFormat(sample_rate_hz=rate or PCM_RATE_HZ)
        case "pcm16":
            return AudioFormat(sample_rate_hz=PCM_RATE_HZ)
        case Format(type=name) | str(name):
            return AudioFormat(_ENCODINGS[name], G711_RATE_HZ)
        case _:
            return None
