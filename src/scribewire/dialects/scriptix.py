"""Scriptix: the realtime dialects v2 and v1, JSON messages around binary audio. Their requests are the same."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from scribewire.core import events as ev
from scribewire.core.audio import ms_of_samples
from scribewire.dialects.base import Dialect

_MAX_ID_CHARACTERS: Final = 256
# Enough for the names of a meeting; more would cost every stream and bias it towards none of them.
_MAX_PHRASES: Final = 200
_MAX_PHRASE_CHARACTERS: Final = 64
_UNKNOWN_SPEAKER: Final = "Speaker 1"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def _to_text(message: object) -> str:
    return _encode(message).decode()


def _spell_words(words: tuple[ev.Word, ...]) -> list[tuple[str, int, int, float]]:
    return [
        (word.text, ms_of_samples(word.start_sample), ms_of_samples(word.end_sample), round(word.confidence, 3))
        for word in words
    ]


class Scriptix(Dialect):
    """What v1 and v2 have in common: all but the results."""

    def hear(self, frame: str | bytes) -> Sequence[ev.Event]:
        return (ev.AudioReceived(frame),) if isinstance(frame, bytes) else (self.decode(frame),)

    def say(self, message: ev.Message) -> Sequence[str]:
        return () if isinstance(message, ev.Quiet) else (self.encode(message),)

    def decode(self, text: str) -> ev.Event:
        """Read one text frame. What cannot be understood is `Misspoke`, with a sentence for its author."""
        try:
            message = _decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return ev.Misspoke("The message is not JSON.")
        if not isinstance(message, dict):
            return ev.Misspoke("The message is not a JSON object.")
        match message.get("action"):
            case "start":
                return _read_start(message)
            case "stop":
                return ev.Stopped()
            case "flush":
                return _read_flush(message)
            case None:
                return ev.Misspoke("The message has no action.")
            case _:
                return ev.Misspoke("The action is not known: use start, stop or flush.")

    def encode(self, message: ev.Spoken) -> str:
        """Spell one message as compact JSON."""
        match message:
            case ev.Partial():
                return self._spell_partial(message)
            case ev.Final():
                return self._spell_final(message)
            case ev.Listening():
                return _to_text({"state": "listening", "session_id": self.session_id})
            case ev.StoppedSaid():
                return '{"state":"stopped"}'
            case ev.Flushed():
                return _to_text({"flushed": message.id})
            case ev.ShuttingDown():
                return _to_text({"state": "shutting_down", "at": message.at})
            case ev.Failed():
                return _spell_error(message)

    @abstractmethod
    def _spell_partial(self, partial: ev.Partial) -> str: ...

    @abstractmethod
    def _spell_final(self, final: ev.Final) -> str: ...


class ScriptixV2(Scriptix):
    """The current shape of results."""

    def _spell_partial(self, partial: ev.Partial) -> str:
        return _to_text(
            {
                "text": partial.text,
                "is_final": False,
                "offset_ms": ms_of_samples(partial.sample),
                "stability": round(partial.stability, 2),
            }
        )

    def _spell_final(self, final: ev.Final) -> str:
        spelled: dict[str, object] = {
            "text": final.text,
            "is_final": True,
            "offset_ms": ms_of_samples(final.sample),
            "words": _spell_words(final.words),
        }
        if final.speaker is not None:
            spelled["speaker"] = final.speaker
        return _to_text(spelled)


class ScriptixV1(Scriptix):
    """The legacy shape of results."""

    def _spell_partial(self, partial: ev.Partial) -> str:
        return _to_text({"partial": partial.text})

    def _spell_final(self, final: ev.Final) -> str:
        speaker = final.speaker or _UNKNOWN_SPEAKER
        return _to_text({"result": _spell_words(final.words), "speaker": speaker, "text": final.text})


def _read_start(message: dict[str, Any]) -> ev.Event:
    key = message.get("key")
    partial = message.get("partial")
    actual_numbers = message.get("actual_numbers")
    if not isinstance(key, str | None):
        return ev.Misspoke("The option key is not a string.")
    if not isinstance(partial, bool | None):
        return ev.Misspoke("The option partial is neither true nor false.")
    if not isinstance(actual_numbers, bool | None):
        return ev.Misspoke("The option actual_numbers is neither true nor false.")
    vocabulary = _read_vocabulary(message.get("vocabulary"))
    if isinstance(vocabulary, ev.Misspoke):
        return vocabulary
    return ev.Started(
        ev.StartOptions(
            key=key or None,
            partial=partial is not False,
            actual_numbers=actual_numbers is True,
            vocabulary=vocabulary,
        )
    )


def _read_vocabulary(phrases: object) -> tuple[str, ...] | ev.Misspoke:
    if phrases is None:
        return ()
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) and phrase.strip() for phrase in phrases):
        return ev.Misspoke("The option vocabulary is not a list of words and phrases.")
    if len(phrases) > _MAX_PHRASES or max(map(len, phrases), default=0) > _MAX_PHRASE_CHARACTERS:
        return ev.Misspoke(
            f"The option vocabulary holds more than {_MAX_PHRASES} entries, "
            f"or one of more than {_MAX_PHRASE_CHARACTERS} characters."
        )
    return tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))


def _read_flush(message: dict[str, Any]) -> ev.Event:
    flush_id = message.get("id")
    if isinstance(flush_id, bool) or not isinstance(flush_id, str | int | None):
        return ev.Misspoke("The flush id is neither a string nor an integer.")
    if len(str(flush_id)) > _MAX_ID_CHARACTERS:
        return ev.Misspoke(f"The flush id is longer than {_MAX_ID_CHARACTERS} characters.")
    return ev.FlushAsked(flush_id)


def _spell_error(message: ev.Failed) -> str:
    error = message.error
    spelled: dict[str, object] = {"error": str(error), "code": error.code}
    if error.retry_after_s is not None:
        spelled["retry_after"] = error.retry_after_s
    return _to_text(spelled)
