"""Words as they are said, for the tests of captions: at an even pace, with pauses where a test wants them."""

from __future__ import annotations

from scribewire.core.captions import Captioner, Cue
from scribewire.core.phrases import TimedWord


def say(text: str, *, at_ms: int = 0, word_ms: int = 300) -> list[TimedWord]:
    """Give timed words; `(400)` among them is a pause of so many milliseconds, and else there is none."""
    words = []
    for word in text.split():
        if word.startswith("("):
            at_ms += int(word.strip("()"))
        else:
            words.append(TimedWord(word, at_ms, at_ms + word_ms))
            at_ms += word_ms
    return words


def captions(words: list[TimedWord], language: str = "en") -> list[Cue]:
    """Give the cues of all words."""
    captioner = Captioner(language)
    return captioner.add(words) + captioner.end()


def lines(words: list[TimedWord], language: str = "en") -> list[tuple[str, ...]]:
    """Give the lines of each cue."""
    return [cue.texts for cue in captions(words, language)]
