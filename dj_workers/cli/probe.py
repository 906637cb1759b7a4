"""`dj-worker probe`: the health check of a container, which has no curl."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from typing import NoReturn

import click

from dj_workers.cli import options


@click.command()
@click.option(
    "--metrics-port", type=click.IntRange(1, 65535), default=9400, show_default=True, metavar="PORT"
)
@click.option("--ready", is_flag=True, help="Ask whether jobs can flow, not only whether it is alive.")
@click.option("--timeout", type=options.Number(min=0.1), default=5.0, show_default=True, metavar="SECONDS")
def probe(metrics_port: int, ready: bool, timeout: float) -> None:
    """Ask a worker or an exporter of this machine how it is; exit with 0 where it is well, else 1.

    \b
    Examples:
      dj-worker probe --metrics-port 9400
      dj-worker probe --metrics-port 9410 --ready
    """
    url = f"http://127.0.0.1:{metrics_port}/{'readyz' if ready else 'healthz'}"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            is_ok, body = True, answer.read()
    except urllib.error.HTTPError as e:
        is_ok, body = False, e.read()
    except OSError as e:
        click.echo(f"{url} does not answer: {e}", err=True)
        sys.exit(1)
    except http.client.HTTPException as e:
        _tell_of_another(url, e)
    try:
        reason = str(json.loads(body)["reason"])
    except (ValueError, LookupError, TypeError) as e:
        _tell_of_another(url, e)
    click.echo(reason, err=not is_ok)
    sys.exit(0 if is_ok else 1)


def _tell_of_another(url: str, error: Exception) -> NoReturn:
    click.echo(f"{url} is answered by something else than dj-worker: {type(error).__name__}", err=True)
    sys.exit(1)
