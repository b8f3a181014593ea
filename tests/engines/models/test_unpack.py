"""Archives that try to escape, to link, to explode or that are broken; none of them leaves anything outside."""

from __future__ import annotations

import errno
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scribewire.engines.models.unpack import Bounds, unpack
from scribewire.errors import ModelBroken
from tests.engines.models.source import SHERPA, tar_of, zip_of

BOUNDS = Bounds()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """An archive of one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        one = tarfile.TarInfo(name)
        one.type, one.linkname = kind, link
        archive.addfile(one)
    return buffer.getvalue()


def zip_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def tar_of_a_zero_byte() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        one = tarfile.TarInfo("a")
        one.pax_headers = {"path": "a\0b"}
        archive.addfile(one)
    return buffer.getvalue()


def zip_without_a_name() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        one = zipfile.ZipInfo()
        one.filename = ""
        archive.writestr(one, b"")
    return buffer.getvalue()


def zip_that_begins_before_its_start() -> bytes:
    content = bytearray(zip_of(SHERPA))
    # Where the list of members is said to stand, in the record that ends the archive: far behind where it does.
    struct.pack_into("<I", content, content.rindex(b"PK\5\6") + 16, 2**31 - 1)
    return bytes(content)


def unpacked(content: bytes, tmp_path: Path, bounds: Bounds = BOUNDS) -> Path:
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    return unpack(archive, tmp_path / "inside" / "new", bounds=bounds)


@pytest.mark.parametrize("pack", [lambda: tar_of(SHERPA), lambda: tar_of(SHERPA, kind="gz"), lambda: zip_of(SHERPA)])
def test_the_only_top_folder_is_the_root(tmp_path: Path, pack: Callable[[], bytes]) -> None:
    root = unpacked(pack(), tmp_path)
    assert root.name == "some-model"
    assert {path: (root / path).read_bytes() for path in SHERPA} == SHERPA


def test_without_a_top_folder_the_new_one_is_the_root(tmp_path: Path) -> None:
    assert (unpacked(tar_of(SHERPA, top=""), tmp_path) / "tokens.txt").exists()


def test_what_macos_adds_is_left_out(tmp_path: Path) -> None:
    root = unpacked(zip_of({"m/tokens.txt": b"", "._m": b"", "__MACOSX/m/._tokens.txt": b""}, top=""), tmp_path)
    assert root.name == "m"


def test_modes_and_owners_are_not_taken_over(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        one = tarfile.TarInfo("m/run")
        one.mode = 0o4777
        archive.addfile(one)
    assert unpacked(buffer.getvalue(), tmp_path).joinpath("run").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (member("../escaped"), "may not be unpacked"),
        (member("m/../../escaped"), "may not be unpacked"),
        (member("/escaped"), "leads out of it"),
        (member("..\\escaped"), "leads out of it"),
        (member("C:escaped"), "leads out of it"),
        (member("link", tarfile.SYMTYPE, "/etc"), "may not be unpacked"),
        (member("link", tarfile.SYMTYPE, "inside"), "neither a file nor a folder"),
        (member("link", tarfile.LNKTYPE, "../escaped"), "may not be unpacked"),
        (member("link", tarfile.LNKTYPE, "inside"), "neither a file nor a folder"),
        (member("device", tarfile.CHRTYPE), "may not be unpacked"),
        (member("pipe", tarfile.FIFOTYPE), "may not be unpacked"),
        (zip_of({"../escaped": b""}, top=""), "leads out of it"),
        (zip_of({"/escaped": b""}, top=""), "leads out of it"),
        (zip_link(), "neither a file nor a folder"),
        (tar_of({"a": b"", "a/b": b""}), "holds a path twice"),
        (b"no archive at all", "cannot be unpacked"),
        (tar_of(SHERPA)[:-200], "cannot be unpacked"),
        (tar_of(SHERPA, kind="gz")[:-40], "cannot be unpacked"),
        (zip_of(SHERPA).replace(b"<blk>", b"<bla>", 1)[:-30], "cannot be unpacked"),
        (zip_of({"modèle": b""}).replace("è".encode(), b"\xff\xfe"), "cannot be unpacked: 'utf-8' codec"),
        (zip_without_a_name(), "cannot be unpacked"),
        (zip_that_begins_before_its_start(), "cannot be unpacked: .*Invalid argument"),
        (tar_of_a_zero_byte(), "cannot be unpacked: embedded null byte"),
    ],
)
def test_an_archive_that_is_no_plain_folder_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(ModelBroken, match=sentence):
        unpacked(content, tmp_path)
    assert list(tmp_path.rglob("*escaped*")) == []
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_bomb_is_left_before_it_is_unpacked(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    bomb = pack({"bomb": bytes(20 << 20)})
    with pytest.raises(ModelBroken, match="far more than its size"):
        unpacked(bomb, tmp_path, Bounds(floor_bytes=1 << 20))
    assert sum(path.stat().st_size for path in (tmp_path / "inside").rglob("*") if path.is_file()) <= 1 << 20


def test_what_the_disk_says_is_not_the_archives_fault(tmp_path: Path) -> None:
    def fail(what: str, done_bytes: int, total_bytes: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    archive = tmp_path / "archive"
    archive.write_bytes(tar_of(SHERPA))
    with pytest.raises(OSError, match="Input/output error"):
        unpack(archive, tmp_path / "new", tell=fail)


def test_too_many_files_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelBroken, match="more than 3 files"):
        unpacked(tar_of({str(number): b"" for number in range(4)}), tmp_path, Bounds(files=3))
