"""A fake cluster with scalers on it. Its pods stay as the test makes them, or are real workers."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scribewire.scalers.base import Sighting
from scribewire.scalers.cluster import KubernetesCluster, Target
from scribewire.scalers.kubernetes import KubernetesScaler
from tests.scalers.kube.access import write_account, write_kubeconfig
from tests.scalers.kube.node import Node
from tests.scalers.kube.server import LEAST, ApiServer
from tests.scalers.kube.state import Controller, State

LABELS = {"app": "scribewire"}
SELECTOR = "app=scribewire"
NAMESPACE = "speech"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, for a certificate")


class Rig:
    """One API server, its state, and scalers that are closed at the end. With settings for workers it runs them."""

    def __init__(self, folder: Path, workers: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.state = State(NAMESPACE, "workers", LABELS)
        self.node = Node(self.state, workers) if workers is not None else None
        start, stop = (self.node.run, self.node.stop) if self.node else (self._leave, self._vanish)
        self.controller = Controller(self.state, start, stop)
        self.api = ApiServer(self.state, folder, on_scale=self.controller.reconcile)
        self.token_file = folder / "token"
        self._scalers: list[KubernetesScaler] = []
        self.allow("first")

    def allow(self, token: str) -> None:
        """Take this token and no other from now on, and write it where the scaler reads it."""
        self.api.rights = {token: LEAST}
        self.token_file.write_text(token)

    def kubeconfig(self) -> Path:
        """Write a kubeconfig."""
        path, certificate = self.folder / "kubeconfig", self.api.certificate
        return write_kubeconfig(path, self.api.url, certificate, namespace=NAMESPACE, token_file=self.token_file)

    def account(self) -> Path:
        """Write a service account's folder."""
        token = self.token_file.read_text()
        return write_account(self.folder / "account", self.api.certificate, namespace=NAMESPACE, token=token)

    def settings(self) -> dict[str, str]:
        """Give what a gateway needs to scale here, as SCRIBEWIRE_ variables without the prefix."""
        return {
            "SCALER__KIND": "kubernetes",
            "KUBERNETES__DEPLOYMENT": self.state.name,
            "KUBERNETES__SELECTOR": SELECTOR,
            "KUBERNETES__KUBECONFIG": str(self.kubeconfig()),
            "KUBERNETES__PORT": str(self.node.port if self.node else 7000),
        }

    def scaler(self, *, deployment: str = "workers", in_cluster: bool = False) -> KubernetesScaler:
        """Give a scaler on this cluster."""
        target = Target(deployment, SELECTOR)
        if in_cluster:
            cluster = KubernetesCluster(target, service_account=self.account())
        else:
            cluster = KubernetesCluster(target, kubeconfig=self.kubeconfig())
        scaler = KubernetesScaler(cluster, port=7000)
        self._scalers.append(scaler)
        return scaler

    async def close(self) -> None:
        """End everything."""
        for scaler in self._scalers:
            await scaler.close()
        await self.controller.close()
        if self.node is not None:
            self.node.close()
        await self.api.stop()

    async def _leave(self, name: str) -> None:
        """Let a new pod be pending."""

    async def _vanish(self, name: str) -> None:
        self.state.remove(name)


@asynccontextmanager
async def cluster(folder: Path, workers: Mapping[str, str] | None = None) -> AsyncIterator[Rig]:
    """Run a fake cluster until the block ends."""
    rig = Rig(folder, workers)
    await rig.api.start()
    try:
        yield rig
    finally:
        await rig.close()


async def until(scaler: KubernetesScaler, true_of: Callable[[list[Sighting]], bool], *, within_s: float = 5) -> None:
    """Observe until something is so."""
    async with asyncio.timeout(within_s):
        while not true_of(await scaler.observe()):
            await asyncio.sleep(0.01)
