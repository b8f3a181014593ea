"""The kubernetes scaler against an API server that misbehaves, over real HTTPS."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scribewire.errors import InitializeFailed
from scribewire.scalers import kubernetes
from scribewire.scalers.base import Phase
from scribewire.scalers.cluster import KubernetesCluster, Target
from tests.scalers.kube.rig import Rig, cluster, needs_openssl, until
from tests.scalers.kube.server import ALL

pytestmark = [pytest.mark.e2e, needs_openssl]

PATCH = ("patch", "deployments/scale")
RUNNING = {"name": "worker", "ready": True, "restartCount": 0, "state": {"running": {}}}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with cluster(tmp_path) as rig:
        yield rig


async def test_scaling_writes_the_count_once_and_the_pods_are_seen(rig: Rig) -> None:
    scaler = rig.scaler()
    assert await scaler.observe() == []
    for _ in range(5):
        await scaler.scale(2)
    assert rig.api.count(*PATCH) == 1
    assert rig.api.count("get", "deployments/scale") == 1
    await until(scaler, lambda seen: len(seen) == 2)
    assert {one.phase for one in await scaler.observe()} == {Phase.STARTING}
    assert [one.worker for one in await scaler.observe()] == ["workers-1", "workers-2"]


async def test_a_count_that_is_there_already_is_not_written(rig: Rig) -> None:
    rig.state.replicas = 3
    await rig.scaler().scale(3)
    assert rig.api.count(*PATCH) == 0


async def test_callers_at_once_make_one_call(rig: Rig) -> None:
    scaler = rig.scaler()
    await asyncio.gather(*(scaler.scale(1) for _ in range(100)))
    assert rig.api.count(*PATCH) == 1


async def test_a_scale_that_somebody_else_changed_is_written_anew_once_it_is_looked_at(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "SCALE_KNOWN_FOR_S", 0.0)
    scaler = rig.scaler()
    await scaler.scale(2)
    rig.state.replicas = 5
    await scaler.scale(2)
    assert rig.state.replicas == 2


async def test_a_running_pod_gives_its_address_and_a_terminating_one_stops(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(1)
    rig.state.update("workers-1", phase="Running", podIP="10.0.0.7", containerStatuses=[RUNNING])
    await until(scaler, lambda seen: bool(seen) and seen[0].phase is Phase.RUNNING)
    assert (await scaler.observe())[0].address == "tcp:10.0.0.7:7000"
    pod = json.loads(json.dumps(rig.state.pods["workers-1"]))
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    rig.state.put(pod)
    await until(scaler, lambda seen: seen[0].phase is Phase.STOPPING)
    rig.state.remove("workers-1")
    await until(scaler, lambda seen: seen == [])


async def test_the_gateway_needs_no_more_than_four_rights(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.observe()
    await scaler.scale(1)
    await until(scaler, lambda seen: len(seen) == 1)
    granted = {("get", "deployments/scale"), PATCH, ("list", "pods"), ("watch", "pods")}
    assert set(rig.api.calls) == granted


@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_a_refusal_that_passes_is_tried_again(rig: Rig, status: int) -> None:
    rig.api.refuse(*PATCH, status, times=2, retry_after="0" if status == 429 else "")
    await rig.scaler().scale(1)
    assert rig.state.replicas == 1
    assert rig.api.count(*PATCH) == 3


async def test_a_missing_right_is_named(rig: Rig) -> None:
    rig.api.rights = {"first": rig.api.rights["first"] - {PATCH}}
    with pytest.raises(InitializeFailed) as refused:
        await rig.scaler().scale(1)
    assert refused.value.details == (
        "the service account may not patch deployments/scale in namespace speech: its Role must grant that"
    )
    assert rig.api.count(*PATCH) == 1


async def test_who_may_not_see_the_pods_scales_nothing_and_says_why(rig: Rig) -> None:
    rig.api.rights = {"first": rig.api.rights["first"] - {("list", "pods")}}
    scaler = rig.scaler()
    with pytest.raises(InitializeFailed, match="may not list pods"):
        await scaler.observe()
    with pytest.raises(InitializeFailed, match="may not list pods"):
        await scaler.scale(1)
    assert rig.state.replicas == 0


async def test_a_deployment_that_is_not_there_is_named(rig: Rig) -> None:
    with pytest.raises(InitializeFailed, match="no Deployment nosuch in namespace speech"):
        await rig.scaler(deployment="nosuch").scale(1)


async def test_a_replaced_token_is_read_again(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(1)
    rig.allow("second")
    rig.api.cut()
    await scaler.scale(2)
    assert rig.state.replicas == 2
    await until(scaler, lambda seen: len(seen) == 2)


async def test_a_pod_s_service_account_is_enough_and_its_token_is_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(urlsplit(rig.api.url).port))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    scaler = rig.scaler(in_cluster=True)
    await scaler.scale(1)
    await until(scaler, lambda seen: len(seen) == 1)
    rig.allow("second")
    rig.account()
    await scaler.scale(2)
    assert rig.state.replicas == 2


@pytest.mark.parametrize("content", [None, "{", "kind: Config"])
async def test_without_credentials_that_can_be_read_it_says_so(tmp_path: Path, content: str | None) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    scaler = kubernetes.KubernetesScaler(KubernetesCluster(Target("workers", ""), kubeconfig=kubeconfig), port=7000)
    with pytest.raises(InitializeFailed, match="credentials for the Kubernetes API could not be read"):
        await scaler.observe()
    await scaler.close()


async def test_an_answer_that_is_no_pod_list_is_a_failure_that_passes(rig: Rig) -> None:
    rig.state.pods["broken"] = {"metadata": 7}
    scaler = rig.scaler()
    with pytest.raises(InitializeFailed, match="broke off its answer"):
        await scaler.observe()
    rig.state.pods.clear()
    async with asyncio.timeout(5):
        while scaler._trouble is not None:
            await asyncio.sleep(0.01)
    assert await scaler.observe() == []


async def test_a_watch_that_is_cut_goes_on_where_it_was(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(1)
    await until(scaler, lambda seen: len(seen) == 1)
    for count in (2, 3):
        rig.api.cut()
        await scaler.scale(count)
        await until(scaler, lambda seen, count=count: len(seen) == count)  # type: ignore[misc]
    assert rig.api.count("list", "pods") == 1


async def test_a_version_that_is_gone_lets_it_list_again(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(2)
    await until(scaler, lambda seen: len(seen) == 2)
    rig.state.pods.pop("workers-1")  # unseen: no event tells of it
    rig.state.compact()
    await until(scaler, lambda seen: [one.worker for one in seen] == ["workers-2"])
    assert rig.api.count("list", "pods") == 2


async def test_a_bookmark_moves_the_version_so_that_a_cut_needs_no_new_list(rig: Rig) -> None:
    rig.api.bookmark_s = 0.02
    scaler = rig.scaler()
    await scaler.observe()
    rig.state.version += 50
    async with asyncio.timeout(5):
        while scaler._version != str(rig.state.version):
            await asyncio.sleep(0.01)
    rig.state._compacted = rig.state.version
    rig.api.cut()
    rig.state.make_pod()
    await until(scaler, lambda seen: len(seen) == 1)
    assert rig.api.count("list", "pods") == 1


async def test_a_restarted_server_is_found_again_and_meanwhile_the_pods_are_as_they_were(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(1)
    await until(scaler, lambda seen: len(seen) == 1)
    await rig.api.stop()
    assert len(await scaler.observe()) == 1
    scaling = asyncio.create_task(scaler.scale(2))
    await rig.api.start()
    await scaling
    await until(scaler, lambda seen: len(seen) == 2)


async def test_a_watch_that_stays_down_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "PODS_KNOWN_FOR_S", 0.1)
    scaler = rig.scaler()
    await scaler.observe()
    await rig.api.stop()
    with pytest.raises(InitializeFailed, match="Kubernetes API could not be reached"):
        await until(scaler, lambda seen: False)


async def test_a_server_that_is_slow_is_waited_for_and_one_that_hangs_is_not(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = rig.scaler()
    rig.api.delay_s = 0.2
    await scaler.scale(1)
    monkeypatch.setattr("scribewire.scalers.cluster.CALL_WAIT_S", 0.1)
    monkeypatch.setattr(kubernetes, "SCALE_WAIT_S", 0.5)
    rig.api.delay_s = 30
    with pytest.raises(InitializeFailed, match="could not be reached"):
        await scaler.scale(2)


async def test_a_scaler_that_is_closed_leaves_the_pods_and_no_task(rig: Rig) -> None:
    scaler = rig.scaler()
    await scaler.scale(1)
    await scaler.observe()
    await scaler.close()
    assert rig.state.replicas == 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "watch the pods"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
async def test_kubectl_itself_reads_and_scales_through_the_fake(rig: Rig) -> None:
    rig.api.rights = {"first": ALL}
    kubeconfig = rig.kubeconfig()

    async def kubectl(*words: str) -> str:
        command = ["kubectl", "--kubeconfig", str(kubeconfig), "--cache-dir", str(rig.folder / "cache"), *words]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "scaled" in await kubectl("scale", "deployment", "workers", "--replicas=2")
    assert rig.state.replicas == 2
    assert "workers-1" in await kubectl("get", "pods")
    assert "workers" in await kubectl("get", "deployment")
    assert await kubectl("get", "deployment", "workers", "-o", "jsonpath={.spec.replicas}") == "2"
