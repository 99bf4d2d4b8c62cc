"""The introspection endpoint of an issuer, and the credentials that it asks for (RFC 7662)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from linqi.errors import (
    ConfigurationError,
    FetchFailed,
    MalformedToken,
    RefusedAnswer,
    ResponseTooLong,
)
from linqi.introspection.answer import LONGEST_ANSWER, ActiveToken, read_answer
from linqi.jose._compact import parse_object
from linqi.jwks.access import RemoteAccess, read_client_secret
from linqi.jwks.discovery import check_status
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.jwks.url import url_fault

__all__ = ["ClientAuth", "IntrospectionEndpoint"]

_FORM: Final = "application/x-www-form-urlencoded"
_ABOUT_THE_TOKEN: Final = (400, 413, 414, 422)
"""Statuses that say something of the token: they are no failure of the server, which a client
could cause at will by tokens of an odd form."""


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """How this API authenticates at the endpoint (RFC 6749, section 2.3.1).

    Attributes:
        client_id: Its name; None where a bearer token is sent.
        client_secret: The secret, or the path of its file.
        method: ``basic`` for the ``Authorization`` header, ``post`` for the form.

    """

    client_id: str | None
    client_secret: str | Path | None
    method: str

    def __repr__(self) -> str:
        return f"<ClientAuth {self.method} {self.client_id!r}>"

    def faults(self, access: RemoteAccess) -> list[str]:
        """Return what is wrong with the credentials."""
        if self.client_id is None and self.client_secret is None:
            if access.token_file is not None:
                return []
            return [
                "there are no credentials for the introspection endpoint; give client_id and"
                " client_secret, or access=RemoteAccess(token_file=...)"
            ]
        faults = []
        if not isinstance(self.client_id, str) or not self.client_id:
            faults.append("client_id is not a non-empty string")
        if not isinstance(self.client_secret, str | Path) or not str(self.client_secret):
            faults.append("client_secret is neither a non-empty string nor a Path")
        if self.method not in ("basic", "post"):
            faults.append(f"client_auth is {self.method!r}, expected 'basic' or 'post'")
        if access.token_file is not None:
            faults.append("client_id and access.token_file are both set; remove one of the two")
        return faults

    async def secret(self) -> str:
        """Return the secret; a file is read now, so that it can be replaced while this runs."""
        given = self.client_secret
        if isinstance(given, Path):
            return await asyncio.to_thread(read_client_secret, given)
        return given or ""


class IntrospectionEndpoint:
    """Asks one introspection endpoint about tokens.

    Args:
        issuer: The issuer of the tokens.
        url: The endpoint.
        auth: The credentials of this API.
        access: What a server in a private network needs.
        limits: The limits on the time and size of a response.
        client: The `httpx2.AsyncClient` to use; by default one is made.

    Raises:
        ConfigurationError: An argument is invalid; lists every fault.

    """

    def __init__(
        self,
        issuer: str,
        url: str | None,
        auth: ClientAuth,
        access: RemoteAccess,
        limits: RemoteLimits,
        client: Any,
    ) -> None:
        faults = auth.faults(access)
        if url is None:
            faults.append("there is neither the url of an introspection endpoint nor ask")
        elif (fault := url_fault(url, "url", allow_http=access.allow_http)) is not None:
            faults.append(fault)
        if faults:
            raise ConfigurationError(faults)
        self._issuer = issuer
        self._url = str(url)
        self._auth = auth
        bounded = replace(limits, max_bytes=min(limits.max_bytes, LONGEST_ANSWER))
        self._http = HttpFetch(bounded, client, access=access, named_url=self._url)

    async def ask(self, token: bytes, now: float, bound: float) -> ActiveToken | None:
        """Return what the issuer says about `token`; None if it is not active.

        Args:
            token: The token.
            now: Unix seconds.
            bound: For how many seconds the answer counts at most.

        Raises:
            FetchFailed: There is no answer.
            RefusedAnswer: The answer cannot be used, or says that no token has this form.

        """
        form = {"token": token.decode("ascii"), "token_type_hint": "access_token"}
        headers = {"accept": "application/json", "content-type": _FORM}
        client_id = self._auth.client_id
        if client_id is not None:
            secret = await self._auth.secret()
            if self._auth.method == "post":
                form |= {"client_id": client_id, "client_secret": secret}
            else:
                pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
                headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            response = await self._http(self._url, headers, content=urlencode(form).encode())
        except ResponseTooLong as error:
            raise RefusedAnswer(str(error)) from None
        status = response.status
        if status in (401, 403) or (status == 400 and _names_the_client(response.body)):
            raise FetchFailed(
                f"the introspection endpoint refuses the credentials of this API ({status})"
            )
        if status in _ABOUT_THE_TOKEN:
            raise RefusedAnswer(f"the introspection endpoint answered with {status}")
        check_status(response, "the introspection request", now)
        return read_answer(response.body, self._issuer, now, bound)

    def forget(self) -> None:
        """Drop the client made here without closing it: it belongs to another event loop."""
        self._http.forget()

    async def aclose(self) -> None:
        """Close the client, unless the caller passed it."""
        await self._http.aclose()


def _names_the_client(body: bytes) -> bool:
    """Return whether an error response is about the client (RFC 6749, section 5.2)."""
    try:
        error = parse_object(body, "answer").get("error")
    except MalformedToken:
        return False
    return error in ("invalid_client", "unauthorized_client")
