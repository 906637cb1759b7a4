"""docker-compose.yaml as Compose reads it: variables filled in; services, commands, environments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+):-([^}]*)\}|\{?(\w+)\}?)")


@dataclass(frozen=True)
class Service:
    """One service that runs our image.

    Attributes
    ----------
    command : list of str
        Entry point and arguments, without the init that starts them.
    health : list of str
        What its health check runs; empty where it has none.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in ``${NAME:-default}``; ``$$`` is a dollar sign.

    Raises
    ------
    KeyError
        For a variable without a value and a default.
    """
    if isinstance(value, dict):
        return {k: interpolated(v, variables) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolated(v, variables) for v in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, default = match[1] or match[3], match[2]
        return variables[name] if default is None else variables.get(name) or default

    return _VARIABLE.sub(fill, value)


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with the variables filled in."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    filled: dict[str, Any] = interpolated(document, variables)
    return filled


def dockerfile_word(keyword: str) -> list[str]:
    """Return the JSON list of the last ENTRYPOINT or CMD of the Dockerfile; of a health check, its CMD."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: list[str] = json.loads(re.findall(rf"^{keyword}[^\[\n]*(\[.*\])$", text, re.M)[-1])
    return found


def ours(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services that run our image."""
    entrypoint = dockerfile_word("ENTRYPOINT")
    assert entrypoint[:2] == ["tini", "--"]
    services = {}
    for name, service in read(variables)["services"].items():
        if "build" not in service:
            continue
        start = service.get("entrypoint", entrypoint[2:])
        health = service.get("healthcheck", {"test": ["CMD", *dockerfile_word("HEALTHCHECK")]})
        services[name] = Service(
            name, [*start, *service.get("command", [])], dict(service["environment"]), _check(health)
        )
    return services


def _check(health: Mapping[str, Any]) -> list[str]:
    if health.get("disable"):
        return []
    kind, *command = health["test"]
    return command if kind == "CMD" else ["sh", "-c", *command]
