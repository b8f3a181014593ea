"""The kubernetes scaler: patches the scale of one Deployment, and watches its pods.

Rights it needs, in one namespace: `get` and `patch` on `deployments/scale`; `list` and `watch` on `pods`. A Deployment
chooses itself which pod goes, and to delete or to mark one takes a right more, so victims count only as being fewer:
each pod drains on SIGTERM, and one that hangs is its liveness probe's business.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from scribewire.errors import InitializeFailed
from scribewire.scalers.base import Scaler, Sighting
from scribewire.scalers.pods import Pod, by_age, sight

_log = logging.getLogger(__name__)

# The scale is what it was, for so long: it is asked for every quarter of a second while pods are on their way.
SCALE_KNOWN_FOR_S: Final = 10.0
# The fleet gives a call ten seconds; within these a server may restart.
SCALE_WAIT_S: Final = 8.0
FIRST_LIST_WAIT_S: Final = 5.0
# Pods are believed to be as they were for so long after the watch was lost.
PODS_KNOWN_FOR_S: Final = 60.0
PAUSE_FIRST_S: Final = 0.25
PAUSE_LAST_S: Final = 10.0
RETRY_AFTER_LAST_S: Final = 60.0
# A watch that ends sooner counts as one that failed, lest they follow each other without a pause.
SHORTEST_WATCH_S: Final = 1.0
# Refusals that do not pass by themselves: no credential, no right, no such Deployment, not a request it takes.
_LASTING: Final = frozenset((400, 401, 403, 404, 422))
_GONE: Final = 410

_T = TypeVar("_T")


class ClusterRefused(InitializeFailed):
    """The Kubernetes API refused, or was not there. `status` is that of HTTP, 0 without an answer."""

    def __init__(self, details: str, *, status: int = 0, retry_after_s: int | None = None) -> None:
        super().__init__(details)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def lasts(self) -> bool:
        """Say whether asking again will not help."""
        return self.status in _LASTING


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. Of a bookmark only the version means anything: everything before it was told."""

    pod: Pod
    gone: bool = False
    bookmark: bool = False


class Cluster(Protocol):
    """What the scaler asks of the Kubernetes API. Each call is one try, with a deadline; all raise ClusterRefused."""

    async def read_replicas(self) -> int:
        """Give how many pods the Deployment is to have."""

    async def write_replicas(self, count: int) -> None:
        """Say how many it is to have."""

    async def list_pods(self) -> tuple[Sequence[Pod], str]:
        """Give the pods, and the version to watch from."""

    def watch_pods(self, version: str) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Give what changes after a version, until the server has had enough. Status 410: that is too long ago."""

    async def close(self) -> None:
        """Let go of all connections."""


class KubernetesScaler(Scaler):
    """Has the pods that a Deployment keeps for workers, which listen on `port`."""

    def __init__(self, cluster: Cluster, *, port: int) -> None:
        self._cluster = cluster
        self._port = port
        self._scaling = asyncio.Lock()
        self._replicas: tuple[int, float] | None = None
        self._pods: dict[str, Pod] = {}
        self._version = ""
        self._looked = asyncio.Event()
        self._trouble: ClusterRefused | None = None
        self._lost_since = 0.0
        self._failures = 0
        self._watching: asyncio.Task[None] | None = None

    async def scale(self, count: int, *, victims: Sequence[str] = ()) -> None:
        """Write the count unless it is there already. Whoever cannot see the pods does not scale them."""
        async with self._scaling:
            if self._trouble is not None and self._trouble.lasts:
                raise InitializeFailed(self._trouble.details) from self._trouble
            now = asyncio.get_running_loop().time()
            if self._replicas is not None and self._replicas[0] == count and now < self._replicas[1]:
                return
            self._replicas = None
            deadline = now + SCALE_WAIT_S
            if await _persist(self._cluster.read_replicas, deadline) != count:
                await _persist(lambda: self._cluster.write_replicas(count), deadline)
                _log.info("The Deployment was scaled", extra={"replicas": count})
            self._replicas = (count, now + SCALE_KNOWN_FOR_S)

    async def observe(self) -> list[Sighting]:
        """Give the pods as the watch left them.

        Raises InitializeFailed when there was none yet, or it has been down for long.
        """
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="watch the pods")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FIRST_LIST_WAIT_S):
                await self._looked.wait()
        except TimeoutError as error:
            raise ClusterRefused("the Kubernetes API did not answer in time") from error
        if self._trouble is not None and (not self._version or loop.time() - self._lost_since > PODS_KNOWN_FOR_S):
            raise InitializeFailed(self._trouble.details) from self._trouble
        return [sight(pod, port=self._port) for pod in sorted(self._pods.values(), key=by_age)]

    async def close(self) -> None:
        """End the watch. The pods outlive us: other gateways may use them, and the next one will."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        await self._cluster.close()

    # --- the watch ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Keep the pods as they are, whatever becomes of the connection."""
        loop = asyncio.get_running_loop()
        listed = False
        while True:
            begun = loop.time()
            retry_after_s = None
            try:
                if not listed:
                    await self._list()
                    listed = True
                await self._follow()
            except ClusterRefused as error:
                retry_after_s = error.retry_after_s
                listed = listed and error.status != _GONE
                self._lose(error)
            lasted = loop.time() - begun >= SHORTEST_WATCH_S
            if self._trouble is None and lasted:
                self._failures = 0
                continue
            self._failures += 1
            await asyncio.sleep(_pause_s(self._failures, retry_after_s))

    async def _list(self) -> None:
        pods, self._version = await self._cluster.list_pods()
        self._pods = {pod.metadata.name: pod for pod in pods}
        self._see()

    async def _follow(self) -> None:
        """Take in one watch from its begin to its end."""
        async with self._cluster.watch_pods(self._version) as changes:
            self._see()
            async for change in changes:
                self._take(change)

    def _take(self, change: Change) -> None:
        name = change.pod.metadata.name
        self._version = change.pod.metadata.resource_version or self._version
        self._failures = 0
        if change.gone:
            self._pods.pop(name, None)
        elif not change.bookmark:
            self._pods[name] = change.pod

    def _see(self) -> None:
        if self._trouble is not None:
            _log.info("The pods are watched again")
        self._trouble = None
        self._looked.set()

    def _lose(self, error: ClusterRefused) -> None:
        if error.status == _GONE:
            return
        if self._trouble is None:
            self._lost_since = asyncio.get_running_loop().time()
            _log.warning("The pods cannot be watched", extra={"reason": error.details})
        self._trouble = error
        self._looked.set()


async def _persist(call: Callable[[], Awaitable[_T]], deadline: float) -> _T:
    """Try again what may pass, as long as the fleet waits."""
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        try:
            return await call()
        except ClusterRefused as error:
            failures += 1
            pause_s = _pause_s(failures, error.retry_after_s)
            if error.lasts or loop.time() + pause_s >= deadline:
                raise
        await asyncio.sleep(pause_s)


def _pause_s(failures: int, retry_after_s: int | None) -> float:
    """Wait as long as is asked, or longer each time; with jitter, for every gateway lost the same server at once."""
    if retry_after_s is not None:
        return min(retry_after_s, RETRY_AFTER_LAST_S) * random.uniform(1.0, 1.1)  # noqa: S311
    return min(PAUSE_FIRST_S * 2.0 ** min(failures - 1, 16), PAUSE_LAST_S) * random.uniform(0.5, 1.0)  # noqa: S311
