"""Audio of other formats becomes the one format inside, however it was cut."""

from __future__ import annotations

import pytest

from scribewire.core.audio import AudioFormat
from scribewire.errors import UnsupportedAudio
from scribewire.gateway.conversion import converter_of


async def test_the_format_inside_passes_as_it_is() -> None:
    converter = converter_of(AudioFormat())
    assert await converter.convert(b"abc") == b"abc"
    assert await converter.drain(last=True) == b""


def test_a_format_that_nothing_converts_is_refused() -> None:
    with pytest.raises(UnsupportedAudio):
        converter_of(AudioFormat(channels=9))
