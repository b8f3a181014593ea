"""What the fake cluster keeps: one Deployment, its pods, and every change with its resource version."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


class Expired(Exception):
    """A watch from a version that is compacted away."""


@dataclass(frozen=True)
class Event:
    """One change of a pod."""

    version: int
    type: str
    object: Json


class State:
    """The objects of one namespace. Whoever changes a pod goes through `put` and `remove`."""

    def __init__(self, namespace: str, deployment: str, labels: Mapping[str, str]) -> None:
        self.namespace = namespace
        self.name = deployment
        self.labels = dict(labels)
        self.replicas = 0
        self.version = 100
        self.scale_version = 100
        self.pods: dict[str, Json] = {}
        self._events: list[Event] = []
        self._compacted = self.version
        self._news = asyncio.Event()
        self._names = itertools.count(1)

    def put(self, pod: Json) -> None:
        """Keep a pod as it is now."""
        name = pod["metadata"]["name"]
        self._tell("MODIFIED" if name in self.pods else "ADDED", pod)
        self.pods[name] = pod

    def update(self, name: str, **status: Any) -> None:
        """Change fields of a pod's status."""
        pod = deepcopy(self.pods[name])
        pod["status"] |= status
        self.put(pod)

    def remove(self, name: str) -> None:
        """Let a pod be gone."""
        self._tell("DELETED", self.pods.pop(name))

    def scale(self, replicas: int) -> None:
        """Take a new scale."""
        self.version += 1
        self.scale_version = self.version
        self.replicas = replicas

    def make_pod(self) -> Json:
        """Keep a new pod, pending, and give it."""
        name = f"{self.name}-{next(self._names)}"
        pod: Json = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "uid": name,
                "labels": self.labels,
                "creationTimestamp": stamp(),
            },
            "spec": {"containers": [{"name": "worker", "image": "scribewire:test"}]},
            "status": {"phase": "Pending"},
        }
        self.put(pod)
        return pod

    def since(self, version: int) -> list[Event]:
        """Give what changed after a version. Raises Expired."""
        if version < self._compacted:
            raise Expired
        return [event for event in self._events if event.version > version]

    def compact(self) -> None:
        """Forget all that has happened; watches have to list again."""
        self.version += 1
        self._compacted = self.version
        self._events.clear()
        self._ring()

    async def wait_news(self, limit_s: float) -> None:
        """Wait for the next change, or the end of patience."""
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            return

    def _tell(self, kind: str, pod: Json) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self._events.append(Event(self.version, kind, deepcopy(pod)))
        self._ring()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Controller:
    """Makes and unmakes pods as the Deployment's scale says. `start` and `stop` are the node's work for one pod."""

    def __init__(
        self, state: State, start: Callable[[str], Awaitable[None]], stop: Callable[[str], Awaitable[None]]
    ) -> None:
        self._state = state
        self._start = start
        self._stop = stop
        self._tasks: set[asyncio.Task[None]] = set()

    def reconcile(self) -> None:
        """Begin what is to be done for the scale."""
        state = self._state
        active = [
            name
            for name, pod in state.pods.items()
            if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] not in ("Failed", "Succeeded")
        ]
        for _ in range(state.replicas - len(active)):
            self._begin(self._start(state.make_pod()["metadata"]["name"]))
        # Those that are not ready go first, then the newest.
        active.sort(key=lambda name: (is_ready(state.pods[name]), -list(state.pods).index(name)))
        for name in active[: max(0, len(active) - state.replicas)]:
            self._end(name)

    def delete(self, name: str) -> None:
        """Do as `kubectl delete pod` does: it ends, and another one begins at once."""
        self._end(name)
        self.reconcile()

    async def close(self) -> None:
        """End all that was begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, name: str) -> None:
        pod = deepcopy(self._state.pods[name])
        pod["metadata"]["deletionTimestamp"] = stamp()
        self._state.put(pod)
        self._begin(self._stop(name))

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def stamp() -> str:
    """Give the present as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_ready(pod: Json) -> bool:
    """Say whether a pod's containers are all ready."""
    statuses = pod["status"].get("containerStatuses", [])
    return bool(statuses) and all(status["ready"] for status in statuses)
