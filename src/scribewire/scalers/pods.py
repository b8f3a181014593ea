"""What a pod's status says of the worker in it: phase, address, and why it is not ready. Pure.

The fields are those of core/v1 Pod (https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/).
What is absent has its default, and what is not named here is passed over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from scribewire.scalers.base import Phase, Sighting

# A run as long as this was healthy: what ended it is a new trouble, not the one before again.
HEALTHY_AFTER: Final = timedelta(seconds=60)
# Messages of schedulers and registries have no bound of their own.
_LONGEST_REASON: Final = 300
# A container that waits for one of these is on its way; all other reasons are troubles.
_ON_ITS_WAY: Final = frozenset(("", "ContainerCreating", "PodInitializing"))
_CRASHED: Final = "CrashLoopBackOff"


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Who a pod is."""

    name: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Waiting(msgspec.Struct, frozen=True, rename="camel"):
    """Why a container does not run yet, or again."""

    reason: str = ""
    message: str = ""


class Terminated(msgspec.Struct, frozen=True, rename="camel"):
    """How a container's run ended."""

    exit_code: int = 0
    reason: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(msgspec.Struct, frozen=True, rename="camel"):
    """At most one of the three; `running` is only looked at for being there."""

    waiting: Waiting | None = None
    running: dict[str, object] | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """One container of a pod."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One of the milestones of a pod."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    """How a pod stands."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """One container as it was asked for."""

    name: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked for. The first container is the worker."""

    containers: tuple[Container, ...] = ()


class Pod(msgspec.Struct, frozen=True, rename="camel"):
    """One pod."""

    metadata: Metadata = Metadata()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


def sight(pod: Pod, *, port: int) -> Sighting:
    """Give the worker in a pod as a scaler shows it. Readiness is left to the link, which knows more."""
    name, status = pod.metadata.name, pod.status
    address = _address(status.pod_ip, port)
    if pod.metadata.deletion_timestamp is not None:
        return Sighting(name, Phase.STOPPING, address)
    if status.phase in ("Failed", "Succeeded"):
        # Evicted, most often. Its Deployment has made another in its place, so it no longer counts.
        why = _sentence(status.reason or "it ended", status.message)
        return Sighting(name, Phase.STOPPING, reason=f"the pod was replaced: {why}")
    worker = _worker(pod)
    if worker is not None and worker.state.running is not None:
        reason = "" if worker.ready else _past(worker)
        return Sighting(name, Phase.RUNNING if address else Phase.STARTING, address, reason, _failures(worker))
    down = [one for one in (*status.init_container_statuses, *([worker] if worker else [])) if _trouble(one)]
    if down:
        return Sighting(name, Phase.FAILED, address, _trouble(down[0]), _failures(down[0]))
    return Sighting(name, Phase.STARTING, address, _unscheduled(status))


def by_age(pod: Pod) -> tuple[float, str]:
    """Order pods, the oldest first."""
    created = pod.metadata.creation_timestamp
    return (created.timestamp() if created else 0.0, pod.metadata.name)


def _worker(pod: Pod) -> ContainerStatus | None:
    """Find the worker among the containers, whose statuses come in no stated order."""
    first = pod.spec.containers[0].name if pod.spec.containers else ""
    statuses = pod.status.container_statuses
    return next((one for one in statuses if one.name == first), statuses[0] if statuses else None)


def _address(ip: str, port: int) -> str | None:
    if not ip:
        return None
    return f"tcp:[{ip}]:{port}" if ":" in ip else f"tcp:{ip}:{port}"


def _trouble(container: ContainerStatus) -> str:
    """Say why a container does not run; nothing when it soon will, or has done what it was for."""
    waiting, ended = container.state.waiting, container.state.terminated
    if ended is not None:
        # A worker that was drained ends so, and is started again.
        return "" if ended.exit_code == 0 else f"crashed: {_ending(ended)}"
    if waiting is None or waiting.reason in _ON_ITS_WAY:
        return ""
    if waiting.reason == _CRASHED:
        return _past(container) or "ends again and again"
    return _sentence(waiting.reason, waiting.message)


def _past(container: ContainerStatus) -> str:
    """Say how its last run ended, if there was one."""
    last = container.last_state.terminated
    if last is None or last.exit_code == 0:
        return ""
    times = "once" if container.restart_count <= 1 else f"{container.restart_count} times"
    return f"crashed and was restarted {times}; the last time: {_ending(last)}"


def _ending(ended: Terminated) -> str:
    return f"{ended.reason or 'Error'} (exit code {ended.exit_code})"


def _failures(container: ContainerStatus) -> int:
    """Count the failures in a row; the platform counts restarts, and never down to zero again."""
    if container.ready:
        return 0
    if container.state.running is not None:
        return 0 if _was_healthy(container.last_state.terminated) else container.restart_count
    ended = container.state.terminated or container.last_state.terminated
    return 1 if _was_healthy(ended) else container.restart_count + 1


def _was_healthy(ended: Terminated | None) -> bool:
    if ended is None or ended.exit_code == 0:
        return ended is not None
    if ended.started_at is None or ended.finished_at is None:
        return False
    return ended.finished_at - ended.started_at >= HEALTHY_AFTER


def _unscheduled(status: PodStatus) -> str:
    for condition in status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return _sentence(condition.reason, condition.message)
    return ""


def _sentence(reason: str, message: str) -> str:
    """Join what the platform says into one line of bounded length."""
    return " ".join(f"{reason}: {message}".removesuffix(": ").split())[:_LONGEST_REASON]
