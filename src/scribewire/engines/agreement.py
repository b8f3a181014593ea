"""Local agreement: of a text that is decoded over and over as it grows, what has been heard alike twice is kept.

LocalAgreement-2 of Liu, Spanakis and Niehues, «Low-latency sequence-to-sequence speech recognition and translation by
partial hypothesis selection» (Interspeech 2020), as whisper-streaming uses it (Macháček, Dabre and Bojar, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence


class Agreement:
    """What was agreed on, and behind it what only the newest hypothesis says. Case and punctuation do not count.

    Agreed is what two hypotheses in a row have in common from the first word on, as the later one spells it; it never
    changes.
    """

    def __init__(self) -> None:
        self._agreed: tuple[str, ...] = ()
        self._newest: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Give the agreed words and then the rest of the newest hypothesis."""
        return self._agreed + self._newest[len(self._agreed) :]

    def offer(self, hypothesis: Sequence[str]) -> None:
        """Take the newest hypothesis of the whole text. What contradicts the agreed words is passed over."""
        before, self._newest = self._newest, tuple(hypothesis)
        count = 0
        for earlier, later in zip(before, self._newest, strict=False):
            if _plain(earlier) != _plain(later):
                break
            count += 1
        self._agreed += self._newest[len(self._agreed) : count]


def _plain(word: str) -> str:
    return "".join(char for char in word if char.isalnum()).casefold() or word
