"""The URL of an issuer's key set, by OpenID Connect Discovery, and the document at that URL."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass

from linqi.errors import FetchFailed, MalformedToken
from linqi.jose._compact import parse_object
from linqi.jwks.freshness import RefreshSettings, lifetime_of, retry_after_of
from linqi.jwks.http import Fetch, HttpResponse
from linqi.jwks.location import KeySetLocation

__all__ = ["KeyDocument", "check_status", "discover", "fetch_document"]

_MOST_MEMBERS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDocument:
    """The response of a key set's URL."""

    body: bytes | None
    """None if the issuer answered 304: the set has not changed."""
    etag: str
    """The ``ETag`` header, or empty."""
    lifetime: float
    """Seconds for which the set is fresh, within the bounds of `RefreshSettings`."""


async def discover(fetch: Fetch, location: KeySetLocation, now: float) -> str:
    """Return the ``jwks_uri`` of an issuer's metadata.

    The metadata must name exactly the configured issuer (OpenID Connect Discovery 1.0, section
    4.3; RFC 8414, section 3.3), wherever they are: otherwise one tenant of a host could publish
    keys for another. Of an issuer with a placeholder they must name the same template; the name of
    the placeholder, ``{tenantid}`` at Microsoft, may differ.

    Args:
        fetch: Makes one GET.
        location: The issuer and the URL of its metadata.
        now: Unix seconds, with which a date in ``Retry-After`` is compared.

    Raises:
        FetchFailed: There is no metadata, or it names another issuer or an unsafe ``jwks_uri``.

    """
    response = await fetch(location.metadata_url, {})
    check_status(response, "the discovery document", now)
    try:
        text = response.body.removeprefix(BOM_UTF8)
        metadata = parse_object(text, "discovery document", most_members=_MOST_MEMBERS)
    except MalformedToken as error:
        raise FetchFailed(str(error)) from None
    if not location.is_issuer(metadata.get("issuer")):
        raise FetchFailed(
            f"the discovery document names the issuer {str(metadata.get('issuer'))[:200]!r}; the"
            " configured issuer must be exactly equal, including a trailing slash"
        )
    url = metadata.get("jwks_uri")
    fault = location.jwks_uri_fault(url)
    if fault is not None:
        raise FetchFailed(fault)
    return str(url)


async def fetch_document(
    fetch: Fetch, url: str, etag: str, settings: RefreshSettings, now: float
) -> KeyDocument:
    """Request the key set at `url`.

    Args:
        fetch: Makes one GET.
        url: The key set's URL.
        etag: The ETag of the set at hand, for a conditional request; or empty.
        settings: The bounds of the lifetime.
        now: Unix seconds, with which a date in ``Retry-After`` is compared.

    Raises:
        FetchFailed: There is no response, or its status is neither 200 nor 304.

    """
    response = await fetch(url, {"if-none-match": etag} if etag else {})
    is_unchanged = bool(etag) and response.status == 304
    if not is_unchanged:
        check_status(response, "the key set", now)
    headers = response.headers
    return KeyDocument(
        body=None if is_unchanged else response.body,
        etag=etag if is_unchanged else headers.get("etag", ""),
        lifetime=lifetime_of(headers.get("cache-control", ""), headers.get("age", ""), settings),
    )


def check_status(response: HttpResponse, what: str, now: float) -> None:
    """Raise `FetchFailed`, with the ``Retry-After``, unless the status is 200.

    Args:
        response: The response.
        what: How the message calls what was requested.
        now: Unix seconds, with which a date in ``Retry-After`` is compared.

    """
    if response.status == 200:
        return
    headers = response.headers
    wait = retry_after_of(headers.get("retry-after", ""), headers.get("date", ""), now)
    if 300 <= response.status < 400:
        raise FetchFailed(
            f"{what} was answered with {response.status}; redirects are not followed, configure"
            " the final URL",
            retry_after=wait,
        )
    hint = ""
    if response.status in (401, 403):
        hint = (
            "; if the server wants a token, set token_file, which is sent to the origin of the"
            " configured URL only; if the metadata name another origin, configure the URL of the"
            " key set"
        )
    raise FetchFailed(
        f"{what} was answered with {response.status}{hint}",
        retry_after=wait,
        status=response.status,
    )
