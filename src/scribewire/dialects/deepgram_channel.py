"""A Deepgram channel: what is said of the session of one channel, all but the end. Source: as of the dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from scribewire import __version__, errors
from scribewire.core import events as ev
from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.dialects.deepgram_options import Options

_NO_MODEL: Final = "00000000-0000-0000-0000-000000000000"
_encode: Final = msgspec.json.Encoder().encode


class Channel:
    """One channel, at `index` of `count`."""

    def __init__(self, index: int, options: Options, session_id: str) -> None:
        self.count = index + 1
        self._index = index
        self._options = options
        self._session_id = session_id
        self._told_sample = 0  # where the results so far end
        self._speaking = False
        self._partial_sample = 0
        self._utterance_end: int | None = None  # of the last word, until an UtteranceEnd told of it
        self._finalizing = 0
        self._held: ev.Final | None = None  # the last final while a Finalize is unanswered: it may be its answer

    def finalize(self) -> None:
        """Have a result to come say that it is the last of a Finalize."""
        self._finalizing += 1

    def say(self, message: ev.Message) -> Sequence[str]:
        """Spell one message; of the end, only what is still to be said before it."""
        match message:
            case ev.Partial():
                return (*self._release(), *self._start_speech(message.sample), *self._spell_partial(message))
            case ev.Final():
                return self._take_final(message)
            case ev.Quiet():
                if message.sample >= self._partial_sample:
                    self._speaking = False  # a segment that ended, maybe without a word
                return (*self._release(), *self._end_utterance(message.sample))
            case ev.Flushed():
                return self._answer_finalize()
            case ev.StoppedSaid():
                return self._release()
            case ev.Failed():
                return (*self._release(), *self._take_error(message))
            case ev.Listening() | ev.ShuttingDown():
                return ()

    def _spell_partial(self, partial: ev.Partial) -> Sequence[str]:
        self._partial_sample = partial.sample
        if not self._options.interim:
            return ()
        text = " ".join(map(self._spell_word, partial.text.split()))
        # Words have no times before they are final, and what stands for their confidence is the text's stability.
        return (self._spell_results(text, [], partial.stability, partial.sample, final=False),)

    def _take_final(self, final: ev.Final) -> Sequence[str]:
        said = (*self._release(), *self._start_speech(final.words[0].start_sample))
        self._speaking = False
        if self._finalizing:
            self._held = final
            return said
        return (*said, *self._spell_final(final))

    def _answer_finalize(self) -> Sequence[str]:
        """Say which result was the last of a Finalize; an empty one where it caused none."""
        self._finalizing -= 1
        if self._held is None:
            return (self._spell_results("", [], 0.0, self._told_sample, from_finalize=True),)
        return self._release(from_finalize=True)

    def _release(self, *, from_finalize: bool = False) -> Sequence[str]:
        held, self._held = self._held, None
        return self._spell_final(held, from_finalize=from_finalize) if held is not None else ()

    def _spell_final(self, final: ev.Final, *, from_finalize: bool = False) -> Sequence[str]:
        words = [self._describe(word) for word in final.words]
        text = " ".join(self._spell_word(word.text) for word in final.words)
        confidence = sum(word.confidence for word in final.words) / len(final.words)
        results = self._spell_results(text, words, confidence, final.sample, from_finalize=from_finalize)
        self._told_sample = final.sample
        self._utterance_end = final.words[-1].end_sample
        return (results, *self._end_utterance(final.sample))

    def _describe(self, word: ev.Word) -> dict[str, object]:
        described: dict[str, object] = {
            "word": _bare(word.text),
            "start": s_of(word.start_sample),
            "end": s_of(word.end_sample),
            "confidence": round(word.confidence, 4),
        }
        if self._options.written:
            described["punctuated_word"] = word.text
        return described

    def _spell_word(self, text: str) -> str:
        return text if self._options.written else _bare(text)

    def _spell_results(
        self,
        text: str,
        words: Sequence[Mapping[str, object]],
        confidence: float,
        end_sample: int,
        *,
        final: bool = True,
        from_finalize: bool = False,
    ) -> str:
        start = self._told_sample
        return to_text(
            {
                "type": "Results",
                "channel_index": self._place,
                "duration": s_of(max(0, end_sample - start)),
                "start": s_of(start),
                "is_final": final,
                "speech_final": final and self._options.endpoints,
                "channel": {"alternatives": [{"transcript": text, "confidence": round(confidence, 4), "words": words}]},
                "metadata": {
                    "request_id": self._session_id,
                    "model_info": {"name": self._options.type or "fast", "version": __version__, "arch": "scribewire"},
                    "model_uuid": _NO_MODEL,
                },
                "from_finalize": from_finalize,
            }
        )

    def _start_speech(self, sample: int) -> Sequence[str]:
        if self._speaking:
            return ()
        self._speaking = True
        if not self._options.speech_events:
            return ()
        return (to_text({"type": "SpeechStarted", "channel": self._place, "timestamp": s_of(sample)}),)

    def _end_utterance(self, sample: int) -> Sequence[str]:
        """Say that an utterance ended, once no word can begin before its end and the gap asked for."""
        end, gap = self._utterance_end, self._options.utterance_end_samples
        if end is None or gap is None or sample - end < gap:
            return ()
        self._utterance_end = None
        return (to_text({"type": "UtteranceEnd", "channel": self._place, "last_word_end": s_of(end)}),)

    def _take_error(self, message: ev.Failed) -> Sequence[str]:
        error = message.error
        spelled = {"type": "Error", "variant": error.code, "code": error.code, "description": str(error)}
        if isinstance(message.about, str):
            spelled |= {"variant": "SchemaError", "message": message.about}
        elif isinstance(error, errors.BadMessage):
            self._finalizing -= 1  # only a Finalize is refused although it was understood
        return (to_text(spelled),)

    @property
    def _place(self) -> tuple[int, int]:
        return self._index, self.count


def to_text(message: object) -> str:
    """Spell a message."""
    return _encode(message).decode()


def s_of(samples: int) -> float:
    """Give seconds as they are spelled."""
    return round(samples / SAMPLE_RATE_HZ, 3)


def _bare(word: str) -> str:
    """Give a word without what only writing has; one that is nothing else stays."""
    return word.lower().strip('.,;:!?…"“”«»()') or word
