"""The alert rules, by Prometheus's own checker."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from dj_workers.metrics.catalog import METRICS
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm" / "files" / "alerts.yaml"
TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yaml"


def test_each_alert_fires_when_it_should_and_only_then(program: Callable[[str], str]) -> None:
    promtool = program("promtool")
    for command in (
        ["check", "rules", "--lint=all", "--lint-fatal", str(RULES)],
        ["test", "rules", str(TESTS)],
    ):
        done = subprocess.run(
            [promtool, *command], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_and_says_what_to_do() -> None:
    rules = RULES.read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    tests = TESTS.read_text()
    for alert in alerts:
        fired = re.search(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", tests)
        assert fired, f"no test in which {alert} fires"
    assert len(re.findall(r"^ +action: ", rules, re.M)) == len(alerts)


def test_alerts_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"\bdatajoint_\w+", RULES.read_text()))
    assert asked <= {m.name for m in METRICS}
