"""What Kubernetes, KEDA and the Prometheus operator would say of a rendered chart."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

VERSIONS = ("1.27", "1.34")  # of Kubernetes: the oldest and the newest that are looked at


@lru_cache(maxsize=1)
def _custom() -> dict[str, Any]:
    schemas = json.loads(Path(__file__).with_name("crd_schemas.json").read_text())
    return {kind: jsonschema.Draft202012Validator(schema) for kind, schema in schemas.items()}


def faults(resource: dict[str, Any]) -> list[str]:
    """Return what is wrong with one resource; unknown fields are wrong too."""
    kind = resource["kind"]
    if kind in _custom():
        return [f"{e.json_path}: {e.message}" for e in _custom()[kind].iter_errors(resource)]
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as e:
            found.append(f"{version}: {e}")
    return found
