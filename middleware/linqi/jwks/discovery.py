"""Where an issuer publishes its keys, and what it answers there."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass

from linqi.errors import FetchFailed, MalformedToken
from linqi.jose._compact import parse_object
from linqi.jwks.freshness import RefreshSettings, lifetime_of, retry_after_of
from linqi.jwks.http import Fetch, HttpResponse, is_loopback_url, url_fault

__all__ = ["KeyDocument", "discover", "discovery_url", "fetch_document"]

_MOST_MEMBERS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDocument:
    """An answer of the key set's address."""

    body: bytes | None
    """None where the issuer says that nothing changed (304)."""
    etag: str
    lifetime: float
    """Seconds, within the settings' bounds."""


def discovery_url(issuer: str) -> str:
    """Give the address of `issuer`'s metadata (OpenID Connect Discovery 1.0, section 4)."""
    return issuer.removesuffix("/") + "/.well-known/openid-configuration"


async def discover(fetch: Fetch, issuer: str, now: float) -> str:
    """Give the ``jwks_uri`` of `issuer`; `FetchFailed` when there is none to be believed.

    `now`, in Unix seconds, is what a date in ``Retry-After`` is compared with.

    The metadata must name exactly `issuer` (section 4.3): else one tenant of a host could speak
    for another.
    """
    answer = await fetch(discovery_url(issuer), {})
    _check_status(answer, "the discovery document", now)
    try:
        text = answer.body.removeprefix(BOM_UTF8)
        metadata = parse_object(text, "discovery document", most_members=_MOST_MEMBERS)
    except MalformedToken as error:
        raise FetchFailed(str(error)) from None
    if metadata.get("issuer") != issuer:
        raise FetchFailed(
            f"the discovery document names the issuer {str(metadata.get('issuer'))[:200]!r}; the"
            " configured one must be exactly that, trailing slash and all"
        )
    url = metadata.get("jwks_uri")
    fault = url_fault(url, "the jwks_uri", is_plain_allowed=is_loopback_url(issuer))
    if fault is not None:
        raise FetchFailed(fault)
    return str(url)


async def fetch_document(
    fetch: Fetch, url: str, etag: str, settings: RefreshSettings, now: float
) -> KeyDocument:
    """Ask `url` for a key set at `now`, in Unix seconds; `etag`: of the one at hand, or empty."""
    answer = await fetch(url, {"if-none-match": etag} if etag else {})
    is_unchanged = bool(etag) and answer.status == 304
    if not is_unchanged:
        _check_status(answer, "the key set", now)
    headers = answer.headers
    return KeyDocument(
        body=None if is_unchanged else answer.body,
        etag=etag if is_unchanged else headers.get("etag", ""),
        lifetime=lifetime_of(headers.get("cache-control", ""), headers.get("age", ""), settings),
    )


def _check_status(answer: HttpResponse, what: str, now: float) -> None:
    if answer.status == 200:
        return
    headers = answer.headers
    wait = retry_after_of(headers.get("retry-after", ""), headers.get("date", ""), now)
    if 300 <= answer.status < 400:
        raise FetchFailed(
            f"{what} was answered with {answer.status}; redirects are not followed, configure the"
            " address it really has",
            retry_after=wait,
        )
    raise FetchFailed(f"{what} was answered with {answer.status}", retry_after=wait)
