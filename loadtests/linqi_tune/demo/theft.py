"""Dual tokens on two workers: parallel tabs, a lost reply, a thief, a sign-out."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any, Final

import httpx2
from rich.console import Console

from linqi_report.processes import running
from linqi_storm.report.summary import summarize
from linqi_storm.serve.server import PASSWORD_VARIABLE

__all__ = ["run_theft"]

_GRACE: Final = 1.0
_TABS: Final = 5
_MOST_SECONDS: Final = 5.0


def run_theft(console: Console, folder: Path) -> bool:
    """Run two workers on one SQLite file, logs in `folder`; return whether every check passed."""
    password = secrets.token_urlsafe(12)
    arguments = ["linqi_storm.serve.dual", "--data", str(folder / "dual")]
    arguments += ["--store", f"sqlite:{folder / 'sessions.db'}", "--grace-seconds", f"{_GRACE:g}"]
    environment = {PASSWORD_VARIABLE: password}
    with (
        running(arguments, folder / "one.log", health="/healthz", environment=environment) as one,
        running(arguments, folder / "two.log", health="/healthz", environment=environment) as two,
    ):
        console.print(f"\ndual tokens on SQLite, workers at {one} and {two}")
        return asyncio.run(_run(console, one, two, password))


async def _run(console: Console, one: str, two: str, password: str) -> bool:
    async with (
        httpx2.AsyncClient(base_url=one, timeout=10) as first,
        httpx2.AsyncClient(base_url=two, timeout=10) as second,
    ):
        pair = await _login(first, password)
        tabs = await asyncio.gather(
            *[_refresh(worker, pair) for worker in (first, second) for _ in range(_TABS)]
        )
        successors = {answer.json().get("refresh_token") for answer in tabs}
        held = tabs[0].json()
        await _refresh(first, held)  # the response is lost
        await asyncio.sleep(_GRACE + 0.2)
        recovered = await _refresh(second, held)
        stolen = recovered.json()
        mine = (await _refresh(first, stolen)).json()
        mine = (await _refresh(second, mine)).json()
        before = await _me(second, mine)
        thief = await _refresh(first, stolen)
        reuse_seen = await _seconds_until_refused(second, mine)
        victim = await _refresh(second, mine)
        other = await _login(first, password)
        await _me(second, other)
        out = await first.post("/logout", json={"refresh_token": other["refresh_token"]})
        logout_seen = await _seconds_until_refused(second, other)
    return summarize(
        console,
        "dual tokens",
        [
            (
                f"{2 * _TABS} parallel refreshes on two workers: 200s, distinct successors",
                f"{sum(a.status_code == 200 for a in tabs)}, {len(successors)}",
                len(successors) == 1 and all(a.status_code == 200 for a in tabs),
            ),
            (
                "a token whose response was lost, presented after the grace at the other worker",
                _seen(recovered),
                recovered.headers.get("x-refresh-outcome") == "recovered",
            ),
            (
                "a stolen token, used after its owner used the successor",
                _seen(thief),
                thief.headers.get("x-refresh-outcome") == "reused",
            ),
            (
                "the owner's access token at the other worker: before, refused after",
                f"{before}, {reuse_seen * 1000:.0f} ms",
                before == 200 and reuse_seen < _MOST_SECONDS,
            ),
            ("the owner's refresh token", _seen(victim), victim.status_code == 400),
            (
                "signed out at one worker: refused at the other after",
                f"{out.status_code}, {logout_seen * 1000:.0f} ms",
                out.status_code == 204 and logout_seen < _MOST_SECONDS,
            ),
        ],
    )


async def _login(worker: httpx2.AsyncClient, password: str) -> dict[str, Any]:
    answer = await worker.post("/login", json={"username": "alice", "password": password})
    return dict(answer.raise_for_status().json())


async def _refresh(worker: httpx2.AsyncClient, pair: dict[str, Any]) -> httpx2.Response:
    return await worker.post("/refresh", json={"refresh_token": pair["refresh_token"]})


async def _me(worker: httpx2.AsyncClient, pair: dict[str, Any]) -> int:
    bearer = {"authorization": f"Bearer {pair['access_token']}"}
    return (await worker.get("/me", headers=bearer)).status_code


async def _seconds_until_refused(worker: httpx2.AsyncClient, pair: dict[str, Any]) -> float:
    """Return the seconds until the access token is refused, at most `_MOST_SECONDS`."""
    began = time.perf_counter()
    while (taken := time.perf_counter() - began) < _MOST_SECONDS:
        if await _me(worker, pair) == 401:
            return taken
    return _MOST_SECONDS


def _seen(answer: httpx2.Response) -> str:
    return f"{answer.status_code} {answer.headers.get('x-refresh-outcome', '')}"
