"""The dialect contract: text frames in, core events out; core messages in, text frames out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from scribewire.core import events as ev


class Dialect(ABC):
    """How one session is spelled on the wire."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id

    @abstractmethod
    def decode(self, text: str) -> ev.Event:
        """Read one text frame; never raises."""

    @abstractmethod
    def encode(self, message: ev.Message) -> str:
        """Spell one message as one text frame."""
