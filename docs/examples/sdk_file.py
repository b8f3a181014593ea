"""Transcribe a file: each final as a line, with the time at which its first word begins."""

from __future__ import annotations

import asyncio
import os
import sys

from scribewire.client import Client, Final, Reconnected


async def main(path: str) -> None:
    async with Client(os.environ["SCRIBEWIRE_URL"], os.environ["SCRIBEWIRE_KEY"]) as client:
        await client.initialize(on_status=lambda status: print(status.message, file=sys.stderr))
        async for event in client.transcribe(path, language="en"):
            if isinstance(event, Final):
                print(f"{event.words[0].start_ms / 1000:7.2f}  {event.text}")
            elif isinstance(event, Reconnected):
                print(f"reconnected after {event.gap_s:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
