"""The door to HTTP: one bounded GET to an issuer."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError, FetchFailed
from linqi.jwks._body import CODINGS, BoundedBody

if TYPE_CHECKING:
    import httpx2

__all__ = ["Fetch", "HttpFetch", "HttpResponse", "RemoteLimits", "is_loopback_url", "url_fault"]

# Stricter than RFC 3986, so that no two readers of a URL can see two hosts in it.
_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_LONGEST_URL: Final = 2048
_ACCEPT: Final = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1"
"""A server that negotiates strictly has the key set's own type (RFC 7517, section 8.5.2), JSON, or
calls it something else: what is sent is judged by its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLimits:
    """How much an issuer, and whoever names its keys, may ask of us."""

    RANGES: ClassVar[Ranges] = {
        "timeout": Range(0.1, 60, "seconds"),
        "max_bytes": Range(1024, 4_194_304, "bytes", is_whole=True),
        "max_keys": Range(1, 1000, is_whole=True),
        "unknown_kids": Range(1, 65_536, is_whole=True),
        "unknown_seconds": Range(1, 3600, "seconds"),
    }

    timeout: float = 5.0
    """Seconds for asking an issuer once, discovery included, to the last byte; 0.1 to 60."""
    max_bytes: int = 262_144
    """The body, inflated; 1,024 to 4,194,304."""
    max_keys: int = 64
    """Keys in a set; 1 to 1,000."""
    unknown_kids: int = 256
    """How many unknown key ids are remembered; 1 to 65,536."""
    unknown_seconds: float = 300
    """How long one that a fetch did not bring is refused without another; 1 to 3,600."""

    def __post_init__(self) -> None:
        if faults := range_faults(self.RANGES, self):
            raise ConfigurationError(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An answer; ``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Fetch: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[HttpResponse]]
"""Makes one GET with the given headers; `FetchFailed` when there is no answer within limits."""


class HttpFetch:
    """GET over httpx2 or a client that is used like it, such as httpx's.

    Redirects are not followed (PyJWT, GHSA-9v7f), the body is counted while it comes in and while
    it is inflated, and the limit on time is one for everything.
    """

    def __init__(
        self, limits: RemoteLimits | None = None, client: httpx2.AsyncClient | Any | None = None
    ) -> None:
        if client is None and importlib.util.find_spec("httpx2") is None:
            raise ConfigurationError(
                ["httpx2 is not installed; pip install 'linqi[remote]', or pass client="]
            )
        self._limits = limits or RemoteLimits()
        self._client = client
        self._is_own = client is None

    async def __call__(self, url: str, headers: Mapping[str, str]) -> HttpResponse:
        """Give the answer to a GET of `url`."""
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await self._get(url, headers)
        except TimeoutError:
            raise FetchFailed(f"no whole answer within {self._limits.timeout:g} s") from None
        except FetchFailed:
            raise
        except Exception as error:
            # One door for whatever the client throws.
            raise FetchFailed(f"no answer: {type(error).__name__}: {error}") from error

    def forget(self) -> None:
        """Leave a client of our own behind: it belongs to an event loop that is not ours."""
        if self._is_own:
            self._client = None

    async def aclose(self) -> None:
        """Close the client, unless the caller passed it."""
        if self._is_own and self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _get(self, url: str, headers: Mapping[str, str]) -> HttpResponse:
        if self._client is None:
            import httpx2

            # In a thread: reading the certificates takes tens of milliseconds.
            self._client = await asyncio.to_thread(httpx2.AsyncClient)
        sent = {"accept": _ACCEPT, "accept-encoding": CODINGS, **headers}
        async with self._client.stream(
            "GET", url, headers=sent, follow_redirects=False, timeout=self._limits.timeout
        ) as response:
            got = {name.lower(): value for name, value in response.headers.items()}
            body = BoundedBody(got.get("content-encoding", ""), self._limits.max_bytes)
            async for chunk in response.aiter_raw():
                body.feed(chunk)
            return HttpResponse(status=response.status_code, headers=got, body=body.end())


def url_fault(url: object, what: str, *, is_plain_allowed: bool = True) -> str | None:
    """Tell what is wrong with `url`, called `what`, as an address to fetch keys from.

    ``http`` is for loopback, and only where `is_plain_allowed`: a remote issuer must not send us
    to the services of our own machine.
    """
    found = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= _LONGEST_URL else None
    if found is None:
        return f"{what} is not a plain https URL without user name, fragment or white space"
    if found[1] == "http" and not (is_plain_allowed and is_loopback_url(str(url))):
        return f"{what} is http; keys are fetched by https, except from loopback by loopback"
    return None


def is_loopback_url(url: str) -> bool:
    """Tell whether the host of `url` is this machine by its literal address or ``localhost``."""
    found = _URL.fullmatch(url)
    if found is None:
        return False
    host = found[2].strip("[]").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
