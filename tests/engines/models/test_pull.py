"""Pulling over real HTTP: breaks, changes, lies, full disks and rivals; the model that is there is never harmed."""

from __future__ import annotations

import base64
import errno
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from scribewire.engines.models import find_model, languages_of, manifest, staging
from scribewire.engines.models.download import Download, Patience
from scribewire.engines.models.folder import is_current, remove, verify
from scribewire.engines.models.model import File, Vouched
from scribewire.engines.models.pull import pull
from scribewire.errors import ModelBroken
from tests.engines.models.source import SHERPA, WHISPER, Served, Source, archived, loose, serving, sha256, tar_of

pytestmark = pytest.mark.e2e

EAGER = Patience(connect_s=2.0, read_s=2.0, tries=4, backoff_s=0.0)
HURRIED = Patience(connect_s=2.0, read_s=2.0, tries=1, backoff_s=0.0)
ARCHIVE = tar_of(SHERPA, kind="gz")
PATH = "/a/tiny.tar.bz2"


@pytest.fixture
def source() -> Iterator[Source]:
    with serving() as running:
        yield running


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in manifest.files_of(folder)}


def names_in(models_dir: Path) -> set[str]:
    """What lies in the folder of models, but for locks."""
    return {path.relative_to(models_dir).as_posix() for path in models_dir.rglob("*") if path.suffix != ".lock"}


def test_an_archive_becomes_a_model_with_a_manifest(source: Source, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    model = archived(source, ARCHIVE)
    known = pull(model, tmp_path, tell=lambda *progress: heard.append(progress))

    folder = find_model("tiny", tmp_path, engine="sherpa")
    assert folder == tmp_path / "tiny"
    assert files_in(folder) == SHERPA
    assert languages_of(folder) == ("en",)
    assert manifest.read(folder) == known
    assert known.vouched is Vouched.PUBLISHED
    assert known.downloads == (manifest.Entry("tiny.tar.bz2", len(ARCHIVE), sha256(ARCHIVE)),)
    assert heard[-1][1] == heard[-1][2]
    assert {path.split("/")[0] for path in names_in(tmp_path)} == {"tiny", ".pulls"}
    assert list((tmp_path / ".pulls").iterdir()) == [tmp_path / ".pulls" / "tiny.lock"]


def test_loose_files_become_a_model(source: Source, tmp_path: Path) -> None:
    heard: set[str] = set()
    known = pull(loose(source), tmp_path, tell=lambda what, *_: heard.add(what))
    assert files_in(find_model("wee", tmp_path, engine="whisper")) == WHISPER
    assert {entry.path: entry.sha256 for entry in known.files} == {
        name: sha256(content) for name, content in WHISPER.items()
    }
    # They were hashed as they came, and are not read again.
    assert heard == set(WHISPER)
    verify("wee", tmp_path)


def test_a_broken_answer_is_resumed_where_it_stopped(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].breaks_after = [100, 50]
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", "bytes=100-", "bytes=150-"]
    assert [headers.get("If-Range") for _, headers in source.asked] == [None, '"v1"', '"v1"']


def test_the_next_pull_goes_on_where_a_broken_one_stopped(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].breaks_after = [100]
    with pytest.raises(ModelBroken, match=r"could not be fetched from 127\.0\.0\.1: .*Pull again later to go on"):
        pull(model, tmp_path, patience=HURRIED)
    assert staging.has_leftovers(tmp_path, "tiny")
    pull(model, tmp_path, patience=HURRIED)
    assert source.ranges_asked() == ["", "bytes=100-"]
    assert not staging.has_leftovers(tmp_path, "tiny")


def test_files_that_are_whole_are_not_fetched_again(source: Source, tmp_path: Path) -> None:
    model = loose(source)
    source.paths["/w/tokenizer.json"].statuses = [503]
    with pytest.raises(ModelBroken, match="HTTP 503"):
        pull(model, tmp_path, patience=HURRIED)
    source.asked.clear()
    pull(model, tmp_path, patience=HURRIED)
    assert [path for path, _ in source.asked] == ["/w/tokenizer.json"]


@pytest.mark.parametrize("published", [True, False])
def test_a_server_without_ranges_starts_anew(source: Source, tmp_path: Path, published: bool) -> None:
    model = archived(source, ARCHIVE, published=published)
    source.paths[PATH].breaks_after = [100]
    source.paths[PATH].ranges = False
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", "bytes=100-"]
    assert files_in(tmp_path / "tiny") == SHERPA


def test_a_file_that_changed_in_between_starts_anew(source: Source, tmp_path: Path) -> None:
    model = archived(source, b"x" * len(ARCHIVE), published=False)
    source.paths[PATH].breaks_after = [100]
    with pytest.raises(ModelBroken):
        pull(model, tmp_path, patience=HURRIED)
    source.paths[PATH].content, source.paths[PATH].etag = ARCHIVE, '"v2"'
    pull(model, tmp_path, patience=HURRIED)
    assert files_in(tmp_path / "tiny") == SHERPA


def test_a_part_that_nothing_vouches_for_is_not_resumed(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE, published=False)
    source.paths[PATH].etag = ""
    source.paths[PATH].breaks_after = [100]
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", ""]


def test_halves_of_two_files_are_found_out_and_fetched_anew(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].etag = ""
    source.paths[PATH].content = b"x" * len(ARCHIVE)
    source.paths[PATH].breaks_after = [100]
    with pytest.raises(ModelBroken):
        pull(model, tmp_path, patience=HURRIED)
    source.paths[PATH].content = ARCHIVE
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", "bytes=100-", ""]


def test_a_range_that_is_not_satisfiable_starts_anew(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].breaks_after = [100]
    with pytest.raises(ModelBroken):
        pull(model, tmp_path, patience=HURRIED)
    source.paths[PATH].statuses = [416]
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", "bytes=100-", ""]


def test_a_busy_server_is_asked_again_and_a_lasting_no_is_not(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].statuses = [503, 429, 500]
    pull(model, tmp_path, patience=EAGER)
    assert len(source.asked) == 4
    source.paths.clear()
    with pytest.raises(ModelBroken, match=r"does not give tiny\.tar\.bz2: HTTP 404"):
        pull(model, tmp_path, patience=EAGER)
    assert len(source.asked) == 5


def test_an_address_that_is_none_is_told(source: Source, tmp_path: Path) -> None:
    with pytest.raises(ModelBroken, match="cannot be understood"):
        pull(archived(source, ARCHIVE), tmp_path, mirror_url="http://nowhere.invalid:port", patience=EAGER)


def test_tries_are_counted(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].statuses = [503] * 100
    with pytest.raises(ModelBroken, match="HTTP 503"):
        pull(model, tmp_path, patience=EAGER)
    assert len(source.asked) == EAGER.tries


def test_a_server_that_falls_silent_is_not_waited_for_long(source: Source, tmp_path: Path) -> None:
    model, silence = archived(source, ARCHIVE), threading.Event()

    def fall_silent() -> None:
        silence.wait(5)

    source.paths[PATH].before = fall_silent
    with pytest.raises(ModelBroken, match="timed out"):
        pull(model, tmp_path, patience=Patience(read_s=0.05, tries=1))
    silence.set()


def test_another_file_than_was_published_is_thrown_away(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].content = b"x" * len(ARCHIVE)
    with pytest.raises(ModelBroken, match="does not have its published checksum"):
        pull(model, tmp_path, patience=EAGER)
    assert len(source.asked) == 1
    assert "tiny" not in names_in(tmp_path)
    source.paths[PATH].content = ARCHIVE
    pull(model, tmp_path, patience=EAGER)


def test_a_file_of_another_length_is_not_fetched(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].content = ARCHIVE + b"x"
    with pytest.raises(ModelBroken, match=r"bytes there, and .* were published"):
        pull(model, tmp_path, patience=EAGER)


def test_what_was_pulled_first_must_come_again(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE, published=False)
    assert pull(model, tmp_path).vouched is Vouched.FIRST_USE
    pull(model, tmp_path)
    source.paths[PATH].content = tar_of({**SHERPA, "model.onnx": b"other"})
    with pytest.raises(ModelBroken, match=r"is not what was pulled first, on 2.*scribewire models remove tiny"):
        pull(model, tmp_path)
    assert files_in(tmp_path / "tiny") == SHERPA
    verify("tiny", tmp_path)
    remove("tiny", tmp_path)
    pull(model, tmp_path)
    assert files_in(tmp_path / "tiny")["model.onnx"] == b"other"


def test_a_broken_pull_leaves_the_old_model_untouched(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    pull(model, tmp_path)
    junk = tar_of({"readme.txt": b"no model"})
    with pytest.raises(ModelBroken, match="holds no model for sherpa"):
        pull(archived(source, junk), tmp_path)
    assert files_in(find_model("tiny", tmp_path, engine="sherpa")) == SHERPA
    assert not (tmp_path / ".pulls" / "tiny" / staging.NEW).exists()


def test_a_new_model_replaces_the_old(source: Source, tmp_path: Path) -> None:
    pull(archived(source, ARCHIVE), tmp_path)
    assert is_current(archived(source, ARCHIVE), tmp_path)
    newer = archived(source, tar_of({**SHERPA, "tokens.txt": b"new"}))
    assert not is_current(newer, tmp_path)
    pull(newer, tmp_path)
    assert is_current(newer, tmp_path)
    assert files_in(tmp_path / "tiny")["tokens.txt"] == b"new"


def test_a_model_that_lacks_a_file_of_its_row_is_not_current(source: Source, tmp_path: Path) -> None:
    less = {name: content for name, content in WHISPER.items() if name != "tokenizer.json"}
    pull(loose(source, less), tmp_path)
    assert is_current(loose(source, less), tmp_path)
    assert not is_current(loose(source), tmp_path)
    unpublished = loose(source)
    assert not is_current(
        replace(unpublished, files=tuple(replace(f, sha256=None) for f in unpublished.files)), tmp_path
    )


def test_a_mirror_has_every_path_below_its_base(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths["/mirror" + PATH] = source.paths.pop(PATH)
    away = replace(model, files=(replace(model.files[0], url="https://example.invalid" + PATH),))
    pull(away, tmp_path, mirror_url=source.url + "/mirror", patience=HURRIED)
    assert [path for path, _ in source.asked] == ["/mirror" + PATH]


def test_a_redirect_to_another_host_takes_no_credentials_along(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    with serving() as other:
        other.paths["/elsewhere"] = source.paths[PATH]
        source.paths[PATH] = Served(redirect=f"{other.url}/elsewhere")
        other.paths["/elsewhere"].breaks_after = [100]
        mirror = source.url.replace("http://", "http://user:secret@")
        pull(model, tmp_path, mirror_url=mirror, patience=EAGER)
        assert [headers.get("Authorization") for _, headers in source.asked] == [
            "Basic " + base64.b64encode(b"user:secret").decode()
        ] * 2
        assert [headers.get("Authorization") for _, headers in other.asked] == [None, None]
        assert other.ranges_asked() == ["", "bytes=100-"]


def test_a_redirect_without_end_is_left(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].redirect = PATH
    with pytest.raises(ModelBroken, match="redirected more than 10 times"):
        pull(model, tmp_path, patience=EAGER)


def test_a_redirect_never_gives_up_encryption(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "http://plain.example/file"})

    file = File("https://safe.example/file", 3)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client, pytest.raises(ModelBroken, match="encryption"):
        Download(client, file, file.url, tmp_path / "file").fetch(EAGER)
    assert asked == ["https://safe.example/file"]


def test_more_bytes_than_announced_are_not_taken(tmp_path: Path) -> None:
    answer = httpx.Response(200, headers={"Content-Length": "3"}, stream=httpx.ByteStream(b"four"))
    file = File("https://safe.example/file", 3)
    transport = httpx.MockTransport(lambda _: answer)
    with httpx.Client(transport=transport) as client, pytest.raises(ModelBroken, match="longer than"):
        Download(client, file, file.url, tmp_path / "file").fetch(EAGER)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_unknown_length_is_not_taken(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].headers = {"Content-Length": ""}
    with pytest.raises(ModelBroken, match="does not say how long"):
        pull(model, tmp_path, patience=EAGER)


def test_a_compressed_answer_is_not_taken(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].headers = {"Content-Encoding": "gzip"}
    with pytest.raises(ModelBroken, match="compressed"):
        pull(model, tmp_path, patience=EAGER)


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))(total=10, used=9, free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelBroken, match=r"tiny needs about .* of disk to be made, and .* has 1 byte free"):
        pull(archived(source, ARCHIVE), tmp_path)
    assert source.asked == []


def test_a_disk_that_fills_up_is_told_and_what_was_fetched_is_kept(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)
    source.paths[PATH].breaks_after = [100]

    def fill_up(what: str, done_bytes: int, total_bytes: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelBroken, match=r"is full\. What was fetched is kept for the next try\.$"):
        pull(model, tmp_path, patience=EAGER, tell=fill_up)
    pull(model, tmp_path, patience=EAGER)
    assert source.ranges_asked() == ["", "bytes=100-"]


def test_a_disk_that_fills_up_while_unpacking_is_told_too(source: Source, tmp_path: Path) -> None:
    model = archived(source, ARCHIVE)

    def fill_up(what: str, done_bytes: int, total_bytes: int) -> None:
        if what.startswith("unpacking"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelBroken, match="is full"):
        pull(model, tmp_path, tell=fill_up)
    assert not (tmp_path / ".pulls" / "tiny" / staging.NEW).exists()
    pull(model, tmp_path)
    assert len(source.asked) == 1


def test_two_pulls_of_one_model_do_not_meet(source: Source, tmp_path: Path) -> None:
    model, begun, done = archived(source, ARCHIVE), threading.Event(), threading.Event()

    def answer_late() -> None:
        begun.set()
        done.wait(5)

    source.paths[PATH].before = answer_late
    first = threading.Thread(target=pull, args=(model, tmp_path))
    first.start()
    assert begun.wait(5)
    with pytest.raises(ModelBroken, match="Another command is at work on the model tiny"):
        pull(model, tmp_path)
    with pytest.raises(ModelBroken, match="Another command"):
        remove("tiny", tmp_path)
    pull(loose(source), tmp_path)  # another model's pull leaves the first in peace
    done.set()
    first.join()
    assert files_in(tmp_path / "tiny") == SHERPA


def test_what_died_between_two_renames_is_mended(source: Source, tmp_path: Path) -> None:
    pull(archived(source, ARCHIVE), tmp_path)
    work = tmp_path / ".pulls" / "tiny"
    work.mkdir()
    (tmp_path / "tiny").rename(work / "old")
    (work / staging.NEW).mkdir()
    pull(loose(source), tmp_path)
    assert files_in(find_model("tiny", tmp_path, engine="sherpa")) == SHERPA
    assert not work.exists()
