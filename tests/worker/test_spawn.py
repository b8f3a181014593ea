"""The environment of a nursery: huge pages, unless whoever runs it has told glibc otherwise."""

from __future__ import annotations

from scribewire.worker.spawn import with_huge_pages


def test_a_nursery_asks_for_huge_pages() -> None:
    assert with_huge_pages({"LANG": "C"}) == {"LANG": "C", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def test_what_glibc_was_told_already_comes_last_and_so_holds() -> None:
    told = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0:glibc.rtld.nns=2"}
    assert with_huge_pages(told) == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0:glibc.rtld.nns=2"}
