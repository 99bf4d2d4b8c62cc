"""The login throttle in two worker processes of uvicorn, on each storage that they can share."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from linqi import Key, Sessions, Signer
from linqi.stores.store_url import open_store
from linqi_report.processes import running

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("ROUNDS", "1"))
"""Of the figures that are printed; a figure that is quoted is a median of six."""


@pytest.fixture(params=["sqlite", "valkey", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return what the workers of one service share: a store, its secrets, and their notes."""
    if request.param == "sqlite":
        store = f"sqlite:{tmp_path / 's.db'}"
    elif request.param == "valkey":
        store = request.getfixturevalue("valkey_url")
    else:
        store = request.getfixturevalue("postgres_dsn")
    (tmp_path / "notes").touch()
    return {"STORE": store, "SECRET": secrets.token_hex(32), "NOTES": str(tmp_path / "notes")}


@pytest.fixture
def workers(environment: dict[str, str], tmp_path: Path) -> Iterator[list[str]]:
    """Return the URLs of two workers."""
    command = ["uvicorn", "login_app:app", "--app-dir", str(HERE), "--port", "0", "--no-access-log"]
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                running(command, tmp_path / f"log{n}", health="/here", environment=environment)
            )
            for n in range(2)
        ]


def asked(environment: dict[str, str], name: str) -> int:
    """Return how often a password of `name` was checked, in either worker."""
    return Path(environment["NOTES"]).read_text().splitlines().count(name)


async def storm(
    urls: list[str], count: int, form: dict[str, str], addresses: list[str]
) -> list[int]:
    """Send `form` `count` times at once, to the workers in turn; give the statuses.

    Over bare connections: a client library costs ten times what the workers do.
    """
    ports = [int(url.rpartition(":")[2]) for url in urls]
    body = json.dumps(form)

    async def status(n: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[n % 2])
        writer.write(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"X-Forwarded-For: {addresses[n % len(addresses)]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = await reader.read()
        writer.close()
        return int(answer.split(maxsplit=2)[1])

    async with asyncio.timeout(60):
        return await asyncio.gather(*(status(n) for n in range(count)))


def sign_in(url: str, name: str, address: str, **more: str) -> httpx2.Response:
    """Sign in with the right password."""
    form = {"username": name, "password": "right", **more}
    return httpx2.post(f"{url}/login", json=form, headers={"X-Forwarded-For": address}, timeout=30)


async def test_d13_500_parallel_guesses_reach_the_check_as_often_as_the_limit(
    workers: list[str], environment: dict[str, str]
) -> None:
    """Of one name from one address five, whichever worker they come to; the right one too."""
    name = secrets.token_hex(8)
    statuses = await storm(workers, 500, {"username": name, "password": "wrong"}, ["203.0.113.7"])
    counts = {status: statuses.count(status) for status in sorted({*statuses})}
    print(f"\n{environment['STORE'].partition(':')[0]}: {counts}, asked {asked(environment, name)}")
    assert set(counts) <= {400, 429, 503}
    assert 0 < asked(environment, name) <= 5
    if 503 not in counts:  # an overloaded machine: what cannot be counted in time is refused
        assert counts == {400: 5, 429: 495}
    for url in workers:
        assert sign_in(url, name, "203.0.113.7").status_code == 429
        assert sign_in(url, name, "203.0.113.8").status_code == 200


async def test_d14_500_guesses_from_500_addresses_with_a_token_of_another_name(
    workers: list[str], environment: dict[str, str]
) -> None:
    """100 reach the check: the other name's token opens nothing, and the owner's still does."""
    alice, bob = secrets.token_hex(8), secrets.token_hex(8)
    bobs = sign_in(workers[0], bob, "198.51.100.2").json()["device_token"]
    alices = sign_in(workers[0], alice, "198.51.100.1").json()["device_token"]
    before = asked(environment, alice)
    form = {"username": alice, "password": "wrong", "device_token": bobs}
    addresses = [f"203.0.{n // 250}.{n % 250 + 1}" for n in range(500)]
    statuses = await storm(workers, 500, form, addresses)
    counts = {status: statuses.count(status) for status in sorted({*statuses})}
    reached = asked(environment, alice) - before
    print(f"\n{environment['STORE'].partition(':')[0]}: {counts}, asked {reached}")
    assert set(counts) <= {400, 429, 503}
    assert 0 < reached <= 100
    if 503 not in counts:
        assert counts == {400: 100, 429: 400}
        locked = sign_in(workers[0], alice, "198.51.100.1")
        assert locked.status_code == 429
    known = sign_in(workers[1], alice, "198.51.100.1", device_token=alices)
    assert known.status_code == 200


async def test_refreshes_beside_a_thousand_guesses_a_second(
    environment: dict[str, str],
) -> None:
    """Printed, not judged: what refreshes take while another worker gets 1,000 guesses a second.

    Blocks in turn: no guesses; guesses counted in the guessing process, which take nothing but the
    processor; guesses counted beside the sessions. All are of new names from new addresses, so
    that each one writes.
    """
    issuer = "https://b.example"
    signer = Signer(Key.generate("HS256"), issuer=issuer, audience="b")
    sessions = Sessions(open_store(environment["STORE"]), signer, Key.generate("HS256"), hooks=[])
    await sessions.start()
    environment = {**os.environ, **environment, "PAUSE": "0", "NOTES": os.devnull}
    command = [sys.executable, str(HERE / "login_app.py"), "1000"]
    with (
        guessing(command, environment | {"COUNTED": "memory:"}) as apart,
        guessing(command, environment) as beside,
    ):
        token = (await sessions.sign_in("alice")).refresh_token
        rounds: list[list[tuple[float, float, float]]] = []
        for _ in range(ROUNDS):
            measured = []
            for guesser in (None, apart, beside):
                token, block = await refreshed(sessions, token, guesser)
                measured.append(block)
            rounds.append(measured)
    await sessions.close()

    def ratio(place: int, other: int, column: int) -> float:
        return statistics.median(one[place][column] / one[other][column] for one in rounds)

    rates = [statistics.median(one[place][2] for one in rounds) for place in (1, 2)]
    alone = statistics.median(one[0][0] for one in rounds)
    print(
        f"\n{environment['STORE'].partition(':')[0]}: a refresh alone {alone * 1e3:.2f} ms;"
        f" beside guesses counted elsewhere ({rates[0]:.0f}/s) {ratio(1, 0, 0):.2f} x the latency,"
        f" {ratio(1, 0, 1):.2f} x the CPU; counted on its engine ({rates[1]:.0f}/s)"
        f" {ratio(2, 0, 0):.2f} x and {ratio(2, 0, 1):.2f} x; the one by the other"
        f" {ratio(2, 1, 0):.2f} and {ratio(2, 1, 1):.2f}"
    )
    assert min(rates) > 0


async def refreshed(
    sessions: Sessions, token: str, guesser: "Guesser | None"
) -> tuple[str, tuple[float, float, float]]:
    """Refresh for a while; give the median latency, the CPU of one refresh, guesses a second."""
    if guesser is not None:
        guesser.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.1)
    began, counted = time.monotonic(), guesser.done if guesser else 0
    cpu, taken = time.process_time(), []
    for _ in range(60):
        start = time.perf_counter()
        token = (await sessions.refresh(token)).refresh_token
        taken.append(time.perf_counter() - start)
        await asyncio.sleep(0.005)
    cpu = (time.process_time() - cpu) / len(taken)
    rate = ((guesser.done if guesser else 0) - counted) / (time.monotonic() - began)
    if guesser is not None:
        guesser.send_signal(signal.SIGSTOP)
    return token, (statistics.median(taken), cpu, rate)


class Guesser:
    """A process that guesses, and how far it is."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.done = 0
        self.send_signal = process.send_signal
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self.done = int(line)


@contextlib.contextmanager
def guessing(command: list[str], environment: dict[str, str]) -> Iterator[Guesser]:
    """Have a process guess while the context lasts."""
    # What cannot be counted in time is refused, and logged, on a machine that is too slow for it.
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=HERE
    )
    try:
        guesser = Guesser(process)
        deadline = time.monotonic() + 120
        while guesser.done < 200:
            assert process.poll() is None, "the guessing process ended"
            assert time.monotonic() < deadline, "no guess was made"
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        yield guesser
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
