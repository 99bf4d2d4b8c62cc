"""Suite: the cost of the client's decisions near expiry."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from linqi.client.httpx2 import RefreshingAuth
from linqi.client.judge import JudgeSettings, hold, judge
from linqi.client.tokens import ClientTokens
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import differences, summarize, time_in_turn
from linqi_bench.tokens import Case
from linqi_report.processes import running

_CALLS: Final = 500
_REQUESTS: Final = 8


def test_judge(recorder: Recorder, benchmark: Any) -> None:
    """A fresh token, with both clocks read."""
    now = time.time()
    held = hold(
        issued_at=now,
        expires_at=now + 900,
        wall=now,
        monotonic=time.monotonic(),
        settings=JudgeSettings(),
    )

    def look() -> None:
        for _ in range(_CALLS):
            judge(held, time.time(), time.monotonic())

    sample = run_block(benchmark, "client.judge", look, _CALLS)
    assert judge(held, time.time(), time.monotonic()) == "fresh"
    recorder.add(
        Figure(
            id="client.judge",
            name="judging a token",
            unit="us",
            value=sample,
        )
    )


@pytest.mark.parametrize("kind", ["httpx2.Client", "httpx2.AsyncClient"])
def test_refreshing_auth(recorder: Recorder, kind: str) -> None:
    """A request over loopback to a server in another process, signed by a constant or by ours."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(["linqi_bench.target_server"], Path(folder) / "log", health="/") as url,
        asyncio.Runner() as runner,
    ):
        token = Case.of("HS256").tokens(1)[0].decode()
        auths = (
            RefreshingAuth(f"{url}/refresh", ClientTokens(access_token=token, refresh_token="r")),
            _Constant(token),
        )
        requesting = _requesting if kind == "httpx2.Client" else _requesting_async
        client, blocks = requesting(runner, url, auths)
        ours, bare = time_in_turn(blocks, _REQUESTS, recorder.seconds)
        runner.run(_closed(client))
    way = "sync" if kind == "httpx2.Client" else "async"
    recorder.add(
        Figure(
            id=f"client.auth_{way}",
            name=f"a request of {kind} with RefreshingAuth",
            unit="us",
            value=summarize(ours),
            over=differences(ours, bare),
            raw=summarize(bare).median,
            raw_is="the same with a constant token",
        )
    )


class _Constant(httpx2.Auth):
    """Signs with a token that never changes."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, Any, None]:
        request.headers["Authorization"] = self._header
        yield request


def _requesting(
    runner: asyncio.Runner, url: str, auths: tuple[httpx2.Auth, ...]
) -> tuple[httpx2.Client, list[Callable[[], None]]]:
    client = httpx2.Client(base_url=url)

    def block(auth: httpx2.Auth) -> None:
        for _ in range(_REQUESTS):
            assert client.get("/me", auth=auth).status_code == 200

    return client, [lambda auth=auth: block(auth) for auth in auths]  # type: ignore[misc]


def _requesting_async(
    runner: asyncio.Runner, url: str, auths: tuple[httpx2.Auth, ...]
) -> tuple[httpx2.AsyncClient, list[Callable[[], None]]]:
    client = httpx2.AsyncClient(base_url=url)

    async def block(auth: httpx2.Auth) -> None:
        for _ in range(_REQUESTS):
            assert (await client.get("/me", auth=auth)).status_code == 200

    return client, [lambda auth=auth: runner.run(block(auth)) for auth in auths]  # type: ignore[misc]


async def _closed(client: httpx2.Client | httpx2.AsyncClient) -> None:
    if isinstance(client, httpx2.AsyncClient):
        await client.aclose()
    else:
        client.close()
