"""The client: what the command line and users' programs speak to the service with."""

from scribewire.client.aio import Client, Session
from scribewire.client.blocking import Client as BlockingClient
from scribewire.client.core import Bounds
from scribewire.client.durable import DurableSession
from scribewire.client.sources import Microphone
from scribewire.client.wire import AudioLost, Event, Final, Flushed, Partial, Reconnected, State, Status, Word

__all__ = [
    "AudioLost",
    "BlockingClient",
    "Bounds",
    "Client",
    "DurableSession",
    "Event",
    "Final",
    "Flushed",
    "Microphone",
    "Partial",
    "Reconnected",
    "Session",
    "State",
    "Status",
    "Word",
]
