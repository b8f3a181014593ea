"""What happens to a session, and what it asks for: plain frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field

from scribewire.core.words import Word as Word  # a word is one to whoever speaks of events
from scribewire.errors import ScribewireError

# Every `_sample` is a position counted from the start of the session's audio, at 16 kHz.


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What a client may choose when it starts."""

    key: str | None = field(default=None, repr=False)
    partial: bool = True
    actual_numbers: bool = False
    vocabulary: tuple[str, ...] = ()
    quiet: bool = False  # say `Quiet` too


@dataclass(frozen=True, slots=True)
class Grant:
    """What a credential allows: who it is, and how long a session may last.

    `ticket` is the hash of a ticket that is spent by it, and then `language`, `type` and `max_s` are what the ticket
    was asked for, and `share` is where the session is shown.
    """

    key_id: str
    key_name: str
    max_sessions: int | None = None
    ticket: bytes | None = field(default=None, repr=False)
    language: str | None = None
    type: str | None = None
    max_s: float | None = None
    share: str | None = None


# --- events: from the client -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The client asked to begin."""

    options: StartOptions = StartOptions()


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """A binary frame arrived, of any size; frame boundaries mean nothing."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The client asked for the rest and then the end."""


@dataclass(frozen=True, slots=True)
class FlushAsked:
    """The client asked for the finals of all that it sent so far."""

    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Misspoke:
    """A message could not be understood. `about` comes back with the complaint: what the dialect knows of it."""

    sentence: str
    about: object = None


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The socket closed or broke."""


@dataclass(frozen=True, slots=True)
class ReaderStuck:
    """What waits for the client passed its bound: it does not read."""


# --- events: from the gateway ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admitted:
    """The credential holds, and the session may go on."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    """The credential or the request does not hold (also later: a key revoked during the session)."""

    error: ScribewireError


@dataclass(frozen=True, slots=True)
class StopAnnounced:
    """The service will stop at `at` (wall-clock Unix seconds)."""

    at: int


@dataclass(frozen=True, slots=True)
class ServiceStopped:
    """The service stops now: finish within the grace time."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The session's own deadline passed."""


# --- events: from the stream. `stream` counts the streams of the session from 1; a late word of an old one is ignored -


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A worker gave a slot."""

    stream: int
    worker: str = ""


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """No worker gave a slot within the bound, or none may be waited for."""

    stream: int
    error: ScribewireError


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The worker or its decoder died, or stopped answering."""

    stream: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StreamDraining:
    """The worker wants to be rid of the stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class AudioConsumed:
    """Everything before `sample` is decoded."""

    stream: int
    sample: int


@dataclass(frozen=True, slots=True)
class AudioSettled:
    """Nothing before `sample` can change or become a word; `resume` opens another stream there."""

    stream: int
    sample: int
    resume: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class PartialHeard:
    """The words of the open segment so far."""

    stream: int
    text: str
    sample: int
    stability: float


@dataclass(frozen=True, slots=True)
class FinalHeard:
    """A segment ended with words. It also settles: `sample` and `resume` as in `AudioSettled`."""

    stream: int
    words: tuple[Word, ...]
    sample: int
    resume: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class FlushDone:
    """Every final that flush `mark` caused has been given."""

    stream: int
    mark: int


@dataclass(frozen=True, slots=True)
class StreamFinished:
    """Everything fed is decoded and given; the slot is free."""

    stream: int


# --- commands: to the worker -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Admit:
    """Check the credential and the request; answer `Admitted` or `Denied`."""

    options: StartOptions


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Ask the fleet for a slot; answer `StreamOpened` or `StreamRefused`, whenever that may be."""

    stream: int
    first_sample: int
    partial: bool
    actual_numbers: bool
    resume: bytes = field(repr=False)
    replacement: bool = False
    vocabulary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedStream:
    """Give the stream the audio that follows what it was fed before."""

    stream: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FlushStream:
    """End the open segment after the audio fed so far and answer `FlushDone`."""

    stream: int
    mark: int


@dataclass(frozen=True, slots=True)
class FinishStream:
    """Decode the rest, give the finals, answer `StreamFinished`."""

    stream: int


@dataclass(frozen=True, slots=True)
class AbortStream:
    """Forget the stream, whatever its state; no answer is wanted."""

    stream: int


# --- commands: to the client -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listening:
    """Say that a stream is open."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Say what is heard so far of the open segment."""

    text: str
    sample: int
    stability: float


@dataclass(frozen=True, slots=True)
class Final:
    """Say what a segment was."""

    words: tuple[Word, ...]
    sample: int
    speaker: str | None = None

    @property
    def text(self) -> str:
        """Join the words with single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Say that nothing before `sample` can still become a word."""

    sample: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """Say that a flush is answered."""

    id: str | int | None


@dataclass(frozen=True, slots=True)
class ShuttingDown:
    """Say when the service will stop (wall-clock Unix seconds)."""

    at: int


@dataclass(frozen=True, slots=True)
class StoppedSaid:
    """Say that all audio is handled, and how much there was; nothing follows."""

    sample: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """Say what went wrong."""

    error: ScribewireError
    about: object = None


@dataclass(frozen=True, slots=True)
class PauseReading:
    """Read no more from the client until told to."""


@dataclass(frozen=True, slots=True)
class ResumeReading:
    """Read on."""


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close with a WebSocket close code (RFC 6455 section 7.4)."""

    code: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """Keep what is said of the session once, at its end."""

    report: Report


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of a session once, at its end. Never text, never audio."""

    received_samples: int = 0
    discarded_bytes: int = 0
    settled_samples: int = 0
    finals: int = 0
    words: int = 0
    partials: int = 0
    streams: int = 0
    streams_lost: int = 0
    finals_dropped: int = 0
    bad_messages: int = 0
    listening_after_s: float | None = None
    close_code: int = 1000
    error_code: str | None = None


Event = (
    Started
    | AudioReceived
    | Stopped
    | FlushAsked
    | Misspoke
    | ClientGone
    | ReaderStuck
    | Admitted
    | Denied
    | StopAnnounced
    | ServiceStopped
    | Woken
    | StreamOpened
    | StreamRefused
    | StreamLost
    | StreamDraining
    | AudioConsumed
    | AudioSettled
    | PartialHeard
    | FinalHeard
    | FlushDone
    | StreamFinished
)
# What every dialect spells.
Spoken = Listening | Partial | Final | Flushed | ShuttingDown | StoppedSaid | Failed
# What a dialect is given to spell.
Message = Spoken | Quiet
Command = (
    Admit
    | OpenStream
    | FeedStream
    | FlushStream
    | FinishStream
    | AbortStream
    | Message
    | PauseReading
    | ResumeReading
    | CloseSocket
    | FileReport
)
