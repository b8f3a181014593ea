"""Pages: every file of the web folder is there, under its policy, and none can reach beyond this host."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from scribewire.gateway.pages import PAGES
from tests.gateway.rig import Rig

WEB = files("scribewire") / "web"
FILES = sorted(file.name for file in WEB.iterdir() if file.is_file())


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_given_to_anybody_under_a_strict_policy(rig: Rig, path: str) -> None:
    answer = await rig.call("GET", path, who=None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_every_file_of_the_folder_is_given(rig: Rig) -> None:
    for name in FILES:
        if not name.endswith(".html"):
            answer = await rig.call("GET", f"/web/{name}", who=None)
            assert (answer.status_code, answer.content) == (200, (WEB / name).read_bytes()), name


async def test_a_file_that_is_known_is_not_sent_again(rig: Rig) -> None:
    tag = (await rig.call("GET", "/", who=None)).headers["etag"]
    again = await rig.call("GET", "/", who=None, headers={"if-none-match": f'W/"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".html", ".js", ".css"))])
def test_a_file_asks_for_nothing_elsewhere_and_holds_nothing_inline(name: str) -> None:
    text = (WEB / name).read_text()
    links = re.findall(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(]((?:https?:)?//[^"')]+)""", text)
    assert links == []
    if name.endswith(".html"):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
