"""A folder's model is told by its files, and what the library would die of is refused in a sentence."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from scribewire.engines.sherpa_folder import Kind, read_pieces, recognise
from scribewire.errors import EngineMissing
from tests.tiny import sherpa

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("write", "kind", "told_frame_s"),
    [
        (sherpa.write_ctc, Kind.ZIPFORMER_CTC, 0.04),
        (sherpa.write_transducer, Kind.TRANSDUCER, 0.04),
        (sherpa.write_nemo_ctc, Kind.NEMO_CTC, 0.04),
        (sherpa.write_nemo_transducer, Kind.NEMO_TRANSDUCER, 0.08),
        (sherpa.write_paraformer, Kind.PARAFORMER, 0.04),
    ],
)
def test_each_kind_is_known_by_its_files(
    write: Callable[[Path], Path], kind: Kind, told_frame_s: float, tmp_path: Path
) -> None:
    model = recognise(write(tmp_path), "cpu")

    assert (model.kind, model.told_frame_s) == (kind, told_frame_s)


def test_of_two_files_of_a_part_a_cpu_takes_the_smaller_numbers_and_a_gpu_the_others(tmp_path: Path) -> None:
    folder = sherpa.write_transducer(tmp_path)
    for part in ("encoder", "decoder", "joiner"):
        (folder / f"{part}.onnx").rename(folder / f"{part}-epoch-99-avg-1.onnx")
    for part in ("encoder", "joiner"):
        shutil.copy(folder / f"{part}-epoch-99-avg-1.onnx", folder / f"{part}-epoch-99-avg-1.int8.onnx")

    def names(device: str) -> list[str]:
        files = recognise(folder, "cuda" if device == "cuda" else "cpu").files
        return [Path(files[part]).name.removeprefix(part) for part in ("encoder", "decoder", "joiner")]

    assert names("cpu") == ["-epoch-99-avg-1.int8.onnx", "-epoch-99-avg-1.onnx", "-epoch-99-avg-1.int8.onnx"]
    assert names("cuda") == ["-epoch-99-avg-1.onnx"] * 3


def without_a_part(folder: Path) -> None:
    (folder / "joiner.onnx").unlink()


def without_notes(folder: Path) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes().replace(b"decode_chunk_len", b"offline_chunk_ln"))


def of_another_encoder(folder: Path) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes().replace(b"zipformer2", b"zipformer7"))


def cut_short(folder: Path) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-100])


def not_pulled_but_pointed_at(folder: Path) -> None:
    (folder / "encoder.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")


def without_tokens(folder: Path) -> None:
    (folder / "tokens.txt").unlink()


def with_tokens_of_three_columns(folder: Path) -> None:
    (folder / "tokens.txt").write_text("<blk> 0\na b 1\n")


def without_a_blank(folder: Path) -> None:
    (folder / "tokens.txt").write_text("▁alfa 0\n")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (shutil.rmtree, "no streaming"),
        (without_a_part, "no streaming"),
        (without_notes, "no streaming"),
        (of_another_encoder, "'zipformer7'"),
        (cut_short, r"encoder\.onnx is damaged"),
        (not_pulled_but_pointed_at, r"encoder\.onnx is damaged"),
        (without_tokens, r"tokens\.txt"),
        (with_tokens_of_three_columns, r"damaged tokens\.txt"),
        (without_a_blank, "no blank"),
    ],
)
def test_what_the_library_would_die_of_is_refused_with_what_mends_it(
    spoil: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    folder = sherpa.write_transducer(tmp_path)
    spoil(folder)

    with pytest.raises(EngineMissing, match=f"{why}.*scribewire models"):
        recognise(folder, "cpu")


def test_pieces_of_a_sentencepiece_model_are_written_as_text(tmp_path: Path) -> None:
    def piece(text: str, score: float | None) -> bytes:
        body = b"\x0a" + bytes([len(text.encode())]) + text.encode()
        body += b"\x15" + struct.pack("<f", score) if score is not None else b""
        return b"\x0a" + bytes([len(body)]) + body

    path = tmp_path / "bpe.model"
    path.write_bytes(piece("▁HE", -1.5) + piece("LL", None) + b"\x12\x00")

    assert read_pieces(path) == "▁HE\t-1.5\nLL\t0.0\n"
