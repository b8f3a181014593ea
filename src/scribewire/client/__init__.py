"""The client: what the command line and users' programs speak to the service with."""

from scribewire.client.aio import Client, Session
from scribewire.client.wire import Final, Flushed, Partial, State, Status, Word

__all__ = ["Client", "Final", "Flushed", "Partial", "Session", "State", "Status", "Word"]
