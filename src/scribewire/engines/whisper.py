"""faster-whisper: Whisper models decode a growing window of each segment, and the whole of it once more at its end.

Whisper hears no streams but windows of up to 30 s. Partials decode what there is of the open segment, now and then, and
keep what was heard alike twice (agreement.py). A final is decoded afresh, by a wider search and from the audio alone,
whatever partials were decoded. A segment longer than a window is cut where it is quietest, each piece heard by itself.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from scribewire.core.audio import SAMPLE_BYTES, WINDOW_SAMPLES, samples_of_s
from scribewire.core.words import Word
from scribewire.cores import usable_cores
from scribewire.engines.agreement import Agreement
from scribewire.engines.base import PLAIN, Device, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.engines.models import find_model, languages_of
from scribewire.errors import BadSettings, EngineMissing

Samples = NDArray[np.float32]

# Whisper's window is 30 s; what stands in its last moments is often left out.
LONGEST_SAMPLES: Final = samples_of_s(28)
# Less than this is a click, or the end of a word whose beginning went before.
SHORTEST_SAMPLES: Final = samples_of_s(0.3)
# New audio that a partial is worth decoding for: each costs as much as a whole window does.
PARTIAL_SAMPLES: Final = samples_of_s(1)
PARTIAL_BEAM: Final = 1
FINAL_BEAM: Final = 5
# -60 dB of full scale, which no speech falls short of: from less Whisper makes words up.
SILENT_LEVEL: Final = 0.001
# Windows, about 160 ms, over which the quietest place is looked for.
QUIET_WINDOWS: Final = 5
# Whisper's own bounds for text that is not to be believed (transcribe.py of openai/whisper), and a stricter one for how
# likely a text must be where there may have been no speech.
HIGHEST_COMPRESSION: Final = 2.4
LOWEST_LOG_PROBABILITY: Final = -1.0
NO_SPEECH_PROBABILITY: Final = 0.6
NO_SPEECH_LOG_PROBABILITY: Final = -0.5

# A vocabulary of this size is multilingual to CTranslate2 (models/whisper.cc).
_MULTILINGUAL_SIZE: Final = 51_865
_LANGUAGE: Final = re.compile(r"<\|([a-z]{2,3})\|>")
_COMPUTE: Final[dict[Device, str]] = {"cpu": "int8", "cuda": "float16"}
_COMPUTES: Final = ("int8", "float16", "float32")
_FULL_SCALE: Final = np.float32(32_768)


class Told(Protocol):
    """What the library says of a text: how likely, how repetitive, and whether there was speech at all."""

    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


def is_believable(told: Told) -> bool:
    """Say whether a text is not one of those that Whisper makes up: out of nothing, over and over, or at a guess."""
    doubts_speech = told.no_speech_prob > NO_SPEECH_PROBABILITY
    bound = NO_SPEECH_LOG_PROBABILITY if doubts_speech else LOWEST_LOG_PROBABILITY
    return told.compression_ratio <= HIGHEST_COMPRESSION and told.avg_logprob >= bound


def has_sound(samples: Samples) -> bool:
    """Say whether some audio is long and loud enough to hold a word."""
    return len(samples) >= SHORTEST_SAMPLES and max(_levels(samples), default=0.0) > SILENT_LEVEL


def find_cut(samples: Samples) -> int:
    """Give the middle of the quietest place in the second half of some audio."""
    half = len(samples) // 2
    levels = np.convolve(_levels(samples[half:]), np.ones(QUIET_WINDOWS), "valid")
    return half + int(np.argmin(levels)) * WINDOW_SAMPLES + QUIET_WINDOWS * WINDOW_SAMPLES // 2


def _levels(samples: Samples) -> Any:
    whole = samples[: len(samples) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    return np.sqrt(np.mean(np.square(whole), axis=1))


class Listener:
    """A loaded model, and what it is to mind in one session: the language, None to find it out, and words to expect."""

    def __init__(self, model: Any, language: str | None, vocabulary: Iterable[str]) -> None:
        self._model = model
        self._language = language
        # Hot words go before every decode and are cut to leave room for the text; a prompt only goes before the first.
        self._hotwords = ", ".join(vocabulary) or None

    def hear(self, samples: Samples, *, is_final: bool) -> Any:
        """Decode up to LONGEST_SAMPLES; give the library's one segment, of words with times when final, or None."""
        if not has_sound(samples):
            return None
        segments, _ = self._model.transcribe(
            samples,
            language=self._language,
            hotwords=self._hotwords,
            beam_size=FINAL_BEAM if is_final else PARTIAL_BEAM,
            word_timestamps=is_final,
            # Higher temperatures draw lots, and what was heard wrongly before must not mislead.
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
        )
        # What follows would be the silence after the last word, decoded once more.
        segment = next(iter(segments), None)
        return segment if segment is not None and is_believable(segment) else None


class WhisperStream(Stream):
    """The open segment: the words of its pieces that are full, and the audio of the one that grows."""

    def __init__(self, listener: Listener, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self.begin(0)

    def begin(self, first_sample: int) -> None:
        self._piece_sample = first_sample
        self._pcm = bytearray()
        self._words: list[Word] = []
        self._agreement = Agreement()
        self._looked_samples = 0
        self._cost_s = 0.0

    def accept(self, pcm: bytes) -> None:
        self._pcm += pcm

    def step(self) -> None:
        """Decode what fills a piece, and the rest when enough of it is new."""
        self._end_pieces()
        samples = _samples_of(self._pcm)
        # As long as the last decode took: so partials get rarer on a machine that is behind.
        if len(samples) - self._looked_samples >= max(PARTIAL_SAMPLES, samples_of_s(self._cost_s)):
            self._looked_samples = len(samples)
            began = self._clock()
            heard = self._listener.hear(samples, is_final=False)
            self._cost_s = self._clock() - began
            self._agreement.offer(heard.text.split() if heard else ())

    def partial(self) -> tuple[str, ...]:
        return (*(word.text for word in self._words), *self._agreement.words)

    def finish(self) -> tuple[Word, ...]:
        self._end_pieces()
        self._end_piece(len(self._pcm) // SAMPLE_BYTES)
        return tuple(self._words)

    def resume(self) -> bytes:
        return b""

    def close(self) -> None:
        self._pcm.clear()

    def _end_pieces(self) -> None:
        while len(self._pcm) >= LONGEST_SAMPLES * SAMPLE_BYTES:
            self._end_piece(find_cut(_samples_of(self._pcm)[:LONGEST_SAMPLES]))

    def _end_piece(self, cut: int) -> None:
        heard = self._listener.hear(_samples_of(self._pcm)[:cut], is_final=True)
        self._words += place(heard.words if heard else (), self._piece_sample, cut)
        del self._pcm[: cut * SAMPLE_BYTES]
        self._piece_sample += cut
        self._agreement = Agreement()
        self._looked_samples = 0


def place(heard: Iterable[Any], first_sample: int, samples: int) -> Iterator[Word]:
    """Give the library's words with their times, inside `samples` from `first_sample` on and never going back."""
    at = 0
    for word in heard:
        start = min(max(samples_of_s(word.start), at), samples)
        at = min(max(samples_of_s(word.end), start), samples)
        if text := word.word.strip():
            yield Word(text, first_sample + start, first_sample + at, min(max(float(word.probability), 0.0), 1.0))


class WhisperEngine(Engine):
    """One model for all streams: `<model>[,compute=int8|float16|float32]`."""

    def __init__(self, setup: Setup) -> None:
        """Find the model.

        Raises EngineMissing when there is none of that name or its folder is not whole, BadSettings when another
        computation is asked for.
        """
        name, self._compute = _read_choice(setup)
        self._folder = find_model(name, setup.models_dir, engine="whisper")
        self._device = setup.device
        languages = _restrict(_languages_in(_read_vocabulary(self._folder)), languages_of(self._folder))
        self._model: Any = None
        self.traits = Traits(
            languages=languages,
            windowed=True,
            releases_gil=True,
            own_threads=True,
            vocabulary=True,
            detects_language=len(languages) > 1,
            punctuates=True,
        )

    def load(self) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise EngineMissing("faster-whisper is not installed: pip install 'scribewire[whisper]'.") from error
        try:
            self._model = WhisperModel(
                str(self._folder),
                device=self._device,
                compute_type=self._compute,
                cpu_threads=1,
                # Calls at once, of one thread each: a worker makes no more than it has cores.
                num_workers=usable_cores(),
                local_files_only=True,
            )
        except Exception as error:  # what it is differs from file to file
            raise EngineMissing(
                f"faster-whisper cannot load the model in {self._folder} to compute {self._compute} on {self._device}."
            ) from error

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> WhisperStream:
        assert self._model is not None, "load comes first"
        languages = self.traits.languages
        tag = options.language.partition("-")[0]
        only = languages[0] if len(languages) == 1 else None
        language = tag if tag in languages else only
        return WhisperStream(Listener(self._model, language, options.vocabulary))

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        for stream in streams:
            assert isinstance(stream, WhisperStream), "a stream of another engine"
            stream.step()
        return [Outcome.ON] * len(streams)

    def close(self) -> None:
        self._model = None


def _samples_of(pcm: bytearray) -> Samples:
    return np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / _FULL_SCALE


# --- the folder of a model -------------------------------------------------------------------------------------------


def _read_choice(setup: Setup) -> tuple[str, str]:
    """Give the model and what is computed with."""
    name, *options = setup.model.split(",")
    chosen = dict(option.partition("=")[::2] for option in options)
    compute = chosen.pop("compute", _COMPUTE[setup.device])
    if compute not in _COMPUTES or chosen:
        raise BadSettings(
            f"The whisper engine knows no model {setup.model!r}: use <model>[,compute={'|'.join(_COMPUTES)}]."
        )
    return name, compute


def _read_vocabulary(folder: Path) -> list[str]:
    """Give the tokens of a model that is whole; the library would look for the missing ones on a hub.

    Raises EngineMissing.
    """
    try:
        if all((folder / name).is_file() for name in ("model.bin", "tokenizer.json")):
            if (path := folder / "vocabulary.json").is_file():
                tokens: list[str] = json.loads(path.read_bytes())
                return tokens
            return (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise _unfit(folder) from error
    raise _unfit(folder)


def _unfit(folder: Path) -> EngineMissing:
    return EngineMissing(
        f"The folder {folder} holds no whole model of faster-whisper: scribewire models list shows models that fit."
    )


def _languages_in(tokens: Sequence[str]) -> tuple[str, ...]:
    """Give the languages of a model by its vocabulary: a small one has English only, whatever tokens it has."""
    if len(tokens) < _MULTILINGUAL_SIZE:
        return ("en",)
    return tuple(match[1] for token in tokens if (match := _LANGUAGE.fullmatch(token))) or ("en",)


def _restrict(languages: tuple[str, ...], told: Sequence[str]) -> tuple[str, ...]:
    """Give what a model's manifest leaves of its languages: all when it names none, or only others."""
    named = {tag.partition("-")[0] for tag in told}
    return tuple(tag for tag in languages if tag in named) or languages
