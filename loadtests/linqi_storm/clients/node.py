"""A storm in Locust's runner: one process on its own, or a master with its workers.

Each generator process has one Locust user, which runs all of its clients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import gevent
import msgspec
from gevent.event import Event
from locust import User, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from linqi_report.process_memory import return_freed_memory
from linqi_storm.clients.driver import Driver
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.clients.locust_statistics import LocustStatistics
from linqi_storm.clients.sign_in import sign_in_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.generator_plan import GeneratorPlan, StormClients

__all__ = ["Node", "StormUser"]

_BEGIN, _DONE = "storm_begin", "storm_done"
_REPORT_SECONDS: Final = 1.0
_NODES: Final[WeakKeyDictionary[Environment, Node]] = WeakKeyDictionary()


class Node:
    """One process of a storm: it receives its share of the clients, runs it and reports counts.

    Args:
        environment: Locust's environment, with its runner.
        sink: In the master, or the only process, receives the counts that
            `linqi_storm.clients.load_counts.LoadTotals.merge` adds up.

    """

    def __init__(self, environment: Environment, sink: Callable[[dict[str, Any]], None]) -> None:
        self._environment = environment
        self._sink = sink
        self._recorder = LoadRecorder()
        self._statistics = LocustStatistics(environment)
        self._ready = Event()
        self._driver: Driver | None = None
        self._is_driven = False
        self._done_by: set[str] = set()
        self._expected = 1
        self.is_done = Event()
        _NODES[environment] = self
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(_BEGIN, self._on_begin)
            environment.events.report_to_master.add_listener(self._report)  # type: ignore[no-untyped-call]
        elif isinstance(runner, MasterRunner):
            runner.register_message(_DONE, self._on_done)
            environment.events.worker_report.add_listener(self._on_report)  # type: ignore[no-untyped-call]

    def begin(self, plan: GeneratorPlan, clients: StormClients) -> None:
        """Send every generator its share of `clients`; for the master or the only process."""
        runner = self._environment.runner
        self._done_by.clear()
        self.is_done.clear()
        if not isinstance(runner, MasterRunner):
            self._prepare(plan, clients, 0, 1, 0)
            return
        workers = sorted(worker.id for worker in runner.clients.ready + runner.clients.running)
        self._expected = len(workers)
        for number, worker in enumerate(workers):
            first = number * len(clients.credentials) // len(workers)
            last = (number + 1) * len(clients.credentials) // len(workers)
            part = dataclasses.replace(
                clients,
                credentials=clients.credentials[first:last],
                probes=clients.probes[number :: len(workers)],
            )
            share = {
                "plan": msgspec.to_builtins(plan),
                "clients": msgspec.to_builtins(part),
                "first": first,
                "generators": len(workers),
                "number": number,
            }
            runner.send_message(_BEGIN, share, worker)

    def drive(self) -> None:
        """Run the share of this process; return after the last response."""
        self._ready.wait()
        if self._driver is None or self._is_driven:
            return  # another user of this process runs it
        self._is_driven = True
        return_freed_memory()  # 0.5 KB for each client: what its token was read from
        reporter = None
        runner = self._environment.runner
        if not isinstance(runner, WorkerRunner):
            reporter = gevent.spawn(self._report_locally)
        self._driver.drive()
        self._statistics.flush()
        news = self._recorder.delta()
        if isinstance(runner, WorkerRunner):
            runner.send_message(_DONE, news)
            return
        if reporter is not None:
            reporter.kill()
        self._sink(news)
        self.is_done.set()

    def _prepare(
        self,
        plan: GeneratorPlan,
        clients: StormClients,
        first: int,
        generators: int,
        number: int,
    ) -> None:
        plan = dataclasses.replace(plan, begins_at=clients.begins_at)
        scenario = find_scenario(plan.scenario)(plan.load, plan.options)
        self._recorder, self._is_driven = LoadRecorder(number), False
        driver = Driver(
            plan,
            scenario,
            sign_in_of(plan),
            self._recorder,
            forger=Forger(scenario.forgeries, [token.encode() for token in clients.refused]),
            share=1 / generators,
            seed=plan.load.seed * 1_000 + number,
            report=self._statistics,
        )
        driver.add_clients(first, clients.credentials)
        driver.add_probes(clients.probes)
        driver.settle()
        self._driver = driver
        self._ready.set()

    def _report_locally(self) -> None:
        while True:
            gevent.sleep(_REPORT_SECONDS)
            self._statistics.flush()
            self._sink(self._recorder.delta())

    def _report(self, client_id: str, data: dict[str, Any]) -> None:
        self._statistics.flush()
        data["linqi_storm"] = self._recorder.delta()

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        if "linqi_storm" in data:
            self._sink(data["linqi_storm"])

    def _on_begin(self, environment: Environment, msg: Any, **_: Any) -> None:
        share = msg.data
        self._prepare(
            msgspec.convert(share["plan"], GeneratorPlan),
            msgspec.convert(share["clients"], StormClients),
            share["first"],
            share["generators"],
            share["number"],
        )

    def _on_done(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._sink(msg.data)
        self._done_by.add(msg.node_id)
        if len(self._done_by) >= self._expected:
            self.is_done.set()


class StormUser(User):
    """The one Locust user of a generator: it runs all clients of the process."""

    @task
    def storm(self) -> None:
        """Run the clients, once."""
        _NODES[self.environment].drive()
        raise StopUser
