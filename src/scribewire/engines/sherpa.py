"""sherpa-onnx: streaming transducers, CTC models and paraformers, all ready streams of a step decoded in one call.

Each segment is a stream of the library's own, so that its text depends on its audio alone. The library's endpointing
stays off: the gate ends segments, by settings that users know, and with no endpoint inside a segment nothing is lost or
doubled there. What a long one keeps is its text; of its audio only the chunk to come is held.

Words of transducers carry the probability that the model gave to their tokens. The library gives none for the other
kinds; those carry the clarity with which they were heard (loudness.py), and the traits say so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.core.words import Word
from scribewire.engines.base import PLAIN, Device, Engine, Options, Outcome, Setup, Stream, Traits
from scribewire.engines.loudness import Loudness
from scribewire.engines.models import find_model, languages_of
from scribewire.engines.sherpa_folder import (
    FEATURE_SAMPLES,
    PARAFORMER_AHEAD,
    PARAFORMER_SHIFT,
    Kind,
    SherpaModel,
    read_pieces,
    recognise,
)
from scribewire.engines.tokens import Spelled, Token
from scribewire.errors import EngineMissing

# Streams in one call: with 20 million parameters 8, 16 and 32 cost .0068, .0061 and .0056 of a core each, against .0127
# alone. More would gain little and make all wait longer for the slowest.
BATCH: Final = 32
# A model looks at a whole chunk before it says anything of it, and says a word a little after it was spoken. Silence of
# a chunk and this much more brings out all there is; the library's own examples come to the same.
LATE_SAMPLES: Final = SAMPLE_RATE_HZ // 5
_FULL_SCALE: Final = np.float32(32_768)
# Characters that end a phrase, score it or comment on it where the library reads phrases.
_MEANT: Final = str.maketrans(dict.fromkeys("/:#@\n\r", " "))


class SherpaStream(Stream):
    """One session's expected phrases, and the library's stream for its open segment."""

    def __init__(self, recogniser: Any, model: SherpaModel, hotwords: str) -> None:
        self.recogniser = recogniser
        self._model = model
        self._hotwords = hotwords
        self.inner: Any = None
        self._pending: list[bytes] = []
        self._first_sample = 0
        self._accepted_samples = 0
        self._chunks = 0
        self._tokens: list[Token] = []
        self._words: list[Spelled] = []
        self._is_spelled = True
        self._loudness = Loudness()

    def begin(self, first_sample: int) -> None:
        create = self.recogniser.create_stream
        self.inner = create(self._hotwords) if self._hotwords else create()
        self._pending.clear()
        self._first_sample = first_sample
        self._accepted_samples = self._chunks = 0
        self._tokens, self._words = [], []
        self._is_spelled = True
        self._loudness = Loudness()

    def accept(self, pcm: bytes) -> None:
        self._pending.append(pcm)

    def feed(self) -> None:
        """Give the library what was accepted."""
        if not self._pending:
            return
        samples = np.frombuffer(b"".join(self._pending), "<i2").astype(np.float32) / _FULL_SCALE
        self._pending.clear()
        self._accepted_samples += len(samples)
        if not self._model.gives_probabilities:
            self._loudness.hear(samples)
        # The binding takes an array number by number, and a list in two thirds of the time.
        self.inner.accept_waveform(SAMPLE_RATE_HZ, samples.tolist())

    @property
    def is_ready(self) -> bool:
        """Say whether a whole chunk waits to be decoded."""
        return bool(self.recogniser.is_ready(self.inner))

    def decoded(self) -> None:
        """Go on by one decoded chunk."""
        self._chunks += 1
        self._is_spelled = False
        if self._model.kind is Kind.PARAFORMER:
            self._read_untimed()

    def partial(self) -> tuple[str, ...]:
        return tuple(word.text for word in self._spell())

    def finish(self) -> tuple[Word, ...]:
        self.feed()
        if self._accepted_samples:
            self.inner.accept_waveform(SAMPLE_RATE_HZ, [0.0] * (self._model.chunk_samples + LATE_SAMPLES))
            self.inner.input_finished()
            decode_ready([self])
        words = tuple(self._place(self._spell()))
        self.inner = None
        return words

    def resume(self) -> bytes:
        return b""

    def close(self) -> None:
        self.inner = None
        self._pending.clear()

    def _spell(self) -> list[Spelled]:
        if not self._is_spelled:
            if self._model.kind is not Kind.PARAFORMER:
                self._read()
            self._words = self._model.spelling.spell(self._tokens)
            self._is_spelled = True
        return self._words

    def _read(self) -> None:
        result = self.recogniser.get_result_all(self.inner)
        model = self._model
        starts = [round(told_s / model.told_frame_s) * model.frame_samples for told_s in result.timestamps]
        log_probs = result.ys_probs if model.gives_probabilities else [None] * len(starts)
        self._tokens = [Token(*token) for token in zip(result.tokens, starts, log_probs, strict=False)]

    def _read_untimed(self) -> None:
        """Take the tokens that the last chunk brought, and spread them over it: the library has no times for them."""
        new = self.recogniser.get_result_all(self.inner).tokens[len(self._tokens) :]
        start = ((self._chunks - 1) * PARAFORMER_SHIFT - PARAFORMER_AHEAD) * FEATURE_SAMPLES
        step = PARAFORMER_SHIFT * FEATURE_SAMPLES // max(1, len(new))
        self._tokens += [Token(text, max(0, start + number * step)) for number, text in enumerate(new)]

    def _place(self, words: Sequence[Spelled]) -> Iterator[Word]:
        """Give words their times: each ends a frame after its last token, or where the next begins or the segment ends.

        What comes late is found in the silence after the segment, and stands at its end.
        """
        segment_end = self._accepted_samples
        for word, following in zip_longest(words, words[1:]):
            limit = min(following.start_samples, segment_end) if following else segment_end
            start = min(word.start_samples, limit)
            end = min(word.last_start_samples + self._model.frame_samples, limit)
            confidence = word.probability
            if confidence is None:
                confidence = self._loudness.clarity(start, end)
            yield Word(word.text, self._first_sample + start, self._first_sample + end, confidence)


def decode_ready(streams: Iterable[SherpaStream]) -> None:
    """Decode all whole chunks: the next of every stream that has one in one call, again and again."""
    while streams := [stream for stream in streams if stream.is_ready]:
        for recogniser in {id(stream.recogniser): stream.recogniser for stream in streams}.values():
            recogniser.decode_streams([stream.inner for stream in streams if stream.recogniser is recogniser])
        for stream in streams:
            stream.decoded()


class SherpaEngine(Engine):
    """One model for all streams, loaded once more when a session expects phrases, for a search that can favour them."""

    def __init__(self, setup: Setup) -> None:
        """Find the model.

        Raises EngineMissing when there is none of that name, or none that can stream.
        """
        folder = find_model(setup.model, setup.models_dir, engine="sherpa")
        self._model = recognise(folder, setup.device)
        self._device = setup.device
        self._recogniser: Any = None
        self._biased: Any = None
        self._lock = Lock()
        self.traits = Traits(
            languages=languages_of(folder),
            releases_gil=True,
            word_times=self._model.kind is not Kind.PARAFORMER,
            confidence=self._model.gives_probabilities,
            batch=BATCH,
            vocabulary=self._model.unit is not None,
        )

    def load(self) -> None:
        self._recogniser = _load(self._model, self._device)

    def open(self, resume: bytes = b"", options: Options = PLAIN) -> SherpaStream:
        assert self._recogniser is not None, "load comes first"
        hotwords = self._write_hotwords(options.vocabulary) if self.traits.vocabulary else ""
        return SherpaStream(self._biasing() if hotwords else self._recogniser, self._model, hotwords)

    def step(self, streams: Sequence[Stream]) -> list[Outcome]:
        ours = []
        for stream in streams:
            assert isinstance(stream, SherpaStream), "a stream of another engine"
            stream.feed()
            ours.append(stream)
        decode_ready(ours)
        return [Outcome.ON] * len(streams)

    def close(self) -> None:
        self._recogniser = self._biased = None

    def _biasing(self) -> Any:
        # Loaded by the first who wants it: it takes the model's memory once more, and its search costs 5 to 20 % beside
        # 17 million weights, which sessions that expect nothing need not pay.
        with self._lock:
            if self._biased is None:
                self._biased = _load(self._model, self._device, biased=True)
            return self._biased

    def _write_hotwords(self, vocabulary: Iterable[str]) -> str:
        """Give the phrases as the library reads them, less what has a meaning to it and what no token can spell."""
        plain = (phrase.translate(_MEANT) for phrase in vocabulary)
        return "/".join(written for phrase in plain if (written := self._model.spelling.write(phrase)))


def _load(model: SherpaModel, device: Device, *, biased: bool = False) -> Any:
    """Load a recogniser. `biased` searches with a beam, which alone can favour phrases.

    Raises EngineMissing when the library is not there or cannot read the model.
    """
    try:
        from sherpa_onnx import OnlineRecognizer
    except ImportError as error:
        raise EngineMissing("sherpa-onnx is not installed: pip install 'scribewire[sherpa]'.") from error
    build = {
        Kind.TRANSDUCER: OnlineRecognizer.from_transducer,
        Kind.NEMO_TRANSDUCER: OnlineRecognizer.from_transducer,
        Kind.ZIPFORMER_CTC: OnlineRecognizer.from_zipformer2_ctc,
        Kind.NEMO_CTC: OnlineRecognizer.from_nemo_ctc,
        Kind.PARAFORMER: OnlineRecognizer.from_paraformer,
    }[model.kind]
    # One thread a call: a worker decodes as many batches at once as it has cores.
    options: dict[str, Any] = {**model.files, "num_threads": 1, "provider": device}
    if model.encoder:
        options["model_type"] = model.encoder
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".vocab") as pieces:
            if biased:
                options |= {"decoding_method": "modified_beam_search", "modeling_unit": model.unit}
                if model.pieces:
                    pieces.write(read_pieces(model.pieces))
                    pieces.flush()
                    options["bpe_vocab"] = pieces.name
            return build(**options)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise EngineMissing(f"sherpa-onnx cannot load the model in {Path(model.files['tokens']).parent}.") from error
