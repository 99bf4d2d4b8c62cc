"""A rotation over hosts: no worker refuses a token of another, however late its key file comes."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from free_ports import free_port
from linqi import KeySet
from linqi.cli import main

TESTS = Path(__file__).parent
CONFIG = """
[verify]
issuer = "https://shop.example"
audience = "shop"
leeway_seconds = 0

[keys]
file = "keys.json"
check_seconds = 0.1
announce_seconds = 0.3

[store]
url = "{url}"
secrets_file = "refresh.json"


[throttle]
enabled = false
"""


class Host:
    """One machine: a folder with its own copy of the key files, and one worker process."""

    def __init__(self, folder: Path, url: str, more: str = "") -> None:
        folder.mkdir()
        (folder / "linqi.toml").write_text(CONFIG.format(url=url) + more)
        self.folder = folder
        self.log = folder / "log"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"

    def take(self, other: "Host", *names: str) -> None:
        """Receive key files from another host, whole, as a configuration tool brings them."""
        for name in names or ("keys.json", "refresh.json"):
            fresh = self.folder / f".{name}"
            shutil.copy(other.folder / name, fresh)
            fresh.chmod(0o600)
            fresh.rename(self.folder / name)

    def start(self) -> Self:
        """Start the worker, and return when it serves."""
        self.launch()
        return self.wait()

    def launch(self) -> None:
        """Start the worker."""
        self.launched_at = time.monotonic()
        command = ["uvicorn", "host_app:app", "--port", str(self.port), "--no-access-log"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=TESTS,
                env={**os.environ, "PYTHONPATH": str(TESTS), "HOST": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> Self:
        """Return when the worker serves."""
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End the worker."""
        self.process.send_signal(how)
        self.process.wait(60)


class Users:
    """Signed-in users, who present each other's fresh tokens to every worker that runs."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = hosts
        self.answers: list[tuple[str, str, int]] = []
        self.http = httpx2.AsyncClient(timeout=10)

    async def sign_in(self, host: Host) -> dict[str, Any]:
        """Return the pair of a new session."""
        answer = await self.http.post(
            f"{host.base}/login", json={"username": "bob", "password": "x"}
        )
        pair: dict[str, Any] = answer.raise_for_status().json()
        return pair

    async def present(self, pair: dict[str, Any], host: Host) -> dict[str, Any]:
        """Present both tokens of `pair`, and return the newest pair."""
        bearer = {"authorization": f"Bearer {pair['access_token']}"}
        seen = await self.http.get(f"{host.base}/", headers=bearer)
        self.answers.append((host.folder.name, "access", seen.status_code))
        body = {"refresh_token": pair["refresh_token"]}
        refreshed = await self.http.post(f"{host.base}/refresh", json=body)
        self.answers.append((host.folder.name, "refresh", refreshed.status_code))
        return refreshed.json() if refreshed.status_code == 200 else pair

    async def live(self) -> None:
        """Make tokens by one worker and present them to the others, without a pause."""
        turn = 0
        while True:
            pair = await self.sign_in(self.hosts[turn % len(self.hosts)])
            for host in [*self.hosts]:
                pair = await self.present(pair, host)
            turn += 1
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def living(users: Users) -> AsyncIterator[None]:
    """Let the users work in the background; what fails there fails here."""
    task = asyncio.create_task(users.live())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(params=["valkey", pytest.param("postgres", marks=pytest.mark.distributed)])
def store_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a real store that several hosts share."""
    if request.param == "valkey":
        return str(request.getfixturevalue("valkey_url"))
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def make_hosts(tmp_path: Path, store_url: str) -> Iterator[Callable[..., list[Host]]]:
    """Return what starts hosts with equal key files, and end their workers."""
    made: list[Host] = []

    def make(*names: str, more: str = "") -> list[Host]:
        made.extend(Host(tmp_path / name, store_url, more) for name in names)
        first = made[0].folder
        for name, alg in (("keys.json", "ES256"), ("refresh.json", "HS256")):
            assert main(["keygen", "--alg", alg, "--out", str(first / name)]) == 0
        for host in made:
            if host is not made[0]:
                host.take(made[0])
            host.start()
        return made

    yield make
    for host in made:
        if hasattr(host, "process") and host.process.poll() is None:
            host.kill(signal.SIGTERM)


def keygen(host: Host, name: str, url: str, *options: str) -> subprocess.Popen[str]:
    """Start ``linqi keygen`` on the key file of a host."""
    command = ["keygen", "--out", str(host.folder / name), "--store", url, *options]
    return subprocess.Popen(
        [sys.executable, "-m", "linqi", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.distributed
async def test_j6_no_worker_refuses_a_token_of_another_during_a_rotation(
    make_hosts: Callable[..., list[Host]], store_url: str
) -> None:
    """One host gets the new key late, one is dead: the key signs when the first has it.

    The dead one comes back with its old files: it answers 503, which a balancer tries elsewhere,
    and not 401, which signs out; with the new files it serves.
    """
    early, late, dead = make_hosts("early", "late", "dead")
    users = Users([early, late])
    options = ("--rotate", "--lead-seconds", "0", "--wait-seconds", "30")
    async with living(users):
        await asyncio.sleep(0.5)
        dead.kill()
        for name in ("keys.json", "refresh.json"):
            before = len(KeySet.load(early.folder / name).keys)
            rotation = keygen(early, name, store_url, *options)
            while len(KeySet.load(early.folder / name).keys) == before:
                assert rotation.poll() is None, rotation.communicate()
                await asyncio.sleep(0.02)
            await asyncio.sleep(2.5)  # the dead worker's note has ended; the late one lacks the key
            assert rotation.poll() is None, rotation.communicate()
            late.take(early, name)
            _, said = await asyncio.to_thread(rotation.communicate)
            assert rotation.returncode == 0, said
            assert "2 of 2 workers have" in said
            await asyncio.sleep(1)  # early signs with it now, and late with the old one
            late.take(early, name)
            await asyncio.sleep(0.5)
    assert {status for _, _, status in users.answers} == {200}
    assert len(users.answers) > 40

    pair = await users.sign_in(early)
    dead.start()
    assert await users.present(pair, dead) == pair
    assert users.answers[-2:] == [("dead", "access", 503), ("dead", "refresh", 503)]
    assert "other workers have keys that this one lacks" in dead.log.read_text()
    forged = pair["access_token"].rpartition(".")[0] + "." + "A" * 86
    for token, status in ((forged, 401), (pair["access_token"], 200)):
        answer = await users.http.get(early.base, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status
    dead.take(early)
    await asyncio.sleep(1)
    await users.present(pair, dead)
    assert users.answers[-2:] == [("dead", "access", 200), ("dead", "refresh", 200)]
    await users.http.aclose()


async def test_a_rotation_names_the_workers_that_have_not_the_key(
    make_hosts: Callable[..., list[Host]], store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing signs until they have it; --force is the way out, and says so."""
    early, late = make_hosts("early", "late")
    out = str(early.folder / "keys.json")
    (old,) = KeySet.load(out).keys
    common = ["keygen", "--out", out, "--lead-seconds", "0"]
    waiting = [*common, "--store", store_url, "--wait-seconds", "1"]
    assert await asyncio.to_thread(main, [*waiting, "--rotate", "--kid", "new"]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 workers have new" in said
    assert f":{late.process.pid}:" in said
    assert f":{early.process.pid}:" not in said.partition("have not read it")[2]
    assert "--force" in said
    assert KeySet.load(out).signing_key(time.time()).kid == old.kid
    assert await asyncio.to_thread(main, [*waiting, "--rotate"]) == 2
    assert "activate it first" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["store", "workers", store_url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [" new" in line for line in sorted(lines, key=lambda w: f":{late.process.pid}:" in w)]
    assert sum(" new" in line for line in lines) == 1
    assert len(lines) == 2
    assert await asyncio.to_thread(main, [*common, "--activate"]) == 2
    assert await asyncio.to_thread(main, [*common, "--activate", "--force"]) == 0
    assert KeySet.load(out).signing_key(time.time()).kid == "new"
    assert await asyncio.to_thread(main, [*common, "--activate", "--force"]) == 2
    assert "no key waits" in capsys.readouterr().err
