r"""A storm for plain ``locust -f``: one machine, ``--processes`` or a master with its workers.

::

    locust -f $(python -m linqi_storm.run.locustfile) --headless -u 1 -r 1 \
        -H http://127.0.0.1:8000 --linqi-key keys.json --linqi-issuer https://shop.example \
        --linqi-audience shop

With several workers ``-u`` and ``-r`` are their number: one Locust user runs all clients of its
process. The exit code and ``--linqi-output`` are those of ``linqi storm --url``. Without
``--headless`` Locust's page has a tab with the figures of the storm, on loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.pool import Pool
from locust import events
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from linqi import ConfigurationError
from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.clients.login_endpoint import read_login
from linqi_storm.clients.node import Node, StormUser
from linqi_storm.clients.sign_in import sign_in_of
from linqi_storm.clients.wire_responses import NoResponseError
from linqi_storm.report.page import write_report
from linqi_storm.report.verdict import EXIT_CODES, show_verdict
from linqi_storm.run.assembly import assemble
from linqi_storm.run.locust_tab import (
    Row,
    add_tab,
    final_rows,
    live_rows,
    refused_rows,
    waiting_rows,
)
from linqi_storm.run.preflight import run_preflight
from linqi_storm.run.probe_sessions import clients_by_key
from linqi_storm.run.required import Required, read_required
from linqi_storm.run.targets import plan_of
from linqi_storm.run.url_target import LOGINS_AT_ONCE, UrlTarget, at_barrier
from linqi_storm.run.workload_options import workload_of
from linqi_storm.scenarios import Scenario, find_scenario
from linqi_storm.schema.config import StormConfig
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan, StormClients
from linqi_storm.schema.result_file import save_run

__all__ = ["StormUser"]

_logger = logging.getLogger("linqi")
_LEAD_SECONDS: Final = 2.0
_ROWS_SECONDS: Final = 1.0


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: argparse.ArgumentParser) -> None:
    # Plain types only: a master sends the options to its workers.
    group = parser.add_argument_group("linqi storm")
    group.add_argument("--linqi-scenario", default="storm-sliding")
    group.add_argument("--linqi-sessions", type=int)
    group.add_argument("--linqi-seconds", type=float)
    group.add_argument("--linqi-lifetime-seconds", type=float, default=900)
    group.add_argument("--linqi-buffer-seconds", type=float, default=300)
    group.add_argument("--linqi-gap-seconds", type=float, help="default 40, or as measured")
    group.add_argument("--linqi-gaps", help="as --gaps of linqi storm")
    group.add_argument("--linqi-workload", default="", help="as --workload of linqi storm")
    group.add_argument("--linqi-policy", default="grid")
    group.add_argument("--linqi-path", default="")
    group.add_argument("--linqi-key", default="")
    group.add_argument("--linqi-issuer", default="")
    group.add_argument("--linqi-audience", default="")
    group.add_argument("--linqi-login", default="", help="JSON, as --login of linqi storm")
    group.add_argument("--linqi-i-own-this-host", action="store_true")
    limits = "separated by commas, as --require of linqi storm"
    group.add_argument("--linqi-require", default="", help=limits)
    group.add_argument("--linqi-output", default="storm.json")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Environment, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        Node(environment, lambda news: None)
        return
    storm = _Storm(environment)
    environment.events.test_start.add_listener(storm.start)  # type: ignore[no-untyped-call]
    if environment.web_ui is not None:
        add_tab(environment.web_ui, storm.rows)


class _Storm:
    """The storm in Locust's master, or in the only process."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._totals = LoadTotals()
        self._node = Node(environment, lambda news: self._totals.merge(news))
        self._rows: Callable[[], list[Row]] = waiting_rows
        self._cached_rows: tuple[float, list[Row]] = (0.0, [])
        self._required = Required()

    def rows(self) -> list[Row]:
        """Return the rows of the tab, computed at most once a second."""
        now = time.monotonic()
        if now >= self._cached_rows[0]:
            self._cached_rows = (now + _ROWS_SECONDS, self._rows())
        return self._cached_rows[1]

    def start(self, **_: Any) -> None:
        """Begin the storm; if that fails, log the reason and end with exit code 2."""
        try:
            self._begin()
        except (ConfigurationError, NoResponseError) as error:
            why = str(error)
            _logger.error("the storm cannot begin: %s", why)
            self._rows = lambda: refused_rows(why)
            self._environment.process_exit_code = 2
            gevent.spawn(self._leave)

    def _begin(self) -> None:
        """Sign all clients in and start the generators."""
        self._totals = LoadTotals()
        self._rows = waiting_rows
        storm = _config(self._environment)
        options: Any = self._environment.parsed_options
        limits = [text for text in options.linqi_require.split(",") if text.strip()]
        self._required = read_required(limits)
        scenario = find_scenario(storm.scenario)(storm.load, storm.options)
        target = UrlTarget(storm, scenario)
        plan = plan_of(storm, scenario, target)
        found = run_preflight(plan, target.describe())
        plan = plan.with_public(found.public).with_guests(found.guests)
        begins_at = time.time() + target.sign_in_seconds() + _lead(plan)
        clients = _clients(plan, scenario, begins_at)
        self._node.begin(plan, clients)
        self._rows = lambda: live_rows(self._totals, storm.load)
        gevent.spawn(self._finish, storm, scenario, target, clients.begins_at)

    def _finish(
        self, storm: StormConfig, scenario: Scenario, target: UrlTarget, begins_at: float
    ) -> None:
        from rich.console import Console

        self._node.is_done.wait()
        run = assemble(storm, scenario, target.describe(), self._totals, begins_at=begins_at)
        run = self._required.judge(run)
        options: Any = self._environment.parsed_options
        self._rows = lambda: final_rows(run)
        output = Path(options.linqi_output)
        save_run(run, output)
        write_report(run, output.with_suffix(".html"))
        show_verdict(Console(), run)
        self._environment.process_exit_code = EXIT_CODES[run.verdict]
        self._leave()

    def _leave(self) -> None:
        """End Locust if it runs without its page."""
        options: Any = self._environment.parsed_options
        runner = self._environment.runner
        if options.headless and isinstance(runner, LocalRunner | MasterRunner):
            if options.csv_prefix:
                # Locust writes its CSV files at intervals, and not once more at its end.
                gevent.sleep(2 * CSV_STATS_INTERVAL_SEC)
            runner.quit()


def _clients(plan: GeneratorPlan, scenario: Scenario, begins_at: float) -> StormClients:
    if plan.token_source.login is None:
        run = plan.expected.run
        return asyncio.run(clients_by_key(plan.token_source, scenario, begins_at, run))
    endpoint = sign_in_of(plan)

    def sign_in(number: int) -> Credential:
        return endpoint.sign_in(number)

    signed_in = Pool(LOGINS_AT_ONCE).map(sign_in, range(plan.load.sessions))
    # The barrier must lie in the future, however long the logins took.
    barrier = max(begins_at, time.time() + _lead(plan))
    return StormClients(begins_at=barrier, credentials=at_barrier(signed_in, scenario, barrier))


def _lead(plan: GeneratorPlan) -> float:
    """Return the seconds from when all tokens are at hand until the barrier."""
    return _LEAD_SECONDS + plan.load.preparation


def _config(environment: Environment) -> StormConfig:
    options: Any = environment.parsed_options
    scenario = find_scenario(options.linqi_scenario)
    gap, path = options.linqi_gap_seconds, options.linqi_path
    file = Path(options.linqi_workload) if options.linqi_workload else None
    workload = workload_of(file, options.linqi_gaps, path=path, mean=gap)
    runner = environment.runner
    return StormConfig(
        scenario=options.linqi_scenario,
        load=scenario.resized(
            sessions=options.linqi_sessions,
            duration=options.linqi_seconds,
            lifetime=options.linqi_lifetime_seconds,
            buffer=options.linqi_buffer_seconds,
            gap=workload.pauses.mean if workload else gap or 40,
            law=None if workload else options.linqi_gaps,
            login_spread=workload.login_spread_seconds if workload else None,
            workload=workload,
            compression=1.0,
        ),
        policy=options.linqi_policy,
        generators=max(1, len(runner.clients.ready)) if isinstance(runner, MasterRunner) else 1,
        url=environment.host or "",
        path=path,
        key=Path(options.linqi_key) if options.linqi_key else None,
        issuer=options.linqi_issuer,
        audience=options.linqi_audience,
        login=read_login(options.linqi_login),
        is_own_host=options.linqi_i_own_this_host,
    )


if __name__ == "__main__":
    print(__file__)
