"""Speech for the fake service: audio that carries its words as numbers, and what hears them again. No I/O.

As with a real recogniser, what is heard is a function of the audio alone, however it is cut into frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scribewire.core.audio import SAMPLE_BYTES, ms_of_samples, samples_of_ms

WORD_SAMPLES: Final = samples_of_ms(200)
GAP_SAMPLES: Final = samples_of_ms(100)
# So much silence ends an utterance.
HANGOVER_SAMPLES: Final = samples_of_ms(300)
# Louder than any pause, and found at no odd byte: no byte of it is in the filling, nor twice in itself.
_BEGIN: Final = b"\x34\x52\x56\x72"
_FILLING: Final = b"\x10\x10"
_CONFIDENCE: Final = 0.9

Word = tuple[str, int, int, float]
Message = dict[str, object]


def say(text: str) -> bytes:
    """Make the audio of one utterance, with the silence that ends it: s16le, 16 kHz, mono.

    Raises ValueError for a word of more than a hundred bytes.
    """
    words = [_spell(word) + bytes(GAP_SAMPLES * SAMPLE_BYTES) for word in text.split()]
    return b"".join(words) + silence(400)


def silence(duration_ms: int) -> bytes:
    """Make digital silence: s16le, 16 kHz, mono."""
    return bytes(samples_of_ms(duration_ms) * SAMPLE_BYTES)


def _spell(word: str) -> bytes:
    letters = word.encode()
    if len(letters) > 100:
        raise ValueError(f"{word} is too long a word.")
    # Each byte is the upper half of a sample, so that it is loud; the lower says that it is a letter.
    numbers = bytes(number for letter in letters for number in (_FILLING[0], letter))
    return (_BEGIN + bytes((_FILLING[0], len(letters))) + numbers).ljust(WORD_SAMPLES * SAMPLE_BYTES, _FILLING[:1])


class Hearing:
    """What one session hears. Takes audio in any pieces; gives the messages that are due, as the wire has them."""

    def __init__(self) -> None:
        self._audio = bytearray()  # from `_at` on
        self._at = 0
        self._words: list[Word] = []
        self._quiet_samples = 0

    def hear(self, pcm: bytes) -> Iterable[Message]:
        """Take audio, and give the partials and finals that follow from it."""
        self._audio += pcm
        while len(self._audio) >= SAMPLE_BYTES:
            if self._audio[:2] == b"\0\0":
                yield from self._hear_silence()
            elif self._audio[:4] == _BEGIN[: len(self._audio[:4])]:
                if len(self._audio) < WORD_SAMPLES * SAMPLE_BYTES:
                    return
                yield self._hear_word()
            else:
                self._pass(1)  # the rest of a word whose beginning is missing, or other sound
                self._quiet_samples = 0

    def flush(self) -> Iterable[Message]:
        """Give the final of what was heard so far, if there is any."""
        self._pass(len(self._audio) // SAMPLE_BYTES)
        if self._words:
            yield self._final()

    def _hear_silence(self) -> Iterable[Message]:
        zeros = (len(self._audio) - len(self._audio.lstrip(b"\0"))) // SAMPLE_BYTES
        if self._words and self._quiet_samples + zeros >= HANGOVER_SAMPLES:
            zeros = HANGOVER_SAMPLES - self._quiet_samples
        self._pass(zeros)
        self._quiet_samples += zeros
        if self._words and self._quiet_samples >= HANGOVER_SAMPLES:
            yield self._final()

    def _hear_word(self) -> Message:
        count = self._audio[5]
        text = bytes(self._audio[7 : 7 + 2 * count : 2]).decode()
        start_ms = ms_of_samples(self._at)
        self._pass(WORD_SAMPLES)
        self._quiet_samples = 0
        self._words.append((text, start_ms, ms_of_samples(self._at), _CONFIDENCE))
        return {"text": self._text(), "is_final": False, "offset_ms": ms_of_samples(self._at), "stability": 1.0}

    def _final(self) -> Message:
        words, text = self._words, self._text()
        self._words = []
        return {"text": text, "is_final": True, "offset_ms": ms_of_samples(self._at), "words": words}

    def _text(self) -> str:
        return " ".join(word[0] for word in self._words)

    def _pass(self, samples: int) -> None:
        del self._audio[: samples * SAMPLE_BYTES]
        self._at += samples
