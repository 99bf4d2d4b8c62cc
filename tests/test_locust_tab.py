"""The storm's tab in Locust's web page, which exists on loopback only."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from chrome import Watch, browsing
from free_ports import free_port
from linqi import Key, KeySet
from linqi_storm.apps.embedded import AppSpec
from linqi_storm.clients.load_counts import LoadRecorder, LoadTotals
from linqi_storm.report.headline import headline
from linqi_storm.run.live_figures import live_figures
from linqi_storm.run.worker_pool import WorkerPool
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.violations import FORGED

LOCUSTFILE = Path(sys.modules["linqi_storm"].__path__[0]) / "run" / "locustfile.py"
EVIL = "<img src=x onerror=alert(1)>"


def three_seconds() -> LoadTotals:
    """Return the counts of three seconds."""
    recorder, totals = LoadRecorder(), LoadTotals()
    for intended in (0.1, 0.2, 1.5, 1.6, 1.7, 2.5):
        recorder.record(intended, "ok", 0.004, 0.005)
    recorder.record(1.8, "failed", 0.001, 0.001)
    recorder.note(1, in_flight=3, cpu=0.25)
    recorder.tally.renewed_at.update({1_200: 2, 1_250: 1, 2_900: 4})
    recorder.tally.lapsed = 2
    recorder.tally.violations[FORGED] = 1
    totals.merge(recorder.delta())
    return totals


def test_live_figures_are_of_the_last_whole_second() -> None:
    """The incomplete second is not shown, because its counts are too low."""
    live = live_figures(three_seconds())
    assert live is not None
    assert (live.second, live.requests, live.renewals, live.unanswered) == (1, 4, 3, 1)
    assert (live.lapsed, live.forced_out, live.accepted) == (2, 0, 1)
    assert live.p99_ms == pytest.approx(5, rel=0.01)
    assert live_figures(LoadTotals()) is None


def test_a_second_is_complete_when_every_generator_has_reported_a_later_one() -> None:
    """Otherwise the figures would drop whenever one generator reports late."""
    recorders, totals = [LoadRecorder(0), LoadRecorder(1)], LoadTotals()
    for second in range(6):
        for recorder in recorders:
            recorder.record(second + 0.5, "ok", 0.001, 0.001)
        totals.merge(recorders[0].delta())
        if second in (2, 5):
            totals.merge(recorders[1].delta())
        live = live_figures(totals)
        if second >= 3:
            assert live is not None
            assert (live.second, live.requests) == (4 if second == 5 else 1, 2)


def in_a_process(program: str) -> str:
    """Return the output of `program` in a process of its own, as Locust patches its process."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stdout


def test_there_is_no_tab_beyond_loopback() -> None:
    """An unset host becomes loopback; another host gets neither a tab nor its figures."""
    program = """
from locust.env import Environment
from locust.web import WebUI
from linqi_storm.run.locust_tab import add_tab
for host in ("", "127.0.0.1", "localhost", "::1", "0.0.0.0", "192.0.2.1", "storm.example"):
    environment = Environment()
    environment.create_local_runner()
    page = WebUI(environment, host, 0, delayed_start=True)
    added = add_tab(page, lambda: [{"what": "x", "seen": "y", "wanted": ""}])
    answer = page.app.test_client().get("/stats/requests").get_json()
    assert added == ("extended_stats" in answer) == ("extended_tabs" in page.template_args)
    print(page.host, added)
"""
    assert in_a_process(program).split() == [
        *("127.0.0.1", "True", "127.0.0.1", "True", "localhost", "True", "::1", "True"),
        *("0.0.0.0", "False", "192.0.2.1", "False", "storm.example", "False"),  # noqa: S104
    ]


def test_the_rows_are_plain_text_of_the_run() -> None:
    """Before, during and after a run every row consists of three texts."""
    storm = Path(__file__).parent / "storms" / "void.json"
    program = f"""
import json, pathlib
from linqi_storm.run.locust_tab import final_rows, live_rows, waiting_rows
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.load import StormLoad
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_locust_tab import three_seconds
load = StormLoad(sessions=100, lifetime=30, buffer=10, duration=40)
run = load_run(pathlib.Path({str(storm)!r}))
print(json.dumps([waiting_rows(), live_rows(three_seconds(), load), final_rows(run)]))
"""
    waiting, live, final = json.loads(in_a_process(program))
    assert all(set(row) == {"what", "seen", "wanted"} for row in [*waiting, *live, *final])
    seen = {row["what"]: row["seen"] for row in live}
    assert seen["second of the run"] == "1 of 40"
    assert seen["peak renewal rate so far"] == "4/s, storm factor 0.80"
    assert seen["expired, revoked or forged tokens accepted"] == "1"
    run = load_run(storm)
    assert final[0]["seen"].startswith("VOID: ")
    assert {row["what"] for row in final} >= {check.name for check in run.checks}


@contextlib.contextmanager
def in_the_background(program: str) -> Iterator[None]:
    """Run `program` during the context."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program])
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def locust(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run Locust with its page; yield the page's address and the process."""
    port = free_port()
    with (folder / "locust.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--web-port", str(port)),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 40
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(url, timeout=5).status_code == 200:
                    break
            assert process.poll() is None, (folder / "locust.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def test_the_tab_shows_the_storm_in_chromium(tmp_path: Path) -> None:
    """A real ``locust -f`` page shows figures during the storm and then its verdict."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "key.json")
    spec = AppSpec(kind="sliding", lifetime=8, buffer=3, jwks=str(tmp_path / "key.json"), workers=1)
    output = tmp_path / "storm.json"
    arguments = (
        *("-u", "1", "-r", "1", "--autostart", "--linqi-key", str(tmp_path / "key.json")),
        *("--linqi-issuer", "https://storm.linqi.example", "--linqi-audience", "linqi-storm"),
        *("--linqi-sessions", "40", "--linqi-lifetime-seconds", "8", "--linqi-buffer-seconds"),
        *("3", "--linqi-gap-seconds", "0.5", "--linqi-seconds", "10", "--linqi-output"),
        str(output),
    )
    with (
        WorkerPool([spec] * spec.workers, tmp_path).running() as worker_pool,
        locust(tmp_path, "-H", worker_pool.url, *arguments) as (url, process),
    ):
        async with browsing() as browser:
            context = await browser.new_context()
            watch, page = Watch(context), await context.new_page()
            await page.goto(f"{url}/?tab=linqi-storm")
            await page.get_by_role("tab", name="Token storm").click()
            await page.get_by_role("cell", name="renewals per second").wait_for(timeout=30_000)
            row = page.get_by_role("row").filter(has_text="requests per second")
            assert int(await row.get_by_role("cell").nth(1).inner_text()) >= 0
            await page.get_by_role("cell", name="verdict").wait_for(timeout=60_000)
            assert watch.faults == []
            await context.close()
        assert process.poll() is None
        assert output.with_suffix(".html").read_text().startswith("<!doctype html>")
        run = load_run(output)
        rows = httpx2.get(f"{url}/stats/requests").json()["extended_stats"][0]["data"]
        assert rows[0] == {"what": "verdict", "seen": headline(run), "wanted": ""}


async def test_a_hostile_text_stays_text_in_the_tab() -> None:
    """Locust's page shows cells as text: a scenario's name cannot become an element."""
    port = free_port()
    program = f"""
import gevent
from locust.env import Environment
from linqi_storm.run.locust_tab import add_tab
environment = Environment()
environment.create_local_runner()
environment.runner.state = "running"
page = environment.create_web_ui("127.0.0.1", {port}, delayed_start=True)
add_tab(page, lambda: [{{"what": {EVIL!r}, "seen": {EVIL!r}, "wanted": ""}}])
page.start()
gevent.sleep(40)
"""
    with in_the_background(program):
        async with browsing() as browser:
            context = await browser.new_context()
            watch, page = Watch(context), await context.new_page()
            for _ in range(100):
                with contextlib.suppress(Exception):
                    await page.goto(f"http://127.0.0.1:{port}/?tab=linqi-storm")
                    break
                await page.wait_for_timeout(200)
            await page.get_by_role("cell", name="onerror").first.wait_for(timeout=15_000)
            assert await page.locator("img[src=x]").count() == 0
            assert watch.faults == []
            await context.close()
