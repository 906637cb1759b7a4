"""The chart: every combination of its parts renders to what Kubernetes and the operators take."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from dj_workers.cli.main import main
from tests.support.compose import ROOT
from tests.support.kubernetes import faults

CHART = ROOT / "helm"
Render = Callable[..., list[dict[str, Any]]]
JOB_TABLES = ["lab.~~seg", "lab.~~det"]
GPU_GROUP = {
    "gpu": {
        "tables": ["Segmentation", "lab.__detection"],
        "processes": 2,
        "gpus": 2,
        "priority": 0,
        "resources": {"requests": {"cpu": 4, "memory": "16Gi"}},
        "nodeSelector": {"accelerator": "nvidia"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
    }
}


def autoscaled(source: str) -> dict[str, Any]:
    scaling = {"enabled": True, "source": source, "jobTables": JOB_TABLES, "maxReplicas": 9}
    return {"scaled": {"autoscaling": scaling}}


@pytest.fixture(scope="module")
def helm(program: Callable[[str], str]) -> str:
    return program("helm")


@pytest.fixture
def render(helm: str, tmp_path: Path) -> Render:
    """Return what renders a release of the chart with some values; an error of helm is a `ValueError`."""
    counter = itertools.count()

    def run(release: str = "rel", **values: Any) -> list[dict[str, Any]]:
        file = tmp_path / f"values-{next(counter)}.yaml"
        file.write_text(json.dumps(values))
        command = [helm, "template", release, str(CHART), "--kube-version", "1.31.0", "--namespace", "lab"]
        done = subprocess.run([*command, "--values", str(file)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        return [d for d in yaml.safe_load_all(done.stdout) if d]

    return run


def combinations() -> Iterator[dict[str, Any]]:
    """Each part on and off, with each of the others."""
    backends = ({"backend": "postgresql"}, {"backend": "mysql", "port": 3306})
    groups: tuple[dict[str, Any], ...] = (
        {},
        {"default": {}, **GPU_GROUP},
        autoscaled("sql"),
        autoscaled("prometheus"),
    )
    switches = itertools.product((False, True), repeat=4)
    for (celery, exporter, monitoring, rest), backend, group in itertools.product(switches, backends, groups):
        if "scaled" in group and not exporter:
            continue  # refused: see below
        yield {
            "database": backend,
            "workerGroups": {"default": None, **group} if group else {"default": {}},
            "celery": {
                "enabled": celery,
                "groups": {"gpu": {"queues": ["gpu"], "gpus": 1, "autoscale": "8,1"}},
            },
            "exporter": {"enabled": exporter},
            "monitoring": {"enabled": monitoring, "rules": not rest, "dashboard": not rest},
            "podDisruptionBudget": {"enabled": not rest},
            "serviceAccount": {"create": not rest, "name": "mine" if rest else ""},
            "pipeline": {"configMap": "code" if rest else ""},
            "settings": {"DJ_JOBS_LEASE_TIMEOUT": "120"} if rest else {},
            "environmentSecrets": ["dj-stores"] if rest else [],
            "image": {"pullSecrets": ["registry"] if rest else []},
        }


def test_every_combination_is_valid(render: Render) -> None:
    seen: dict[str, dict[str, Any]] = {}
    every = list(combinations())
    with ThreadPoolExecutor(2) as pool:
        for values, resources in zip(every, pool.map(lambda v: render(**v), every), strict=True):
            names = [(r["kind"], r["metadata"]["name"]) for r in resources]
            assert len(set(names)) == len(names), values
            for resource in resources:
                seen.setdefault(json.dumps(resource, sort_keys=True), resource)
    assert {r["kind"] for r in seen.values()} == {
        "Deployment", "Service", "ServiceAccount", "ConfigMap", "PodDisruptionBudget", "ServiceMonitor",
        "PodMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication",
    }  # fmt: skip
    wrong = {f"{r['kind']} {r['metadata']['name']}": f for r in seen.values() if (f := faults(r))}
    assert wrong == {}


def test_faults_would_be_found(render: Render) -> None:
    resources = {r["kind"]: r for r in render(monitoring={"enabled": True}, workerGroups=autoscaled("sql"))}
    resources["Deployment"]["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    resources["ScaledObject"]["spec"]["maxReplicas"] = 3
    resources["PrometheusRule"]["spec"]["groups"][0]["rules"][0]["expression"] = "up"
    assert [kind for kind, r in resources.items() if faults(r)] == [
        "Deployment",
        "PrometheusRule",
        "ScaledObject",
    ]


def test_pods_are_confined_and_end_in_time(render: Render) -> None:
    resources = render(celery={"enabled": True}, shutdownTimeout=120)
    deployments = [r for r in resources if r["kind"] == "Deployment"]
    assert {d["metadata"]["labels"]["app.kubernetes.io/component"] for d in deployments} == {
        "worker", "celery", "dispatcher", "exporter"
    }  # fmt: skip
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["terminationGracePeriodSeconds"] == 135
        [container] = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        environment = {e["name"]: e for e in container["env"]}
        assert environment["DJ_JOBS_SHUTDOWN_TIMEOUT"]["value"] == "120"
        for secret in ("DJ_USER", "DJ_PASS", "DJ_CELERY_BROKER_URL"):
            if secret in environment:
                assert "secretKeyRef" in environment[secret]["valueFrom"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= (
            deployment["spec"]["template"]["metadata"]["labels"].items()
        )


def test_a_gpu_group_asks_for_its_gpus_and_nodes(render: Render) -> None:
    [gpu] = [
        r
        for r in render(workerGroups=GPU_GROUP)
        if r["metadata"]["name"] == "rel-worker-gpu" and r["kind"] == "Deployment"
    ]
    pod = gpu["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"accelerator": "nvidia"}
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    [container] = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert container["resources"]["limits"]["memory"] == "2Gi"
    assert container["resources"]["requests"] == {"cpu": 4, "memory": "16Gi"}


def test_an_autoscaled_group_leaves_its_replicas_to_keda(render: Render) -> None:
    resources = render(workerGroups=autoscaled("prometheus"))
    by_kind = {r["kind"]: r for r in resources if r["metadata"]["name"] == "rel-worker-scaled"}
    assert "replicas" not in by_kind["Deployment"]["spec"]
    spec = by_kind["ScaledObject"]["spec"]
    assert spec["scaleTargetRef"]["name"] == by_kind["Deployment"]["metadata"]["name"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 9)


def test_names_are_short_enough_for_labels_of_keda(helm: str, tmp_path: Path) -> None:
    group = {"g" * 20: {"autoscaling": {"enabled": True}}}
    (tmp_path / "values.yaml").write_text(json.dumps({"workerGroups": group}))
    command = [helm, "template", "r" * 53, str(CHART), "--kube-version", "1.31.0"]
    command += ["--values", str(tmp_path / "values.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [scaled] = [d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "ScaledObject"]
    assert len(scaled["metadata"]["name"]) <= 63


@pytest.mark.parametrize("release", ["2024", "my.lab", "null", "a" * 34 + ".b"])
def test_names_that_look_like_something_else_are_names(render: Render, release: str) -> None:
    groups = {name: {"autoscaling": {"enabled": True}} for name in ("42", "true", "1e3", "0x1", "null")}
    resources = render(
        release,
        workerGroups=groups,
        celery={"enabled": True, "groups": {"1": {}}},
        monitoring={"enabled": True},
        serviceAccount={"name": "12"},
        image={"pullSecrets": ["34"]},
    )
    assert [fault for resource in resources for fault in faults(resource)] == []
    for resource in resources:
        pattern = "[a-z][-a-z0-9]*" if resource["kind"] == "Service" else "[a-z0-9][-a-z0-9]*"
        assert re.fullmatch(pattern, resource["metadata"]["name"]), resource["metadata"]
        assert resource["metadata"]["labels"]["app.kubernetes.io/instance"] == release


def test_pods_without_an_account_of_their_own_have_one_that_is_there(render: Render) -> None:
    resources = render(serviceAccount={"create": False})
    pods = [r["spec"]["template"]["spec"] for r in resources if r["kind"] == "Deployment"]
    assert {pod["serviceAccountName"] for pod in pods} == {"default"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workerGroups": {"a": {"procesess": 2}}}, "procesess"),
        ({"workerGroups": {"a": {"processes": 0}}}, "processes"),
        ({"workerGroups": {"A_b": {}}}, "A_b"),
        ({"database": {"backend": "oracle"}}, "backend"),
        ({"database": {"password": "x"}}, "password"),
        ({"workerGroups": {"a": {"autoscaling": {"jobTables": ["lab.x; DROP TABLE y"]}}}}, "jobTables"),
        ({"workerGroups": autoscaled("sql"), "exporter": {"enabled": False}}, "needs the exporter"),
        ({"workerGroups": autoscaled("sql"), "exporter": {"refresh": False}}, "needs exporter.refresh"),
        ({"workerGroups": {"a": {"autoscaling": {"enabled": True, "source": "sql"}}}}, "name the job tables"),
        ({"shutdownTimeout": "soon"}, "shutdownTimeout"),
        # the grace period of the pods follows that value, and nothing else
        (
            {"workerGroups": {"a": {"arguments": ["--shutdown-timeout", "600"]}}},
            "worker a have .* set shutdownTimeout",
        ),
        ({"workerDefaults": {"arguments": ["--shutdown-timeout=600"]}}, "set shutdownTimeout"),
        ({"settings": {"DJ_WORKER_SHUTDOWN_TIMEOUT": "600"}}, "set shutdownTimeout"),
        ({"settings": {"DJ_JOBS_SHUTDOWN_TIMEOUT": "600"}}, "set shutdownTimeout"),
        ({"sheduler": {}}, "sheduler"),
        # what a part cannot be without, where null takes its default away
        ({"database": None}, "database is required"),
        ({"database": {"host": None}}, "host is required"),
        ({"workerDefaults": None}, "workerDefaults is required"),
        ({"workerDefaults": {"processes": None}}, "processes is required"),
        ({"celery": {"defaults": None}}, "defaults is required"),
        ({"exporter": {"interval": None}}, "interval is required"),
        # the probes and the monitors go by that value
        ({"workerGroups": {"a": {"arguments": ["--metrics-port", "1"]}}}, "worker a have .* set metricsPort"),
        ({"settings": {"DJ_WORKER_METRICS_PORT": "1"}}, "set metricsPort"),
        ({"workerGroups": {"a": {"arguments": ["--metrics-host=::1"]}}}, "worker a have .* set metricsHost"),
        ({"settings": {"DJ_WORKER_METRICS_HOST": "127.0.0.1"}}, "set metricsHost"),
        ({"metricsHost": "127.0.0.1"}, "metricsHost"),
        # what Kubernetes or KEDA would refuse, or never start
        ({"podLabels": {"app.kubernetes.io/component": "x"}}, "podLabels.app.kubernetes.io/component"),
        ({"podLabels": {"no label": "x"}}, "podLabels"),
        ({"podLabels": {"team": "brain & spine"}}, "podLabels.team"),
        ({"image": {"tag": "a b"}}, "image.tag"),
        ({"podDisruptionBudget": {"maxUnavailable": -1}}, "maxUnavailable"),
        ({"podDisruptionBudget": {"maxUnavailable": "400%"}}, "maxUnavailable"),
        ({"workerDefaults": {"gpus": 1, "gpuResource": ""}}, "gpuResource"),
        ({"workerDefaults": {"resources": {"limits": {"memory": {}}}}}, "memory"),
        ({"autoscaling": {"prometheusAddress": None}}, "prometheusAddress is required"),
        ({"autoscaling": {"prometheusAddress": ""}}, "prometheusAddress"),
        # what dj-worker would refuse in each pod
        ({"pipeline": {"module": "schema:lab"}}, "pipeline.module"),
        ({"pipeline": {"module": " "}}, "pipeline.module"),
        ({"workerGroups": {"a": {"module": "schema:lab"}}}, "workerGroups.a.module"),
        ({"workerGroups": {"a": {"tables": [" "]}}}, "tables"),
        ({"workerGroups": {"a": {"processes": 2000}}}, "processes"),
        ({"exporter": {"interval": 1e12}}, "exporter.interval"),
        ({"celery": {"dispatcher": {"interval": 1e12}}}, "dispatcher.interval"),
        ({"shutdownTimeout": 10**10}, "shutdownTimeout"),
        # what is secret, and what other values say
        (
            {"settings": {"DJ_CELERY_BROKER_URL": "redis://:pw@redis/0"}},
            "DJ_CELERY_BROKER_URL is secret: .* environmentSecrets",
        ),
        ({"settings": {"DJ_NOTIFY_SLACK_WEBHOOK": "https://hooks"}}, "DJ_NOTIFY_SLACK_WEBHOOK is secret"),
        ({"settings": {"DJ_STORES_MAIN_SECRET_KEY": "x"}}, "MAIN_SECRET_KEY is secret"),
        ({"settings": {"DJ_HOST": "elsewhere"}}, "set database"),
        ({"settings": {"DJ_DATABASE_PORT": "1"}}, "set database"),
        (
            {"workerGroups": {"a": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}}}},
            "minReplicas of workerGroups.a .* maxReplicas",
        ),
    ],
)
def test_wrong_values_are_refused(render: Render, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render(**values)


def test_the_commands_are_those_that_dj_worker_has(render: Render) -> None:
    resources = render(
        celery={"enabled": True, "groups": {"c": {"tables": ["A"], "exclude": ["B"]}}}, workerGroups=GPU_GROUP
    )
    containers = [
        c for r in resources if r["kind"] == "Deployment" for c in r["spec"]["template"]["spec"]["containers"]
    ]
    assert len(containers) == 6
    for container in containers:
        name, *arguments = container["args"]
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_context(name, list(arguments), resilient_parsing=False)
