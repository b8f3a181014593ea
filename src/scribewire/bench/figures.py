"""The figures of a run. Pure: columns of numbers in, percentiles and rates out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Self

import msgspec

from scribewire.bench.clips import GAP_MS, Reel
from scribewire.bench.load import Run
from scribewire.bench.meter import Heard
from scribewire.bench.usage import Spent, Usage
from scribewire.bench.wer import Score, score

# Past this the generator itself is a good part of a lag worth measuring, and says that it is not to be trusted.
OWN_LATE_BOUND_MS: Final = 50.0
_MIB: Final = 1024 * 1024


class Spread(msgspec.Struct, frozen=True):
    """Percentiles of `count` values, nearest rank, in ms."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Iterable[float | None]) -> Self | None:
        """Give the spread of those that are there; None when none is."""
        ranked = sorted(1000 * value for value in seconds if value is not None)
        if not ranked:
            return None
        p50, p95, p99 = (round(percentile(ranked, share), 1) for share in (0.5, 0.95, 0.99))
        return cls(len(ranked), p50, p95, p99, round(ranked[-1], 1))


class Second(msgspec.Struct, frozen=True):
    """The lags of one second of the run, counted from its beginning, in ms."""

    at_s: int
    partials: int
    p50: float
    p95: float


class Cost(msgspec.Struct, frozen=True):
    """The cores that a process kept busy while all sessions were live, and the memory it held at their end."""

    cores: float
    memory_mib: float


class Failure(msgspec.Struct, frozen=True):
    """Sessions that ended before their time, and what was said to one of them."""

    code: str
    sessions: int
    sentence: str


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to. `flicker` is unstable words per word finally shown, `wer` None without references.

    `trusted` is false when the generator did not hold its own pace.
    `lag_ms` and what anybody spent are of the time in which all sessions were live; the rest is of the whole run.
    """

    sessions: int
    seconds: float
    completed: int
    refused: int
    failures: list[Failure]
    interrupted: bool
    connect_ms: Spread | None
    listening_ms: Spread | None
    first_partial_ms: Spread | None
    lag_ms: Spread | None
    final_ms: Spread | None
    stopped_ms: Spread | None
    partials_per_s: float
    flicker: float | None
    words: int
    wer: float | None
    reference_words: int
    gateway: Cost | None
    workers: dict[str, Cost]
    own_cpu_ms_per_stream_s: float
    own_late_ms: Spread | None
    trusted: bool
    lag_over_time: list[Second]

    @property
    def failed(self) -> int:
        """Count the sessions that ended before their time and were not refused."""
        return sum(failure.sessions for failure in self.failures) - self.refused


def figures_of(run: Run) -> Figures:
    """Give the figures of a run, also of one that was cut short."""
    heard, meter = run.heard, run.meter
    within = list(_counted(run, zip(meter.partial_at, meter.lag_s, strict=True)))
    sent_s = sum(one.sent_s for one in heard)
    final_words = sum(one.final_words for one in heard)
    accuracy = accuracy_of(run.reel, heard)
    gateway, workers = costs(run.before, run.after)
    own_late_ms = Spread.of(late_s for _, late_s in _counted(run, zip(meter.frame_at, meter.late_s, strict=True)))
    return Figures(
        sessions=run.plan.sessions,
        seconds=round(max(0.0, min(run.ended, run.counted_to) - run.counted_from), 1),
        completed=sum(one.stopped_s is not None for one in heard),
        refused=sum(one.refused for one in heard),
        failures=failures_of(heard),
        interrupted=run.interrupted.is_set(),
        connect_ms=Spread.of(one.connect_s for one in heard),
        listening_ms=Spread.of(one.listening_s for one in heard),
        first_partial_ms=Spread.of(one.first_partial_s for one in heard),
        lag_ms=Spread.of(lag_s for _, lag_s in within),
        final_ms=Spread.of(one.final_s for one in heard),
        stopped_ms=Spread.of(one.stopped_s for one in heard),
        partials_per_s=round(meter.partials / sent_s, 2) if sent_s else 0.0,
        flicker=round(sum(one.unstable_words for one in heard) / final_words, 3) if final_words else None,
        words=final_words,
        wer=round(accuracy.wer, 4) if accuracy.words else None,
        reference_words=accuracy.words,
        gateway=gateway,
        workers=workers,
        own_cpu_ms_per_stream_s=round(1000 * run.own_cpu_s / sent_s, 3) if sent_s else 0.0,
        own_late_ms=own_late_ms,
        trusted=own_late_ms is None or own_late_ms.p95 <= OWN_LATE_BOUND_MS,
        lag_over_time=over_time(run.began, zip(meter.partial_at, meter.lag_s, strict=True)),
    )


def _counted(run: Run, column: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    return ((at, value) for at, value in column if run.counted_from <= at < run.counted_to)


def percentile(ranked: Sequence[float], share: float) -> float:
    """Give the value at or below which `share` of them lie (nearest rank); `ranked` is sorted and not empty."""
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def over_time(began: float, column: Iterable[tuple[float, float]]) -> list[Second]:
    """Give the lags of each second in which there were any; `column` holds monotonic times and lags, in order."""
    seconds = []
    for at_s, pairs in groupby(column, key=lambda pair: int(pair[0] - began)):
        ranked = sorted(1000 * lag_s for _, lag_s in pairs)
        p50, p95 = (round(percentile(ranked, share), 1) for share in (0.5, 0.95))
        seconds.append(Second(at_s, len(ranked), p50, p95))
    return seconds


def failures_of(heard: Iterable[Heard]) -> list[Failure]:
    """Count the sessions that ended before their time, by error, the most frequent first."""
    errors = [one.error for one in heard if one.error is not None]
    sentences = {error.code: str(error) for error in errors}
    counts = Counter(error.code for error in errors)
    return [Failure(code, count, sentences[code]) for code, count in counts.most_common()]


def accuracy_of(reel: Reel, heard: Iterable[Heard]) -> Score:
    """Score every clip with known words that a session said whole, by the words heard in its time."""
    total = Score(0, 0)
    for one in heard:
        if one.stopped_s is None:
            continue
        for span in reel.spans(one.place):
            if span.end_ms > 1000 * one.sent_s:
                break
            if span.clip.text is not None:
                first, last = span.start_ms - GAP_MS / 2, span.end_ms + GAP_MS / 2
                words = [word.text for word in one.words if first <= (word.start_ms + word.end_ms) / 2 < last]
                total += score(span.clip.text, " ".join(words))
    return total


def costs(before: Usage | None, after: Usage | None) -> tuple[Cost | None, dict[str, Cost]]:
    """Give what the gateway and each worker spent between two readings; of a worker that came or went, nothing."""
    if before is None or after is None:
        return None, {}
    past_s = after.at - before.at

    def cost(first: Spent | None, last: Spent | None) -> Cost | None:
        if first is None or last is None or last.cpu_s < first.cpu_s or past_s <= 0:
            return None
        return Cost(round((last.cpu_s - first.cpu_s) / past_s, 3), round(last.memory_bytes / _MIB, 1))

    found = {name: cost(before.workers.get(name), last) for name, last in after.workers.items()}
    return cost(before.gateway, after.gateway), {name: one for name, one in found.items() if one is not None}
