"""A deployment moves from HS256 to ES256, or back, and signs no one out (algorithm_change.md)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from asgi import served, subject_app
from clock import FakeClock
from linqi import Key, KeySet, Person, _base64url
from linqi.config import wrap

CONFIG = """
[verify]
issuer = "https://shop.example"
audience = "shop"

[keys]
{keys}
announce_seconds = 0.2

[renewal]
sliding = true

[store]
url = "sqlite:{folder}/sessions.db"
secrets_file = "refresh.json"
poll_seconds = 0.05

[throttle]
enabled = false
"""
OLD, OLD_FIRST, NEW_FIRST, NEW = (
    'file = "old.json"',
    'file = "old.json"\nverify_file = "new.json"',
    'file = "new.json"\nverify_file = "old.json"',
    'file = "new.json"',
)


def authenticate(form: Any) -> Person:
    """Let everybody in."""
    return Person(subject=form["username"])


class Workers:
    """Real servers, each started with the settings of its step."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder, self.clock = folder, clock
        self.urls: list[str] = []
        self._stacks: list[contextlib.AsyncExitStack] = []

    async def start(self, keys: str) -> None:
        """Start one more."""
        path = self.folder / f"{len(self.urls)}.toml"
        path.write_text(CONFIG.format(keys=keys, folder=self.folder))
        app = wrap(subject_app, path, authenticate=authenticate, hooks=[], clock=self.clock)
        stack = contextlib.AsyncExitStack()
        port = await stack.enter_async_context(served(app))
        self._stacks.append(stack)
        self.urls.append(f"http://127.0.0.1:{port}")

    async def stop(self) -> None:
        """Stop the one that runs for longest."""
        del self.urls[0]
        await self._stacks.pop(0).aclose()


@pytest.fixture
async def workers(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Workers]:
    """Return what starts servers, and stop them."""
    made = Workers(tmp_path, clock)
    yield made
    while made.urls:
        await made.stop()


class Client:
    """Two sessions, one renewed by the header and one by `/refresh`, at every worker in turn."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.statuses: list[int] = []
        self.sliding = ""
        self.pair: dict[str, str] = {}

    async def sign_in(self, url: str) -> None:
        """Start both sessions."""
        form = {"username": "alice", "password": "x"}
        first, second = [await self.http.post(f"{url}/login", json=form) for _ in range(2)]
        self.sliding, self.pair = first.json()["access_token"], second.json()

    async def get(self, url: str, token: str) -> httpx2.Response:
        """Send a request with a token."""
        answer = await self.http.get(url, headers={"authorization": f"Bearer {token}"})
        self.statuses.append(answer.status_code)
        return answer

    async def use(self, url: str) -> None:
        """Use both sessions once, as a browser does."""
        answer = await self.get(url, self.sliding)
        self.sliding = answer.headers.get("x-refresh-token", self.sliding)
        await self.get(url, self.pair["access_token"])
        body = {"refresh_token": self.pair["refresh_token"]}
        refreshed = await self.http.post(f"{url}/refresh", json=body)
        self.statuses.append(refreshed.status_code)
        self.pair = refreshed.json()
        await self.get(url, self.pair["access_token"])

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the algorithm and the claims of both access tokens."""
        return [_read(self.sliding), _read(self.pair["access_token"])]


def _read(token: str) -> tuple[str, dict[str, Any]]:
    header, claims = (json.loads(_base64url.decode(part)) for part in token.split(".")[:2])
    return header["alg"], claims


@pytest.fixture(params=[("HS256", "ES256"), ("ES256", "HS256")], ids="-".join)
def algorithms(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return the old and the new algorithm, of keys in two files with one kid."""
    for name, alg in zip(("old", "new"), request.param, strict=True):
        KeySet([Key.generate(alg, kid="shop")]).save(tmp_path / f"{name}.json")
    KeySet([Key.generate("HS256")]).save(tmp_path / "refresh.json")
    return request.param[0], request.param[1]


async def test_no_one_is_signed_out_while_the_kind_of_key_changes(
    algorithms: tuple[str, str], workers: Workers, clock: FakeClock
) -> None:
    """Two servers, of which each step reaches one first: every request and refresh is 200."""
    async with httpx2.AsyncClient(timeout=10) as http:
        client = Client(http)
        for keys in (OLD, OLD):
            await workers.start(keys)
        await client.sign_in(workers.urls[0])
        before = client.read()
        for keys in (OLD, OLD_FIRST, OLD_FIRST, NEW_FIRST, NEW_FIRST, NEW, NEW):
            if keys != OLD:
                await workers.start(keys)
                await workers.stop()
            for url in workers.urls * 2:
                clock.move(225)  # four uses are a lifetime of 900 s
                await client.use(url)
        assert set(client.statuses) == {200}
        assert len(client.statuses) == 7 * 16
        for (first, old), (last, new) in zip(before, client.read(), strict=True):
            assert (first, last) == algorithms
            for name in ("sid", "sub", "auth_time", "session_end"):
                assert old.get(name) == new.get(name)


async def test_a_session_that_is_revoked_ends_by_both_kinds_of_key(
    algorithms: tuple[str, str], workers: Workers
) -> None:
    """The token by the old key and its successor by the new one are of one session."""
    async with httpx2.AsyncClient(timeout=10) as http:
        client = Client(http)
        await workers.start(OLD_FIRST)
        await workers.start(NEW_FIRST)
        first, second = workers.urls
        await client.sign_in(first)
        old = client.pair["access_token"]
        await client.use(second)
        new = client.pair["access_token"]
        assert (_read(old)[0], _read(new)[0]) == algorithms
        assert (await client.get(second, old)).status_code == 200
        await http.post(f"{second}/logout-all", headers={"authorization": f"Bearer {new}"})
        for token in (old, new):
            assert (await client.get(second, token)).status_code == 401


async def test_j6_the_second_step_alone_answers_503_and_signs_no_one_out(
    algorithms: tuple[str, str], workers: Workers
) -> None:
    """Workers that were never told of the other kind know from the store that its key exists."""
    KeySet([Key.generate(algorithms[1])]).save(workers.folder / "new.json")  # with a kid of its own
    async with httpx2.AsyncClient(timeout=10) as http:
        await workers.start(OLD)
        await workers.start(NEW)
        clients = Client(http), Client(http)
        for client, url in zip(clients, workers.urls, strict=True):
            await client.sign_in(url)
        first, second = workers.urls
        old, new = clients
        for _ in range(3000):  # until the worker has read what the other announced
            if (await new.get(first, new.sliding)).status_code == 503:
                break
            await asyncio.sleep(0.01)
        statuses = [
            (await old.get(url, client.sliding)).status_code
            for url in (first, second)
            for client in clients
        ]
        assert statuses == [200, 503, 503, 200]
