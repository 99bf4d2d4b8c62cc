"""One request to an issuer, bounded in time and size."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from linqi._ranges import Range, Ranges, range_faults
from linqi._single_flight import SingleFlight
from linqi.errors import ConfigurationError, FetchFailed
from linqi.jwks._body import CODINGS, BoundedBody
from linqi.jwks.access import RemoteAccess, read_authorities, read_token, tls_context
from linqi.jwks.url import origin_of

if TYPE_CHECKING:
    import httpx2

__all__ = ["Fetch", "HttpFetch", "HttpResponse", "RemoteLimits"]

_MAKING_SECONDS: Final = 60.0
"""Longer than the work takes with a tenth of a core; a file may also be on a disk that hangs."""
_ACCEPT: Final = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"
"""A server that negotiates strictly has the key set's own type (RFC 7517, section 8.5.2), JSON, or
calls it something else: what is sent is judged by its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """The limits on an issuer's responses, and on unknown key ids in tokens.

    Raises:
        ConfigurationError: A limit is out of its range; lists every fault.

    """

    RANGES: ClassVar[Ranges] = {
        "timeout": Range(0.1, 60, "seconds"),
        "max_bytes": Range(1024, 4_194_304, "bytes", is_whole=True),
        "max_keys": Range(1, 1000, is_whole=True),
        "unknown_kids": Range(1, 65_536, is_whole=True),
        "unknown_seconds": Range(1, 3600, "seconds"),
        "new_kids": Range(1, 1000, is_whole=True),
    }

    timeout: float = 5.0
    """Seconds for one fetch to the last byte, discovery included; 0.1 to 60, default 5."""
    max_bytes: int = 262_144
    """Bytes of a body after decompression; 1,024 to 4,194,304, default 262,144."""
    max_keys: int = 64
    """Keys in a set; 1 to 1,000, default 64."""
    unknown_kids: int = 256
    """Unknown key ids that are remembered; 1 to 65,536, default 256."""
    unknown_seconds: float = 300
    """Seconds for which a key id that a fetch did not bring is refused without another fetch; 1
    to 3,600, default 300."""
    new_kids: int = 8
    """Unknown key ids that are fetched within a cooldown where each key has a URL of its own, as
    those of AWS load balancers; 1 to 1,000, default 8."""

    def __post_init__(self) -> None:
        if faults := range_faults(self.RANGES, self):
            raise ConfigurationError(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response of an issuer."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    """Decompressed."""


Fetch: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[HttpResponse]]
"""Makes one GET with the given headers; raises `FetchFailed` without a response within limits."""


class HttpFetch:
    """Makes bounded requests with httpx2, or with a compatible client such as httpx.

    Redirects are not followed (PyJWT, GHSA-9v7f). The size of the body is checked while it is
    received and decompressed. One timeout covers the whole request.

    Args:
        limits: The limits on time and size.
        client: The client to use, which is not closed; by default one is made.
        access: What a server in a private network needs. Its files are read for each request, so
            that a certificate or token that has been replaced counts at once.
        named_url: The URL that the configuration names. The token is sent to its origin only, and
            not where a response leads: there it would be stolen.

    Raises:
        ConfigurationError: httpx2 is not installed and no client is given, or a client and
            certificates are.

    """

    def __init__(
        self,
        limits: RemoteLimits | None = None,
        client: httpx2.AsyncClient | Any | None = None,
        *,
        access: RemoteAccess | None = None,
        named_url: str = "",
    ) -> None:
        if client is None and importlib.util.find_spec("httpx2") is None:
            raise ConfigurationError(
                ["httpx2 is not installed; pip install 'linqi[remote]', or pass client="]
            )
        self._access = access or RemoteAccess()
        if client is not None and self._access.ca_file is not None:
            raise ConfigurationError(
                ["ca_file has no effect on a client= of your own; give it the certificates"]
            )
        self._limits = limits or RemoteLimits()
        self._client = client
        self._is_own = client is None
        self._certificates: str | None = None
        self._replaced: httpx2.AsyncClient | None = None
        self._making: SingleFlight[str, None] = SingleFlight()
        self._token_origins = {origin_of(named_url)} - {None}

    async def __call__(
        self, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> HttpResponse:
        """Return the response to a GET of `url`, or to a POST of `content`.

        Raises:
            FetchFailed: There is no response within the limits.

        """
        try:
            client = await self._current_client()
            async with asyncio.timeout(self._limits.timeout):
                return await self._request(client, url, headers, content)
        except TimeoutError:
            raise FetchFailed(f"no complete response within {self._limits.timeout:g} s") from None
        except FetchFailed:
            raise
        except Exception as error:
            # The client may raise anything.
            raise FetchFailed(f"no response: {type(error).__name__}: {error}") from error

    async def prepare(self) -> None:
        """Make the client if there is none, before a limit on time begins.

        It is the work of this process, and not of the issuer: importing httpx2 and reading the
        public certificates takes seconds on a busy machine or with a tenth of a core.

        Raises:
            FetchFailed: The file of certificates cannot be used, or was not read in a minute.

        """
        await self._current_client()

    def forget(self) -> None:
        """Drop the client made here without closing it: it belongs to another event loop."""
        self._making = SingleFlight()
        if self._is_own:
            self._client = self._replaced = None

    async def aclose(self) -> None:
        """Close the client, unless the caller passed it."""
        if not self._is_own:
            return
        clients = self._client, self._replaced
        self._client = self._replaced = None
        for client in clients:
            if client is not None:
                await client.aclose()

    async def _request(
        self, client: Any, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> HttpResponse:
        sent = {"accept": _ACCEPT, "accept-encoding": CODINGS, **headers}
        if self._access.token_file is not None and origin_of(url) in self._token_origins:
            token = await asyncio.to_thread(read_token, self._access.token_file)
            sent["authorization"] = f"Bearer {token}"
        async with client.stream(
            "GET" if content is None else "POST",
            url,
            headers=sent,
            content=content,
            follow_redirects=False,
            timeout=self._limits.timeout,
        ) as response:
            got = {name.lower(): value for name, value in response.headers.items()}
            body = BoundedBody(got.get("content-encoding", ""), self._limits.max_bytes)
            async for chunk in response.aiter_raw():
                body.feed(chunk)
            return HttpResponse(status=response.status_code, headers=got, body=body.end())

    async def _current_client(self) -> Any:
        """Return the client; another one if the file of certificates has changed.

        The connections of the client before were made by the earlier certificates. It is closed at
        the change after this one, because other requests may still use it.
        """
        file = self._access.ca_file
        if not self._is_own or (file is None and self._client is not None):
            return self._client
        try:
            async with asyncio.timeout(_MAKING_SECONDS):
                await self._make(file)
        except TimeoutError:
            raise FetchFailed(f"the HTTP client was not made in {_MAKING_SECONDS:g} s") from None
        return self._client

    async def _make(self, file: str | Path | None) -> None:
        certificates = None if file is None else await asyncio.to_thread(read_authorities, file)
        if self._client is None or certificates != self._certificates:
            # Once for all requests: one whose client is dropped loses its connection.
            await self._making(certificates or "", lambda: self._replace(certificates))

    async def _replace(self, certificates: str | None) -> None:
        # In a thread: reading the public certificates takes tens of milliseconds.
        client = await asyncio.to_thread(_client_for, certificates)
        before, self._replaced = self._replaced, self._client
        self._client, self._certificates = client, certificates
        if before is not None:
            await before.aclose()


def _client_for(certificates: str | None) -> httpx2.AsyncClient:
    import httpx2

    if certificates is None:
        return httpx2.AsyncClient()
    return httpx2.AsyncClient(verify=tls_context(certificates))
