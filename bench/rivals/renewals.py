"""Signs in to the rivals that renew or revoke, and records how their sessions behave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import httpx2

from rivals.catalogue import Rival
from rivals.environments import Environment
from rivals.processes import running_servers
from rivals.tokens import Mint

__all__ = ["PARALLEL", "observe_renewals"]

PARALLEL: Final = 20
"""Requests that present one token at once."""
_SUCCESSOR: Final = "x-refresh-token"
_COOKIE: Final = "access_token_cookie"


def observe_renewals(rival: Rival, environment: Environment, folder: Path) -> dict[str, str]:
    """Return what `rival` did, by question; empty where it neither renews nor revokes."""
    if not rival.renews:
        return {}
    path = folder / f"{rival.app}-renewing.json"
    Mint("HS256").material.write(path)
    command = environment.command(rival, "serve", "renewing", str(path))
    with running_servers([command], path.with_suffix(".log")) as (server,):
        return asyncio.run(_ask(f"http://127.0.0.1:{server.port}"))


async def _ask(url: str) -> dict[str, str]:
    async with httpx2.AsyncClient(base_url=url, timeout=10) as client:
        answer = await client.post("/login")
        signed_in = answer.json() or {"access_token": answer.headers["authorization"][7:]}
        holder = _Holder(client, signed_in["access_token"], by_cookie=_COOKIE in answer.cookies)
        client.cookies.clear()
        crowd = f"{PARALLEL} requests at once with one near-expiry token"
        found = {crowd: _successors(await holder.present("GET", "/me", PARALLEL))}
        refresh = signed_in.get("refresh_token")
        if refresh:
            for name, count in (
                (f"{PARALLEL} uses at once of one refresh token", PARALLEL),
                ("the same refresh token once more", 1),
            ):
                found[name] = _refreshed(await _refresh(client, refresh, count))
        await holder.revoke()
        (after,) = await holder.present("GET", "/me", 1)
        found["the access token after its session was revoked"] = _word(after)
        found["a successor for it after that"] = _successors([after])
        successor = _successor(after)
        if successor:
            later = _Holder(client, successor, by_cookie=holder.by_cookie)
            found["that successor"] = _word((await later.present("GET", "/me", 1))[0])
        if refresh:
            found["its refresh token after that"] = _refreshed(await _refresh(client, refresh, 1))
        return found


class _Holder:
    """A client that holds an access token, and presents it in the way it was issued."""

    def __init__(self, client: httpx2.AsyncClient, token: str, *, by_cookie: bool) -> None:
        self._client = client
        self.by_cookie = by_cookie
        self._headers = (
            {"Cookie": f"{_COOKIE}={token}"} if by_cookie else {"Authorization": f"Bearer {token}"}
        )

    async def present(self, method: str, path: str, count: int) -> list[httpx2.Response]:
        """Send `count` requests at once."""
        return await _together(self._client, method, path, self._headers, count)

    async def revoke(self) -> None:
        """Use the route of ours, or where there is none the library's own logout."""
        (answer,) = await self.present("POST", "/revoke", 1)
        if answer.status_code == 404:
            await self.present("POST", "/auth/logout", 1)


async def _refresh(client: httpx2.AsyncClient, token: str, count: int) -> list[httpx2.Response]:
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"refreshToken={token}"}
    return await _together(client, "POST", "/refresh", headers, count)


async def _together(
    client: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str], count: int
) -> list[httpx2.Response]:
    requests = [client.request(method, path, headers=headers) for _ in range(count)]
    return [*await asyncio.gather(*requests)]


def _successors(responses: list[httpx2.Response]) -> str:
    """Count the successors received in a header or a cookie."""
    found = [token for response in responses if (token := _successor(response))]
    if not found:
        return "none"
    return f"{len(set(found))} different in {len(found)} responses"


def _successor(response: httpx2.Response) -> str | None:
    header: str | None = response.headers.get(_SUCCESSOR)
    if header:
        return header
    for cookie in response.headers.get_list("set-cookie"):
        name, _, value = cookie.partition(";")[0].partition("=")
        if name == _COOKIE:
            return str(value)
    return None


def _refreshed(responses: list[httpx2.Response]) -> str:
    tokens = [_json(response).get("access_token") for response in responses if _is_ok(response)]
    if not tokens:
        return f"refused ({responses[0].status_code})"
    return f"{len(set(tokens))} different access tokens in {len(tokens)} responses"


def _json(response: httpx2.Response) -> dict[str, Any]:
    members: dict[str, Any] = response.json()
    return members


def _is_ok(response: httpx2.Response) -> bool:
    return response.status_code == 200


def _word(response: httpx2.Response) -> str:
    return "accepted" if _is_ok(response) else f"refused ({response.status_code})"
