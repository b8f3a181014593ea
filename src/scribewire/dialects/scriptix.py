"""Scriptix: the realtime dialects v2 and v1, JSON messages around binary audio. Their requests are the same."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from scribewire.core import events as ev
from scribewire.core.audio import ms_of_samples
from scribewire.dialects import scriptix_messages as wire
from scribewire.dialects.base import Dialect
from scribewire.dialects.vocabulary import MAX_PHRASE_CHARACTERS, MAX_PHRASES

_UNKNOWN_SPEAKER: Final = "Speaker 1"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def _spell_words(words: tuple[ev.Word, ...]) -> tuple[wire.Word, ...]:
    return tuple(
        wire.Word(
            word.text, ms_of_samples(word.start_sample), ms_of_samples(word.end_sample), round(word.confidence, 3)
        )
        for word in words
    )


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
        return _encode(self._spell(message)).decode()

    def _spell(self, message: ev.Spoken) -> wire.Said:
        match message:
            case ev.Partial():
                return self._spell_partial(message)
            case ev.Final():
                return self._spell_final(message)
            case ev.Listening():
                return wire.Listening(session_id=self.session_id)
            case ev.StoppedSaid():
                return wire.Stopped()
            case ev.Flushed():
                return wire.Flushed(flushed=message.id)
            case ev.ShuttingDown():
                return wire.ShuttingDown(at=message.at)
            case ev.Failed(error):
                retry_after = msgspec.UNSET if error.retry_after_s is None else error.retry_after_s
                return wire.Error(error=str(error), code=error.code, retry_after=retry_after)

    @abstractmethod
    def _spell_partial(self, partial: ev.Partial) -> wire.Said: ...

    @abstractmethod
    def _spell_final(self, final: ev.Final) -> wire.Said: ...


class ScriptixV2(Scriptix):
    """The current shape of results."""

    def _spell_partial(self, partial: ev.Partial) -> wire.Said:
        offset_ms = ms_of_samples(partial.sample)
        return wire.Partial(text=partial.text, offset_ms=offset_ms, stability=round(partial.stability, 2))

    def _spell_final(self, final: ev.Final) -> wire.Said:
        return wire.Final(
            text=final.text,
            offset_ms=ms_of_samples(final.sample),
            words=_spell_words(final.words),
            speaker=msgspec.UNSET if final.speaker is None else final.speaker,
        )


class ScriptixV1(Scriptix):
    """The legacy shape of results."""

    def _spell_partial(self, partial: ev.Partial) -> wire.Said:
        return wire.PartialV1(partial=partial.text)

    def _spell_final(self, final: ev.Final) -> wire.Said:
        speaker = final.speaker or _UNKNOWN_SPEAKER
        return wire.FinalV1(result=_spell_words(final.words), speaker=speaker, text=final.text)


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
    if len(phrases) > MAX_PHRASES or max(map(len, phrases), default=0) > MAX_PHRASE_CHARACTERS:
        return ev.Misspoke(
            f"The option vocabulary holds more than {MAX_PHRASES} entries, "
            f"or one of more than {MAX_PHRASE_CHARACTERS} characters."
        )
    return tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))


def _read_flush(message: dict[str, Any]) -> ev.Event:
    flush_id = message.get("id")
    if isinstance(flush_id, bool) or not isinstance(flush_id, str | int | None):
        return ev.Misspoke("The flush id is neither a string nor an integer.")
    if len(str(flush_id)) > wire.MAX_ID_CHARACTERS:
        return ev.Misspoke(f"The flush id is longer than {wire.MAX_ID_CHARACTERS} characters.")
    return ev.FlushAsked(flush_id)
