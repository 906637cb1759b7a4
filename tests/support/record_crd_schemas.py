"""Write `crd_schemas.json`: what KEDA and the Prometheus operator take, as strict JSON schemas.

Run it in an environment of its own, since these packages bring a plugin for pytest along::

    pip install cloudcoil-models-keda cloudcoil-models-prometheus-operator
    python tests/support/record_crd_schemas.py
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

KINDS = (
    ("cloudcoil.models.keda.v1alpha1", "ScaledObject"),
    ("cloudcoil.models.keda.v1alpha1", "TriggerAuthentication"),
    ("cloudcoil.models.prometheus_operator.v1", "ServiceMonitor"),
    ("cloudcoil.models.prometheus_operator.v1", "PodMonitor"),
    ("cloudcoil.models.prometheus_operator.v1", "PrometheusRule"),
)


def strict(schema: Any) -> Any:
    """Drop what only people read, and refuse what is not named."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "properties":
            kept[name] = {n: strict(v) for n, v in value.items() if n != "status" or "spec" not in value}
        elif name not in ("title", "description", "default", "examples") or not isinstance(
            value, (str, type(None))
        ):
            kept[name] = strict(value)
    if kept.get("type") == "object" and "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def reachable(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out definitions that nothing refers to any more."""
    everything = schema.pop("$defs", {})
    wanted: dict[str, Any] = {}
    waiting = [schema]
    while waiting:
        for name in set(_references(waiting.pop())) - wanted.keys():
            wanted[name] = everything[name]
            waiting.append(everything[name])
    return {**schema, "$defs": dict(sorted(wanted.items()))}


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [r for item in schema for r in _references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
    return own + [r for value in schema.values() for r in _references(value)]


def main() -> None:
    schemas = {
        name: reachable(strict(getattr(import_module(module), name).model_json_schema(by_alias=True)))
        for module, name in KINDS
    }
    path = Path(__file__).with_name("crd_schemas.json")
    path.write_text(json.dumps(schemas, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
