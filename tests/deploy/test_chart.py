"""The chart: its manifests are valid, its pods run what there is with settings that there are, and no more rights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scribewire import __version__, metrics, settings
from tests.deploy.chart import (
    CHART,
    Manifest,
    container_of,
    find,
    pod_of,
    refusal,
    render,
    run_helm,
    variables_of,
)
from tests.scalers.kube.node import free_port

pytestmark = pytest.mark.e2e

WAIT_S = 30.0
SEVERAL = ("--set", "gateway.replicas=3", "--set", "database.existingSecret=postgres")
EXPOSED = (
    "--set",
    "ingress.enabled=true,ingress.host=speech.example.org,ingress.tlsSecret=tls,ingress.className=nginx",
)
WATCHED = ("--set", "monitoring.enabled=true,monitoring.labels.release=prometheus")
MODELS = ("--set", "models.pull={zipformer-en,whisper_tiny.en},models.claim=models")
PLACED = (
    "--set=worker.nodeSelector.pool=speech,worker.tolerations[0].operator=Exists,gateway.podAnnotations.a=b",
    "--set=image.pullSecrets={registry},storage.className=fast,networkPolicy.enabled=false",
    "--set=workerSecret.existingSecret=ours,workerTls.existingSecret=certificates",
)
PLAIN: tuple[str, ...] = ()
SETS = {
    "as it comes": PLAIN,
    "several gateways": SEVERAL,
    "exposed and watched": (*EXPOSED, *WATCHED),
    "with models": (*MODELS, "--set", r"settings.engines\.en\.fast=sherpa:zipformer-en"),
    "placed": PLACED,
}
# The oldest release that Chart.yaml allows, and the newest that there are schemas of.
RELEASES = ("1.30", "1.37")
OTHERS = {"postgres": "postgresql+asyncpg://db.example/scribewire", "ours": "a secret"}


@pytest.fixture(params=list(SETS.values()), ids=list(SETS))
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(*request.param)


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith(settings.PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


# --- manifests --------------------------------------------------------------------------------------------------------


def test_helm_finds_nothing_to_mend() -> None:
    ran = run_helm("lint", "--strict", str(CHART))
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_every_manifest_is_valid_by_the_published_schemas(manifests: list[Manifest], release: str) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for manifest in manifests:
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):  # not Kubernetes' own
            kubernetes_validate.validate(manifest, release, strict=True)


def test_nothing_is_there_twice(manifests: list[Manifest]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(names) == len(set(names))


def test_every_selector_finds_its_pods_and_no_others(manifests: list[Manifest]) -> None:
    labels = {component: pod_of(manifests, component)["metadata"]["labels"] for component in ("gateway", "worker")}
    selectors = [
        find(manifests, "Service")["spec"]["selector"],
        *(one["spec"]["selector"]["matchLabels"] for one in manifests if one["kind"] == "PodDisruptionBudget"),
        *(one["spec"]["selector"]["matchLabels"] for one in manifests if one["kind"] == "Deployment"),
    ]
    for selector in selectors:
        assert [name for name, has in labels.items() if selector.items() <= has.items()] == [
            selector["app.kubernetes.io/component"]
        ]


def test_the_version_is_that_of_the_package() -> None:
    assert f'appVersion: "{__version__}"' in (CHART / "Chart.yaml").read_text(encoding="utf-8")


# --- what a pod may ---------------------------------------------------------------------------------------------------


def containers(manifests: list[Manifest]) -> list[Manifest]:
    pods = [pod_of(manifests, component)["spec"] for component in ("gateway", "worker")]
    return [container for pod in pods for container in (*pod.get("initContainers", []), *pod["containers"])]


def test_no_container_has_a_right_that_it_can_do_without(manifests: list[Manifest]) -> None:
    for component in ("gateway", "worker"):
        security = pod_of(manifests, component)["spec"]["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"] > 0) == (True, True)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(manifests):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} <= {"/data", "/data/models", "/tmp", "/tls"}


def test_a_gateway_may_scale_one_deployment_and_watch_pods_and_nothing_else() -> None:
    manifests = render()
    assert find(manifests, "Role")["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": ["scribewire-worker"],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    ]
    [subject] = find(manifests, "RoleBinding")["subjects"]
    assert subject["name"] == pod_of(manifests, "gateway")["spec"]["serviceAccountName"]
    assert subject["namespace"] == "speech"


def test_a_worker_knows_no_credential_of_the_cluster() -> None:
    spec = pod_of(render(), "worker")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec


def test_only_gateways_reach_a_worker_and_it_reaches_nobody() -> None:
    policy = find(render(), "NetworkPolicy")["spec"]
    [allowed] = policy["ingress"]
    [peer] = allowed["from"]
    gateway = pod_of(render(), "gateway")["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= gateway.items()
    assert "component" in str(peer)
    assert allowed["ports"] == [{"protocol": "TCP", "port": "link"}]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []


def test_a_worker_that_pulls_models_may_ask_for_names_and_fetch() -> None:
    [allowed] = find(render(*MODELS), "NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for port in allowed["ports"]} == {53, 443}


# --- what the pods run ------------------------------------------------------------------------------------------------


def test_the_workers_replicas_are_the_gateways_business(manifests: list[Manifest]) -> None:
    assert "replicas" not in find(manifests, "Deployment", "worker")["spec"]


@pytest.mark.parametrize("component", ["gateway", "worker"])
@pytest.mark.parametrize("options", SETS.values(), ids=SETS.keys())
def test_the_service_takes_its_variables_for_settings(
    component: str, options: tuple[str, ...], no_variables: pytest.MonkeyPatch
) -> None:
    manifests = render(*options)
    for name, value in variables_of(manifests, container_of(manifests, component), OTHERS).items():
        no_variables.setenv(name, value)
    loaded = settings.load()
    assert len(loaded.worker.secret) >= 8
    assert loaded.autoscaling.max_workers == 4
    assert loaded.server.log_format == "json"


def test_a_gateway_scales_the_deployment_of_its_own_release(no_variables: pytest.MonkeyPatch) -> None:
    manifests = render(*SEVERAL, *EXPOSED, release="blue")
    for name, value in variables_of(manifests, container_of(manifests, "gateway"), OTHERS).items():
        no_variables.setenv(name, value)
    loaded = settings.load()
    worker = find(manifests, "Deployment", "worker")
    assert loaded.scaler.kind == "kubernetes"
    assert loaded.kubernetes.deployment == worker["metadata"]["name"] == "blue-scribewire-worker"
    assert loaded.kubernetes.selector == ",".join(
        f"{name}={value}" for name, value in worker["spec"]["selector"]["matchLabels"].items()
    )
    assert loaded.kubernetes.namespace == ""
    assert [loaded.kubernetes.port] == [port["containerPort"] for port in container_of(manifests, "worker")["ports"]]
    assert loaded.store.url == OTHERS["postgres"]
    assert loaded.server.public_url == "wss://speech.example.org"


def test_settings_reach_the_pods_as_they_were_written(no_variables: pytest.MonkeyPatch) -> None:
    written = (
        r"settings.session\.idle_s=90.5",
        r"settings.limits\.calls_per_minute_per_key=1000000",
        r"settings.autoscaling\.wake_on_start=true",
        r"settings.engines\.pt-br\.fast=vosk:pt",
        r"settings.server\.trusted_proxies={10.0.0.0/8,127.0.0.1}",
    )
    manifests = render(*(part for one in written for part in ("--set", one)))
    for name, value in variables_of(manifests, container_of(manifests, "gateway"), {}).items():
        no_variables.setenv(name, value)
    loaded = settings.load()
    assert loaded.session.idle_s == 90.5
    assert loaded.limits.calls_per_minute_per_key == 1_000_000
    assert loaded.autoscaling.wake_on_start is True
    assert loaded.engines.languages["pt-br"].fast == "vosk:pt"
    assert loaded.server.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


def test_pods_are_given_no_variables_that_look_like_settings(manifests: list[Manifest]) -> None:
    # A Service named scribewire would bring SCRIBEWIRE_PORT, which is no setting: the gateway would not start.
    for component in ("gateway", "worker"):
        assert pod_of(manifests, component)["spec"]["enableServiceLinks"] is False


def test_new_settings_roll_the_pods() -> None:
    changed = render("--set", r"settings.autoscaling\.max_workers=9")
    for component in ("gateway", "worker"):
        before, after = (pod_of(one, component)["metadata"]["annotations"] for one in (render(), changed))
        assert before != after


def test_a_pod_is_killed_only_after_its_drain() -> None:
    manifests = render("--set-json", 'settings={"server.grace_s": 120.5, "server.stop_notice_s": 600}')
    assert pod_of(manifests, "worker")["spec"]["terminationGracePeriodSeconds"] > 121
    assert pod_of(manifests, "gateway")["spec"]["terminationGracePeriodSeconds"] > 5 + 600 + 121


def test_models_are_pulled_before_a_worker_starts_to_where_it_reads_them() -> None:
    pod = pod_of(render(*MODELS), "worker")["spec"]
    assert [one["args"] for one in pod["initContainers"]] == [
        ["models", "pull", "zipformer-en"],
        ["models", "pull", "whisper_tiny.en"],
    ]
    assert {"name": "models", "persistentVolumeClaim": {"claimName": "models"}} in pod["volumes"]


def test_over_tls_each_side_is_given_its_own_files_and_no_gateway_the_key() -> None:
    manifests = render("--set", "workerTls.existingSecret=certificates")
    for component, files in (("gateway", {"ca.crt"}), ("worker", {"tls.crt", "tls.key"})):
        [volume] = [one for one in pod_of(manifests, component)["spec"]["volumes"] if one["name"] == "tls"]
        assert {item["path"] for item in volume["secret"]["items"]} == files
        given = variables_of(manifests, container_of(manifests, component), {}).values()
        assert {value.removeprefix("/tls/") for value in given if value.startswith("/tls/")} == files


@pytest.mark.e2e
def test_the_worker_starts_by_its_arguments_and_passes_its_own_probes(tmp_path: Path) -> None:
    manifests = render(r"--set=settings.engines\.en\.fast=scripted:words", r"--set=settings.gate\.detector=energy")
    container = container_of(manifests, "worker")
    port = str(free_port())

    def here(words: list[str]) -> list[str]:
        return [word.replace("7000", port).replace("$(POD_NAME)", "a-pod") for word in words]

    outside = {name: value for name, value in os.environ.items() if not name.startswith(settings.PREFIX)}
    variables = {**outside, **variables_of(manifests, container, {}), "SCRIBEWIRE_DATA_DIR": str(tmp_path)}
    del variables["POD_NAME"]
    worker = subprocess.Popen([sys.executable, "-m", "scribewire", *here(container["args"])], env=variables)
    try:
        for probe in ("livenessProbe", "readinessProbe"):
            python, *arguments = here(container[probe]["exec"]["command"])
            assert python == "python"
            deadline = time.monotonic() + WAIT_S
            while subprocess.run(
                [sys.executable, *arguments], env=variables, capture_output=True, check=False
            ).returncode:
                assert worker.poll() is None
                assert time.monotonic() < deadline
        worker.terminate()
        assert worker.wait(WAIT_S) == 0
    finally:
        worker.kill()
        worker.wait()


# --- storage, ingress, monitoring -------------------------------------------------------------------------------------


def test_one_gateway_keeps_a_sqlite_file_that_an_uninstall_leaves() -> None:
    manifests = render()
    claim = find(manifests, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert find(manifests, "Deployment", "gateway")["spec"]["strategy"] == {"type": "Recreate"}
    assert claim["metadata"]["name"] in str(pod_of(manifests, "gateway")["spec"]["volumes"])


def test_several_gateways_need_one_postgresql() -> None:
    assert "set database.existingSecret" in refusal("--set", "gateway.replicas=2")
    kinds = [one["kind"] for one in render(*SEVERAL)]
    assert "PersistentVolumeClaim" not in kinds
    assert kinds.count("PodDisruptionBudget") == 2


def test_a_secret_of_yours_takes_the_place_of_the_one_that_is_made() -> None:
    assert "Secret" in [one["kind"] for one in render()]
    assert "Secret" not in [one["kind"] for one in render("--set", "workerSecret.existingSecret=ours")]


def test_the_ingress_lets_sessions_last() -> None:
    ingress = find(render(*EXPOSED), "Ingress")
    timeouts = [int(value) for name, value in ingress["metadata"]["annotations"].items() if name.endswith("-timeout")]
    assert timeouts
    assert min(timeouts) >= 3600
    assert ingress["spec"]["tls"] == [{"hosts": ["speech.example.org"], "secretName": "tls"}]


def test_alerts_ask_for_metrics_that_there_are() -> None:
    known = {row.name for row in metrics.table()}
    rules = find(render(*WATCHED), "PrometheusRule")["spec"]["groups"][0]["rules"]
    for rule in rules:
        assert set(re.findall(r"\bscribewire_\w+", rule["expr"])) <= known
        for selector in re.findall(r"\{(.*?)\}", rule["expr"]):
            assert 'namespace="speech"' in selector


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "gateway.replicas=0",
        "gateway.replicaCount=2",
        "worker.resources.limits.cpu=much",
        "worker.resources.limits.cpu=null",
        "ingress.enabled=true",
        "ingress.enabled=yes please",
        "models.pull={--again}",
        r"settings.autoscaling\.max_workers=0",
        r"settings.autoscaling\.max_workers=null",
        r"settings.server\.host=0.0.0.0",
        r"settings.worker\.secret=mine",
        r"settings.scaler\.kind=local",
        "settings.max_workers=3",
        "monitoring=true",
    ],
)
def test_values_that_cannot_be_meant_are_refused(wrong: str) -> None:
    assert "values" in refusal("--set", wrong)


def test_the_settings_may_be_of_every_group_but_those_that_the_chart_fills_itself() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    pattern = schema["properties"]["settings"]["propertyNames"]["pattern"]
    taken = {name for name in settings.Settings.model_fields if re.search(pattern, f"{name}.anything")}
    assert set(settings.Settings.model_fields) - taken == {"scaler", "kubernetes", "data_dir"}


def test_a_gateway_may_use_the_memory_that_its_sessions_may_keep() -> None:
    [number, unit] = re.findall(r"\d+|\D+", container_of(render(), "gateway")["resources"]["limits"]["memory"])
    loaded = settings.Settings()
    kept_bytes = loaded.limits.sessions * loaded.session.kept_s * 32_000
    assert int(number) * {"Mi": 2**20, "Gi": 2**30}[unit] >= kept_bytes + 100 * 2**20


def test_every_value_is_known_to_the_schema_and_the_other_way_round() -> None:
    yaml: Any = pytest.importorskip("yaml", reason="needs PyYAML")
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(values) == set(schema["properties"]) - {"global"}
    for group, known in schema["properties"].items():
        if group not in ("global", "settings"):
            assert set(values[group]) == set(known["properties"])
