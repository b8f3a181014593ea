"""What a pod's status says, from statuses as kubelets and schedulers write them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scribewire.scalers.base import Phase, Sighting
from scribewire.scalers.pods import Pod, by_age, sight

LONG_RUN = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T09:00:00Z"}
SHORT_RUN = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:02Z"}


def seen(*, metadata: dict[str, Any] | None = None, **status: Any) -> Sighting:
    """Sight a pod with this status, its worker the first of two containers."""
    spec = {"containers": [{"name": "worker", "image": "x"}, {"name": "proxy", "image": "y"}], "nodeName": "n"}
    pod = {"metadata": {"name": "w-1", "labels": {}} | (metadata or {}), "spec": spec, "status": status}
    return sight(msgspec.json.decode(msgspec.json.encode(pod), type=Pod), port=7000)


def container(state: dict[str, Any], *, name: str = "worker", **more: Any) -> dict[str, Any]:
    """Give a container's status."""
    return {"name": name, "ready": False, "restartCount": 0, "state": state, "lastState": {}, "image": "x"} | more


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Give the state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def crashed(run: dict[str, str], *, exit_code: int = 137, reason: str = "OOMKilled") -> dict[str, Any]:
    """Give the state of a container whose run ended."""
    return {"terminated": {"exitCode": exit_code, "reason": reason} | run}


def test_a_new_pod_is_starting_and_has_no_address() -> None:
    assert seen(phase="Pending") == Sighting("w-1", Phase.STARTING)


def test_a_pod_that_fits_nowhere_says_what_is_missing() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available:\n3 Insufficient cpu.",
    }
    sighting = seen(phase="Pending", conditions=[condition])
    assert sighting.phase is Phase.STARTING
    assert sighting.reason == "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_container_on_its_way_is_no_failure(reason: str) -> None:
    assert seen(phase="Pending", containerStatuses=[container(waiting(reason))]).phase is Phase.STARTING


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
def test_a_container_that_cannot_be_made_failed_and_says_why(reason: str) -> None:
    sighting = seen(phase="Pending", containerStatuses=[container(waiting(reason, 'pulling image "x:9"'))])
    assert sighting == Sighting("w-1", Phase.FAILED, reason=f'{reason}: pulling image "x:9"', failures=1)


def test_a_crash_loop_tells_how_it_ends_and_how_often() -> None:
    last = crashed(SHORT_RUN)
    sighting = seen(
        phase="Running",
        podIP="10.0.0.7",
        containerStatuses=[container(waiting("CrashLoopBackOff"), restartCount=4, lastState=last)],
    )
    assert sighting.phase is Phase.FAILED
    assert sighting.reason == "crashed and was restarted 4 times; the last time: OOMKilled (exit code 137)"
    assert sighting.failures == 5


def test_a_crash_after_hours_is_the_first_again() -> None:
    down = container(waiting("CrashLoopBackOff"), restartCount=9, lastState=crashed(LONG_RUN))
    assert seen(phase="Running", containerStatuses=[down]).failures == 1
    assert seen(phase="Running", containerStatuses=[container(crashed(LONG_RUN), restartCount=9)]).failures == 1


def test_a_restarted_worker_remembers_its_crash_until_it_is_ready() -> None:
    again = container({"running": {}}, restartCount=2, lastState=crashed(SHORT_RUN, exit_code=1, reason="Error"))
    sighting = seen(phase="Running", podIP="10.0.0.7", containerStatuses=[again])
    assert (sighting.phase, sighting.failures) == (Phase.RUNNING, 2)
    assert sighting.reason.endswith("Error (exit code 1)")
    ready = seen(phase="Running", podIP="10.0.0.7", containerStatuses=[again | {"ready": True}])
    assert (ready.phase, ready.failures, ready.reason) == (Phase.RUNNING, 0, "")


def test_a_worker_that_was_drained_and_is_started_again_did_not_fail() -> None:
    drained = crashed(SHORT_RUN, exit_code=0, reason="Completed")
    assert seen(phase="Running", podIP="10.0.0.7", containerStatuses=[container(drained)]).phase is Phase.STARTING
    again = container({"running": {}}, restartCount=1, lastState=drained)
    sighting = seen(phase="Running", podIP="10.0.0.7", containerStatuses=[again])
    assert (sighting.phase, sighting.failures, sighting.reason) == (Phase.RUNNING, 0, "")


def test_a_worker_that_runs_has_an_address_before_it_is_ready() -> None:
    running = container({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    assert seen(phase="Running", podIP="10.0.0.7", containerStatuses=[running]).address == "tcp:10.0.0.7:7000"
    assert seen(phase="Running", podIP="fd00::7", containerStatuses=[running]).address == "tcp:[fd00::7]:7000"


def test_another_container_s_crash_is_not_the_worker_s() -> None:
    statuses = [container(waiting("CrashLoopBackOff"), name="proxy"), container({"running": {}})]
    assert seen(phase="Running", podIP="10.0.0.7", containerStatuses=statuses).phase is Phase.RUNNING


def test_an_init_container_that_crashes_is_the_pod_s_failure_and_one_that_is_done_is_not() -> None:
    done = container(crashed(SHORT_RUN, exit_code=0, reason="Completed"), name="first")
    broken = container(crashed(SHORT_RUN, exit_code=2, reason="Error"), name="models")
    worker = container(waiting("PodInitializing"))
    both = seen(phase="Pending", initContainerStatuses=[done, broken], containerStatuses=[worker])
    assert both == Sighting("w-1", Phase.FAILED, reason="crashed: Error (exit code 2)", failures=1)
    assert seen(phase="Pending", initContainerStatuses=[done], containerStatuses=[worker]).phase is Phase.STARTING


def test_a_pod_that_is_deleted_is_stopping_whatever_else_it_is() -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    running = container({"running": {}}, ready=True)
    sighting = seen(metadata=metadata, phase="Running", podIP="10.0.0.7", containerStatuses=[running])
    assert sighting.phase is Phase.STOPPING


def test_an_evicted_pod_no_longer_counts_and_says_why() -> None:
    sighting = seen(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert sighting.phase is Phase.STOPPING
    assert sighting.reason == "the pod was replaced: Evicted: The node was low on resource: memory."


def test_a_message_of_any_length_becomes_one_bounded_line() -> None:
    sighting = seen(phase="Pending", containerStatuses=[container(waiting("ErrImagePull", "line\n" * 1000))])
    assert len(sighting.reason) == 300
    assert "\n" not in sighting.reason


def test_pods_are_in_order_of_age_and_of_name_within_a_second() -> None:
    def made(name: str, at: str) -> Pod:
        return msgspec.json.decode(f'{{"metadata":{{"name":"{name}","creationTimestamp":"{at}"}}}}', type=Pod)

    early, late = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
    pods = [made("c", late), made("b", early), made("a", early), made("0", late)]
    assert [pod.metadata.name for pod in sorted(pods, key=by_age)] == ["a", "b", "0", "c"]
