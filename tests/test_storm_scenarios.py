"""Scenarios: the clients' behaviour, the disturbance of the servers, and the command line."""

import asyncio
import math
import random
import re
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from linqi import ConfigurationError, Key, Signer
from linqi_storm.clients.unverified_claims import expiry_of
from linqi_storm.command import add_options
from linqi_storm.run.storm_options import config_of
from linqi_storm.scenarios import SCENARIOS, Scenario, find_scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.config import StormConfig


class Recorder:
    """A server control that records what a scenario does, without waiting."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.second = 0.0

    async def until(self, second: float) -> None:
        """Set the current second."""
        self.second = max(self.second, second)

    async def restart_workers(self, *, at_once: bool = False) -> None:
        """Record the call."""
        self.done.append(f"{self.second:g} restart" + " all" * at_once)

    async def store_down(self) -> None:
        """Record the call."""
        self.done.append(f"{self.second:g} down")

    async def store_up(self) -> None:
        """Record the call."""
        self.done.append(f"{self.second:g} up")

    async def fail_over(self) -> None:
        """Record the call."""
        self.done.append(f"{self.second:g} failover")

    async def set_clock(self, ahead: float) -> None:
        """Record the call."""
        self.done.append(f"{self.second:g} clock {ahead:+g}")

    async def issuer(self, **command: Any) -> Mapping[str, Any]:
        """Record the call."""
        self.done.append(f"{self.second:g} {command['do']} {command.get('kind', '')}".strip())
        return {"signing": "old"}

    def mark(self, label: str, begins: float, ends: float) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


def made(name: str, **options: float) -> Scenario:
    """Return a scenario with its default load."""
    scenario = find_scenario(name)
    return scenario(scenario.load, options)


@pytest.mark.parametrize(
    ("name", "options", "done"),
    [
        ("deploy", {"at": 5}, ["5 restart"]),
        ("store-outage", {"at": 4, "seconds": 3}, ["4 down", "7 up"]),
        ("partition", {"at": 4, "seconds": 3}, ["4 down", "7 up"]),
        ("failover", {"at": 4}, ["4 failover"]),
        ("clock-step", {"at": 4, "ahead": -5}, ["4 clock -5", "16 clock +0"]),
        ("key-rotation", {"at": 2, "withdraw": 9}, ["2 publish", "2 sign", "11 remove"]),
        (
            "issuer-outage",
            {"at": 3, "seconds": 9},
            ["3 fault error", "6 fault hang", "9 fault garbage", "12 fault"],
        ),
        ("cold-start", {"at": 4}, ["4 fault slow", "4 restart all", "4 fault"]),
        ("storm-sliding", {}, []),
    ],
)
def test_a_scenario_does_to_the_servers_what_its_settings_say(
    name: str, options: dict[str, float], done: list[str]
) -> None:
    """The calls have the expected order and seconds."""
    control = Recorder()
    asyncio.run(made(name, **options).disturb(control))
    assert control.done == done


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_fits_its_own_size(name: str) -> None:
    """Its draws are valid, and its windows lie inside the run."""
    scenario, rng = made(name), random.Random(1)
    assert scenario.summary
    for index in range(0, scenario.load.sessions, 50):
        assert scenario.first_due(index, rng) >= 0
        assert scenario.gap(index, rng) > 0
        assert 1 <= scenario.parallel(rng) <= 20
    for window in scenario.windows():
        assert 0 <= window.begins < window.ends <= scenario.load.duration


def test_all_clients_begin_within_the_rush() -> None:
    """The rush of dual tokens is as long as its setting."""
    rng, scenario = random.Random(1), made("storm-dual", rush=2)
    dues = [scenario.first_due(index, rng) for index in range(scenario.load.sessions)]
    assert min(dues) == 0
    assert 1.9 < max(dues) < 2


@pytest.mark.parametrize(("spread", "floor"), [("zipf", 20), ("hot", 50)])
def test_steady_load_may_be_uneven(spread: str, floor: float) -> None:
    """The first session has a far higher rate than the middle one."""
    scenario, rng = made("steady", **{spread: 1}), random.Random(1)
    first, middle = (
        sum(scenario.gap(index, rng) for _ in range(200)) / 200 for index in (0, 1_000)
    )
    assert middle / first > floor


def test_a_cold_session_sends_one_page() -> None:
    """Every request has a token that no server has verified before."""
    scenario = made("steady", cold=1)
    assert scenario.gap(3, random.Random(1)) == math.inf


def test_a_share_of_the_replies_gets_lost() -> None:
    """The share is that of the setting."""
    scenario, rng = made("lost-replies", share=0.2), random.Random(1)
    assert sum(scenario.loses_reply(rng) for _ in range(5_000)) == pytest.approx(1_000, rel=0.1)


def test_a_share_of_the_sessions_signs_out() -> None:
    """They sign out within the time of the settings."""
    scenario = made("revoke", share=0.25)
    leaves = [scenario.signs_out_at(index) for index in range(scenario.load.sessions)]
    gone = [second for second in leaves if second is not None]
    assert len(gone) == scenario.load.sessions // 4
    assert all(3 <= second <= 14 for second in gone)


def test_a_setting_that_a_scenario_does_not_have_is_refused_with_those_it_has() -> None:
    """A misspelled setting is an error, not ignored."""
    with pytest.raises(ConfigurationError, match="expected one of: at"):
        made("deploy", att=3)
    with pytest.raises(ConfigurationError, match="expected at most one"):
        made("steady", hot=1, cold=1)


class Lunch(find_scenario("storm-sliding")):  # type: ignore[misc]
    """A user's own scenario."""

    name = "lunch"


def test_a_scenario_of_the_user_is_found_by_module_and_class() -> None:
    """``module:Class`` names a subclass; anything else is refused."""
    assert find_scenario(f"{__name__}:Lunch") is Lunch
    for wrong in ("storm", "nowhere:Lunch", f"{__name__}:Nobody", f"{__name__}:Recorder"):
        with pytest.raises(ConfigurationError):
            find_scenario(wrong)


def config(*arguments: str) -> StormConfig:
    """Parse a command line."""
    parser = ArgumentParser()
    add_options(parser)
    return config_of(parser.parse_args(arguments), arguments)


def test_compression_divides_real_durations_only() -> None:
    """Lifetime, buffer, gap and spread are divided by k; sessions and seconds are not."""
    given = config(
        *("--sessions", "500", "--seconds", "30", "--compress", "20", "--lifetime-seconds", "900"),
        *("--buffer-seconds", "300", "--gap-seconds", "30", "--login-spread-seconds", "60"),
    )
    load = given.load
    assert (load.sessions, load.duration, load.compression) == (500, 30, 20)
    assert (load.lifetime, load.buffer, load.gap, load.login_spread) == (45, 15, 1.5, 3)


def test_the_password_of_a_login_is_not_in_results() -> None:
    """The result contains the command line without the login."""
    login = '{"url": "http://127.0.0.1:1", "body": {"password": "hunter2"}}'
    for given in (["--login", login], [f"--login={login}"]):
        arguments = ("--url", "http://127.0.0.1:1", *given, "--seconds", "5")
        command = config(*arguments).command
        assert "hunter2" not in " ".join(command)
        assert command[-2:] == ("--seconds", "5")


def test_a_running_deployment_is_not_compressed() -> None:
    """Its tokens have their real lifetime."""
    load = config("--url", "http://127.0.0.1:1", "--seconds", "5").load
    assert (load.compression, load.lifetime) == (1, 900)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "at"),
        ("--login", "{"),
        ("--login", "[]"),
        ("--sessions", "0"),
        ("--buffer-seconds", "800"),
        ("--compress", "0.5"),
        ("--workers", "0"),
        ("--sessions", "2", "--processes", "3"),
        ("--app", "a:b", "--url", "http://127.0.0.1"),
        ("no-such-scenario",),
    ],
)
def test_invalid_options_are_refused(arguments: tuple[str, ...]) -> None:
    """The error is raised before a server starts."""
    with pytest.raises(ConfigurationError):
        config(*arguments)


def test_every_forgery_differs_from_the_token_it_is_made_of() -> None:
    """No forged token equals the live one."""
    live = Signer(Key.generate("ES256"), issuer="https://a.example", audience="a").sign(
        {"sub": "alice", "iat": 1_000, "exp": 2_000}
    )
    rng = random.Random(1)
    for kind in ("mixed", "known_kids", "kids", "garbage"):
        forger = Forger(kind, [b"kept"])  # type: ignore[arg-type]
        forged = {forger.forge(rng, live.encode()) for _ in range(200)}
        assert live.encode() not in forged
        assert len(forged) > 1
    first = [Forger(refused=[b"kept"]).forge(rng, live.encode())]
    assert first[0].rpartition(b".")[0] == live.encode().rpartition(b".")[0]  # only the signature
    assert expiry_of(live.encode()) == 2_000
    assert expiry_of(b"garbage") == expiry_of(b"a.!.c") == 0


def test_a_store_that_is_a_server_needs_a_known_name() -> None:
    """The message names the three stores."""
    load = find_scenario("storm-dual").load
    with pytest.raises(ConfigurationError, match="sqlite, valkey or postgresql"):
        StormConfig(scenario="storm-dual", load=load, store="mysql", config=Path())


GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "storm.md"
OWN = re.findall(r"```python\n# (\w+)\.py\n(.*?class (\w+)\(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("module", "text", "name"), OWN, ids=[name for _, _, name in OWN])
def test_a_scenario_of_ones_own_is_found_in_the_current_folder(
    module: str, text: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command `linqi` does not have it in its path; those of the guide are found."""
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    assert find_scenario(f"{module}:{name}").name not in SCENARIOS


def test_the_guide_has_scenarios_of_ones_own() -> None:
    """A page without blocks would pass."""
    assert [name for _, _, name in OWN] == ["EveryTwoSeconds", "Lunch"]
