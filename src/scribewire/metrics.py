"""Every metric once: name, kind, unit, labels, bucket edges, meaning. /metrics and the docs derive from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

NAMESPACE: Final = "scribewire"
_SAMPLE_RATE_HZ: Final = 16_000  # the one rate inside
# Around the 0.2 s that a partial may lag and the 50 ms in which a warm service listens.
_LATENCY_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# From a warm answer to the longest wait that is usual.
_START_BUCKETS: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)

# A series beside every counter that says when it began: twice the text for what no dashboard asks.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Ended(Protocol):
    """What a session's report says that is counted."""

    @property
    def received_samples(self) -> int: ...
    @property
    def finals(self) -> int: ...
    @property
    def words(self) -> int: ...
    @property
    def streams_lost(self) -> int: ...
    @property
    def listening_after_s(self) -> float | None: ...
    @property
    def close_code(self) -> int: ...
    @property
    def error_code(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of the metrics table in the docs. `name` is the name that is scraped."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    sentence: str


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows: list[MetricRow] = []

        self.sessions_live = self._gauge("sessions_live", "Sockets that are open.")
        self.viewers = self._gauge("viewers", "Readers of shared sessions.")
        self.sessions_started = self._counter("sessions_started", "Sessions that were admitted.")
        self.sessions_ended = self._counter(
            "sessions_ended", "Sessions that ended, by close code and error.", labels=("close_code", "error_code")
        )
        self.refused = self._counter("refused", "Requests and upgrades that were refused, by error.", labels=("code",))
        self.audio_s = self._counter("audio", "Audio received by the sessions that ended.", unit="seconds")
        self.finals = self._counter("finals", "Finals sent by the sessions that ended.")
        self.words = self._counter("words", "Words in those finals.")
        self.partial_lag_s = self._histogram(
            "partial_lag", "Age of the newest audio that a partial speaks of.", buckets=_LATENCY_BUCKETS
        )
        self.listening_s = self._histogram(
            "listening_latency", "From a session's start to listening.", buckets=_LATENCY_BUCKETS
        )
        self.streams_lost = self._counter("streams_lost", "Streams that broke and were opened again elsewhere.")
        self.sessions_waiting = self._gauge("sessions_waiting", "Sessions that wait for a slot.")
        self.workers_wanted = self._gauge("workers_wanted", "The target: how many workers there should be.")
        self.workers = self._gauge("workers", "Workers, by phase.", labels=("phase",))
        self.slots = self._gauge("slots", "Slots of all workers.")
        self.streams_live = self._gauge("streams_live", "Slots in use.")
        self.worker_lag_s = self._gauge(
            "worker_lag", "Age of the oldest audio that a worker has not decoded.", unit="seconds", labels=("worker",)
        )
        self.worker_rtf = self._gauge(
            "worker_rtf", "CPU time that a worker spends on a second of audio, in seconds.", labels=("worker",)
        )
        self.worker_cpu_s = self._gauge(
            "worker_cpu", "CPU time that a worker and its lanes have used.", unit="seconds", labels=("worker",)
        )
        self.worker_memory_bytes = self._gauge(
            "worker_memory",
            "Memory that a worker and its lanes hold, looked at every few seconds.",
            unit="bytes",
            labels=("worker",),
        )
        self.initialize_s = self._histogram(
            "initialize", "From an initialize to its answer, by outcome.", labels=("outcome",), buckets=_START_BUCKETS
        )
        self.requests = self._counter(
            "requests", "REST requests, by route template.", labels=("route", "method", "status")
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def partial_lag_counts(self) -> list[tuple[float, float]]:
        """Give how many partials lagged at most so many seconds, by the edges of the buckets."""
        [family] = self.partial_lag_s.collect()
        return [(float(row.labels["le"]), row.value) for row in family.samples if row.name.endswith("_bucket")]

    def session_ended(self, ended: Ended) -> None:
        """Count what a session's report says."""
        self.sessions_ended.labels(ended.close_code, ended.error_code or "").inc()
        self.audio_s.inc(ended.received_samples / _SAMPLE_RATE_HZ)
        self.finals.inc(ended.finals)
        self.words.inc(ended.words)
        self.streams_lost.inc(ended.streams_lost)
        if ended.listening_after_s is not None:
            self.listening_s.observe(ended.listening_after_s)

    def write(self, accept: str) -> tuple[bytes, str]:
        """Give all metrics as text and its content type, in the format that an Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _gauge(self, name: str, sentence: str, *, unit: str = "", labels: Sequence[str] = ()) -> Gauge:
        self._note(_full(name, unit), "gauge", sentence, unit=unit, labels=labels)
        return Gauge(name, sentence, labels, NAMESPACE, unit=unit, registry=self.registry)

    def _counter(self, name: str, sentence: str, *, unit: str = "", labels: Sequence[str] = ()) -> Counter:
        self._note(_full(name, unit) + "_total", "counter", sentence, unit=unit, labels=labels)
        return Counter(name, sentence, labels, NAMESPACE, unit=unit, registry=self.registry)

    def _histogram(
        self, name: str, sentence: str, *, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        unit = "seconds"
        self._note(_full(name, unit), "histogram", sentence, unit=unit, labels=labels, buckets=buckets)
        return Histogram(name, sentence, labels, NAMESPACE, unit=unit, registry=self.registry, buckets=buckets)

    def _note(
        self,
        name: str,
        kind: str,
        sentence: str,
        *,
        unit: str,
        labels: Sequence[str],
        buckets: Sequence[float] = (),
    ) -> None:
        self.rows.append(MetricRow(name, kind, unit, tuple(labels), tuple(buckets), sentence))


def table() -> list[MetricRow]:
    """Give the rows that docs and tests derive from, in the order of this file."""
    return Metrics().rows


def _full(name: str, unit: str) -> str:
    return "_".join(part for part in (NAMESPACE, name, unit) if part)
