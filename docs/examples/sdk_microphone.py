"""Caption what the microphone hears until Ctrl-C: the open sentence grows, and is a line once it is final."""

from __future__ import annotations

import asyncio
import os
import signal

from scribewire.client import AudioLost, Client, Final, Microphone, Partial


async def main(microphone: Microphone) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, microphone.close)
    async with Client(os.environ["SCRIBEWIRE_URL"], os.environ["SCRIBEWIRE_KEY"]) as client:
        async for event in client.transcribe(microphone, language="en"):
            if isinstance(event, Partial):
                print(event.text, end="\r", flush=True)
            elif isinstance(event, Final):
                print(event.text)
            elif isinstance(event, AudioLost) and not event.silent:
                print(f"[{event.start_ms / 1000:.1f} to {event.end_ms / 1000:.1f} s is missing]")


if __name__ == "__main__":
    asyncio.run(main(Microphone()))
