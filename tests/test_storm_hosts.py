"""Storms on several hosts: half of the workers cut off, a replica that takes over, a clock."""

import shlex
import sys
from pathlib import Path

import pytest

from linqi import ConfigurationError
from linqi_report import servers
from linqi_storm.apps.offset_clock import OffsetClock, set_offset
from linqi_storm.run.local_store import LocalStore, run_failover
from linqi_storm.scenarios import Scenario, find_scenario
from test_storm_runs import broken, run_command

SHORT = ["--sessions", "60", "--alg", "ES256", "--compress", "1", "--lifetime-seconds", "20"]
SHORT += ["--buffer-seconds", "8", "--gap-seconds", "1"]


def made(name: str) -> Scenario:
    """Return a scenario with its default load."""
    scenario = find_scenario(name)
    return scenario(scenario.load)


def test_a_clock_is_ahead_by_what_another_process_wrote(tmp_path: Path) -> None:
    """Also while it runs."""
    path = tmp_path / "clock"
    set_offset(path, 0)
    clock = OffsetClock(path)
    before = clock()
    set_offset(path, 400)
    assert 400 <= clock() - before < 401


@pytest.mark.parametrize("name", ["partition", "failover"])
def test_a_store_without_a_network_is_refused(name: str) -> None:
    """What can be done is named."""
    with pytest.raises(ConfigurationError, match="expected --store valkey or --store postgresql"):
        LocalStore("sqlite", made(name))


@pytest.mark.parametrize(
    ("kind", "variable", "message"),
    [
        ("postgresql", "", "replicas of Valkey only"),
        ("valkey", "valkey://127.0.0.1:1/0", "a server of yours: add --failover-command"),
    ],
)
def test_a_failover_without_a_replica_is_refused(
    kind: str, variable: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any server is started."""
    monkeypatch.setenv("LINQI_VALKEY_URL", variable)
    store = LocalStore(kind, made("failover"))
    with pytest.raises(ConfigurationError, match=message), store.running(tmp_path):
        pass


def test_half_of_the_workers_reach_the_store_past_the_relay(tmp_path: Path) -> None:
    """The odd one is cut off too."""
    with LocalStore("valkey", made("partition")).running(tmp_path) as store:
        found = [store.url_of(worker, 3) for worker in range(3)]
    assert found[0] == found[1] == store.url
    assert found[2] != store.url


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("{python} -c 'print(\"no such master\"); raise SystemExit(3)'", "with 3: no such master"),
        ("/nonexistent/command", "cannot be run"),
        ("an 'open quote", "cannot be run"),
    ],
)
async def test_a_failover_command_that_fails_is_told(command: str, message: str) -> None:
    """With its exit code and its last output."""
    with pytest.raises(ConfigurationError, match=message):
        await run_failover(command.format(python=sys.executable))


async def test_the_replica_takes_over_with_all_writes(tmp_path: Path) -> None:
    """The address of the store leads to it, and the old server follows it."""
    import redis.asyncio

    with LocalStore("valkey", made("failover")).running(tmp_path) as store:
        client = redis.asyncio.Redis.from_url(store.url)
        await client.set("key", "value")
        before = (await client.info("server"))["run_id"]
        await client.aclose()
        await store.fail_over()
        client = redis.asyncio.Redis.from_url(store.url)
        assert await client.get("key") == b"value"
        assert (await client.info("server"))["run_id"] != before
        assert (await client.info("replication"))["role"] == "master"
        await client.aclose()


@pytest.mark.distributed
def test_a_failover_that_loses_sessions_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scenario can fail: the command empties the store that it was to fail over."""
    with servers.valkey() as url:
        port = url.rpartition(":")[2].partition("/")[0]
        monkeypatch.setenv("LINQI_VALKEY_URL", url)
        lose = f"import socket; s = socket.create_connection(('127.0.0.1', {port}));"
        lose += " s.sendall(b'FLUSHALL\\r\\n'); s.recv(9)"
        command = shlex.join([sys.executable, "-c", lose])
        arguments = ["failover", "--seconds", "10", "--set", "at=3", *SHORT]
        code, run = run_command(tmp_path, *arguments, "--failover-command", command)
    assert code == 1
    assert "forced logouts of honest users" in {check.name for check in run.broken}


@pytest.mark.distributed
@pytest.mark.parametrize(
    "arguments",
    [
        ["partition", "--seconds", "16", "--set", "at=3", "--set", "seconds=6"],
        ["failover", "--seconds", "12", "--set", "at=4"],
        ["clock-step", "--seconds", "14", "--set", "at=3", "--set", "seconds=6"],
        ["clock-step", "--seconds", "14", "--set", "at=3", "--set", "ahead=-5"],
    ],
    ids=" ".join,
)
def test_a_storm_on_several_hosts_keeps_every_invariant(
    arguments: list[str], tmp_path: Path
) -> None:
    """503 at most, and no session lost."""
    _, run = run_command(tmp_path, *arguments, *SHORT)
    assert broken(run) == []
    assert run.sessions.renewals
