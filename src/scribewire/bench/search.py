"""The largest number of sessions that holds: doubled until it does not, then halved between. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Search:
    """Ask `propose` for a number, try it, `tell` how it went; until there is none to try, and `largest` stands.

    Exact where every number below one that holds holds too. `most` is never passed.
    """

    first: int
    most: int
    largest: int = field(default=0, init=False)
    _smallest_failed: int | None = field(default=None, init=False)

    def propose(self) -> int | None:
        """Give the number to try next; None when the answer is known."""
        if self._smallest_failed is None:
            wanted = min(self.most, 2 * self.largest or self.first)
            return wanted if wanted > self.largest else None
        between = (self.largest + self._smallest_failed) // 2
        return between if between > self.largest else None

    def tell(self, sessions: int, *, held: bool) -> None:
        """Say how the number proposed went."""
        if held:
            self.largest = max(self.largest, sessions)
        else:
            self._smallest_failed = min(sessions, self._smallest_failed or sessions)
