"""The Kubernetes API as the scaler asks it: a thin, typed client on kubernetes_asyncio, which is imported only here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import msgspec
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from scribewire.scalers.kubernetes import Change, ClusterRefused
from scribewire.scalers.pods import Pod

# Where a pod finds its credentials: token, ca.crt and namespace.
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CALL_WAIT_S: Final = 5.0
# The server ends a watch after this and the next one goes on from there, so that a dead connection is found out soon.
WATCH_S: Final = 30
_WATCH_READ: Final = aiohttp.ClientTimeout(connect=CALL_WAIT_S, sock_read=WATCH_S + 10)
_LONGEST_EVENT_BYTES: Final = 2 * 1024 * 1024
_SCALE: Final = "/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}/scale"
_PODS: Final = "/api/v1/namespaces/{namespace}/pods"
_WENT_WRONG: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Target:
    """Which Deployment, and which labels its pods have. An empty namespace is the credentials' own."""

    deployment: str
    selector: str
    namespace: str = ""


class _ScaleSpec(msgspec.Struct):
    replicas: int = 0


class _Scale(msgspec.Struct):
    spec: _ScaleSpec = msgspec.field(default_factory=_ScaleSpec)


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str


class _PodList(msgspec.Struct):
    metadata: _ListMeta
    items: list[Pod]


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Failure(msgspec.Struct):
    """The part of meta/v1 Status that is looked at."""

    code: int = 500


class KubernetesCluster:
    """One namespace of a cluster. Credentials come from `kubeconfig`, or without one from a pod's service account."""

    def __init__(
        self, target: Target, *, kubeconfig: Path | None = None, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self._target = target
        self._kubeconfig = kubeconfig
        self._service_account = service_account
        self._configuration = Configuration()
        self._namespace = target.namespace
        self._api: ApiClient | None = None
        self._opening = asyncio.Lock()

    async def read_replicas(self) -> int:
        """Give how many pods the Deployment is to have."""
        return (await self._ask("get", "deployments/scale", _SCALE, _Scale)).spec.replicas

    async def write_replicas(self, count: int) -> None:
        """Say how many it is to have."""
        await self._ask("patch", "deployments/scale", _SCALE, _Scale, body={"spec": {"replicas": count}})

    async def list_pods(self) -> tuple[Sequence[Pod], str]:
        """Give the pods, and the version to watch from."""
        query = {"labelSelector": self._target.selector}
        answer = await self._ask("list", "pods", _PODS, _PodList, query=query)
        return answer.items, answer.metadata.resource_version

    @asynccontextmanager
    async def watch_pods(self, version: str) -> AsyncIterator[AsyncIterator[Change]]:
        """Give what changes after a version, as it changes."""
        query = {
            "labelSelector": self._target.selector,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        response = await self._send("watch", "pods", _PODS, query=query, timeout=_WATCH_READ)
        try:
            yield _read_changes(response)
        finally:
            response.close()

    async def close(self) -> None:
        """Let go of all connections."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    # --- calls --------------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        verb: str,
        resource: str,
        path: str,
        answer: type[_T],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> _T:
        timeout = aiohttp.ClientTimeout(total=CALL_WAIT_S)
        response = await self._send(verb, resource, path, query=query or {}, body=body, timeout=timeout)
        try:
            return msgspec.json.decode(await response.read(), type=answer)
        except _WENT_WRONG as error:
            raise ClusterRefused("the Kubernetes API broke off its answer") from error
        finally:
            response.release()

    async def _send(
        self,
        verb: str,
        resource: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Mapping[str, object] | None = None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send once, or twice when the token has been replaced meanwhile; give an answer of success."""
        response = await self._send_once(verb, path, query=query, body=body, timeout=timeout)
        if response.status == 401:
            response.release()
            await self._read_credentials()
            response = await self._send_once(verb, path, query=query, body=body, timeout=timeout)
        if response.ok:
            return response
        response.release()
        raise self._refusal(response, verb, resource)

    async def _send_once(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Mapping[str, object] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        api = await self._open()
        send: Callable[..., Awaitable[aiohttp.ClientResponse]] = api.call_api
        headers = {"Accept": "application/json"}
        if verb == "patch":
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            return await send(
                path,
                "PATCH" if verb == "patch" else "GET",
                path_params={"namespace": self._namespace, "deployment": self._target.deployment},
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
        except aiohttp.ClientSSLError as error:
            # The cluster's authority may be another one by now; the next try reads which.
            await self.close()
            raise ClusterRefused("the Kubernetes API has a certificate that is not trusted") from error
        except _WENT_WRONG as error:
            raise ClusterRefused("the Kubernetes API could not be reached") from error
        except ConfigException as error:
            raise ClusterRefused("the credentials for the Kubernetes API could not be read") from error

    def _refusal(self, response: aiohttp.ClientResponse, verb: str, resource: str) -> ClusterRefused:
        where = f"in namespace {self._namespace}"
        sentences = {
            401: "the Kubernetes API does not accept the service account's token",
            403: f"the service account may not {verb} {resource} {where}: its Role must grant that",
            404: f"there is no Deployment {self._target.deployment} {where}",
            409: "the Deployment was changed by somebody else at the same time",
            429: "the Kubernetes API is overloaded",
        }
        sentence = sentences.get(response.status, f"the Kubernetes API answered with status {response.status}")
        retry_after = response.headers.get("Retry-After", "")
        return ClusterRefused(
            sentence, status=response.status, retry_after_s=int(retry_after) if retry_after.isdecimal() else None
        )

    # --- credentials --------------------------------------------------------------------------------------------------

    async def _open(self) -> ApiClient:
        async with self._opening:
            if self._api is None:
                await self._read_credentials()
                self._api = _create_api(self._configuration)
            return self._api

    async def _read_credentials(self) -> None:
        """Read them, again where there are some: tokens are replaced every hour or so."""
        try:
            if self._kubeconfig is None:
                account = self._service_account
                load_incluster_config(
                    self._configuration, token_filename=str(account / "token"), cert_filename=str(account / "ca.crt")
                )
                own = (account / "namespace").read_text(encoding="utf-8").strip()
            else:
                loader = await load_kube_config(
                    str(self._kubeconfig), client_configuration=self._configuration, persist_config=False
                )
                own = (loader.current_context or {}).get("context", {}).get("namespace", "")
        except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            raise ClusterRefused("the credentials for the Kubernetes API could not be read") from error
        self._namespace = self._target.namespace or own or "default"


def _create_api(configuration: Configuration) -> ApiClient:
    """Create the library's client without its proxies: HTTPS_PROXY is for calls that leave the cluster."""
    configuration.proxy = None
    api = ApiClient(configuration)
    rest = api.rest_client
    connector = rest.pool_manager.connector
    rest.pool_manager.detach()
    rest.pool_manager = aiohttp.ClientSession(connector=connector, read_bufsize=_LONGEST_EVENT_BYTES)
    return api


async def _read_changes(response: aiohttp.ClientResponse) -> AsyncIterator[Change]:
    try:
        async for line in response.content:
            event = msgspec.json.decode(line, type=_Event)
            if event.type == "ERROR":
                code = msgspec.json.decode(event.object, type=_Failure).code
                raise ClusterRefused(f"the Kubernetes API ended the watch with status {code}", status=code)
            pod = msgspec.json.decode(event.object, type=Pod)
            yield Change(pod, gone=event.type == "DELETED", bookmark=event.type == "BOOKMARK")
    except _WENT_WRONG as error:
        raise ClusterRefused("the watch was cut off") from error
