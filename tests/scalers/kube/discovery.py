"""What the fake API server says of itself, so that kubectl finds its way."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _resource(name: str, kind: str, verbs: list[str], **more: Any) -> Json:
    return {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs} | more


DOCUMENTS: dict[str, Json] = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "apps",
                "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            }
        ],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [_resource("pods", "Pod", ["get", "list", "watch"], shortNames=["po"])],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "apps/v1",
        "resources": [
            _resource("deployments", "Deployment", ["get", "list"], shortNames=["deploy"]),
            _resource("deployments/scale", "Scale", ["get", "patch", "update"], group="autoscaling", version="v1"),
        ],
    },
}
