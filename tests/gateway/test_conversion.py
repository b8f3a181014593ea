"""Audio of other formats becomes the one format inside, however it was cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

import av
import numpy as np
import pytest

from scribewire.core.audio import AudioFormat, Encoding
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion import converter_of, split
from scribewire.gateway.conversion.base import Converter
from scribewire.gateway.conversion.demuxing import Demuxed
from tests.gateway.doubles import eventually
from tests.gateway.encoding import Int16, contained, opus_packets, tone, wav

pytestmark = pytest.mark.integration
SECONDS = 1.5
COMPRESSED = {
    "ogg opus": ("ogg", "libopus", 48_000),
    "webm opus": ("webm", "libopus", 48_000),
    "flac": ("flac", "flac", 16_000),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "aac": ("adts", "aac", 48_000),
    "mp4": ("mp4", "aac", 48_000),
}


@cache
def encoded(name: str, seconds: float = SECONDS) -> bytes:
    """Give the tone in one of these."""
    container, codec, rate_hz = COMPRESSED[name]
    return contained(tone(seconds, rate_hz=rate_hz), rate_hz=rate_hz, container=container, codec=codec)


async def feed(converter: Converter, chunks: Iterable[bytes]) -> Int16:
    try:
        given = [await converter.convert(chunk) for chunk in chunks]
        given.append(await converter.drain(last=True))
        return np.frombuffer(b"".join(given), "<i2")
    finally:
        await converter.close()


def cut(audio: bytes, *, most: int, seed: int = 1) -> list[bytes]:
    """Cut audio at random."""
    chance, chunks, at = random.Random(seed), [], 0
    while at < len(audio):
        size = chance.randint(1, most)
        chunks.append(audio[at : at + size])
        at += size
    return chunks


def assert_tone(samples: Int16, *, peak: float = 8000.0, slack_s: float = 0.01) -> None:
    """Be the tone at 16 kHz: as long, as high, as loud."""
    assert len(samples) == pytest.approx(SECONDS * 16_000, abs=slack_s * 16_000)
    middle = samples[4_000:20_000].astype(float)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) == 440
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(peak, rel=0.06)
    assert spectrum[440] ** 2 / np.sum(spectrum**2) > 0.99


def companded(encoding: str, rate_hz: int) -> bytes:
    """Give the tone as FFmpeg compands it."""
    encoder = av.Codec(f"pcm_{encoding}", "w").create("audio")
    encoder.sample_rate, encoder.format, encoder.layout = rate_hz, "s16", "mono"
    frame = av.AudioFrame.from_ndarray(tone(SECONDS, rate_hz=rate_hz).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    return b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)]))


# --- samples ---------------------------------------------------------------------------------------------------------


async def test_the_format_inside_passes_as_it_is() -> None:
    converter = await converter_of(AudioFormat())
    assert await converter.convert(b"abc") == b"abc"
    assert await converter.drain(last=True) == b""


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
async def test_samples_of_any_rate_are_resampled(rate_hz: int) -> None:
    audio = tone(SECONDS, rate_hz=rate_hz).astype("<i2").tobytes()
    assert_tone(await feed(await converter_of(AudioFormat("linear16", rate_hz)), [audio]))


@pytest.mark.parametrize("channels", [2, 3, 8])
async def test_channels_are_mixed_into_one(channels: int) -> None:
    samples = np.zeros((round(SECONDS * 16_000), channels), "<i2")
    samples[:, channels - 1] = tone(SECONDS, rate_hz=16_000)
    mixed = await feed(await converter_of(AudioFormat("linear16", 16_000, channels)), [samples.tobytes()])
    assert_tone(mixed, peak=8000 / channels)


async def test_two_full_channels_do_not_overflow() -> None:
    samples = np.full((1_600, 2), -32768, "<i2")
    assert set(await feed(await converter_of(AudioFormat("linear16", 16_000, 2)), [samples.tobytes()])) == {-32768}


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_companded_samples_are_expanded(encoding: Encoding, rate_hz: int) -> None:
    assert_tone(await feed(await converter_of(AudioFormat(encoding, rate_hz)), [companded(encoding, rate_hz)]))


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
async def test_every_code_is_expanded_as_ffmpeg_does(encoding: Encoding) -> None:
    codes = bytes(range(256))
    decoder = av.Codec(f"pcm_{encoding}", "r").create("audio")
    decoder.sample_rate, decoder.layout = 16_000, "mono"
    [frame] = decoder.decode(av.Packet(codes))
    ours = await feed(await converter_of(AudioFormat(encoding)), [codes])
    assert ours.tolist() == frame.to_ndarray().ravel().tolist()


@pytest.mark.parametrize(("encoding", "tag"), [("mulaw", 7), ("alaw", 6)])
async def test_a_wav_header_counts_more_than_what_was_declared(encoding: str, tag: int) -> None:
    audio = wav(companded(encoding, 8_000), rate_hz=8_000, tag=tag, bits=8)
    for declared in (AudioFormat("container"), AudioFormat("linear16", 48_000, 2)):
        assert_tone(await feed(await converter_of(declared), cut(audio, most=7)))


async def test_a_wav_of_two_channels_is_mixed_and_resampled() -> None:
    one = tone(SECONDS, rate_hz=44_100)
    audio = wav(np.stack([one, one], axis=1).tobytes(), rate_hz=44_100, channels=2)
    assert_tone(await feed(await converter_of(AudioFormat("container")), [audio]))


# --- compressed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPRESSED)
async def test_a_container_is_decoded(name: str) -> None:
    audio = encoded(name)
    # Encoders put some silence before and after, and not every container says how much.
    assert_tone(await feed(await converter_of(AudioFormat("container")), [audio]), slack_s=0.15)


@pytest.mark.parametrize("channels", [1, 2])
async def test_opus_packets_are_decoded(channels: int) -> None:
    samples = tone(SECONDS, rate_hz=48_000)
    packets = opus_packets(samples if channels == 1 else np.stack([samples, samples], axis=1))
    assert_tone(await feed(await converter_of(AudioFormat("opus", 48_000, channels)), packets), slack_s=0.05)


async def test_opus_may_also_come_in_ogg() -> None:
    audio = encoded("ogg opus")
    assert_tone(await feed(await converter_of(AudioFormat("opus", 48_000)), cut(audio, most=3_000)), slack_s=0.1)


async def test_a_container_gives_what_it_can_before_its_end() -> None:
    audio = encoded("webm opus", 60)
    converter = await converter_of(AudioFormat("container"))
    half = await converter.convert(audio[: len(audio) // 2])
    await converter.close()
    assert len(half) / 32_000 > 20


# --- channels apart --------------------------------------------------------------------------------------------------


def tones(channels: int, *, rate_hz: int) -> Int16:
    """Give a tone of its own for each channel: 400 Hz, 500 Hz and so on."""
    return np.stack([tone(SECONDS, rate_hz=rate_hz, hz=400 + 100 * each) for each in range(channels)], axis=1)


async def assert_apart(converter: Converter, chunks: Iterable[bytes], channels: int) -> None:
    """Give each channel its own tone and nothing of the others, all of the same length."""
    parts = split((await feed(converter, chunks)).tobytes(), converter.channels)
    assert len(parts) == channels
    for each, part in enumerate(parts):
        middle = np.frombuffer(part, "<i2")[4_000:20_000].astype(float)
        spectrum = np.abs(np.fft.rfft(middle))
        assert np.argmax(spectrum) == 400 + 100 * each
        assert spectrum[400 + 100 * each] ** 2 / np.sum(spectrum**2) > 0.95
    assert len({len(part) for part in parts}) == 1
    assert len(parts[0]) / 32_000 == pytest.approx(SECONDS, abs=0.15)


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_channels_of_samples_may_be_kept_apart(channels: int, rate_hz: int) -> None:
    audio = tones(channels, rate_hz=rate_hz).tobytes()
    declared = AudioFormat("linear16", rate_hz, channels, apart=True)
    await assert_apart(await converter_of(declared), cut(audio, most=999), channels)


@pytest.mark.parametrize("channels", [2, 5])
async def test_a_wav_header_says_how_many_channels_are_kept_apart(channels: int) -> None:
    audio = wav(tones(channels, rate_hz=44_100).tobytes(), rate_hz=44_100, channels=channels)
    for declared in (AudioFormat("container", apart=True), AudioFormat("linear16", 16_000, 3, apart=True)):
        await assert_apart(await converter_of(declared), cut(audio, most=999), channels)


@pytest.mark.parametrize(("name", "channels"), [*((name, 2) for name in COMPRESSED), ("flac", 1), ("flac", 6)])
async def test_channels_of_a_container_may_be_kept_apart(name: str, channels: int) -> None:
    container, codec, rate_hz = COMPRESSED[name]
    audio = contained(tones(channels, rate_hz=rate_hz), rate_hz=rate_hz, container=container, codec=codec)
    await assert_apart(await converter_of(AudioFormat("container", apart=True)), cut(audio, most=3_000), channels)


async def test_channels_of_opus_packets_may_be_kept_apart() -> None:
    packets = opus_packets(tones(2, rate_hz=48_000))
    await assert_apart(await converter_of(AudioFormat("opus", 48_000, 2, apart=True)), packets, 2)


async def test_a_container_keeps_the_channels_that_it_began_with() -> None:
    one = contained(tones(2, rate_hz=44_100), rate_hz=44_100, container="mp3", codec="libmp3lame")
    two = contained(tone(SECONDS, rate_hz=16_000), rate_hz=16_000, container="mp3", codec="libmp3lame")
    converter = await converter_of(AudioFormat("container", apart=True))
    samples = await feed(converter, [one, two])
    assert converter.channels == 2
    assert len(samples) == pytest.approx(2 * 2 * SECONDS * 16_000, rel=0.1)


async def test_more_channels_than_may_be_kept_apart_are_refused_and_mixed_where_they_are_not() -> None:
    samples = np.stack([tone(SECONDS, rate_hz=16_000)] * 16, axis=1)
    audio = contained(samples, rate_hz=16_000, container="matroska", codec="pcm_s16le")
    with pytest.raises(UnsupportedAudio, match="more than 8 channels"):
        await feed(await converter_of(AudioFormat("container", apart=True)), [audio])
    assert len(await feed(await converter_of(AudioFormat("container")), [audio])) == pytest.approx(24_000, abs=200)


# --- cuts and drains -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [3, 500, 60_000])
@pytest.mark.parametrize(
    "declared",
    [AudioFormat("linear16", 44_100, 2), AudioFormat("linear16", 8_000), AudioFormat("mulaw", 8_000, 3)],
    ids=str,
)
async def test_samples_give_the_same_however_they_are_cut(declared: AudioFormat, most: int) -> None:
    audio = np.random.default_rng(1).integers(0, 256, 30_000, np.uint8).tobytes()
    whole = await feed(await converter_of(declared), [audio])
    assert (await feed(await converter_of(declared), cut(audio, most=most))).tobytes() == whole.tobytes()


@pytest.mark.parametrize("most", [50, 5_000])
@pytest.mark.parametrize("name", COMPRESSED)
async def test_a_container_gives_the_same_however_it_is_cut(name: str, most: int) -> None:
    audio = encoded(name)
    whole = await feed(await converter_of(AudioFormat("container")), [audio])
    again = await feed(await converter_of(AudioFormat("container")), cut(audio, most=most))
    assert again.tobytes() == whole.tobytes()


async def test_what_a_resampler_holds_back_comes_with_a_drain_and_more_may_follow() -> None:
    converter = await converter_of(AudioFormat("linear16", 8_000))
    second = tone(1, rate_hz=8_000).tobytes()
    for _ in range(3):
        given = await converter.convert(second) + await converter.drain(last=False)
        assert len(given) == 32_000


async def test_a_drain_before_any_audio_is_empty() -> None:
    for audio in (AudioFormat("container"), AudioFormat("opus"), AudioFormat("mulaw", 8_000)):
        converter = await converter_of(audio)
        assert await converter.drain(last=False) == b""
        assert await converter.drain(last=True) == b""
        await converter.close()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audio", [AudioFormat(channels=9), AudioFormat("mulaw", 4_000), AudioFormat("opus", 48_000, 3)], ids=str
)
async def test_a_format_that_nothing_converts_is_refused(audio: AudioFormat) -> None:
    with pytest.raises(UnsupportedAudio):
        await converter_of(audio)


@pytest.mark.parametrize(
    ("encoding", "audio"),
    [
        ("container", b"no audio at all, but some words"),
        ("container", b"no"),
        ("container", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"),
        ("container", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("container", b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(99)),
        ("container", wav(bytes(99), rate_hz=16_000, tag=3, bits=32)),
        ("container", wav(bytes(99), rate_hz=4_000)),
        ("container", b"OggS" + bytes(5_000)),
        ("container", b"\x1aE\xdf\xa3" + bytes(5_000)),
        ("flac", b"fLaC" + b"\xff" * 5_000),
        ("container", b"ID3" + b"\x01" * 5_000),
        ("opus", b"\xff\xff\xff"),
        ("opus", bytes(9_000)),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:8].decode("latin-1"),
)
async def test_what_cannot_be_decoded_is_refused_in_one_sentence(encoding: Encoding, audio: bytes) -> None:
    with pytest.raises(UnsupportedAudio, match=r"^[A-Z].*\.$"):
        await feed(await converter_of(AudioFormat(encoding, 48_000)), [audio])


async def test_an_error_ends_the_decoder() -> None:
    converter = await converter_of(AudioFormat("container"))
    with pytest.raises(UnsupportedAudio):
        await feed(converter, [b"OggS" + bytes(50_000)])
    assert await converter.convert(b"more") == b""
    await converter.close()


async def test_few_bytes_that_are_hours_of_silence_are_refused() -> None:
    silence = np.zeros(16_000 * 1_200, np.int16)
    audio = contained(silence, rate_hz=16_000, container="flac", codec="flac")
    assert len(audio) < 1024 * 1024
    with pytest.raises(UnsupportedAudio, match="more than it can hold"):
        await feed(await converter_of(AudioFormat("container")), [audio])


async def test_a_container_may_change_its_format_on_the_way() -> None:
    one = contained(tone(SECONDS, rate_hz=44_100), rate_hz=44_100, container="mp3", codec="libmp3lame")
    stereo = np.stack([tone(SECONDS, rate_hz=16_000)] * 2, axis=1)
    two = contained(stereo, rate_hz=16_000, container="mp3", codec="libmp3lame")
    samples = await feed(await converter_of(AudioFormat("container")), [one, two])
    assert len(samples) == pytest.approx(2 * SECONDS * 16_000, rel=0.1)


@pytest.mark.parametrize("name", COMPRESSED)
async def test_what_is_broken_is_decoded_or_refused(name: str) -> None:
    whole = encoded(name, 0.5)
    chance = random.Random(1)
    for _ in range(20):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 10, 100])):
            broken[chance.randrange(4, len(broken))] = chance.randrange(256)
        with suppress(UnsupportedAudio):
            await feed(await converter_of(AudioFormat("container")), cut(bytes(broken), most=2_000))


def sizeless(container: str) -> bytes:
    """Give the beginning of a container, and of something in it that has no end and is no audio."""
    if container == "mp3":
        return b"ID3\x03\0\0" + b"\x7f" * 4
    codec = "libopus" if container == "webm" else "aac"
    whole = contained(tone(0.1, rate_hz=48_000), rate_hz=48_000, container=container, codec=codec)
    if container == "mp4":
        return whole[: whole.index(b"moof") - 4] + (1).to_bytes(4) + b"free" + (1 << 40).to_bytes(8)
    segment = bytes.fromhex("18538067")
    return whole[: whole.index(segment)] + segment + b"\x01" + b"\xff" * 7 + b"\xec\x01" + (1 << 40).to_bytes(7)


@pytest.mark.parametrize("container", ["mp3", "mp4", "webm"])
async def test_bytes_that_never_become_audio_are_refused(container: str) -> None:
    megabyte = bytes(1024 * 1024)
    with pytest.raises(UnsupportedAudio, match="too much that is no audio"):
        await feed(await converter_of(AudioFormat("container")), [sizeless(container), *[megabyte] * 20])


async def test_a_session_that_leaves_while_much_is_decoded_does_not_wait_for_it() -> None:
    piece = encoded("mp3", 20)
    converter = Demuxed(AudioFormat("container"), "mp3")
    converting = asyncio.create_task(converter.convert(piece * 40))
    await eventually(lambda: converter._decoder._given_bytes)
    converting.cancel()
    await converter.close()
    assert converter._decoder._given_bytes / 32_000 < 600


async def test_a_session_that_leaves_in_the_middle_leaves_no_thread() -> None:
    audio = encoded("ogg opus")
    converter = await converter_of(AudioFormat("container"))
    await converter.convert(audio[:3_000])
    await converter.close()
    await converter.close()
    assert await converter.convert(audio[3_000:]) == b""
