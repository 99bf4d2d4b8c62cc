"""A client of one issuer's key set: discovery, conditional requests, the shared snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from linqi.errors import FetchFailed, InvalidKey
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.jwks.discovery import discover, fetch_document
from linqi.jwks.freshness import RefreshSettings
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.jwks.location import KeySetLocation
from linqi.jwks.published import PublishedKeys, read_published
from linqi.jwks.sharing import SharedSnapshot
from linqi.jwks.snapshot import Snapshot

__all__ = ["JwksClient", "KeySetResponse"]

_DISCOVERED_SECONDS = 86_400
"""How long a discovered ``jwks_uri`` is used before discovery is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySetResponse:
    """A key set and its freshness."""

    published: PublishedKeys
    age: float
    """Seconds since the issuer sent it; more than 0 for a snapshot."""
    lifetime: float
    """Seconds for which it is fresh, counted from when the issuer sent it."""
    is_own: bool
    """Whether this process has just requested it."""


class JwksClient:
    """Fetches the key set of one issuer, and remembers its URL, ETag and last response.

    Args:
        location: The issuer, and where its key set is.
        algorithms: The algorithms whose keys are used.
        settings: The bounds of lifetimes, cooldown and backoff.
        limits: The limits on time and size.
        fetch: Makes one GET.
        share: The snapshot shared with other processes, or None.
        clock: Returns Unix seconds.

    """

    def __init__(
        self,
        location: KeySetLocation,
        algorithms: Sequence[str],
        *,
        settings: RefreshSettings,
        limits: RemoteLimits,
        fetch: HttpFetch,
        share: SharedSnapshot | None,
        clock: Callable[[], float],
    ) -> None:
        self.snapshot = Snapshot(issuer=location.issuer)
        """The last response, in the form that can be saved."""
        self.requests = 0
        """How often this process requested keys from the issuer."""
        self._published: PublishedKeys | None = None
        self._algorithms = tuple(algorithms)
        self._location = location
        self._url = location.url
        self._url_found_at = 0.0
        self._settings = settings
        self._limits = limits
        self._http = fetch
        self._share = share
        self._clock = clock

    @property
    def share_fault(self) -> str:
        """Why sharing failed the last time; empty if it did not."""
        return "" if self._share is None else self._share.fault

    async def fetch(self, *, is_forced: bool) -> KeySetResponse:
        """Return the issuer's key set, or a usable response that another process has shared.

        With a shared snapshot, all processes together send no more requests than one alone: a
        failure of another process within the cooldown counts, too.

        Args:
            is_forced: The set at hand lacks a key id, so that it is fetched before its time.

        Raises:
            FetchFailed: There is no response within the limits.
            InvalidKey: The response is not a key set, or no key of it can be used.

        """
        if self._share is None:
            return await self._request(is_forced)
        async with self._share.turn():
            shared = await self._share.read()
            if shared is not None:
                response = self._from_other_process(shared, is_forced)
                if response is not None:
                    return response
            try:
                return await self._request(is_forced)
            finally:
                await self._share.write(self.snapshot)

    def use_snapshot(self, snapshot: Snapshot) -> KeySetResponse | None:
        """Use `snapshot` as the issuer's response, and return it.

        Returns:
            None if the snapshot is not newer than the response at hand, too old to be trusted, or
            from a URL that the settings do not allow.

        Raises:
            InvalidKey: No key of it can be used.

        """
        now = self._clock()
        age = max(0.0, now - snapshot.fetched_at)
        lifetime = min(
            max(snapshot.lifetime_seconds, self._settings.least_lifetime),
            self._settings.most_lifetime,
        )
        if not snapshot.has_keys or snapshot.fetched_at <= self.snapshot.fetched_at:
            return None
        if snapshot.url and not self._location.is_of(snapshot.url):
            return None
        # From further in the future it is of another clock.
        if snapshot.fetched_at > now + LONGEST_LEEWAY or age >= lifetime + self._settings.stale:
            return None
        self._published = self._parse(snapshot.jwks.encode())
        if self._url is None and snapshot.url:
            self._url, self._url_found_at = snapshot.url, snapshot.fetched_at
        self.snapshot = snapshot
        return KeySetResponse(published=self._published, age=age, lifetime=lifetime, is_own=False)

    def _from_other_process(self, shared: Snapshot, is_forced: bool) -> KeySetResponse | None:
        """Return a usable response from another process, or None.

        Raises:
            FetchFailed: The request of another process failed within the cooldown.

        """
        try:
            response = self.use_snapshot(shared)
        except InvalidKey:
            response = None  # damaged, or for other algorithms: send a request of our own
        self.snapshot = msgspec.structs.replace(
            self.snapshot,
            attempted_at=shared.attempted_at,
            forced_at=shared.forced_at,
            retry_at=shared.retry_at,
            failures=shared.failures,
        )
        if response is not None:
            return response
        now, cooldown = self._clock(), self._settings.cooldown
        asked_wait = shared.retry_at - now
        if shared.failures and (
            0 <= now - shared.attempted_at < cooldown
            or 0 < asked_wait <= self._settings.longest_backoff
        ):
            raise FetchFailed(
                "another process has just failed to fetch the key set",
                retry_after=asked_wait if asked_wait > 0 else None,
            )
        if is_forced and self._published is not None and 0 <= now - shared.forced_at < cooldown:
            return KeySetResponse(
                published=self._published,
                age=max(0.0, now - self.snapshot.fetched_at),
                lifetime=self.snapshot.lifetime_seconds,
                is_own=False,
            )
        return None

    async def _request(self, is_forced: bool) -> KeySetResponse:
        now = self._clock()
        self.requests += 1
        self.snapshot = msgspec.structs.replace(
            self.snapshot,
            attempted_at=now,
            forced_at=now if is_forced else self.snapshot.forced_at,
            retry_at=0.0,
            failures=self.snapshot.failures + 1,  # reset on success
        )
        try:
            await self._http.prepare()
            async with asyncio.timeout(self._limits.timeout):
                return await self._fetch_keys(now)
        except TimeoutError:
            self._url = self._location.url
            raise FetchFailed(f"no complete response within {self._limits.timeout:g} s") from None
        except BaseException as error:
            self._url = self._location.url  # the jwks_uri may have changed
            if isinstance(error, FetchFailed) and error.retry_after is not None:
                wait = min(error.retry_after, self._settings.longest_backoff)
                self.snapshot = msgspec.structs.replace(self.snapshot, retry_at=now + wait)
            raise

    async def _fetch_keys(self, now: float) -> KeySetResponse:
        if self._location.url is None and abs(now - self._url_found_at) >= _DISCOVERED_SECONDS:
            self._url = None
        if self._url is None:
            self._url = await discover(self._http, self._location, now)
            self._url_found_at = now
        held = self._published if self._url == self.snapshot.url else None
        # A certificate may have ended since, so that a map of them is always read anew.
        is_dated = self._location.keys_format == "certificates"
        etag = "" if held is None or is_dated else self.snapshot.etag
        document = await fetch_document(self._http, self._url, etag, self._settings, now)
        if document.body is None and held is not None:
            published, jwks = held, self.snapshot.jwks
        else:
            body = document.body or b""
            published, jwks = self._parse(body), body.decode()
        self._published = published
        self.snapshot = msgspec.structs.replace(
            self.snapshot,
            url=self._url,
            jwks=jwks,
            etag=document.etag,
            fetched_at=now,
            lifetime_seconds=document.lifetime,
            failures=0,
        )
        return KeySetResponse(published=published, age=0, lifetime=document.lifetime, is_own=True)

    def _parse(self, body: bytes) -> PublishedKeys:
        return read_published(
            body,
            self._algorithms,
            self._limits.max_keys,
            self._location.keys_format,
            self._clock(),
        )
