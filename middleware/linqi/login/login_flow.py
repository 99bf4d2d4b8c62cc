"""Sign-in and sign-out from a program, by POST to ``/login`` and ``/logout``."""

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
    """Sign in at the first of `login_urls` that returns a refresh token.

    Returns:
        The URL and the tokens; None if the user name or the password is wrong.

    Raises:
        ConfigurationError: None of the URLs is such a route.
        Unavailable: The server is unavailable or throttles sign-ins.

    """
    faults = []
    for url in login_urls:
        response = _post(url, username=username, password=password, device="linqi login")
        if response.is_refusal:
            return None
        if response.status in {0, 429} or response.status >= 500:
            raise _unavailable(url, response)
        if response.status == 200:
            try:
                tokens = tokens_of(response.body, None)
            except MalformedToken:
                faults.append(f"{url} returned no token")
                continue
            if tokens.refresh_token:
                return url, tokens
            faults.append(f"{url} returned no refresh token, so the session could not be renewed")
        elif 300 <= response.status < 400:
            faults.append(
                f"{url} answered {response.status}; redirects are not followed, use the final URL"
            )
        else:
            faults.append(f"{url} answered {response.status}; set the login route by --login-path")
    raise ConfigurationError(faults)


def sign_out(login: SavedLogin, tokens: ClientTokens) -> None:
    """Revoke the session at the server.

    Raises:
        Unavailable: The server did not confirm it.

    """
    url = login.beside("logout")
    response = _post(url, tokens.refresh_token)
    if response.status not in {200, 204}:
        raise _unavailable(url, response)


def _post(url: str, refresh_token: str = "", **fields: str) -> PostResponse:
    import httpx2

    async def send() -> PostResponse:
        async with httpx2.AsyncClient() as client:
            return await post(client, url, refresh_token, **fields)

    return asyncio.run(send())


def _unavailable(url: str, response: PostResponse) -> Unavailable:
    status, wait = response.status, response.retry_after
    why = f"answered {status}" if status else f"could not be reached: {response.detail}"
    retry = f"; try again in {wait:.0f} s" if wait else ""
    return Unavailable(f"{url} {why}{retry}", retry_after=wait or 1.0)
