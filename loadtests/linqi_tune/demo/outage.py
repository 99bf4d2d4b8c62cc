"""An outside issuer that rotates its key and fails, and an API that keeps serving."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console

from linqi import Key, Signer
from linqi_report.processes import running
from linqi_storm.outside.issuer import AUDIENCE
from linqi_storm.report.summary import summarize
from linqi_storm.serve.verification_timer import spread_of

__all__ = ["run_outage"]

_COLD: Final = 100
"""Concurrent requests before any key has been fetched."""
_STEADY: Final = 60
"""Requests in each phase under load."""
_FLOOD: Final = 1_000
"""Requests with invented key ids while the issuer is down."""
_AT_ONCE: Final = 20
_FORGER: Final = Key.generate("ES256")


@dataclass(slots=True)
class _Phase:
    """The API's responses during one part of the run."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def refused(self) -> int:
        return sum(status != 200 for status in self.statuses)

    @property
    def p99_ms(self) -> float:
        spread = spread_of(self.seconds)
        return 0.0 if spread is None else spread.p99 * 1000


def run_outage(console: Console, folder: Path) -> bool:
    """Run issuer and API as processes with logs in `folder`; return whether every check passed."""
    with (
        running(
            ["linqi_storm.outside.issuer", "--port", "0"], folder / "issuer.log", health="/counts"
        ) as issuer,
        running(
            ["linqi_storm.outside.resource", "--issuer", issuer, "--lazy"],
            folder / "resource.log",
            health="/keys",
        ) as api,
    ):
        console.print(f"\noutside issuer at {issuer}, an API that trusts it at {api}")
        return asyncio.run(_run(console, issuer, api))


async def _run(console: Console, issuer: str, api: str) -> bool:
    async with (
        httpx2.AsyncClient(base_url=issuer, timeout=10) as outside,
        httpx2.AsyncClient(base_url=api, timeout=10) as client,
    ):
        old = await _token(outside)
        cold = await _load(client, [old] * _COLD)
        fetched = await _counts(outside)
        await _control(outside, do="rotate")
        new = await _token(outside)
        rotated = await _load(client, [old, new] * (_STEADY // 2))
        keys = (await client.get("/keys")).json()
        await _control(outside, do="fault", kind="error")
        before = await _counts(outside)
        forged = [_forged(issuer) for _ in range(_FLOOD)]
        flooded, steady = await asyncio.gather(
            _load(client, forged), _load(client, [old, new] * (_STEADY // 2))
        )
        attempts = sum(await _counts(outside)) - sum(before)
        state = (await client.get("/keys")).json()
    return summarize(
        console,
        "an outside issuer",
        [
            (
                f"{_COLD} requests at once, no key fetched yet: refused; discovery, key set",
                f"{cold.refused}; {fetched[0]}, {fetched[1]}",
                cold.refused == 0 and fetched == (1, 1),
            ),
            (
                f"{len(rotated.statuses)} requests around a rotation: refused; keys held",
                f"{rotated.refused}; {len(keys['kids'])}",
                rotated.refused == 0 and len(keys["kids"]) == 2,
            ),
            (
                f"issuer down, {len(steady.statuses)} requests with known keys: refused",
                f"{steady.refused}",
                steady.refused == 0,
            ),
            (
                f"at the same time {_FLOOD} invented key ids: 401s; requests to the issuer",
                f"{flooded.statuses.count(401)}; {attempts}",
                flooded.statuses.count(401) == _FLOOD and attempts <= 1,
            ),
            (
                "p99 with known keys before / beside the flood, sockets and queue included",
                f"{rotated.p99_ms:.0f} / {steady.p99_ms:.0f} ms",
                None,
            ),
            (
                "the known keys stay trusted for another",
                f"{state['trusted_for']:.0f} s",
                state["trusted_for"] > 0,
            ),
        ],
    )


async def _load(client: httpx2.AsyncClient, tokens: list[str]) -> _Phase:
    """Send one request for each token, a few at a time."""
    phase, gate = _Phase(), asyncio.Semaphore(_AT_ONCE)

    async def send(token: str) -> None:
        async with gate:
            began = time.perf_counter()
            answer = await client.get("/me", headers={"authorization": f"Bearer {token}"})
            phase.seconds.append(time.perf_counter() - began)
            phase.statuses.append(answer.status_code)

    await asyncio.gather(*[send(token) for token in tokens])
    return phase


async def _token(outside: httpx2.AsyncClient) -> str:
    answer = await outside.post("/token", json={})
    return str(answer.raise_for_status().json()["token"])


async def _counts(outside: httpx2.AsyncClient) -> tuple[int, int]:
    counts = (await outside.get("/counts")).json()
    return counts["discovery"], counts["jwks"]


async def _control(outside: httpx2.AsyncClient, **command: Any) -> None:
    (await outside.post("/control", json=command)).raise_for_status()


def _forged(issuer: str) -> str:
    """Return a token with an invented key id; the signing key is always the same."""
    renamed = Key.from_jwk(_FORGER.private_jwk() | {"kid": secrets.token_hex(8)})
    now = int(time.time())
    signer = Signer(renamed, issuer=issuer, audience=AUDIENCE)
    return signer.sign({"sub": "mallory", "iat": now, "exp": now + 900})
