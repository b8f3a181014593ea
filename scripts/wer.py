"""Score the whole service on the recordings: WER by group beside the bare engine's, and what the workers spend."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from rich.progress import Progress

from scoring import Clip, by_group, noise_clips, print_table, speech_clips
from scribewire.bench.wer import Score, score
from scribewire.engines.gate import create_gate
from scribewire.engines.table import create
from scribewire.settings import GateSettings
from service import Service, running
from wer_bare import recognise, yardstick
from wire import BYTES_PER_S, Talk, Transcript

# Some sessions at once, as fast as they are taken: what a session hears does not depend on it.
AT_ONCE = 4
PROFILES = ("fast", "quality")


async def transcribe(service: Service, kind: str, pcm: bytes) -> Transcript:
    """Hold one session of a type."""
    talk = await Talk.open(f"{service.socket_url}/v2/realtime?type={kind}", service.key)
    await talk.start(partial=False)
    await talk.send(pcm, pace=None)
    return await talk.stop()


async def score_service(service: Service, kind: str, clips: Sequence[Clip], progress: Progress) -> dict[str, Score]:
    """Give WER by group of the service; prints the CPU that workers spent on a second of audio."""
    task = progress.add_task(f"service, {kind}", total=len(clips))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(clip: Clip) -> tuple[Clip, Score]:
        async with room:
            heard = await transcribe(service, kind, clip.pcm())
            progress.advance(task)
            return clip, score(clip.text, heard.text)

    before_s = service.worker_cpu_s()
    scored = await asyncio.gather(*(one(clip) for clip in clips))
    spent_s = service.worker_cpu_s() - before_s
    audio_s = sum(len(clip.pcm()) for clip in clips) / BYTES_PER_S
    bare_s = yardstick([clip.pcm() for clip in clips[5::6]])
    progress.console.print(
        f"{kind}: {spent_s / audio_s:.3f} CPU-seconds of the workers for each second of speech, "
        f"{spent_s / audio_s / bare_s:.2f} times PocketSphinx as it comes ({bare_s:.3f}, on every sixth clip)"
    )
    return by_group(scored)


def score_bare(kind: str, clips: Sequence[Clip], progress: Progress) -> dict[str, Score]:
    """Give WER by group of gate and engine alone, in this process."""
    task = progress.add_task(f"bare, {kind}", total=len(clips))
    gate, engine = create_gate(GateSettings()), create(f"pocketsphinx:{kind}")
    engine.load()
    scored = []
    for clip in clips:
        scored.append((clip, score(clip.text, recognise(gate, engine, clip.pcm()).text)))
        progress.advance(task)
    engine.close()
    return by_group(scored)


async def main() -> None:
    """Run both profiles and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, action="append", help="only this one")
    profiles = parser.parse_args().profile or PROFILES
    clips = speech_clips()
    with Progress(transient=True) as progress:
        async with running() as service:
            await asyncio.to_thread(service.initialize)
            columns = [(f"service {kind}", await score_service(service, kind, clips, progress)) for kind in profiles]
            heard = [await transcribe(service, "fast", clip.pcm()) for clip in noise_clips()]
            progress.console.print(f"words out of noise: {sum(len(h.text.split()) for h in heard)}")
        columns += [(f"bare {kind}", score_bare(kind, clips, progress)) for kind in profiles]
    print_table(columns)


if __name__ == "__main__":
    asyncio.run(main())
