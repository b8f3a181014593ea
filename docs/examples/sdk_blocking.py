"""Transcribe without a loop: whatever yields audio is a source, here standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from scribewire.client import BlockingClient, Final


def blocks(pipe: BinaryIO) -> Iterator[bytes]:
    while block := pipe.read(3200):
        yield block


def main(pipe: BinaryIO) -> None:
    with BlockingClient(os.environ["SCRIBEWIRE_URL"], os.environ["SCRIBEWIRE_KEY"]) as client:
        client.initialize()
        for event in client.transcribe(blocks(pipe), language="en", partial=False):
            if isinstance(event, Final):
                print(event.text)


if __name__ == "__main__":
    main(sys.stdin.buffer)
