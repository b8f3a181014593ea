"""Asks the worker of this container how it is, as a gateway would, and exits by its answer.

`python -m scribewire.worker.probe PORT` says that it answers, with `--ready` that it takes streams. A port that accepts
would prove neither: a worker listens before it has loaded, and its kernel accepts while its loop hangs. Run every few
seconds, this imports no settings, and reads the two that it needs from their variables.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from typing import Final

from scribewire.errors import LinkBroken
from scribewire.frames import VERSION, FrameReader, Hello, Load, encode

# A worker that is overloaded answers within some tens of milliseconds; the rest is for a node that is.
WAIT_S: Final = 5.0
_SECRET: Final = "SCRIBEWIRE_WORKER__SECRET"  # noqa: S105 - where it is
_CERTIFICATE: Final = "SCRIBEWIRE_WORKER__CERTIFICATE"


def main() -> int | str:
    """Read the arguments and ask; give what to exit with."""
    parser = argparse.ArgumentParser(prog="python -m scribewire.worker.probe", description="Ask a worker how it is.")
    parser.add_argument("port", type=int, help="TCP port of a worker on this machine")
    parser.add_argument("--ready", action="store_true", help="fail unless it takes streams")
    given = parser.parse_args()
    try:
        said = ask(given.port, os.environ.get(_SECRET, ""), tls=bool(os.environ.get(_CERTIFICATE)))
    except (OSError, LinkBroken) as error:
        return f"The worker does not answer: {error}"
    if given.ready and said.phase != "ready":
        return f"The worker is {said.phase}. {said.reason}".strip()
    return 0


def ask(port: int, secret: str, *, tls: bool) -> Load:
    """Give what the worker says of itself. Raises OSError or LinkBroken when it does not in time."""
    deadline = time.monotonic() + WAIT_S
    with _connect(port, tls=tls) as link:
        link.sendall(encode(Hello(VERSION, "probe", secret)))
        reader = FrameReader()
        while chunk := link.recv(65_536):
            for frame in reader.feed(chunk):
                if isinstance(frame, Load):
                    return frame
            if (left_s := deadline - time.monotonic()) <= 0:
                raise TimeoutError("timed out")
            link.settimeout(left_s)
    raise LinkBroken("It hung up.")


def _connect(port: int, *, tls: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), WAIT_S)
    if not tls:
        return plain
    # Only now: it takes as long to import as all the rest.
    import ssl

    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever listens on a port of this container is trusted as far as the container is.
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return trusting.wrap_socket(plain)


if __name__ == "__main__":
    sys.exit(main())
