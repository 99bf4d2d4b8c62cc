"""A real Prometheus that scrapes one application, with the alerts of the examples made faster."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from free_ports import free_port
from waiting import wait_until

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples" / "monitoring"
sys.path.insert(0, str(EXAMPLES))
import make  # noqa: E402 - the examples are no package

FASTER = 60
"""Minutes become seconds."""


class Prometheus:
    """A running Prometheus, by its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx2.Client(base_url=url, timeout=10)

    def alerts(self, state: str = "firing") -> set[str]:
        """Return the names of the alerts in `state`."""
        found = self._get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == state}

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that `expr` gives now."""
        found: list[dict[str, Any]] = self._get("/api/v1/query", query=expr)["result"]
        return found

    def fired_since(self, instant: float) -> set[str]:
        """Return the alerts that fired at any time since `instant`, in Unix seconds."""
        span = f"{int(time.time() - instant) + 1}s"
        found = self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{span}])')
        return {series["metric"]["alertname"] for series in found}

    def is_ready(self) -> bool:
        """Return whether it answers queries; while it starts they get 503."""
        return self._client.get("/-/ready").status_code == 200

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _get(self, path: str, **query: str) -> Any:
        answer = self._client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@contextlib.contextmanager
def prometheus(target: str, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus on a free port of the loopback; it scrapes each second.

    `target` is a host and port, or several between commas.
    """
    (folder / "alerts.yml").write_text(make.rules(faster=FASTER))
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "app",
                "metrics_path": "/metrics/",
                "static_configs": [{"targets": target.split(",")}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, "GOMAXPROCS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            pytest.fail("prometheus is not installed; apt-get install prometheus")
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx2.TransportError):
                return server.is_ready() and bool(server.query("up == 1"))
            return False

        wait_until(is_ready, 60, log.read_text)
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(60)
