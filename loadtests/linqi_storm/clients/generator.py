"""The load generator process: ``python -m linqi_storm.clients.generator FOLDER``.

The folder holds ``plan.json``. When ``clients.json`` appears there, the load begins at the instant
that it contains. Counts are appended to ``counts.jsonl``. With ``--processes`` above 1 this process
is Locust's master and starts that many workers.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import gevent
import msgspec
from locust.env import Environment
from locust.runners import MasterRunner

from linqi_storm.clients.node import Node, StormUser
from linqi_storm.schema.generator_plan import read_clients, read_plan

__all__ = ["main"]

_START_SECONDS: Final = 60.0
_POLL: Final = 0.02


def main() -> None:
    """Send the load that the plan in the folder describes."""
    prog = "python -m linqi_storm.clients.generator"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--worker-of", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if options.worker_of:
        _work(options.worker_of)
        return
    with (options.folder / "counts.jsonl").open("wb") as output:
        _lead(options.folder, options.processes, output)


def _lead(folder: Path, processes: int, output: BinaryIO) -> None:
    def sink(news: dict[str, Any]) -> None:
        output.write(msgspec.json.encode(news) + b"\n")
        output.flush()

    environment = Environment(user_classes=[StormUser], reset_stats=True)
    if processes == 1:
        runner = environment.create_local_runner()
        node = Node(environment, sink)
        _storm(folder, node, environment, 1)
        runner.quit()
        return
    port = _free_port()
    master = environment.create_master_runner("127.0.0.1", port)
    node = Node(environment, sink)
    with _workers(port, processes, folder):
        _wait(
            lambda: len(master.clients.ready) == processes,
            "the generator's workers did not start",
        )
        _storm(folder, node, environment, processes)
        master.quit()


def _storm(folder: Path, node: Node, environment: Environment, users: int) -> None:
    (folder / "ready").touch()
    _wait((folder / "clients.json").exists, "clients.json did not appear in time", seconds=600)
    runner = environment.runner
    assert runner is not None  # noqa: S101 - made above
    # Not kept here: the sessions hold what they need of 100,000 credentials.
    node.begin(read_plan(folder / "plan.json"), read_clients(folder / "clients.json"))
    runner.start(users, spawn_rate=users)
    node.is_done.wait()
    if isinstance(runner, MasterRunner):
        runner.stop()


@contextlib.contextmanager
def _workers(port: int, processes: int, folder: Path) -> Iterator[None]:
    started = [
        subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", __spec__.name, str(folder), "--worker-of", str(port)]
        )
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _work(port: int) -> None:
    environment = Environment(user_classes=[StormUser], reset_stats=True)
    runner = environment.create_worker_runner("127.0.0.1", port)
    Node(environment, lambda news: None)
    runner.greenlet.join()


def _wait(is_so: Any, fault: str, *, seconds: float = _START_SECONDS) -> None:
    waited = 0.0
    while not is_so():
        if waited >= seconds:
            raise TimeoutError(fault)
        gevent.sleep(_POLL)
        waited += _POLL


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
