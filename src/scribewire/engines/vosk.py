"""vosk: Kaldi models, one in memory for all streams, and a recogniser of its own for each segment.

Three things make a segment's words depend on its audio alone. A fresh recogniser adapts to nothing said before. The
ends of utterances that it finds by itself are passed over: the gate ends segments, by settings that users know, and
vosk would end one after 20 s even within a word. And the soft noise that Kaldi adds to sound, from one random generator
for all, is the same in every window here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from scribewire.core.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, samples_of_s
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.engines.models import find_model, languages_of
from scribewire.errors import EngineMissing

# Both ways in which vosk knows a model's folder to be laid out: the newer with subfolders, the older flat.
_LAYOUTS: Final = (("am/final.mdl", "conf", "graph"), ("final.mdl", "", ""))
_FEATURE_CONFIGS: Final = ("mfcc.conf", "fbank.conf")
# Without it vosk ends the process as soon as it looks for the end of an utterance; the older layout has it built in.
_SILENCE: Final = "--endpoint.silence-phones"
_FILLERS: Final = ("<", "[")
# As loud as Kaldi's own, a deviation of 1; models were trained with it, and digital silence without it is like nothing
# they know. The legacy generator of numpy is alike in all its versions.
_NOISE: Final = np.random.RandomState(1).normal(size=WINDOW_SAMPLES).round().astype(np.int16)
_LOUDEST: Final = np.int16(32_767 - abs(_NOISE).max())


class Spoken(msgspec.Struct):
    """One word as vosk gives it, in seconds from the first sample that its recogniser heard."""

    word: str
    start: float
    end: float
    conf: float


class Heard(msgspec.Struct):
    """An answer of vosk: a text, and at the end words."""

    partial: str = ""
    result: list[Spoken] = []


class VoskStream(Stream):
    """A recogniser for the open segment."""

    def __init__(self, model: Any, create: Any) -> None:
        self._model = model
        self._create = create
        self._recogniser: Any = None
        self._pending: list[bytes] = []
        self._first_sample = 0
        self._accepted_samples = 0
        self._partial: tuple[str, ...] | None = ()

    def begin(self, first_sample: int) -> None:
        self._recogniser = _recogniser(self._model, self._create)
        self._pending.clear()
        self._first_sample = first_sample
        self._accepted_samples = 0
        self._partial = ()

    def accept(self, pcm: bytes) -> None:
        self._pending.append(pcm)
        self._accepted_samples += len(pcm) // SAMPLE_BYTES

    def step(self) -> None:
        """Decode what was accepted."""
        for pcm in self._pending:
            self._recogniser.AcceptWaveform(_add_noise(pcm))
            self._partial = None
        self._pending.clear()

    def partial(self) -> tuple[str, ...]:
        if self._partial is None:
            said = _read(self._recogniser.PartialResult()).partial.split()
            self._partial = tuple(word for word in said if not word.startswith(_FILLERS))
        return self._partial

    def finish(self) -> tuple[Word, ...]:
        self.step()
        words = tuple(self._place(_read(self._recogniser.FinalResult()).result))
        self._recogniser = None
        return words

    def resume(self) -> bytes:
        return b""

    def close(self) -> None:
        self._recogniser = None
        self._pending.clear()

    def _place(self, heard: Iterable[Spoken]) -> Iterator[Word]:
        """Give the words with their times, inside the segment and never going back."""
        at, first, limit = 0, self._first_sample, self._accepted_samples
        for spoken in heard:
            if not spoken.word.startswith(_FILLERS):
                start = min(max(samples_of_s(spoken.start), at), limit)
                at = min(max(samples_of_s(spoken.end), start), limit)
                yield Word(spoken.word, first + start, first + at, min(max(spoken.conf, 0.0), 1.0))


class VoskEngine(Engine):
    """One model for all streams, on the processor: to use a GPU, vosk would have to be built for it."""

    def __init__(self, setup: Setup) -> None:
        """Find the model.

        Raises EngineMissing when there is none of that name, or its folder lacks what vosk needs.
        """
        self._folder = find_model(setup.model, setup.models_dir, engine="vosk")
        _check(self._folder)
        self._model: Any = None
        self._create: Any = None
        self.traits = Traits(languages=languages_of(self._folder), releases_gil=True)

    def load(self) -> None:
        try:
            from vosk import KaldiRecognizer, Model, SetLogLevel
        except ImportError as error:
            raise EngineMissing("vosk is not installed: pip install 'scribewire[vosk]'.") from error
        SetLogLevel(-1)
        self._create = KaldiRecognizer
        with tempfile.TemporaryDirectory(prefix="scribewire-vosk-") as folder:
            _link_without_noise(self._folder, Path(folder))
            try:
                self._model = Model(folder)
                # A model whose parts do not fit loads, and fails when it is first used.
                _recogniser(self._model, self._create)
            except Exception as error:  # vosk knows no other
                raise _damaged(self._folder) from error

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> VoskStream:
        assert self._model is not None, "load comes first"
        return VoskStream(self._model, self._create)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        for stream in streams:
            assert isinstance(stream, VoskStream), "a stream of another engine"
            stream.step()
        return [Outcome.ON] * len(streams)

    def close(self) -> None:
        self._model = None


def _recogniser(model: Any, create: Any) -> Any:
    recogniser = create(model, SAMPLE_RATE_HZ)
    recogniser.SetWords(True)  # noqa: FBT003 - it has no name for it
    return recogniser


def _read(answer: str) -> Heard:
    return msgspec.json.decode(answer, type=Heard)


def _add_noise(pcm: bytes) -> bytes:
    samples = np.frombuffer(pcm, "<i2")
    return (samples.clip(-_LOUDEST, _LOUDEST) + _NOISE[: len(samples)]).tobytes()


# --- the folder of a model -------------------------------------------------------------------------------------------


def _check(folder: Path) -> None:
    """Look for what vosk needs, for it tells only the log what it missed, and ends the process over some of it.

    Raises EngineMissing.
    """
    layout = next((layout for layout in _LAYOUTS if (folder / layout[0]).is_file()), None)
    if layout is None:
        raise EngineMissing(f"The folder {folder} is no model of vosk: scribewire models list shows models that fit.")
    configs, graph = (folder / name for name in layout[1:])
    graphs = {path.name for path in graph.glob("*.fst")}
    has_graph = "HCLG.fst" in graphs or graphs >= {"HCLr.fst", "Gr.fst"}
    has_features = any((configs / name).is_file() for name in _FEATURE_CONFIGS)
    options = [option for path in configs.glob("*.conf") for option in _options_of(path)]
    has_silence = configs == folder or _SILENCE in options
    is_whole = has_graph and has_features and has_silence and (graph / "words.txt").is_file()
    if not is_whole or "--" in options:
        raise _damaged(folder)


def _options_of(path: Path) -> list[str]:
    """Give the names of the options in a configuration file, with their dashes."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path.parent) from error
    return [line.partition("#")[0].partition("=")[0].strip() for line in lines]


def _link_without_noise(folder: Path, into: Path) -> None:
    """Make a folder like a model's, but that its features are taken without random noise."""
    for path, _, names in os.walk(folder, followlinks=True):
        place = into / Path(path).relative_to(folder)
        place.mkdir(exist_ok=True)
        for name in names:
            file = Path(path, name)
            if name in _FEATURE_CONFIGS:
                (place / name).write_text(f"{file.read_text(encoding='utf-8')}\n--dither=0\n", encoding="utf-8")
            else:
                (place / name).symlink_to(file.resolve())


def _damaged(folder: Path) -> EngineMissing:
    return EngineMissing(
        f"The model of vosk in {folder} is damaged: pull it again with scribewire models pull, or give another folder."
    )
