"""The stack of docs/examples/monitoring/compose.yaml, as processes instead of containers."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
import yaml

from linqi_report.processes import running
from linqi_report.servers import postgres, valkey
from monitoring import EXAMPLES, prometheus
from waiting import wait_until

COMPOSE = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())


def test_all_files_that_containers_mount_are_there() -> None:
    """A missing one would be made as an empty folder by the container engine."""
    mounts = [
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounts) == 6
    assert all((EXAMPLES / mount).is_file() for mount in mounts)
    assert (EXAMPLES / COMPOSE["services"]["shop"]["build"]["context"] / "pyproject.toml").exists()
    assert COMPOSE["services"]["shop"]["deploy"]["replicas"] == 2


@pytest.mark.long
@pytest.mark.parametrize("store", [valkey, postgres], ids=["valkey", "postgresql"])
def test_two_replicas_share_sessions_and_are_watched(tmp_path: Path, store) -> None:
    """A login at one is refreshed at the other, and Prometheus has the series of both."""
    shutil.copy(EXAMPLES / "shop.py", tmp_path)
    with ExitStack() as stack:
        environment = {"STORE": stack.enter_context(store()), "KEYS": str(tmp_path)}
        command = [sys.executable, "-m", "linqi", "store", "init", environment["STORE"]]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        urls = [
            stack.enter_context(
                running(
                    ["uvicorn", "shop:app", "--port", "0", "--app-dir", str(tmp_path)],
                    tmp_path / f"{name}.log",
                    health="/metrics/",
                    environment=environment,
                )
            )
            for name in ("one", "two")
        ]
        form = {"username": "alice", "password": "storm"}
        tokens = httpx2.post(f"{urls[0]}/login", json=form).raise_for_status().json()
        spent = {"refresh_token": tokens["refresh_token"]}
        renewed = httpx2.post(f"{urls[1]}/refresh", json=spent).raise_for_status().json()
        for url in urls:
            bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
            assert httpx2.get(f"{url}/me", headers=bearer).json() == {"user": "alice"}
        targets = ",".join(url.removeprefix("http://") for url in urls)
        watch = stack.enter_context(prometheus(targets, tmp_path))
        seen = "count(linqi_revocation_feed_up == 1)"
        wait_until(
            lambda: [one["value"][1] for one in watch.query(seen)] == ["2"], 30, lambda: targets
        )
