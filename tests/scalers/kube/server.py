"""The fake API server: Deployments, scale, pods and watches over real HTTPS, well behaved until told otherwise."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.scalers.kube.access import make_certificate, server_side
from tests.scalers.kube.discovery import DOCUMENTS
from tests.scalers.kube.state import Expired, Json, State, is_ready

# The rights that the chart's Role grants, and no more.
LEAST = frozenset((("get", "deployments/scale"), ("patch", "deployments/scale"), ("list", "pods"), ("watch", "pods")))
ALL = frozenset(
    (verb, kind) for verb in ("get", "list", "watch", "patch", "update") for kind in ("pods", "deployments")
)
ALL |= frozenset((verb, "deployments/scale") for verb in ("get", "patch", "update"))

Right = tuple[str, str]


@dataclass
class Refusal:
    """What is answered instead, and how many times."""

    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)


class ApiServer:
    """Serves a State on 127.0.0.1. `rights` maps each token to what it may; `calls` is what was asked so far."""

    def __init__(self, state: State, folder: Path, *, on_scale: Callable[[], None] = lambda: None) -> None:
        self.state = state
        self.certificate = make_certificate(folder)
        self.rights: dict[str, frozenset[Right]] = {}
        self.calls: list[Right] = []
        self.refusals: dict[Right, Refusal] = {}
        self.delay_s = 0.0
        self.bookmark_s = 60.0
        self.port = 0
        self._tls: ssl.SSLContext = server_side(self.certificate)
        self._on_scale = on_scale
        self._runner: web.AppRunner | None = None
        self._open: list[asyncio.Transport] = []

    @property
    def url(self) -> str:
        """Give its base URL."""
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut all connections and listen no more; the state stays."""
        self.cut()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def cut(self) -> None:
        """Reset every connection that has a request."""
        for transport in self._open:
            transport.abort()

    def refuse(self, verb: str, resource: str, status: int, *, times: int = 1, retry_after: str = "") -> None:
        """Answer with a failure, so many times."""
        self.refusals[verb, resource] = Refusal(status, times, {"Retry-After": retry_after} if retry_after else {})

    def count(self, verb: str, resource: str) -> int:
        """Count the calls of a kind."""
        return self.calls.count((verb, resource))

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._open.append(transport)
        try:
            await asyncio.sleep(self.delay_s)
            return await self._route(request)
        finally:
            self._open.remove(transport)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.path in DOCUMENTS:
            return web.json_response(DOCUMENTS[request.path])
        found = self._find(request)
        if found is None:
            return failure(404, "the server could not find the requested resource")
        right, answer = found
        self.calls.append(right)
        granted = self.rights.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if granted is None:
            return failure(401, "Unauthorized")
        if right not in granted:
            return failure(403, f"forbidden: cannot {right[0]} {right[1]}")
        refusal = self.refusals.get(right)
        if refusal is not None and refusal.times > 0:
            refusal.times -= 1
            return failure(refusal.status, "as the test wishes", headers=refusal.headers)
        return await answer(request)

    def _find(
        self, request: web.Request
    ) -> tuple[Right, Callable[[web.Request], Awaitable[web.StreamResponse]]] | None:
        state = self.state
        pods = f"/api/v1/namespaces/{state.namespace}/pods"
        deployments = f"/apis/apps/v1/namespaces/{state.namespace}/deployments"
        one = f"{deployments}/{state.name}"
        verb = {"GET": "get", "PATCH": "patch", "PUT": "update"}.get(request.method, request.method.lower())
        if request.path == pods and verb == "get":
            if request.query.get("watch") in ("true", "1"):
                return ("watch", "pods"), self._watch
            return ("list", "pods"), self._list
        if request.path.startswith(f"{pods}/"):
            return (verb, "pods"), self._pod
        if request.path == deployments:
            return ("list", "deployments"), self._deployments
        if request.path == one:
            return (verb, "deployments"), self._deployment
        if request.path == f"{one}/scale":
            return (verb, "deployments/scale"), self._scale
        return None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        state = self.state
        meta = {"resourceVersion": str(state.version)}
        items = list(state.pods.values()) if selects(request.query.get("labelSelector", ""), state.labels) else []
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": items})

    async def _pod(self, request: web.Request) -> web.StreamResponse:
        pod = self.state.pods.get(request.path.rpartition("/")[2])
        return failure(404, "no such pod") if pod is None else web.json_response(pod)

    async def _deployments(self, request: web.Request) -> web.StreamResponse:
        meta = {"resourceVersion": str(self.state.version)}
        items = [self._describe()]
        return web.json_response({"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": meta, "items": items})

    async def _deployment(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._describe())

    def _describe(self) -> Json:
        state = self.state
        pods = list(state.pods.values())
        return {
            "kind": "Deployment",
            "apiVersion": "apps/v1",
            "metadata": self._metadata(),
            "spec": {"replicas": state.replicas, "selector": {"matchLabels": state.labels}},
            "status": {"replicas": len(pods), "readyReplicas": sum(map(is_ready, pods))},
        }

    async def _scale(self, request: web.Request) -> web.StreamResponse:
        state = self.state
        if request.method != "GET":
            asked = await request.json()
            version = asked.get("metadata", {}).get("resourceVersion", str(state.scale_version))
            if version != str(state.scale_version):
                return failure(409, "the object has been modified")
            state.scale(asked["spec"]["replicas"])
            self._on_scale()
        return web.json_response(
            {
                "kind": "Scale",
                "apiVersion": "autoscaling/v1",
                "metadata": self._metadata(),
                "spec": {"replicas": state.replicas},
                "status": {"replicas": len(state.pods)},
            }
        )

    def _metadata(self) -> Json:
        state = self.state
        return {"name": state.name, "namespace": state.namespace, "resourceVersion": str(state.scale_version)}

    # --- watches ------------------------------------------------------------------------------------------------------

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        version = int(request.query.get("resourceVersion") or 0) or self.state.version
        ends = loop.time() + float(request.query.get("timeoutSeconds", 300))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while loop.time() < ends and self._runner is not None:
            try:
                events = self.state.since(version)
            except Expired:
                await write(response, {"type": "ERROR", "object": status_object(410, "too old resource version")})
                break
            for event in events:
                await write(response, {"type": event.type, "object": event.object})
                version = event.version
            if not events:
                await self.state.wait_news(min(self.bookmark_s, ends - loop.time()))
                # A bookmark says that nothing else happened up to here.
                if not self._is_behind(version) and request.query.get("allowWatchBookmarks") == "true":
                    version = self.state.version
                    await write(response, bookmark(version))
        return response

    def _is_behind(self, version: int) -> bool:
        try:
            return bool(self.state.since(version))
        except Expired:
            return True


async def write(response: web.StreamResponse, event: Mapping[str, object]) -> None:
    """Send one line of a watch."""
    await response.write(json.dumps(event).encode() + b"\n")


def bookmark(version: int) -> Json:
    """Give a bookmark as the API writes it."""
    meta = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": meta}}


def status_object(code: int, message: str) -> Json:
    """Give a failure as the API writes it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def failure(code: int, message: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a failure."""
    return web.json_response(status_object(code, message), status=code, headers=headers)


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Say whether labels match a selector of equalities."""
    wanted = [part.partition("=")[::2] for part in selector.split(",") if part]
    return all(labels.get(key) == value for key, value in wanted)
