"""Metrics: the table is what is scraped, and a report is counted whole."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from scribewire.core.events import Report
from scribewire.metrics import Metrics, table


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Give every sample by name and label values."""
    text = metrics.write("text/plain")[0].decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_table_is_what_is_scraped() -> None:
    text = Metrics().write("text/plain")[0].decode()
    described = [line.split(maxsplit=3)[2:] for line in text.splitlines() if line.startswith("# HELP scribewire_")]
    assert described == [[row.name, row.sentence] for row in table()]


def test_kinds_in_the_table_are_those_that_are_scraped() -> None:
    text = Metrics().write("text/plain")[0].decode()
    kinds = [line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE scribewire_")]
    assert kinds == [[row.name, row.kind] for row in table()]


def test_every_metric_says_what_it_is_in_one_sentence() -> None:
    assert all(row.sentence.endswith(".") and ". " not in row.sentence for row in table())


def test_a_report_is_counted_whole() -> None:
    metrics = Metrics()
    metrics.session_ended(
        Report(
            received_samples=32_000,
            finals=3,
            words=7,
            streams_lost=1,
            listening_after_s=0.02,
            close_code=1011,
            error_code="engine_failed",
        )
    )
    scraped = scrape(metrics)
    assert scraped["scribewire_sessions_ended_total", ("1011", "engine_failed")] == 1
    assert scraped["scribewire_audio_seconds_total", ()] == 2
    assert scraped["scribewire_finals_total", ()] == 3
    assert scraped["scribewire_words_total", ()] == 7
    assert scraped["scribewire_streams_lost_total", ()] == 1
    assert scraped["scribewire_listening_latency_seconds_bucket", ("0.025",)] == 1


def test_a_session_that_never_listened_has_no_latency() -> None:
    metrics = Metrics()
    metrics.session_ended(Report())
    assert scrape(metrics)["scribewire_listening_latency_seconds_count", ()] == 0


def test_two_gateways_in_one_program_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.finals.inc()
    assert scrape(other)["scribewire_finals_total", ()] == 0


def test_openmetrics_is_given_to_whoever_asks_for_it() -> None:
    text, content_type = Metrics().write("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
