"""What a service says it spends."""

from __future__ import annotations

from scribewire.bench.usage import Spent, parse

METRICS = """\
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
process_resident_memory_bytes 1.048576e+06
scribewire_worker_cpu_seconds{worker="w1"} 12.25
scribewire_worker_memory_bytes{worker="w1"} 2.097152e+06
scribewire_worker_cpu_seconds{worker="w2"} 3.0
scribewire_requests_total{route="/metrics",method="GET",status="200"} 7.0
"""


def test_gateway_and_workers_are_read() -> None:
    gateway, workers = parse(METRICS)
    assert gateway == Spent(1.5, 1024 * 1024)
    assert workers == {"w1": Spent(12.25, 2 * 1024 * 1024)}


def test_what_is_not_told_is_not_there() -> None:
    assert parse("<html>not metrics</html>") == (None, {})
