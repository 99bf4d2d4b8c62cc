"""A person who signs in and out from a program: the posts to ``/login`` and ``/logout``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from linqi.client.http_post import PostResponse, post
from linqi.client.tokens import ClientTokens, tokens_of
from linqi.errors import ConfigurationError, MalformedToken, Unavailable
from linqi.login.saved_logins import SavedLogin

__all__ = ["sign_in", "sign_out"]


def sign_in(
    login_urls: Sequence[str], username: str, password: str
) -> tuple[str, ClientTokens] | None:
    """Sign in at the first of `login_urls` that is a login route of dual tokens; say which.

    None when the name or the password is wrong. `ConfigurationError` when none of them is such a
    route, `Unavailable` when the server is away or asks to wait.
    """
    faults = []
    for url in login_urls:
        answer = _post(url, username=username, password=password, device="linqi login")
        if answer.is_refusal:
            return None
        if answer.status in {0, 429} or answer.status >= 500:
            raise _unavailable(url, answer)
        if answer.status == 200:
            try:
                tokens = tokens_of(answer.body, None)
            except MalformedToken:
                faults.append(f"{url} gave no token")
                continue
            if tokens.refresh_token:
                return url, tokens
            faults.append(f"{url} gave no refresh token: there is nothing to renew with")
        elif 300 <= answer.status < 400:
            faults.append(f"{url} answered {answer.status}; give the address it really has")
        else:
            faults.append(f"{url} answered {answer.status}; --login-path says where to sign in")
    raise ConfigurationError(faults)


def sign_out(login: SavedLogin, tokens: ClientTokens) -> None:
    """Revoke the session at the server; `Unavailable` when it did not say that it is."""
    url = login.beside("logout")
    answer = _post(url, tokens.refresh_token)
    if answer.status not in {200, 204}:
        raise _unavailable(url, answer)


def _post(url: str, refresh_token: str = "", **fields: str) -> PostResponse:
    import httpx2

    async def ask() -> PostResponse:
        async with httpx2.AsyncClient() as client:
            return await post(client, url, refresh_token, **fields)

    return asyncio.run(ask())


def _unavailable(url: str, answer: PostResponse) -> Unavailable:
    why = f"answered {answer.status}" if answer.status else f"could not be reached: {answer.detail}"
    wait = f"; try again in {answer.retry_after:.0f} s" if answer.retry_after else ""
    return Unavailable(f"{url} {why}{wait}", retry_after=answer.retry_after or 1.0)
