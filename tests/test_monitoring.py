"""The board and the alerts of docs/examples/monitoring, with the programs that read them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from linqi_report.servers import valkey
from monitoring import EXAMPLES, Prometheus, make, prometheus
from outside import Issuer
from real_servers import serving
from waiting import wait_until

PAGE = EXAMPLES.parent.parent / "guides" / "monitoring.md"


class Site:
    """The monitored application with what it depends on."""

    def __init__(self, url: str, issuer: Issuer, store: str, watch: Prometheus) -> None:
        self.url, self.issuer, self.watch = url, issuer, watch
        with redis.Redis.from_url(store) as client:
            self.store_process = int(client.info("server")["process_id"])
        self.began = time.time()

    def refresh(self, client: httpx2.Client, token: str) -> httpx2.Response:
        """Redeem a refresh token."""
        return client.post("/auth/refresh", data={"refresh_token": token})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield the application on a real server, scraped by a real Prometheus."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Issuer() as issuer, valkey() as store:
        environ = {"STORE": store, "ISSUER": issuer.url}
        with (
            serving("uvicorn", "monitored_app:app", folder / "app.log", environ=environ) as port,
            prometheus(f"127.0.0.1:{port}", folder) as watch,
        ):
            yield Site(f"http://127.0.0.1:{port}", issuer, store, watch)


def test_the_board_and_the_rules_are_those_of_their_code() -> None:
    """``python docs/examples/monitoring/make.py`` writes them again."""
    assert (EXAMPLES / "board.json").read_text() == make.board()
    assert (EXAMPLES / "alerts.yml").read_text() == make.rules()


def test_the_application_of_the_page_is_scraped_without_a_token(tmp_path: Path) -> None:
    """By both spellings of the path: Prometheus asks for /metrics unless told otherwise."""
    program = """
import asyncio
import httpx2
from app import app

async def scrape():
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        assert (await client.get("/me")).status_code == 401
        for path in ("/metrics", "/metrics/"):
            told = await client.get(path, follow_redirects=True)
            print(told.status_code, "linqi_refusals_total" in told.text)

asyncio.run(scrape())
"""
    environ = {**os.environ, "PYTHONPATH": str(EXAMPLES)}
    command = [sys.executable, "-c", program]  # a process of its own, as its metrics are global
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["200", "True"] * 2, done.stderr


def test_the_page_has_a_section_for_every_alert() -> None:
    """Each alert links to what it means and what to do."""
    assert make.alerts_table() in PAGE.read_text()


def test_the_rules_fire_and_are_silent_as_their_unit_tests_say() -> None:
    """By promtool: each alert with a series that raises it and one that does not."""
    command = ["promtool", "test", "rules", str(EXAMPLES / "alerts_test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.findall(r"alertname: (\w+)", (EXAMPLES / "alerts_test.yml").read_text())
    assert set(tested) == {alert.name for alert in make.ALERTS}


def test_every_metric_of_board_and_alerts_exists() -> None:
    """A misspelt name would show an empty panel, and never raise an alert."""
    exposed = set(re.findall(r"`(linqi_\w+?)(?:\{[\w,]+\})?`", _reference()))
    exposed |= {f"{name}_bucket" for name in exposed if name.endswith("_seconds")}
    told = (EXAMPLES / "board.json").read_text() + (EXAMPLES / "alerts.yml").read_text()
    assert set(re.findall(r"linqi_\w+", told)) <= exposed


def _reference() -> str:
    return (EXAMPLES.parent.parent / "reference" / "metrics.md").read_text()


def test_the_board_is_valid_for_grafana() -> None:
    """Unique panel ids, a place for each, no query without a legend."""
    board = json.loads((EXAMPLES / "board.json").read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len(panels) == sum(len(row) for row in make.ROWS.values())
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(target["legendFormat"] for panel in panels for target in panel["targets"])


def test_a_store_outage_raises_the_alerts_of_the_store_alone(site: Site) -> None:
    """The feed is lost, and sign-ins get 503; both end with the outage."""
    began = time.time()
    with httpx2.Client(base_url=site.url, timeout=20) as client:
        fields = {"username": "alice", "password": "x"}
        tokens = client.post("/auth/login", data=fields).json()
        assert site.refresh(client, tokens["refresh_token"]).status_code == 200
        wait_until(lambda: site.watch.query("linqi_refreshes_total > 0"), 90, lambda: "no scrape")
        assert site.watch.alerts() == set()
        os.kill(site.store_process, signal.SIGSTOP)
        try:
            expected = {"LinqiRevocationFeedLost", "LinqiStoreUnavailable"}

            def is_raised() -> bool:
                site.refresh(client, tokens["refresh_token"])
                return site.watch.alerts() >= expected

            wait_until(is_raised, 90, site.watch.alerts)
        finally:
            os.kill(site.store_process, signal.SIGCONT)
        wait_until(lambda: not site.watch.alerts(), 90, site.watch.alerts)
    assert site.watch.fired_since(began) == expected


def test_an_issuer_outage_raises_stale_and_then_expired(site: Site) -> None:
    """First the warning, while tokens are still accepted; then 503s, which are critical."""
    began = time.time()
    site.issuer.fault("error")
    wait_until(lambda: site.watch.alerts(), 90, site.watch.alerts)
    assert site.watch.alerts() == {"LinqiKeySetStale"}
    wait_until(lambda: "LinqiKeySetExpired" in site.watch.alerts(), 90, site.watch.alerts)
    site.issuer.fault("")
    wait_until(lambda: not site.watch.alerts(), 90, site.watch.alerts)
    assert site.watch.fired_since(began) == {"LinqiKeySetStale", "LinqiKeySetExpired"}


def test_a_storm_beyond_the_budget_raises_its_alerts(site: Site) -> None:
    """15 tokens that are due at once, while the budget allows 2 a second."""
    began = time.time()
    expected = {"LinqiRenewalsDeferred", "LinqiRenewalsLate"}

    def is_raised() -> bool:
        asyncio.run(_storm(site.url, users=15, seconds=12))
        return site.watch.fired_since(began) >= expected

    wait_until(is_raised, 120, site.watch.alerts)  # a busy machine spreads one storm too thinly
    wait_until(lambda: not site.watch.alerts(), 90, site.watch.alerts)
    assert site.watch.fired_since(began) == expected


async def _storm(url: str, *, users: int, seconds: float) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=20) as client:
        tokens = [
            (await client.get(f"/start/user{number}")).json()["token"] for number in range(users)
        ]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.monotonic()
            answers = await asyncio.gather(
                *(
                    client.get("/work", headers={"authorization": f"Bearer {token}"})
                    for token in tokens
                )
            )
            tokens = [
                answer.headers.get("x-refresh-token", token)
                for answer, token in zip(answers, tokens, strict=True)
            ]
            await asyncio.sleep(max(0.0, 0.5 - (time.monotonic() - began)))


def test_every_panel_shows_its_series(site: Site) -> None:
    """Each query returns series from the real Prometheus, once each kind of request was made."""
    with httpx2.Client(base_url=site.url, timeout=20) as client:

        def empty() -> list[tuple[str, str]]:
            fields = {"username": "alice", "password": "x"}
            tokens = client.post("/auth/login", data=fields).json()
            site.refresh(client, tokens["refresh_token"])
            client.post("/auth/logout", data={"refresh_token": tokens["refresh_token"]})
            site.refresh(client, tokens["refresh_token"])  # which is over now
            token = client.get("/start/user1").json()["token"]
            client.get("/work", headers={"authorization": f"Bearer {token}"})
            client.get("/work")
            span = f"{int(time.time() - site.began) + 1}s"
            return [
                (panel.title, legend)
                for row in make.ROWS.values()
                for panel in row
                for legend, query in panel.queries.items()
                if not site.watch.query(query.replace("$__rate_interval", span))
            ]

        wait_until(lambda: not empty(), 90, empty)


def test_the_tuner_reads_the_lags_of_the_last_week(site: Site, tmp_path: Path) -> None:
    """As the weekly job does; the sum over all workers, and the tokens that came too late."""
    with httpx2.Client(base_url=site.url, timeout=20) as client:
        token = client.get("/start/user1").json()["token"]
        for _ in range(4):
            time.sleep(2.2)
            answer = client.get("/work", headers={"authorization": f"Bearer {token}"})
            token = answer.headers.get("x-refresh-token", token)
    wait_until(lambda: site.watch.query("linqi_renewal_lag_seconds_count > 0"), 90, lambda: "none")
    command = [sys.executable, "-m", "linqi", "tune", "--prometheus", site.watch.url, "--json"]
    command += ["--prometheus-match", 'job="app"', "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "renewal lags of 1 instances" in notes
    command[-2] = 'job="other"'
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "is the application scraped?" in done.stderr


def test_the_metrics_hold_no_user(site: Site, tmp_path: Path) -> None:
    """What anyone on the network of Prometheus can read names no one."""
    text = httpx2.get(f"{site.url}/metrics/", timeout=10).text
    assert "alice" not in text
    assert "user1" not in text
