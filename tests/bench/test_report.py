"""What people are told of figures."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from scribewire.bench import report
from scribewire.bench.capacity import Capacity, Probe, Verdict
from scribewire.bench.figures import Failure, Spread, figures_of
from tests.bench.test_figures import run_of

SPREAD = Spread(7, 1.0, 2.0, 3.0, 4.0)
FIGURES = msgspec.structs.replace(figures_of(run_of()), lag_ms=SPREAD, own_late_ms=SPREAD, wer=0.125, reference_words=8)


def printed(table: object) -> str:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_times_have_a_row_each_and_what_did_not_happen_a_dash() -> None:
    rows = {line[:32].strip(): line[32:].split() for line in printed(report.table_of_times(FIGURES)).splitlines()[2:]}
    assert rows["lag of partials"] == ["1.0", "2.0", "3.0", "4.0", "7"]
    assert rows["connect"] == ["-", "-", "-", "-", "0"]


def test_everything_else_has_a_row_too() -> None:
    text = printed(report.table_of_counts(FIGURES))
    assert "12.5% of 8 words" in text
    assert "not told" in text


def test_a_trusted_whole_run_needs_no_remark() -> None:
    assert report.remarks(FIGURES) == []


def test_what_a_reader_must_know_is_said() -> None:
    figures = msgspec.structs.replace(
        FIGURES,
        failures=[Failure("at_capacity", 3, "All are busy.")],
        interrupted=True,
        trusted=False,
        own_late_ms=Spread(7, 80.0, 90.0, 95.0, 99.0),
    )
    assert report.remarks(figures) == [
        "3 × at_capacity: All are busy.",
        "Interrupted: these are the figures up to then.",
        (
            "Not to be trusted: the generator sent late itself (p95 90 ms, more than 50). "
            "Run it elsewhere, or with fewer sessions."
        ),
    ]


def test_silence_is_remarked() -> None:
    assert "is there speech" in report.remarks(figures_of(run_of()))[0]


def test_the_generators_own_bound_is_not_taken_for_the_services() -> None:
    probes = [Probe(8, Verdict.HELD, FIGURES), Probe(9, Verdict.UNTRUSTED, FIGURES)]
    assert report.conclusion(Capacity(8, 500, probes)).startswith("8 sessions the generator holds; 9 do not")
    assert "the generator fell behind itself" in printed(report.table_of_probes(Capacity(8, 500, probes)))
