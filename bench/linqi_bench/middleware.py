"""Suite: what the middleware adds to an ASGI request, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from linqi import JWTMiddleware, SlidingRenewal, VerifiedCache
from linqi_bench import budgets
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import differences, summarize, time_in_turn
from linqi_bench.tokens import Case

_REQUESTS: Final = 100
_HEADERS: Final = (
    (b"host", b"api.shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-GB,en;q=0.7"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"referer", b"https://shop.example/orders"),
    (b"origin", b"https://shop.example"),
    (b"connection", b"keep-alive"),
    (b"x-request-id", b"7b0c3f6e-5d2a-4c53-9f0e-0d8c6f0c1f55"),
)
_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}
_BODY: Final = {"type": "http.response.body", "body": b"{}"}

Message = MutableMapping[str, Any]


def test_middleware_on_hit(recorder: Recorder) -> None:
    """Ten headers, GET, a cached fresh token, renewal on, default hooks, log level WARNING."""
    case = Case.of("HS256")
    tokens = case.tokens(_REQUESTS)
    verifier = case.verifier(VerifiedCache(lifetime=3600))
    guarded = JWTMiddleware(_bare, verifier, renewal=SlidingRenewal(case.signer))
    scopes = [_request(token) for token in tokens]
    with asyncio.Runner() as runner:
        blocks = [_serving(runner, app, scopes) for app in (_bare, guarded)]
        bare, ours = time_in_turn(blocks, _REQUESTS, recorder.seconds)
    assert verifier.cache is not None
    assert verifier.cache.info().misses == _REQUESTS
    total = summarize(ours)
    recorder.add(
        Figure(
            group="middleware",
            name="middleware on a hit",
            unit="us",
            sample=differences(ours, bare),
            budget=budgets.MIDDLEWARE_OVER_BARE,
            spread=total.spread,
            total=total.median,
            raw=summarize(bare).median,
            raw_is="the bare ASGI app",
            details={"token_bytes": len(tokens[0])},
        )
    )


async def _bare(
    scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[[Message], Any]
) -> None:
    await send(_START)
    await send(_BODY)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    return None


def _request(token: bytes) -> dict[str, Any]:
    """Give the scope that uvicorn makes of a browser's request."""
    headers = [*_HEADERS[:5], (b"authorization", b"Bearer " + token), *_HEADERS[5:]]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 51234),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/orders/17",
        "raw_path": b"/orders/17",
        "query_string": b"",
        "headers": headers,
        "state": {},
    }


def _serving(runner: asyncio.Runner, app: Any, scopes: list[dict[str, Any]]) -> Callable[[], None]:
    async def serve() -> None:
        for scope in scopes:
            await app(scope, _receive, _send)

    return lambda: runner.run(serve())
