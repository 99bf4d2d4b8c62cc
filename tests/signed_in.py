"""A Python client of a server with dual tokens, and its clock."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from linqi.client.flow import RefreshingFlow
from linqi.client.http_post import PostResponse
from linqi.client.httpx import RefreshingAuth as HttpxAuth
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import ClientTokens, tokens_of
from linqi_report.processes import running
from linqi_storm.serve.server import PASSWORD_VARIABLE

PASSWORD = "correct horse"


@contextlib.contextmanager
def serving_dual(folder: Path, *, lifetime: float, buffer: float) -> Iterator[str]:
    """Serve dual tokens while the context lasts; return the URL."""
    arguments = ["linqi_storm.serve.dual", "--data", str(folder / "data")]
    arguments += ["--store", f"sqlite:{folder / 's.db'}"]
    arguments += ["--lifetime-seconds", str(lifetime), "--buffer-seconds", str(buffer)]
    environment = {PASSWORD_VARIABLE: PASSWORD}
    with running(arguments, folder / "log", health="/healthz", environment=environment) as url:
        yield url


def login(server: str) -> ClientTokens:
    """Sign alice in."""
    answer = httpx2.post(f"{server}/login", json={"username": "alice", "password": PASSWORD})
    return tokens_of(answer.raise_for_status().json(), None)


def forged(tokens: ClientTokens) -> ClientTokens:
    """Return `tokens` with an access token whose signature is wrong."""
    token = tokens.access_token
    other = "A" if token[-10] != "A" else "B"
    return ClientTokens(
        access_token=token[:-10] + other + token[-9:],
        refresh_token=tokens.refresh_token,
        sequence=tokens.sequence,
    )


class Elsewhen(float):
    """A wall clock that is ahead by some seconds."""

    def __call__(self) -> float:
        """Return the time."""
        return time.time() + self


def expire(auth: Any) -> None:
    """Make the client see its access token as expired, as after a long sleep."""
    auth.renewal._wall = Elsewhen(10_000)


class _Counted(RefreshingFlow):
    """Counts how often a refresh token is posted."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.posts = 0
        self.keeps_the_clock = False

    async def _post(self, client: Any) -> PostResponse:
        self.posts += 1
        if not self.keeps_the_clock:
            self.renewal._wall = time.time
        return await super()._post(client)


class Counting(_Counted, RefreshingAuth):
    """Counts for httpx2."""


class CountingHttpx(_Counted, HttpxAuth):
    """Counts for httpx."""
