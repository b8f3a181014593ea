"""Hear a WAV file of 16 kHz with Pipecat's OpenAI service: `base_url` is all that sends it here."""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService

RATE_HZ = 16_000
CHUNK_BYTES = 640
CHUNK_S = 0.02


class Printer(FrameProcessor):
    """Prints what was heard."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Print it if it is that, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            print(frame.text)
        await self.push_frame(frame, direction)


async def speak(task: PipelineTask, audio: bytes) -> None:
    """Be the microphone: at the pace of speech, and quiet before and after it."""
    audio = bytes(RATE_HZ * 2) + audio + bytes(RATE_HZ * 4)
    for at in range(0, len(audio), CHUNK_BYTES):
        await task.queue_frame(InputAudioRawFrame(audio[at : at + CHUNK_BYTES], RATE_HZ, 1))
        await asyncio.sleep(CHUNK_S)
    await task.queue_frame(EndFrame())


async def main(audio: bytes) -> None:
    hearing = OpenAIRealtimeSTTService(
        base_url=os.environ["SCRIBEWIRE_URL"].replace("http", "ws", 1) + "/v1/realtime",
        api_key=os.environ["SCRIBEWIRE_KEY"],
        turn_detection={"type": "server_vad"},  # or leave it out, and have a VAD of Pipecat's say when to commit
    )
    task = PipelineTask(Pipeline([hearing, Printer()]), params=PipelineParams(audio_in_sample_rate=RATE_HZ))
    await asyncio.gather(PipelineRunner().run(task), speak(task, audio))


if __name__ == "__main__":
    with wave.open(sys.argv[1]) as file:
        asyncio.run(main(file.readframes(file.getnframes())))
