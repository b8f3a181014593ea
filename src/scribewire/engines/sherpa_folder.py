"""Which streaming model for sherpa-onnx lies in a folder, by the names of its files and the notes inside them.

The library ends the whole process over a file that lacks what it wants, so this asks for all of that beforehand. Of
files that play the same part one is taken: int8 on a CPU, where it is smaller and faster, but not on a GPU, which gains
nothing by it; half precision when there is nothing else; and then the first by name.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final

from scribewire.core.audio import SAMPLE_RATE_HZ
from scribewire.engines.base import Device
from scribewire.engines.protobuf import read_fields
from scribewire.engines.tokens import Spelling
from scribewire.errors import EngineMissing

FEATURE_SAMPLES: Final = SAMPLE_RATE_HZ // 100
# ModelProto.metadata_props of onnx.proto; ModelProto.pieces of sentencepiece_model.proto, and their two fields.
_NOTES_FIELD: Final = 14
_PIECES_FIELD: Final = 1
_FIRST_FIELD, _SECOND_FIELD = 1, 2
# What the library takes for one output frame where it does not ask the model.
_ASSUMED_SUBSAMPLING: Final = 4
# Paraformer chunks are the library's own: 61 frames, and 3 × 6 more that it looks ahead.
PARAFORMER_SHIFT: Final = 60
PARAFORMER_AHEAD: Final = 18
_PARAFORMER_CHUNK: Final = PARAFORMER_SHIFT + 1 + PARAFORMER_AHEAD

_TRANSDUCER_PARTS: Final = ("encoder", "decoder", "joiner")
_PARAFORMER_PARTS: Final = ("encoder", "decoder")
_CTC_PARTS: Final = ("model",)


class Kind(Enum):
    """A kind of streaming model; `value` is what people call it."""

    TRANSDUCER = "transducer"
    NEMO_TRANSDUCER = "NeMo transducer"
    ZIPFORMER_CTC = "zipformer2 CTC"
    NEMO_CTC = "NeMo CTC"
    PARAFORMER = "paraformer"


@dataclass(frozen=True, slots=True)
class _Row:
    """One kind: its parts, and the notes without which the library would not load the first of them."""

    kind: Kind
    parts: tuple[str, ...]
    notes: frozenset[str]


_NEMO_NOTES: Final = frozenset({"window_size", "chunk_shift", "subsampling_factor", "cache_last_channel_dim1"})
_ROWS: Final = (
    _Row(Kind.NEMO_TRANSDUCER, _TRANSDUCER_PARTS, _NEMO_NOTES | {"pred_rnn_layers", "pred_hidden"}),
    _Row(Kind.TRANSDUCER, _TRANSDUCER_PARTS, frozenset({"model_type", "T", "decode_chunk_len"})),
    _Row(Kind.PARAFORMER, _PARAFORMER_PARTS, frozenset({"lfr_window_size", "decoder_num_blocks", "neg_mean"})),
    _Row(Kind.NEMO_CTC, _CTC_PARTS, _NEMO_NOTES),
    _Row(Kind.ZIPFORMER_CTC, _CTC_PARTS, frozenset({"encoder_dims", "left_context_len", "T", "decode_chunk_len"})),
)
# The encoders of Icefall's streaming transducers that the library runs.
_ENCODERS: Final = frozenset({"conformer", "lstm", "zipformer", "zipformer2"})
_NEMO: Final = frozenset({Kind.NEMO_TRANSDUCER, Kind.NEMO_CTC})
_BLANKS: Final = frozenset({"<blk>", "<blank>", "<eps>"})


@dataclass(frozen=True, slots=True)
class SherpaModel:
    """A model as the library wants it. `told_frame_s` is what the library takes for an output frame of `frame_samples`.

    `chunk_samples` is how much it looks at to decode a chunk; `unit` and `pieces` are how it encodes phrases to expect,
    where it can.
    """

    kind: Kind
    files: Mapping[str, str]
    encoder: str
    chunk_samples: int
    frame_samples: int
    told_frame_s: float
    spelling: Spelling
    unit: str | None
    pieces: Path | None

    @property
    def gives_probabilities(self) -> bool:
        """Say whether the library tells the probability of each token: its NeMo search, as those for CTC, does not."""
        return self.kind is Kind.TRANSDUCER


def recognise(folder: Path, device: Device) -> SherpaModel:
    """Find the model of a folder, reading nothing but its tokens and notes.

    Raises EngineMissing when there is none that can stream, or a file is damaged.
    """
    for row in _ROWS:
        files = {part: path for part in row.parts if (path := _find_part(folder, part, device))}
        if len(files) == len(row.parts):
            notes = _read_notes(files[row.parts[0]])
            if row.notes <= notes.keys():
                return _describe(folder, row, files, notes)
    raise _unfit(folder, "holds no streaming transducer, CTC or paraformer model of sherpa-onnx")


def _find_part(folder: Path, part: str, device: Device) -> Path | None:
    paths = [path for path in folder.glob("*.onnx") if _part_of(path.name) == part]
    return min(paths, key=lambda path: _rank(path.name, device), default=None)


def _rank(name: str, device: Device) -> tuple[bool, bool, str]:
    return ("int8" in name) != (device == "cpu"), "fp16" in name, name


def _part_of(name: str) -> str:
    # The file of a CTC model has no certain name.
    return next((part for part in _TRANSDUCER_PARTS if part in name), "model")


def _describe(folder: Path, row: _Row, files: Mapping[str, Path], notes: Mapping[str, str]) -> SherpaModel:
    kind, encoder = row.kind, notes.get("model_type", "") if row.kind is Kind.TRANSDUCER else ""
    if encoder and encoder not in _ENCODERS:
        raise _unfit(folder, f"holds a transducer of the kind {encoder!r}, which cannot stream here")
    vocabulary = _read_vocabulary(folder)
    if kind is not Kind.PARAFORMER and not _BLANKS & vocabulary:
        raise _unfit(folder, "has no blank in its tokens.txt")
    spelling = Spelling(vocabulary)
    unit, pieces = _encoding(folder, kind, spelling)
    if kind is Kind.PARAFORMER:
        chunk, subsampling = _PARAFORMER_CHUNK, PARAFORMER_SHIFT
    elif kind in _NEMO:
        chunk, subsampling = _number(folder, notes, "window_size"), _number(folder, notes, "subsampling_factor")
    else:
        chunk, subsampling = _number(folder, notes, "T"), _ASSUMED_SUBSAMPLING
    told = subsampling if kind is Kind.NEMO_TRANSDUCER else _ASSUMED_SUBSAMPLING
    return SherpaModel(
        kind=kind,
        files={part: str(path) for part, path in files.items()} | {"tokens": str(folder / "tokens.txt")},
        encoder=encoder,
        chunk_samples=chunk * FEATURE_SAMPLES,
        frame_samples=subsampling * FEATURE_SAMPLES,
        told_frame_s=told * FEATURE_SAMPLES / SAMPLE_RATE_HZ,
        spelling=spelling,
        unit=unit,
        pieces=pieces,
    )


def _number(folder: Path, notes: Mapping[str, str], name: str) -> int:
    if not notes[name].isdecimal():
        raise _unfit(folder, f"has no number for {name} in its model")
    return int(notes[name])


def _encoding(folder: Path, kind: Kind, spelling: Spelling) -> tuple[str | None, Path | None]:
    """Say in which units phrases to expect are encoded, and what file holds the pieces; None where they cannot be."""
    if kind is not Kind.TRANSDUCER:
        return None, None
    if not spelling.in_pieces:
        return "cjkchar", None
    pieces = next((path for name in ("bpe.vocab", "bpe.model") if (path := folder / name).is_file()), None)
    if pieces is None:
        return None, None
    if spelling.by_bytes:
        return "bbpe", pieces
    return ("cjkchar+bpe" if spelling.has_lone_characters else "bpe"), pieces


def _read_vocabulary(folder: Path) -> frozenset[str]:
    path = folder / "tokens.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unfit(folder, "has no tokens.txt that can be read") from error
    vocabulary = set()
    for line in filter(str.strip, lines):
        # A blank is a token too, and then stands for itself.
        *symbols, number = line.split()
        if len(symbols) > 1 or not number.isdecimal():
            raise _unfit(folder, "has a damaged tokens.txt")
        vocabulary.add(symbols[0] if symbols else " ")
    return frozenset(vocabulary)


def _read_notes(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            entries = _read_pairs(file, _NOTES_FIELD)
        return {entry[_FIRST_FIELD].decode(): entry.get(_SECOND_FIELD, b"").decode() for entry in entries}
    except (OSError, ValueError, KeyError) as error:
        raise EngineMissing(
            f"{path} is damaged: pull the model again with scribewire models pull, or give it another folder."
        ) from error


def read_pieces(path: Path) -> str:
    """Give the pieces of a sentencepiece model, or of its text form, as text: a line for each, a tab before its score.

    Raises ValueError when it is neither.
    """
    if path.suffix == ".vocab":
        return path.read_text(encoding="utf-8")
    with path.open("rb") as file:
        entries = _read_pairs(file, _PIECES_FIELD)
    unscored = struct.pack("<f", 0.0)
    return "".join(
        f"{entry[_FIRST_FIELD].decode()}\t{struct.unpack('<f', entry.get(_SECOND_FIELD, unscored))[0]}\n"
        for entry in entries
        if _FIRST_FIELD in entry
    )


def _read_pairs(file: BinaryIO, field: int) -> list[dict[int, bytes]]:
    """Read the first two fields of each message in a repeated field."""
    pair = (_FIRST_FIELD, _SECOND_FIELD)
    return [dict(read_fields(io.BytesIO(entry), pair)) for _, entry in read_fields(file, (field,))]


def _unfit(folder: Path, why: str) -> EngineMissing:
    return EngineMissing(f"The folder {folder} {why}: scribewire models list shows models that fit.")
