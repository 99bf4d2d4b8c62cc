"""Suite: what the middleware adds to an ASGI request, without sockets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import pytest

from linqi import JWTMiddleware, SlidingRenewal, VerifiedCache, Verifier
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import differences, summarize, time_in_turn
from linqi_bench.tokens import Case

_REQUESTS: Final = 100
_WAYS: Final = {
    "public": "public path",
    "hit": "cached token",
    "miss": "token not cached",
    "near": "near expiry, successor known",
    "refused": "refused token",
}
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

__all__ = ["bare_app", "request_of", "send_nowhere", "take_nothing"]

Message = MutableMapping[str, Any]


@pytest.mark.parametrize("way", ["public", "hit", "near", "refused"])
def test_middleware(recorder: Recorder, way: str) -> None:
    """Ten headers, GET, renewal on, default hooks, log level ERROR, beside the bare app."""
    case, settings = Case.of("HS256"), recorder.settings.renewal
    tokens = case.tokens(_REQUESTS)
    now = time.time
    if way == "near":
        starting = SlidingRenewal(case.signer, settings)
        begun = [starting.start(f"user-{number}") for number in range(_REQUESTS)]
        tokens = [issued.token.encode() for issued in begun]
        near = min(issued.expires_at for issued in begun) - settings.buffer / 2
        now = lambda: near  # noqa: E731 - a clock
    elif way == "refused":
        tokens = [token[:-2] for token in tokens]
    verifier = Verifier(
        case.verifier(None).issuers, cache=recorder.settings.cache(lifetime=3600), clock=now
    )
    renewal = SlidingRenewal(case.signer, settings, clock=now)
    guarded = JWTMiddleware(
        bare_app,
        verifier,
        renewal=renewal,
        public=["/orders/17"] if way == "public" else [],
        clock=now,
    )
    _measure(recorder, way, guarded, tokens)
    assert verifier.cache is not None
    assert len(verifier.cache) == (_REQUESTS if way in ("hit", "near") else 0)


def test_middleware_on_miss(recorder: Recorder) -> None:
    """The same where no cache has the token."""
    case = Case.of("HS256")
    guarded = JWTMiddleware(
        bare_app,
        case.verifier(VerifiedCache(max_entries=_REQUESTS // 2)),  # evicted before it returns
        renewal=SlidingRenewal(case.signer, recorder.settings.renewal),
    )
    _measure(recorder, "miss", guarded, case.tokens(_REQUESTS))


def _measure(recorder: Recorder, way: str, guarded: JWTMiddleware, tokens: list[bytes]) -> None:
    logger = logging.getLogger("linqi")
    before, level = logger.level, logging.ERROR  # the cost of logging depends on the application
    logger.setLevel(level)
    scopes = [request_of(token) for token in tokens]
    with asyncio.Runner() as runner:
        blocks = [_serving(runner, app, scopes) for app in (bare_app, guarded)]
        bare, ours = time_in_turn(blocks, _REQUESTS, recorder.seconds / 2)
    logger.setLevel(before)
    recorder.add(
        Figure(
            id=f"middleware.{way}",
            name=f"middleware, {_WAYS[way]}",
            unit="us",
            value=summarize(ours),
            over=differences(ours, bare),
            raw=summarize(bare).median,
            raw_is="the bare ASGI app",
            details={"token_bytes": len(tokens[0])},
        )
    )
    if way == "hit":
        recorder.add(
            Figure(id="middleware.bare", name="the bare ASGI app", unit="us", value=summarize(bare))
        )


async def bare_app(
    scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[[Message], Any]
) -> None:
    """Answer 200 with two bytes."""
    await send(_START)
    await send(_BODY)


async def take_nothing() -> Message:
    """Return an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send_nowhere(message: Message) -> None:
    """Discard what an application sends."""
    return


def request_of(token: bytes) -> dict[str, Any]:
    """Return the scope that uvicorn makes of a browser's request."""
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
            await app(scope, take_nothing, send_nowhere)

    return lambda: runner.run(serve())
